"""The group level's table of inter-subject correlation (fMRI)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.group.isc import ISC_COLUMNS, Heard, common_responses, leave_one_out
from bids_brainalign.outputs.predictions import read_responses
from bids_brainalign.outputs.reading import CIRCULAR_PARCEL, LOWLEVEL, ScoreFile
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.ceiling_selection import SELECTED
from bids_brainalign.workflow.isc_maps import write_isc_maps
from bids_brainalign.workflow.spaces import seed_of

logger = logging.getLogger(__name__)

LABEL = "responses"


def isc_steps(config: Config, files: Sequence[ScoreFile]) -> list[Step]:
    """One step where two or more participants have responses on one grid, else none.

    Parameters
    ----------
    config : Config
    files : sequence of ScoreFile
        Scores of all participants. The held-out responses beside those of the low-level features
        are used, as every fit has them.
    """
    together = _together(files)
    if not together:
        return []
    memo = config.paths.work_dir / "digests"
    return [
        Step(
            name="group isc",
            inputs={
                "responses": {
                    space: [[f.participant, f.session, file_digest(_responses(f), memo)]
                            for f in mine]
                    for space, mine in together.items()
                },
                "seed": config.random_seed,
                "n_draws": config.nulls.n_draws,
            },
            modules=("bids_brainalign.group.isc", "bids_brainalign.workflow.group_isc"),
            work=lambda: _write(config, together),
        )
    ]  # fmt: skip


def _responses(file: ScoreFile) -> Path:
    return file.path.with_name(file.path.name.replace("_scores.tsv", "_predictions.h5"))


def _together(files: Sequence[ScoreFile]) -> dict[str, list[ScoreFile]]:
    """Fits of fMRI by the grid that their names tell, with two or more participants."""
    found: dict[str, list[ScoreFile]] = {}
    for file in files:
        if file.modality == "fmri" and file.label == LOWLEVEL and _responses(file).is_file():
            own = [e for e in file.prefix.split("_") if e.split("-")[0] in ("space", "den")]
            found.setdefault("_".join(own) or "n/a", []).append(file)
    return {space: mine for space, mine in found.items() if len({f.participant for f in mine}) > 1}


def _write(config: Config, together: dict[str, list[ScoreFile]]) -> list[Path]:
    tables = [table for space, mine in together.items() if (table := _table(config, space, mine))
              is not None]  # fmt: skip
    if not tables:
        return []
    path = config.paths.output_dir / "group" / f"desc-{LABEL}_isc.tsv"
    written = list(write_tsv(path, pd.concat(tables, ignore_index=True), ISC_COLUMNS))
    for space in {str(name) for table in tables for name in table["space"]}:
        mine = together[space]
        written += write_isc_maps(config, space, mine, [_responses(file) for file in mine])
    return written


def _table(config: Config, space: str, files: Sequence[ScoreFile]) -> pd.DataFrame | None:
    read = [read_responses(_responses(file)) for file in files]
    if any(one.stimulus is None for one in read):
        logger.warning(
            "inter-subject correlation of %s: skipped, as responses of an earlier version don't "
            "tell their stimuli. Run the participant level again.", space,
        )  # fmt: skip
        return None
    names = [name for name in read[0].targets if all(name in one.targets for one in read)]
    names = [name for name in names if not name.endswith((SELECTED, CIRCULAR_PARCEL))]
    heard = [
        Heard(
            stimulus=one.stimulus or (),
            presentation=one.run,
            time_s=one.stimulus_time,
            values=one.response[:, [one.targets.index(name) for name in names]],
        )
        for one in read
    ]
    interval_s = read[0].interval_s
    responses = common_responses(heard, interval_s) if names else {}
    if not responses:
        logger.warning(
            "inter-subject correlation of %s: skipped, as no held-out stimulus was heard by all "
            "%d participants.", space, len(files),
        )  # fmt: skip
        return None
    rng = np.random.default_rng(seed_of(config, "isc", space))
    parts = leave_one_out(
        responses, interval_s, people=[file.participant for file in files],
        n_draws=config.nulls.n_draws, rng=rng,
    )  # fmt: skip
    told = {
        "n_stimuli": len(responses),
        "n_samples": sum(len(part[0]) for part in responses.values()),
    }
    for part, file in zip(parts, files, strict=True):
        part["space"], part["participant"], part["session"] = space, file.participant, file.session
        part["target"] = names
        for column, value in told.items():
            part[column] = value
    return pd.concat(parts, ignore_index=True)[list(ISC_COLUMNS)]
