"""What phones explain of the responses beyond acoustics: banded ridge on the fit's own folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.layerwise import FeatureSpace, Problem, encode_jointly, encode_layers
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.workflow.assemble import Assembly, feature_space
from bids_brainalign.workflow.spaces import Space

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class UniqueVariance:
    """Per electrode, on held-out folds."""

    r: Array64
    """(n_targets,) r of acoustics and phones together, less r of acoustics."""
    r2: Array64
    p: Array64
    """Of ``r`` against shifted predictions; NaN without a null."""


def unique_variance(
    config: Config,
    assembly: Assembly,
    lowlevel: Space,
    heard: list[pd.DataFrame],
    members: NDArray[np.bool_],
    names: tuple[str, ...],
) -> UniqueVariance:
    """Fit acoustics alone, then acoustics and phone categories together.

    Parameters
    ----------
    config : Config
    assembly : Assembly
    lowlevel : Space
        Envelope, mel spectrogram, word onsets, phone onsets. The onsets of all phones are added
        again as they are heard: that something was said at all is not phonetic.
    heard : list of DataFrame
        Per recording: ``onset`` (s on its clock), ``phone``.
    members : ndarray of bool, shape (n_categories, n_phones)
    names : tuple of str
        The phones.
    """
    base = feature_space(config, assembly, lowlevel)
    trains = [
        impulses(table, names, members, response.times, response.interval_s)
        for table, response in zip(heard, assembly.responses, strict=True)
    ]

    def acoustics(layer: int) -> list[Array32]:
        low = base.read(layer)
        return [np.hstack([x, t[:, :1]]) for x, t in zip(low, trains, strict=True)]

    def phonetic(_: int) -> list[Array32]:
        return [train[:, 1:] for train in trains]

    problem = Problem(
        responses=[response.data for response in assembly.responses],
        layout=assembly.layout,
        plan=assembly.plan,
        delays=assembly.delays,
        alphas=config.ridge.alphas,
        fixed_alpha=config.ridge.fixed_alpha,
        metric=config.ridge.metric,
        band_weights=config.ridge.band_weights,
        draws=assembly.draws,
        min_samples=config.folds.min_samples,
        n_threads=config.resources.omp_nthreads,
    )
    held_out = problem.held_out()
    nuisance = FeatureSpace("acoustics", base.layers, acoustics)
    alone = encode_layers(nuisance, problem, held_out)
    if not len(members):  # all phones are of one class: onsets alone are in the nuisance already
        missing = np.full(len(alone.selected.r), np.nan)
        return UniqueVariance(missing, missing, missing)
    phones = FeatureSpace("phones", ("n/a",), phonetic)
    both = encode_jointly(phones, nuisance, np.zeros_like(alone.chosen), problem, held_out)
    score = held_out.score(both)
    value = score.r - alone.selected.r
    p = np.full(len(value), np.nan)
    if alone.null_selected is not None:
        p = p_values(value, held_out.null(both) - alone.null_selected)
    return UniqueVariance(value, score.r2 - alone.selected.r2, p)


def impulses(
    table: pd.DataFrame,
    names: tuple[str, ...],
    members: NDArray[np.bool_],
    times: Array64,
    interval_s: float,
) -> Array32:
    """Count onsets at the nearest sample.

    Returns
    -------
    ndarray of shape (n_times, 1 + n_categories), float32
        Any phone, then each category.
    """
    where = {name: index for index, name in enumerate(names)}
    rows = np.round((table["onset"].to_numpy(dtype=float) - times[0]) / interval_s).astype(int)
    out = np.zeros((len(times), 1 + len(members)), dtype=np.float32)
    for row, phone in zip(rows, table["phone"], strict=True):
        if 0 <= row < len(times):
            out[row, 0] += 1
            index = where.get(str(phone))
            if index is not None:
                out[row, 1:] += members[:, index]
    return out
