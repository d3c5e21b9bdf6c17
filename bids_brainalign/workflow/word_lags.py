"""Lag curves locked to words: rows are words, responses are averages around their onsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.alignment.words import epoch_starts, held_at, window_means, word_means
from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.design import RunLayout
from bids_brainalign.encoding.lagged import LagCurves
from bids_brainalign.encoding.layerwise import (
    FeatureSpace,
    LayerwiseFit,
    Problem,
    encode_layers,
    keep_designs,
)
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.folds import GapRule, Samples
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.store.features import StoredFeatures
from bids_brainalign.workflow.assemble import (
    Assembly,
    context_s,
    fold_plan,
    null_draws,
    summarised_decorrelation,
    targets_that_tell,
)
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space, stored_features

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

BLOCK_COLUMNS = 2048
"""Targets × lags fitted at once: bounds memory (5,000 words of them are 40 MB, and there is such
an array per fold)."""


@dataclass(frozen=True)
class WordEpochs:
    """All words of one fit that every feature space and every recording covers."""

    table: pd.DataFrame
    """A row per word in the order of the recordings: ``run``, ``group``, ``stimulus`` (indices),
    ``name`` (of the stimulus), ``onset``, ``offset`` (stimulus clock), ``time`` (recording)."""
    windows: tuple[Array32, ...]
    """Per recording (n_starts, n_targets): mean response in the window that starts there."""
    starts: tuple[NDArray[np.int64], ...]
    """Per recording (n_words, n_lags): rows of ``windows``."""
    n_left_out: int
    """Words too near to a recording's end, to censored samples, or without features."""

    @property
    def n_targets(self) -> int:
        """Targets at each lag."""
        return int(self.windows[0].shape[1])

    @property
    def n_lags(self) -> int:
        """Lags around each word."""
        return int(self.starts[0].shape[1])

    def responses(self, lags: slice) -> tuple[Array32, ...]:
        """Per recording (n_words, n_lags_of_slice · n_targets), lag-major."""
        cuts = zip(self.windows, self.starts, strict=True)
        return tuple(w[s[:, lags]].reshape(len(s), -1) for w, s in cuts)

    def columns(self, picked: slice) -> Array32:
        """Pick columns of the responses at all lags, of all words: (n_words, n_picked)."""
        lag, target = np.divmod(np.arange(self.n_lags * self.n_targets)[picked], self.n_targets)
        cuts = zip(self.windows, self.starts, strict=True)
        return np.concatenate([w[s[:, lag], target] for w, s in cuts])


def word_lag_curves(
    config: Config,
    assembly: Assembly,
    space: Space,
    spaces: Sequence[Space],
    lags_s: Array64,
) -> tuple[tuple[str, ...], LagCurves, Array64, int]:
    """Ridge from word features at every lag, on folds of words.

    Parameters
    ----------
    config : Config
    assembly : Assembly
    space : Space
    spaces : sequence of Space
        All feature spaces of the run: only words that all of them cover are used.
    lags_s : ndarray of shape (n_lags,)

    Returns
    -------
    layers : tuple of str
    curves : LagCurves
    weights : ndarray of shape (n_folds,)
        Words per fold.
    n_left_out : int

    Raises
    ------
    BrainAlignError
        No annotated words, or too few for two folds (65).
    """
    epochs = word_epochs(config, assembly, spaces, lags_s)
    samples = _samples(epochs.table)
    told = epochs.columns(targets_that_tell(epochs.n_lags * epochs.n_targets))
    decorrelation = summarised_decorrelation(told, samples)
    support = max(r.support_s for r in assembly.responses)
    reach = float(np.abs(lags_s).max()) + config.lags.word_window_s
    gap = GapRule(
        hard_s=reach + support + decorrelation,
        soft_s=context_s(config, assembly.fit, spaces),
        soft_share=config.folds.soft_gap_share,
    )
    plan = fold_plan(config, assembly.fit, samples, gap)
    span = int(np.ceil((lags_s[-1] - lags_s[0]) / samples.interval_s))
    everything = tuple(np.ones(len(s), dtype=bool) for s in epochs.starts)
    problem = Problem(
        responses=(),
        layout=RunLayout(everything, everything, plan.whole_runs),
        plan=plan,
        delays=(0,),
        alphas=config.ridge.alphas,
        fixed_alpha=config.ridge.fixed_alpha,
        metric=config.ridge.metric,
        band_weights=config.ridge.band_weights,
        draws=null_draws(
            config, assembly.fit, plan, (0, span), decorrelation, samples.interval_s
        ),
        min_samples=config.folds.min_samples,
        n_threads=config.resources.omp_nthreads,
    )  # fmt: skip
    features = _word_features(config, assembly.fit, space, epochs.table)
    curves = _joined([_curves(fit, n) for fit, n in _fits(features, problem, epochs)])
    weights = np.array([len(fold.outer.test) for fold in plan.folds], dtype=np.float64)
    return features.layers, curves, weights, epochs.n_left_out


def _fits(
    features: FeatureSpace, problem: Problem, epochs: WordEpochs
) -> Iterator[tuple[LayerwiseFit, int]]:
    """Fit blocks of neighbouring lags one after another; each with how many lags it has."""
    designs = keep_designs(features, problem)
    step = max(1, BLOCK_COLUMNS // epochs.n_targets)
    for first in range(0, epochs.n_lags, step):
        lags = slice(first, min(first + step, epochs.n_lags))
        block = replace(problem, responses=epochs.responses(lags), _cache={})
        fit = encode_layers(features, block, block.held_out(), designs=designs, layer_nulls=False)
        yield fit, lags.stop - lags.start


def word_epochs(
    config: Config, assembly: Assembly, spaces: Sequence[Space], lags_s: Array64
) -> WordEpochs:
    """Cut responses around words; see :class:`WordEpochs`."""
    fit = assembly.fit
    groups = sorted({p.content_group for p in fit.presentations})
    names = sorted({p.stimulus.name for p in fit.presentations})
    heard = _covered(config, fit, spaces)
    tables, windows, whole_starts, before = [], [], [], 0
    for run, (recording, response) in enumerate(
        zip(fit.recordings, assembly.responses, strict=True)
    ):
        parts = [pd.DataFrame(columns=list(_WORD_COLUMNS), dtype=float)]
        for p in fit.of(recording):
            if p.stimulus.words is None:
                continue
            words = p.stimulus.words.table
            onset = words["onset"].to_numpy(np.float64)
            offset = onset + words["duration"].to_numpy(np.float64)
            played = np.zeros(len(onset), dtype=bool)
            for start, stop in p.segments:
                played |= (onset >= start) & (offset <= stop)
            before += int(played.sum())
            first, last = heard[p.stimulus.name]
            keep = played & (onset >= first) & (offset <= last)
            part = pd.DataFrame({"onset": onset, "offset": offset, "time": onset + p.onset_s})
            parts.append(
                part[keep].assign(
                    run=run,
                    group=groups.index(p.content_group),
                    stimulus=names.index(p.stimulus.name),
                    name=p.stimulus.name,
                )
            )
        # Transcripts are not always in order (ds005574's is not); word order carries the null.
        table = pd.concat([p for p in parts if len(p)] or parts).sort_values("time", kind="stable")
        starts, n_window = epoch_starts(
            response.times, table["time"].to_numpy(np.float64), lags_s,
            window_s=config.lags.word_window_s,
        )  # fmt: skip
        whole = (starts.min(axis=1) >= 0) & (starts.max(axis=1) + n_window <= len(response.times))
        bad = np.concatenate([[0], np.cumsum(response.censored)])
        low = np.clip(starts.min(axis=1), 0, len(response.times))
        high = np.clip(starts.max(axis=1) + n_window, 0, len(response.times))
        whole &= bad[high] == bad[low]
        tables.append(table[whole])
        windows.append(window_means(response.data, n_window))
        whole_starts.append(starts[whole])
    every = pd.concat(tables, ignore_index=True)
    if every.empty:
        raise BrainAlignError(
            f"{fit.name.stem}: no word has a time",
            fix="give word times beside the stimuli (NAME_words.tsv or a TextGrid)",
        )
    return WordEpochs(every, tuple(windows), tuple(whole_starts), before - len(every))


_WORD_COLUMNS = ("onset", "offset", "time", "run", "group", "stimulus", "name")


def _covered(config: Config, fit: Fit, spaces: Sequence[Space]) -> dict[str, tuple[float, float]]:
    """First and last second of each stimulus that all feature spaces cover."""
    covered = {}
    for stimulus in {p.stimulus.name: p.stimulus for p in fit.presentations}.values():
        ends = [stored_features(config, s, stimulus, fit.modality).times for s in spaces]
        # A frame stands for what is around it: half a second beyond the outer ones is theirs.
        covered[stimulus.name] = (max(t[0] for t in ends) - 0.5, min(t[-1] for t in ends) + 0.5)
    return covered


def _samples(table: pd.DataFrame) -> Samples:
    time, run = table["time"].to_numpy(np.float64), table["run"].to_numpy(np.int64)
    steps = np.diff(time)[np.diff(run) == 0]
    return Samples(
        run=run,
        group=table["group"].to_numpy(np.int64),
        time_s=time,
        stimulus=table["stimulus"].to_numpy(np.int64),
        stimulus_s=table["onset"].to_numpy(np.float64),
        interval_s=float(np.mean(steps)) if len(steps) else 1.0,
    )


def _word_features(config: Config, fit: Fit, space: Space, table: pd.DataFrame) -> FeatureSpace:
    """Means of each layer's frames over the words of every recording."""
    stimuli = {p.stimulus.name: p.stimulus for p in fit.presentations}
    stored: dict[str, StoredFeatures] = {
        name: stored_features(config, space, stimulus, fit.modality)
        for name, stimulus in stimuli.items()
    }
    layers = next(iter(stored.values())).layers

    onset, offset = (table[column].to_numpy(np.float64) for column in ("onset", "offset"))
    ends = np.searchsorted(table["run"], np.arange(1, len(fit.recordings)))

    def read(layer: int) -> list[Array32]:
        parts: list[tuple[NDArray[np.int64], Array32]] = []
        for name, source in stored.items():
            rows = np.flatnonzero(table["name"] == name)
            if not len(rows):
                continue
            frames = source.read(layer)
            if space.reads_words:
                parts.append((rows, held_at(frames, source.times, onset[rows])))
                continue
            means = word_means(frames, source.times, onset[rows], offset[rows], hold=space.is_held)
            parts.append((rows, means))
        out = np.empty((len(table), parts[0][1].shape[1]), dtype=np.float32)
        for rows, means in parts:
            out[rows] = means
        return np.split(out, ends)

    kept = None if space.kind == "lowlevel" else config.lags.n_components
    return FeatureSpace(space.name, tuple(layers), read, kept)


@dataclass(frozen=True)
class _Block:
    """Curves at some lags; arrays as in :class:`LagCurves`."""

    r_fold: Array64
    r: Array64
    selected_r: Array64
    null: Array32 | None
    """(n_draws, n_targets) null of the maximum over these lags."""


def _curves(fit: LayerwiseFit, n_lags: int) -> _Block:
    """Unfold targets × lags, which were fitted side by side."""

    def unfolded(values: NDArray[np.floating]) -> Array64:
        return np.asarray(values, dtype=np.float64).reshape(*values.shape[:-1], n_lags, -1)

    null = fit.null_selected
    return _Block(
        r_fold=np.stack([unfolded(s.r_fold) for s in fit.layer_scores]),
        r=np.stack([unfolded(s.r) for s in fit.layer_scores]),
        selected_r=unfolded(fit.selected.r),
        null=None if null is None else null.reshape(len(null), n_lags, -1).max(axis=1),
    )


def _joined(blocks: Sequence[_Block]) -> LagCurves:
    """Put neighbouring lags together; the null is that of the maximum over all of them."""
    selected = np.concatenate([block.selected_r for block in blocks])
    p, n_null = np.full(selected.shape, np.nan), 0
    nulls = [block.null for block in blocks if block.null is not None]
    if nulls:
        largest, n_null = np.max(nulls, axis=0), len(nulls[0])
        p = np.stack([p_values(r, largest) for r in selected])
    return LagCurves(
        r_fold=np.concatenate([block.r_fold for block in blocks], axis=2),
        r=np.concatenate([block.r for block in blocks], axis=1),
        selected_r=selected,
        p=p,
        n_null=n_null,
    )
