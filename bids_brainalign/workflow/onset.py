"""Assumed onsets: what the cross-correlation of sound and responses says about them."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bids_brainalign.alignment.onset_check import OnsetCheck, onset_check
from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Recording
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.digest import digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.responses import load_response, response_path
from bids_brainalign.workflow.sound import envelope_of
from bids_brainalign.workflow.spaces import Space, rate_of, seed_of

logger = logging.getLogger(__name__)

MAX_LAG_S = {"ieeg": 10.0, "eeg": 10.0, "fmri": 25.0}
"""Onsets that are wrong by more than this are not found."""
TYPICAL_DELAY_S = {"ieeg": 0.15, "eeg": 0.15, "fmri": 5.0}
"""From sound to response: taken off a lag to suggest the true onset."""
SIGNIFICANT = 0.01


def assumed_recordings(fit: Fit) -> list[Recording]:
    """List the recordings of a fit in which the onset of a sound was assumed."""
    return [r for r in fit.recordings if any(p.onset_assumed for p in fit.of(r))]


def onset_step(config: Config, fit: Fit, lowlevel: Space) -> Step:
    """Check the assumed onsets of one fit; needs its responses and the low-level features."""
    path = _path(config, fit)

    def work() -> list[Path]:
        checks = {
            r.name: asdict(_check(config, fit, r, lowlevel)) for r in assumed_recordings(fit)
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(checks, indent=1))
        return [path]

    return Step(
        name=f"onset check {fit.name.stem} {fit.name.datatype}",
        inputs={"path": path.name},
        modules=("bids_brainalign.workflow.onset",),
        work=work,
    )


def onset_sentences(config: Config, fit: Fit) -> list[str]:
    """Say what was assumed about onsets, and what the check says of it."""
    path = _path(config, fit)
    checks = json.loads(path.read_text()) if path.is_file() else {}
    return [
        _sentence(config, fit, r, OnsetCheck(**checks[r.name]) if r.name in checks else None)
        for r in assumed_recordings(fit)
    ]


def warn_of_onsets(config: Config, fit: Fit) -> None:
    """Log the sentences, each time the fit runs: a stored check must be heard as well."""
    for sentence in onset_sentences(config, fit):
        logger.warning("%s", sentence)


def _sentence(config: Config, fit: Fit, recording: Recording, check: OnsetCheck | None) -> str:
    mine = [p for p in fit.of(recording) if p.onset_assumed]
    names = ", ".join(p.stimulus.name for p in mine)
    onset_s = mine[0].onset_s
    said = (
        f"{recording.name}: no file says when {names} started; {onset_s:g} s was assumed "
        f"({mine[0].rule})"
    )
    if check is None:
        return f"{said} and not checked."
    found = (
        f"lag {check.lag_s:.2f} s, 95 % interval {check.low_s:.2f} to {check.high_s:.2f} s, "
        f"r = {check.r:.2f}, p = {check.p:.3f}"
    )
    if not check.p < SIGNIFICANT:
        return (
            f"{said}. The responses neither confirm nor contradict it: no lag up to "
            f"{check.max_lag_s:.0f} s links them to the sound ({found})."
        )
    low, high = _expected_s(config, fit)
    if check.high_s >= low and check.low_s <= high:
        return f"{said}. The responses follow the sound as they should ({found})."
    likely = onset_s + check.lag_s - TYPICAL_DELAY_S[fit.modality]
    return (
        f"WARNING: {said}, but the responses follow the sound at a lag that no neural delay "
        f"explains ({found}). It probably started at about {likely:.1f} s: give its onset with "
        "--stimuli-map TSV (columns task, stim_file, onset)."
    )


def _expected_s(config: Config, fit: Fit) -> tuple[float, float]:
    """Lags that neural (and vascular) delays explain, with some slack."""
    if fit.modality != "fmri":
        own = config.electrodes(fit.modality)
        return own.lag_min_s - 0.1, own.lag_max_s + 0.2
    return 0.0, config.fmri.delay_max_s + 2.0


def _path(config: Config, fit: Fit) -> Path:
    key = digest_of(
        [
            [response_path(config, fit, r).name for r in fit.recordings],
            [[p.stimulus.sha256, p.onset_s, p.segments, p.rule] for p in fit.presentations],
            [rate_of(config, fit.modality), MAX_LAG_S[fit.modality], config.random_seed],
        ]
    )
    return config.paths.work_dir / "onsets" / f"{fit.name.stem}_{fit.modality}_{key[:16]}.json"


def _check(config: Config, fit: Fit, recording: Recording, lowlevel: Space) -> OnsetCheck:
    response = load_response(response_path(config, fit, recording))
    # Censored samples hold no response: they count as missing.
    data = np.where(response.censored[:, None], np.nan, response.data)
    return onset_check(
        envelope_of(config, fit, recording, response, lowlevel),
        data,
        interval_s=response.interval_s,
        max_lag_s=MAX_LAG_S[fit.modality],
        rng=np.random.default_rng(seed_of(config, "onset", recording.name)),
    )
