"""Inter-subject correlation: how a response follows those of others who heard the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.encoding.scoring import HeldOut
from bids_brainalign.statistics.autocorrelation import decorrelation_time, summary_decorrelation
from bids_brainalign.statistics.block_bootstrap import (
    MIN_BLOCKS,
    draw_counts,
    drawn_scores,
    make_blocks,
    percentile_interval,
)
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.statistics.nulls import draw_folds
from bids_brainalign.statistics.tails import p_values

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

ISC_COLUMNS: dict[str, str] = {
    "space": "Entities that name the grid",
    "participant": "Label without sub-",
    "session": "Label, n/a without sessions",
    "target": "Parcel, as in scores.tsv: its mean response",
    "isc": "Inter-subject correlation: of this participant's response with the mean of all "
    "others', over held-out stimuli that all heard (sample-weighted Fisher-z mean over stimuli). "
    "A description of shared responses, not a ceiling: no score is divided by it",
    "ci_low": "Lower end of its 95 % interval: blocks of time drawn again and again, the "
    "participants held fixed",
    "ci_high": "Upper end",
    "p": "One-sided p of isc against circular shifts of the others' mean, the same for all "
    "targets",
    "q_fdr": "Benjamini-Hochberg q of p over the targets of this participant",
    "n_others": "Participants that the mean is of",
    "n_stimuli": "Stimuli that all of them heard",
    "n_samples": "Samples of these stimuli",
    "n_null": "Draws of the null distribution",
}
BLOCK_TIMES = 3.0
"""Length of the blocks for intervals, in decorrelation times."""
N_BOOTSTRAP = 1000
LEVEL = 0.95
MIN_SAMPLES = 30
"""A shorter stimulus is left out, as a fold is."""


@dataclass(frozen=True)
class Heard:
    """Responses of one participant to the stimuli that were held out."""

    stimulus: Sequence[str]
    """(n,) name."""
    presentation: Sequence[str]
    """(n,) run."""
    time_s: Array64
    """(n,) on the clock of the stimulus."""
    values: Array32
    """(n, n_targets)."""


def common_responses(heard: Sequence[Heard], interval_s: float) -> dict[str, list[Array64]]:
    """Responses of all participants on one clock per stimulus.

    Parameters
    ----------
    heard : sequence of Heard
        The same targets in each.
    interval_s : float
        Seconds between samples.

    Returns
    -------
    dict of str to list of ndarray of shape (n_times, n_targets)
        Stimulus → one array per participant, with mean 0 and SD 1; presentations are averaged.
        Times are those of the first participant; others are interpolated linearly, which changes
        nothing where volumes fall on the same seconds of the stimulus. Only stimuli that all heard
        for 30 samples or more.
    """
    shared = set(heard[0].stimulus).intersection(*(set(one.stimulus) for one in heard[1:]))
    out: dict[str, list[Array64]] = {}
    for name in sorted(shared):
        parts = [_presentations(one, name) for one in heard]
        start = max(times[0] for part in parts for times, _ in part)
        stop = min(times[-1] for part in parts for times, _ in part)
        clock = parts[0][0][0]
        clock = clock[(clock >= start - 1e-6) & (clock <= stop + 1e-6)]
        # Censored samples leave holes; what lies inside one was not measured.
        kept = np.ones(len(clock), dtype=bool)
        for part in parts:
            for times, _ in part:
                kept &= _distance(clock, times) <= 0.51 * interval_s
        clock = clock[kept]
        if len(clock) >= MIN_SAMPLES:
            out[name] = [_unit(np.mean([_on(clock, *p) for p in part], axis=0)) for part in parts]
    return out


def _presentations(one: Heard, name: str) -> list[tuple[Array64, Array32]]:
    mine = np.asarray(one.stimulus) == name
    run = np.asarray(one.presentation)
    parts = []
    for label in dict.fromkeys(run[mine]):
        rows = np.flatnonzero(mine & (run == label))
        rows = rows[np.argsort(one.time_s[rows], kind="stable")]
        parts.append((one.time_s[rows], one.values[rows]))
    return parts


def _distance(clock: Array64, times: Array64) -> Array64:
    at = np.clip(np.searchsorted(times, clock), 1, max(len(times) - 1, 1))
    near = np.stack([times[np.clip(at - 1, 0, None)], times[np.clip(at, None, len(times) - 1)]])
    return np.asarray(np.abs(near - clock).min(axis=0))


def _on(clock: Array64, times: Array64, values: Array32) -> Array64:
    if len(times) == len(clock) and np.allclose(times, clock, atol=1e-6):
        return values.astype(np.float64)
    return np.stack([np.interp(clock, times, column) for column in values.T], axis=1)


def _unit(x: Array64) -> Array64:
    x = x - x.mean(axis=0)
    spread = x.std(axis=0)
    return np.asarray(x / np.where(spread > 1e-12, spread, np.inf))


def leave_one_out(
    responses: Mapping[str, Sequence[Array64]],
    interval_s: float,
    *,
    people: Sequence[str],
    n_draws: int,
    rng: np.random.Generator,
) -> list[pd.DataFrame]:
    """Correlate every participant with the mean of the others.

    Parameters
    ----------
    responses : mapping of str to sequence of ndarray of shape (n_times, n_targets)
        From :func:`common_responses`.
    interval_s : float
    people : sequence of str
        Whose responses they are: those of another session are not of another participant.
    n_draws : int
    rng : Generator

    Returns
    -------
    list of DataFrame
        Per array of responses, one row per target: ``isc, ci_low, ci_high, p, q_fdr, n_others,
        n_null``.

    References
    ----------
    Hasson et al. 2004, Science 303; Nastase et al. 2019, SCAN 14(6) (leave-one-out).
    """
    names = list(responses)
    lengths = [len(responses[name][0]) for name in names]
    every = np.concatenate([np.concatenate(responses[name], axis=1) for name in names])
    labels = np.repeat(np.arange(len(names)), lengths)
    memory_s = summary_decorrelation(decorrelation_time(every, interval_s, segments=labels))
    steps = max(1.0, memory_s / interval_s)
    draws = draw_folds(
        lengths, steps, n_draws=n_draws,
        min_offset=max(1, min(int(np.ceil(steps)), min(lengths) // 4)), rng=rng,
    )  # fmt: skip
    clock = [interval_s * np.arange(n, dtype=np.float64) for n in lengths]
    blocks = make_blocks(
        clock, [np.zeros(n, dtype=np.int64) for n in lengths],
        block_s=BLOCK_TIMES * memory_s, interval_s=interval_s,
    )  # fmt: skip
    counts = draw_counts(blocks.n_blocks, n_draws=N_BOOTSTRAP, rng=rng)
    out = []
    for index, person in enumerate(people):
        own = [responses[name][index].astype(np.float32) for name in names]
        others = [
            np.mean(
                [x for x, who in zip(responses[name], people, strict=True) if who != person],
                axis=0,
            )
            for name in names
        ]
        rest = [x.astype(np.float32) for x in others]
        zero = [np.zeros(own[0].shape[1]) for _ in names]
        held_out = HeldOut(own, zero, draws, min_samples=MIN_SAMPLES, mutual_share=0.0)
        r = held_out.score(rest).r
        p = np.full(len(r), np.nan)
        if held_out.has_null:
            p = p_values(r, held_out.null(rest))
        low = high = np.full(len(r), np.nan)
        if blocks.n_blocks >= MIN_BLOCKS:
            low, high = percentile_interval(drawn_scores(own, rest, blocks, counts), level=LEVEL)
        out.append(
            pd.DataFrame(
                {
                    "n_others": len(set(people)) - 1,
                    "isc": r, "ci_low": low, "ci_high": high, "p": p,
                    "q_fdr": benjamini_hochberg(p),
                    "n_null": draws[0].n_draws if held_out.has_null else np.nan,
                }
            )
        )  # fmt: skip
    return out
