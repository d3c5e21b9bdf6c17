"""Likeness of layers to each other, and to the responses of one fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.alignment.hrf import FIR
from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.names import analysis_label, pair_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.probes.draws import shifted_rows
from bids_brainalign.probes.similarity import METRICS, Likeness, apart, likeness
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import Assembly, assemble, feature_space
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.parcels import parcels_of
from bids_brainalign.workflow.probe_features import can_probe, load_pooled, pooled_key
from bids_brainalign.workflow.probe_material import thinned
from bids_brainalign.workflow.probes import ProbeData
from bids_brainalign.workflow.spaces import Space, seed_of

Array32 = NDArray[np.float32]

APART_S = 4.0
"""RSA leaves out pairs of rows nearer in time than this; of fMRI than `APART_FMRI_S`."""
APART_FMRI_S = 16.0
"""About the length of the response to a short event (Glover 1999, NeuroImage 9:416)."""

VALUES = {
    "metric": "cka: linear centred kernel alignment, debiased (unbiased HSIC); rsa: Spearman "
    "correlation of distances between rows that are apart in time",
    "value": "Likeness: 1 = the same geometry, 0 = nothing shared",
    "ci_low": "Lower end of the 95 % interval: jackknife over ten blocks of time",
    "ci_high": "Upper end",
    "chance": "Mean value with one side shifted in time within its stories",
    "p": "Share of the shifted that reach the value; n/a where the rows last less than 50 "
    "decorrelation times",
    "p_max": "The same against the highest layer of each draw",
    "n_null": "Shifts",
    "n_rows": "Stretches of time that are compared",
}
LAYER_COLUMNS = {
    "model": "First model",
    "layer": "Its layer",
    "other": "Second model",
    "other_layer": "Its layer",
    **VALUES,
}
RESPONSE_COLUMNS = {
    "model": "Model as given; NAME:untrained for its twin with random weights",
    "layer": "0 = input of the first block, then blocks",
    "target": "Group of electrodes, or of voxels",
    "n_targets": "How many are in it",
    **VALUES,
}


def layer_similarity_step(config: Config, first: Space, second: Space, data: ProbeData) -> Step:
    """Compare all layers of two models on the stimuli (or of one with each other)."""
    label = analysis_label(first.name)
    if second.name != first.name:
        label = pair_label(first.name, second.name)
    path = config.paths.output_dir / "group" / f"desc-{label}_similarity.tsv"

    def work() -> list[Path]:
        rows = data.pooled.rows["segment"]
        chosen = thinned(len(rows), config.probes.similarity_rows)
        at = np.arange(data.pooled.of("segment").start, data.pooled.of("segment").stop)[chosen]
        layers = []
        for space in (first, second):
            stored = load_pooled(config, space, data.material, data.pooled)
            layers.append((stored.layers, [stored.read(i)[at] for i in range(len(stored.layers))]))
        step_s = config.probes.segment_s * len(rows) / len(chosen)
        found = _compared(config, layers[0][1], layers[1][1], rows.clip[chosen], step_s, APART_S)
        table = pd.concat(
            [
                _table(one, layers[0][0], layers[1][0], "other_layer").assign(metric=metric)
                for metric, one in found.items()
            ]
        )
        table = table.assign(model=first.name, other=second.name, n_rows=len(chosen))
        return list(write_tsv(path, table[[*LAYER_COLUMNS]], LAYER_COLUMNS))

    keys = [pooled_key(config, space, data.material, data.pooled) for space in (first, second)]
    return Step(
        name=f"similarity {first.name} {second.name}",
        inputs={"features": keys, "names": [first.name, second.name], **_settings(config)},
        modules=("bids_brainalign.workflow.similarity",),
        work=work,
    )


def response_similarity_step(
    config: Config, fit: Fit, space: Space, twin: Space | None, spaces: Sequence[Space]
) -> Step:
    """Compare all layers of a model and its twin with the responses of one fit."""
    path = config.paths.output_dir / fit.name.file(
        "similarity.tsv", analysis=analysis_label(space.name)
    )

    def work() -> list[Path]:
        assembly = assemble(config, fit, spaces)
        responses = _responses(config, assembly)
        tables = [
            _with_responses(config, assembly, one, responses)
            for one in (space, twin)
            if one is not None
        ]
        table = pd.concat(tables, ignore_index=True)
        return list(
            write_tsv(
                path, table[[*RESPONSE_COLUMNS]], RESPONSE_COLUMNS, extra=_method(config, fit)
            )
        )

    return Step(
        name=f"similarity {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs={
            **fit_inputs(config, fit, spaces),
            "model": [space.name, None if twin is None else twin.name],
            **_settings(config),
        },
        modules=("bids_brainalign.workflow.similarity",),
        work=work,
    )


def can_compare(space: Space) -> bool:
    """Whether a space has layers over time."""
    return space.kind in {"model", "own"} and not space.reads_words


def layer_pairs(spaces: Sequence[Space], data: ProbeData) -> list[tuple[Space, Space]]:
    """Every model with itself and with every other; its twin with it."""
    models = [s for s in spaces if can_compare(s) and can_probe(s, data.material)]
    by_name = {space.name: space for space in spaces}
    pairs = [(a, b) for i, a in enumerate(models) for b in models[i:]]
    twins = [(a, by_name[t]) for a in models if (t := f"{a.name}:untrained") in by_name]
    return [*pairs, *twins]


def _settings(config: Config) -> dict[str, object]:
    names = ("segment_s", "n_null", "similarity_rows", "response_lag_s")
    kept = {name: asdict(config.probes)[name] for name in names}
    return {"similarity": kept, "seed": config.random_seed}


def _compared(
    config: Config,
    first: Sequence[NDArray[np.floating]],
    second: Sequence[NDArray[np.floating]],
    stretch: NDArray[np.int64],
    step_s: float,
    apart_s: float,
) -> dict[str, Likeness]:
    """Both kinds of likeness, with the same shifts."""
    rows = max(1, math.ceil(apart_s / step_s))
    rng = np.random.default_rng(seed_of(config, "similarity", str(len(stretch))))
    draws = shifted_rows(stretch, least=rows, n_draws=config.probes.n_null, rng=rng)
    far = apart(stretch, rows=rows)
    return {
        metric: likeness(first, second, metric, stretch=stretch, far=far, draws=draws)
        for metric in METRICS
    }


def _table(
    found: Likeness, first: Sequence[str], second: Sequence[str], column: str
) -> pd.DataFrame:
    """Long table of one metric: a row per pair."""
    values = {
        "value": found.value,
        "ci_low": found.low,
        "ci_high": found.high,
        "chance": found.chance,
        "p": found.p,
        "p_max": found.p_max,
    }
    return pd.DataFrame(
        {
            "layer": np.repeat(np.array(first, dtype=object), len(second)),
            column: np.tile(np.array(second, dtype=object), len(first)),
            **{name: array.ravel() for name, array in values.items()},
            "n_null": found.n_null,
        }
    )


class _Bins:
    """Stretches of time of a fit over which samples are averaged."""

    def __init__(self, config: Config, assembly: Assembly) -> None:
        slow = assembly.fit.modality == "fmri"
        size = 1 if slow else max(1, round(config.probes.segment_s / assembly.interval_s))
        self.shift = 0 if slow else round(config.probes.response_lag_s / assembly.interval_s)
        runs, places = [], []
        for run, used in enumerate(assembly.layout.used):
            rows = np.flatnonzero(used)
            pieces = rows[: len(rows) // size * size].reshape(-1, size)
            places.append(pieces[pieces[:, -1] - pieces[:, 0] == size - 1])  # no gap within
            runs.append(np.full(len(places[-1]), run, dtype=np.int64))
        every = np.concatenate(runs)
        kept = thinned(len(every), config.probes.similarity_rows)
        self.step_s = size * assembly.interval_s * len(every) / max(1, len(kept))
        self.run = every[kept]
        chosen = np.zeros(len(every), dtype=bool)
        chosen[kept] = True
        edges = np.cumsum([0, *map(len, runs)])
        self._places = [
            place[chosen[a:b]] for place, a, b in zip(places, edges, edges[1:], strict=False)
        ]

    def mean(self, runs: Sequence[Array32], *, earlier: int = 0) -> Array32:
        """Average samples of all runs: (n_bins, n_columns); `earlier` in samples."""
        means = [
            values[np.maximum(place - earlier, 0)].mean(axis=1)
            for values, place in zip(runs, self._places, strict=True)
        ]
        return np.asarray(np.concatenate(means), dtype=np.float32)


def _responses(config: Config, assembly: Assembly) -> tuple[_Bins, list[str], list[Array32]]:
    """Responses of every group of targets, averaged over stretches of time."""
    bins = _Bins(config, assembly)
    runs = []
    for response in assembly.responses:
        data = response.data.astype(np.float32)
        sd = data.std(axis=0)
        runs.append((data - data.mean(axis=0)) / np.where(sd > 0, sd, np.inf))
    every = bins.mean(runs)
    members, names = parcels_of(assembly)
    if members is None:
        regions = assembly.targets["region"].astype(str).to_numpy()
        groups = {"all": np.ones(len(regions), dtype=bool)}
        told = [r for r in dict.fromkeys(regions.tolist()) if r not in ("n/a", "unknown", "nan")]
        groups |= {name: regions == name for name in told}
    else:
        groups = dict(zip(map(str, names["name"]), members, strict=True))
    groups = {name: group for name, group in groups.items() if group.any()}
    return bins, list(groups), [every[:, group] for group in groups.values()]


def _with_responses(
    config: Config,
    assembly: Assembly,
    space: Space,
    responses: tuple[_Bins, list[str], list[Array32]],
) -> pd.DataFrame:
    bins, names, data = responses
    slow = assembly.fit.modality == "fmri"
    if slow and config.fmri.hrf == FIR:
        # Likeness has no weight per delay: features come through the canonical response.
        config = replace(config, fmri=replace(config.fmri, hrf="glover"))
    features = feature_space(config, assembly, space)
    layers = [bins.mean(features.read(i), earlier=bins.shift) for i in range(len(features.layers))]
    found = _compared(
        config, layers, data, bins.run, bins.step_s, APART_FMRI_S if slow else APART_S
    )
    sizes = {name: part.shape[1] for name, part in zip(names, data, strict=True)}
    table = pd.concat(
        [
            _table(one, features.layers, names, "target").assign(metric=metric)
            for metric, one in found.items()
        ],
        ignore_index=True,
    )
    return table.assign(
        model=space.name, n_targets=table["target"].map(sizes), n_rows=len(bins.run)
    )


def _method(config: Config, fit: Fit) -> dict[str, object]:
    if fit.modality == "fmri":
        how = (
            "Features came through a canonical response (Glover) and were compared with the "
            "responses volume by volume."
        )
    else:
        how = (
            f"Responses were averaged over stretches of {config.probes.segment_s:g} s and "
            f"compared with features {config.probes.response_lag_s * 1000:.0f} ms earlier."
        )
    return {
        "Method": f"{how} No weights are fitted; of many stretches, "
        f"{config.probes.similarity_rows} evenly spread ones are compared. Means of runs are "
        "removed first."
    }
