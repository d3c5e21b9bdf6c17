"""Which held-out samples are presentations of the same stimulus, and their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft

from bids_brainalign.config.schema import Config
from bids_brainalign.statistics.folds import Samples
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.responses import load_repeats, response_path
from bids_brainalign.workflow.stored_responses import count_repeats

if TYPE_CHECKING:
    from bids_brainalign.workflow.assemble import Assembly

Array64 = NDArray[np.float64]
Rows = NDArray[np.int64]

ALIGNED = 0.1
"""Samples of two presentations that lie within this share of an interval count as simultaneous."""
LEAST_SHARE = 0.5
"""A fold has a ceiling if at least this share of its samples is of repeated stimuli."""


@dataclass(frozen=True)
class Repeats:
    """Presentations of the same stimuli within some rows."""

    rows: Rows
    """(n_presentations, n_times) into the samples of the fit: one column is one moment of a
    stimulus. A single row where the file holds the presentations one by one."""
    late: Array64
    """The same shape: by how many samples these were taken after the first presentation's."""
    stored: int | None
    """Index of the recording whose file holds presentations one by one, and their mean."""
    n_repeats: int

    @property
    def n_averaged(self) -> int:
        """Presentations that the scored response is the mean of."""
        return 1 if self.stored is None else self.n_repeats


def stored_counts(config: Config, fit: Fit) -> tuple[int, ...]:
    """Presentations that the stored response of each recording holds one by one; 0: none."""
    return tuple(count_repeats(response_path(config, fit, r)) for r in fit.recordings)


def find_repeats(samples: Samples, rows: Rows, stored: Sequence[int]) -> Repeats | None:
    """Find presentations of the same stimuli.

    Parameters
    ----------
    samples : Samples
    rows : ndarray of int
        Of one held-out fold.
    stored : sequence of int
        Per run, presentations of which the response is the mean; below 2: of one.

    Returns
    -------
    Repeats or None
        None where less than half of the rows are of repeated stimuli. Where stimuli were presented
        differently often, the number of presentations is that which gives most pairs of samples.
    """
    counts = np.asarray(stored, dtype=np.int64)
    means = rows[counts[samples.run[rows]] > 1] if len(counts) else rows[:0]
    if len(means):
        run = int(np.bincount(samples.run[means]).argmax())
        mine = means[samples.run[means] == run][None]
        if mine.size < LEAST_SHARE * len(rows):
            return None
        return Repeats(mine, np.zeros(mine.shape), run, int(counts[run]))
    table = _presentations(samples, rows)
    length = table.groupby("stimulus")["presentation"].agg(["nunique", "size"])
    most = int(length["nunique"].max()) if len(length) else 0
    seconds = length["size"] / length["nunique"]
    gain = {n: n * (n - 1) * seconds[length["nunique"] >= n].sum() for n in range(2, most + 1)}
    if not gain:
        return None
    n_repeats = max(gain, key=lambda n: gain[n])
    parts = []
    for stimulus in length.index[length["nunique"] >= n_repeats]:
        part = _together(table[table["stimulus"] == stimulus], n_repeats)
        if part is not None:
            parts.append(part)
    found = sum(part[0].size for part in parts)
    if found < LEAST_SHARE * len(rows):
        return None
    row, late = (np.concatenate([part[i] for part in parts], axis=1) for i in (0, 1))
    return Repeats(row.astype(np.int64), late, None, n_repeats)


def _presentations(samples: Samples, rows: Rows) -> pd.DataFrame:
    """Rows in order of recording, with the presentation that each belongs to."""
    order = rows[np.lexsort((samples.time_s[rows], samples.run[rows]))]
    clock, stimulus, run = samples.stimulus_s[order], samples.stimulus[order], samples.run[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (np.diff(run) != 0) | (np.diff(stimulus) != 0) | (np.diff(clock) < 0)
    ticks = clock / samples.interval_s
    table = pd.DataFrame(
        {"row": order, "stimulus": stimulus, "presentation": np.cumsum(begins), "ticks": ticks}
    )
    # Moments count on the clock of the stimulus's first presentation.
    phase = table.groupby("stimulus")["ticks"].transform("first") % 1
    table["moment"] = np.round(table["ticks"] - phase).astype(np.int64)
    table["late"] = table["ticks"] - phase - table["moment"]
    return table


def _together(table: pd.DataFrame, n_repeats: int) -> tuple[Array64, Array64] | None:
    """Moments that the first presentations of one stimulus share: (n_repeats, n_times) each."""
    chosen = table["presentation"].unique()[:n_repeats]
    part = table[table["presentation"].isin(chosen)].drop_duplicates(["presentation", "moment"])
    wide = part.pivot_table(index="moment", columns="presentation", values=["row", "late"])
    wide = wide.dropna()
    if wide.empty:
        return None
    return wide["row"].to_numpy().T, wide["late"].to_numpy().T


def values_of(
    config: Config, assembly: Assembly, repeats: Repeats, columns: slice
) -> NDArray[np.floating]:
    """Responses of single presentations.

    Parameters
    ----------
    config : Config
    assembly : Assembly
    repeats : Repeats
    columns : slice
        Targets.

    Returns
    -------
    ndarray of shape (n_repeats, n_times, n_targets)
        In units that have no part in a ceiling: each run by its own mean and SD where folds hold
        whole runs, as it is scored; else as recorded. Presentations that were sampled between the
        first one's samples are moved onto them by their spectra, which keeps their variance.
    """
    used = [np.flatnonzero(rows) for rows in assembly.layout.used]
    start = np.concatenate([[0], np.cumsum([len(rows) for rows in used])])
    if repeats.stored is not None:
        run = repeats.stored
        at = used[run][repeats.rows[0] - start[run]]
        recording = assembly.fit.recordings[run]
        path = response_path(config, assembly.fit, recording)
        names = assembly.targets["name"].to_numpy()[columns]
        values = load_repeats(path, names)
        assert values is not None  # noqa: S101 - counted before
        return values[:, at]
    out = np.empty((*repeats.rows.shape, len(range(*columns.indices(len(assembly.targets))))))
    for run in np.unique(assembly.samples.run[repeats.rows]):
        values = np.asarray(assembly.responses[run].data[:, columns][used[run]], dtype=np.float64)
        if assembly.layout.whole_runs:
            spread = values.std(axis=0)
            values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        mine = assembly.samples.run[repeats.rows] == run
        out[mine] = values[repeats.rows[mine] - start[run]]
    for index, late in enumerate(repeats.late):
        edges = np.flatnonzero(np.abs(np.diff(late)) > ALIGNED) + 1
        for rows in np.split(np.arange(len(late)), edges):
            if abs(late[rows].mean()) > ALIGNED:
                out[index, rows] = moved(out[index, rows], -float(late[rows].mean()))
    return out


def moved(x: Array64, by: float) -> Array64:
    """Values between samples: x(t + by), by the shift theorem; ends are joined by a line.

    Parameters
    ----------
    x : ndarray of shape (n_times, n_targets)
    by : float
        Samples, between −.5 and .5.
    """
    n = len(x)
    ramp = np.linspace(0.0, 1.0, n)[:, None]
    line = x[0] + (x[-1] - x[0]) * ramp
    turn = np.exp(2j * np.pi * fft.rfftfreq(n) * by)[:, None]
    return np.asarray(fft.irfft(fft.rfft(x - line, axis=0) * turn, n, axis=0) + line)
