"""Attention and prediction around word and phone onsets, against shifted onsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.workflow.assemble import Assembly

Array64 = NDArray[np.float64]
BEFORE_S, AFTER_S = -0.2, 0.6
N_SHIFTS = 200
LEAST_SHIFT_S = 2.0
"""Onsets are shifted at least so far, else they would still fall on speech of the same word."""

LOCKED_COLUMNS: dict[str, str] = {
    "signal": "What was averaged: the mean lag that is attended at this moment, or the prediction",
    "locked_to": "Kind of onset",
    "time_s": "Seconds from the onset",
    "mean": "Mean over onsets",
    "null_low": "2.5 % of the mean at the same time from shifted onsets",
    "null_high": "97.5 %",
    "n": "Onsets",
}


def locked_rows(
    assembly: Assembly,
    rows: NDArray[np.int64],
    signals: Mapping[str, NDArray[np.floating]],
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Average signals of held-out rows around onsets.

    Parameters
    ----------
    assembly : Assembly
    rows : ndarray of int
        Held-out rows.
    signals : mapping
        Name → (n_rows,).
    rng : Generator
        Draws the shifts: all onsets of a stimulus together, around its held-out part, so that
        their rhythm stays.
    """
    samples = assembly.samples
    offsets = np.arange(
        round(BEFORE_S / samples.interval_s), round(AFTER_S / samples.interval_s) + 1
    )
    tables = []
    for kind, parts in _onsets(assembly, rows):
        for name, values in signals.items():
            mean, n = _mean_around(values, parts, offsets, 0.0, samples.interval_s)
            shifts = rng.uniform(0, 1, N_SHIFTS)
            null = np.array(
                [_mean_around(values, parts, offsets, s, samples.interval_s)[0] for s in shifts]
            )
            low, high = np.nanpercentile(null, [2.5, 97.5], axis=0)
            tables.append(
                pd.DataFrame(
                    {
                        "signal": name,
                        "locked_to": kind,
                        "time_s": offsets * samples.interval_s,
                        "mean": mean,
                        "null_low": low,
                        "null_high": high,
                        "n": n,
                    }
                )
            )
    if not tables:
        return pd.DataFrame(columns=list(LOCKED_COLUMNS))
    return pd.concat(tables, ignore_index=True)


_Part = tuple[NDArray[np.int64], Array64, Array64]
"""Positions among the held-out rows, their stimulus times, and onsets within them."""


def _onsets(assembly: Assembly, rows: NDArray[np.int64]) -> Iterator[tuple[str, list[_Part]]]:
    samples = assembly.samples
    stimuli = {p.stimulus.name: p.stimulus for p in assembly.fit.presentations}
    names = sorted(stimuli)
    for kind in ("words", "phones"):
        parts: list[_Part] = []
        for run in np.unique(samples.run[rows]):
            for index in np.unique(samples.stimulus[rows]):
                here = (samples.run[rows] == run) & (samples.stimulus[rows] == index)
                annotations = getattr(stimuli[names[index]], kind)
                if annotations is None:
                    continue
                onsets = annotations.table["onset"].to_numpy(dtype=float)
                for at in _presented(np.flatnonzero(here), samples.stimulus_s[rows]):
                    seconds = samples.stimulus_s[rows[at]]
                    inside = onsets[(onsets >= seconds[0]) & (onsets <= seconds[-1])]
                    parts.append((at, seconds, inside))
        if sum(len(part[2]) for part in parts) >= 10:
            yield f"{kind[:-1]} onset", parts


def _presented(at: NDArray[np.int64], seconds: Array64) -> list[NDArray[np.int64]]:
    """Cut where the stimulus begins anew in the same run; parts of one row are left out."""
    again = np.flatnonzero(np.diff(seconds[at]) <= 0) + 1
    return [part for part in np.split(at, again) if len(part) > 1]


def _mean_around(
    values: NDArray[np.floating],
    parts: list[_Part],
    offsets: NDArray[np.int64],
    shift: float,
    interval_s: float,
) -> tuple[Array64, int]:
    """Mean at each offset; ``shift`` in 0…1 turns the onsets around their part, 0 leaves them."""
    total, count, n = np.zeros(len(offsets)), np.zeros(len(offsets)), 0
    for at, seconds, onsets in parts:
        length = seconds[-1] - seconds[0]
        moved = onsets
        if shift > 0:
            least = min(LEAST_SHIFT_S, length / 4)
            by = least + shift * (length - 2 * least)
            moved = seconds[0] + np.mod(onsets - seconds[0] + by, length)
        after = np.clip(np.searchsorted(seconds, moved), 1, len(at) - 1)
        before = after - 1
        first = np.where(moved - seconds[before] < seconds[after] - moved, before, after)
        index = first[:, None] + offsets
        inside = (index >= 0) & (index < len(at))
        clipped = np.clip(index, 0, len(at) - 1)
        # A censored stretch makes neighbours in the rows no neighbours in time.
        gap = np.abs(seconds[clipped] - seconds[first][:, None] - offsets * interval_s)
        inside &= gap < interval_s
        total += np.where(inside, values[at[clipped]], 0).sum(axis=0)
        count += inside.sum(axis=0)
        n += len(onsets)
    return total / np.where(count > 0, count, np.nan), n
