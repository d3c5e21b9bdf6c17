"""First looks at fast recordings: speech against silence, and whether the clocks drift."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.alignment.clock import stimulus_clock
from bids_brainalign.alignment.clock_drift import ClockDrift, clock_drift
from bids_brainalign.alignment.speech_stretches import within
from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Recording
from bids_brainalign.outputs.reading import read_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.responses.types import Response
from bids_brainalign.statistics.autocorrelation import decorrelation_time, summary_decorrelation
from bids_brainalign.statistics.silence_contrast import Contrast, Run, silence_contrast
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import common_targets, placements, sample_table
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.responses import load_response, response_path
from bids_brainalign.workflow.sound import envelope_of, stretches_of
from bids_brainalign.workflow.spaces import Space, feature_key, rate_of, seed_of

logger = logging.getLogger(__name__)

LATENCY_S = 0.1
"""The response to speech runs this much behind it."""
SETTLE_S = 0.4
"""Seconds after speech until a sample counts as silent: responses have died away."""

CONTRAST_COLUMNS = {
    "target": "Channel",
    "d": "Mean response in speech minus mean response in silence, over their pooled standard "
    f"deviation. Speech: from {LATENCY_S:g} s after its onset to {LATENCY_S:g} s after its end; "
    f"silence: from {SETTLE_S:g} s after speech to the next onset",
    "p": "Two-sided p of d against circular shifts of the labels along the response",
    "q_fdr": "Benjamini-Hochberg q of p over the channels of this table",
    "speech_s": "Seconds of speech compared",
    "silence_s": "Seconds of silence compared",
    "n_null": "Shifts",
    "labels_from": "What told speech from silence: words (gaps of 0.5 s or more are silent), or "
    "sound (25 dB below the loud level of the stimulus)",
    "reason": "Why d or p is n/a",
}
LAG_COLUMNS = {
    "recording": "Recording",
    "lag_first_s": "Lag of the responses behind the envelope of the sound, first third, in s",
    "lag_first_se_s": "Its standard error (jackknife over eight blocks)",
    "p_first": "p of a link between sound and responses in the first third (circular shifts)",
    "lag_last_s": "The same in the last third",
    "lag_last_se_s": "Its standard error",
    "p_last": "p in the last third",
    "drift_s": "Last minus first; only where both have p < .01",
    "drift_low_s": "Lower end of its 95 % interval",
    "drift_high_s": "Upper end of its 95 % interval",
    "drift_ppm": "Drift over the time between the two thirds, in parts per million",
    "flagged": "Drift above 20 ms whose interval does not hold 0",
    "n_targets": "Channels used: those that follow the sound best in the middle third",
    "reason": "Why drift is n/a",
}


def first_looks_step(config: Config, fit: Fit, lowlevel: Space) -> Step:
    """Write ``desc-silence_contrast.tsv`` and ``desc-sound_lags.tsv`` of one fit."""
    rate = rate_of(config, fit.modality)

    def work() -> list[Path]:
        loaded = [load_response(response_path(config, fit, r)) for r in fit.recordings]
        responses, _ = common_targets(fit, loaded)
        contrast = contrast_table(config, fit, responses, lowlevel)
        lags = lag_table(config, fit, responses, lowlevel)
        root = config.paths.output_dir
        path = root / fit.name.file("contrast.tsv", analysis="silence")
        return [
            *write_tsv(path, contrast, CONTRAST_COLUMNS),
            *write_tsv(_lags_path(config, fit), lags, LAG_COLUMNS),
        ]

    return Step(
        name=f"first looks {fit.name.stem} {fit.name.datatype}",
        inputs={
            "responses": [response_path(config, fit, r).name for r in fit.recordings],
            "sound": [feature_key(config, lowlevel, p.stimulus, rate) for p in fit.presentations],
            "words": [
                [] if w is None else [w.n_untimed, w.table["duration"].tolist()]
                for w in (p.stimulus.words for p in fit.presentations)
            ],
            "onsets": [[p.recording.name, p.onset_s, p.segments] for p in fit.presentations],
            "settings": [
                config.random_seed,
                config.nulls.n_draws,
                config.electrodes(fit.modality).trim_start_s,
            ],
        },
        modules=("bids_brainalign.workflow.first_looks",),
        work=work,
    )


def contrast_table(
    config: Config, fit: Fit, responses: Sequence[Response], lowlevel: Space
) -> pd.DataFrame:
    """Speech against silence, one row per channel.

    Parameters
    ----------
    config : Config
    fit : Fit
    responses : sequence of Response
        One per recording, the same targets in each.
    lowlevel : Space
    """
    runs, sources = [], set()
    for recording, response in zip(fit.recordings, responses, strict=True):
        speech, silence, found = _labels(config, fit, recording, response, lowlevel)
        table = sample_table(
            fit.of(recording), response, trim_s=config.electrodes(fit.modality).trim_start_s
        )
        valid = table["usable"].to_numpy(dtype=bool) & ~response.censored
        runs.append(Run(response.data, speech, silence, valid))
        sources |= found
    interval = responses[0].interval_s
    rows = np.concatenate([r.data[r.valid] for r in runs])
    which = np.concatenate([np.full(int(r.valid.sum()), k) for k, r in enumerate(runs)])
    remembered = summary_decorrelation(decorrelation_time(rows, interval, segments=which))
    contrast: Contrast = silence_contrast(
        runs,
        decorrelation_samples=1.0 if np.isnan(remembered) else remembered / interval,
        n_draws=config.nulls.n_draws,
        rng=np.random.default_rng(seed_of(config, "silence", fit.name.stem, fit.modality)),
    )
    return pd.DataFrame(
        {
            "target": responses[0].targets["name"].to_numpy(dtype=object),
            "d": contrast.d,
            "p": contrast.p,
            "q_fdr": contrast.q,
            "speech_s": contrast.n_speech * interval,
            "silence_s": contrast.n_silence * interval,
            "n_null": contrast.n_draws,
            "labels_from": ", ".join(sorted(sources)),
            "reason": contrast.reason or "n/a",
        }
    )


def _labels(
    config: Config, fit: Fit, recording: Recording, response: Response, lowlevel: Space
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], set[str]]:
    """Label samples that answer speech and samples in settled silence; say what told them."""
    speech = np.zeros(len(response.times), dtype=bool)
    silence = speech.copy()
    sources = set()
    mine = fit.of(recording)
    for p, placement in zip(mine, placements(mine), strict=True):
        stretches = stretches_of(config, fit, p.stimulus, lowlevel)
        sources.add(stretches.source)
        clock = stimulus_clock(response.times, placement)
        speech |= within(clock - LATENCY_S, stretches.speech)
        settled = stretches.silence + np.array([SETTLE_S, 0.0])
        silence |= within(clock, settled[settled[:, 1] > settled[:, 0]])
    return speech, silence & ~speech, sources


def lag_table(
    config: Config, fit: Fit, responses: Sequence[Response], lowlevel: Space
) -> pd.DataFrame:
    """Lags at both ends of every recording and their difference."""
    rows = []
    for recording, response in zip(fit.recordings, responses, strict=True):
        found = clock_drift(
            envelope_of(config, fit, recording, response, lowlevel),
            np.where(response.censored[:, None], np.nan, response.data),
            times_s=response.times,
            rng=np.random.default_rng(seed_of(config, "drift", recording.name)),
        )
        rows.append(_lag_row(recording, found))
    return pd.DataFrame(rows)[list(LAG_COLUMNS)]


def _lag_row(recording: Recording, found: ClockDrift) -> dict[str, object]:
    row: dict[str, object] = {"recording": recording.name}
    for name, third in (("first", found.first), ("last", found.last)):
        row |= {f"lag_{name}_s": third.lag_s, f"lag_{name}_se_s": third.se_s, f"p_{name}": third.p}
    return row | {
        "drift_s": found.drift_s,
        "drift_low_s": found.low_s,
        "drift_high_s": found.high_s,
        "drift_ppm": found.rate_ppm,
        "flagged": "n/a" if found.reason else str(found.flagged).lower(),
        "n_targets": found.n_targets,
        "reason": found.reason or "n/a",
    }


def _lags_path(config: Config, fit: Fit) -> Path:
    return config.paths.output_dir / fit.name.file("lags.tsv", analysis="sound")


def warn_of_drift(config: Config, fit: Fit) -> None:
    """Log recordings whose clock drifts, each time the fit runs."""
    table = read_table(_lags_path(config, fit), text=("recording", "flagged"))
    if table is None:
        return
    for row in table[table["flagged"] == "true"].to_dict("records"):
        logger.warning(
            "%s: the clocks of sound and recording drift apart by %.0f ms between the first and "
            "the last third (95 %% interval %.0f to %.0f ms, %.0f ppm). Give each part of the "
            "stimulus its own onset (--stimuli-map), or correct the sampling rate.",
            row["recording"], 1000 * row["drift_s"], 1000 * row["drift_low_s"],
            1000 * row["drift_high_s"], row["drift_ppm"],
        )  # fmt: skip
