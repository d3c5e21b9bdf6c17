"""What would run: for ``--dry-run``."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.index import Index
from bids_brainalign.dataset.stimuli import Presentations
from bids_brainalign.workflow.attempt import step_cache
from bids_brainalign.workflow.costs import announce
from bids_brainalign.workflow.extraction import stimuli_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.responses import response_step
from bids_brainalign.workflow.spaces import list_spaces
from bids_brainalign.workflow.summary import Summary, Unit

logger = logging.getLogger(__name__)


def dry_run(config: Config, index: Index, found: Presentations, fits: Sequence[Fit]) -> Summary:
    """Print what would run; nothing is written but logs."""
    cache = step_cache(config)
    lines = []
    for fit in fits:
        lines.append(f"{fit.name.stem} ({fit.modality}, {len(fit.recordings)} recordings)")
        for p in fit.presentations:
            lines.append(
                f"  {p.recording.name}: {p.stimulus.name} at {p.onset_s:g} s by {p.rule}, "
                f"{p.stimulus.duration_s:.0f} s, content group {p.content_group}"
            )
    minutes = sum({p.stimulus.sha256: p.stimulus.duration_s for p in found.presentations}.values())
    lines.append(f"{minutes / 60:.1f} min of distinct audio")
    spaces = list_spaces(config)
    lines.append("feature spaces: " + ", ".join(space.name for space in spaces))
    lines += announce(config, spaces, stimuli_of(config, fits))
    for line in lines:
        logger.warning("%s", line)
    units = []
    for fit in fits:
        for recording in fit.recordings:
            step = response_step(config, fit, recording)
            message = "stored" if cache.is_done(step) else "would run"
            units.append(Unit(step.name, "skipped", message=message, participant=fit.participant))
    reasons = [Unit(n, "skipped", message=r) for n, r in (*index.skipped, *found.skipped)]
    return Summary((*units, *reasons), report=None)
