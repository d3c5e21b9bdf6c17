"""The step that asks what precision in time a model's ridge scores rest on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.design import DesignMaker
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.encoding.nested import fit_fold
from bids_brainalign.encoding.scoring import scored_r
from bids_brainalign.encoding.timescale import (
    BANDS_HZ,
    SEGMENT_S,
    band_correlation,
    jittered,
    stretches,
)
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import read_score_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.statistics.correlation import fisher_mean
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import Assembly, assemble, feature_space
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.recurrent_fits import problem_of
from bids_brainalign.workflow.spaces import Space, seed_of

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

COLUMNS: dict[str, str] = {
    "target": "Electrode",
    "kind": "band: prediction and response filtered to a band of modulation; jitter: ridge fitted "
    "and tested again on features whose pieces of 1 s are shifted at random; jitter 0 is the "
    "same ridge without shifts",
    "value": "band: lower edge in Hz; jitter: largest shift in s",
    "upper": "band: upper edge in Hz; n/a for jitter",
    "r": "Held-out r, over folds the sample-weighted mean on Fisher's z scale",
    "delta_r": "jitter: r minus r without jitter; n/a for bands",
}


def timescale_step(config: Config, fit: Fit, space: Space, spaces: Sequence[Space]) -> Step:
    """Score one model by band of modulation and after jitter (after its ridge has run).

    Parameters
    ----------
    config : Config
    fit : Fit
        iEEG.
    space : Space
    spaces : sequence of Space
        All feature spaces of the run.
    """
    root, label = config.paths.output_dir, analysis_label(space.name)

    def work() -> list[Path]:
        assembly = assemble(config, fit, spaces)
        predictions = root / fit.name.file("predictions.h5", analysis=label)
        scores = read_score_table(root / fit.name.file("scores.tsv", analysis=label))
        tables = [_bands(assembly, predictions, config.folds.min_samples)]
        if scores is not None and config.timescale.jitter_s:
            tables.append(_jitter(config, assembly, space, scores))
        path = root / fit.name.file("timescale.tsv", analysis=label)
        extra = {"SegmentSeconds": SEGMENT_S, "Encoder": "ridge"}
        return list(write_tsv(path, pd.concat(tables, ignore_index=True), COLUMNS, extra=extra))

    return Step(
        name=f"time scale {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs=fit_inputs(config, fit, spaces)
        | {"model": space.name, "jitter_s": config.timescale.jitter_s},
        modules=("bids_brainalign.workflow.timescale", "bids_brainalign.workflow.encoding"),
        work=work,
    )


def _bands(assembly: Assembly, predictions: Path, min_samples: int) -> pd.DataFrame:
    with h5py.File(predictions) as file:
        predicted, responses = file["predicted"][:], file["response"][:]
    samples = assembly.samples
    names = [str(name) for name in assembly.targets["name"]]
    tests = [fold.outer.test for fold in assembly.plan.folds]
    starts = np.cumsum([0, *map(len, tests)])
    rows = []
    for low, high in BANDS_HZ:
        per_fold = []
        for k, test in enumerate(tests):
            part = slice(starts[k], starts[k + 1])
            number = stretches(
                samples.run[test], samples.time_s[test], interval_s=samples.interval_s
            )
            r = band_correlation(
                responses[part],
                predicted[part],
                number,
                band_hz=(low, high),
                rate_hz=1 / samples.interval_s,
            )
            per_fold.append(r if len(test) >= min_samples else np.full(len(names), np.nan))
        mean = fisher_mean(np.stack(per_fold), [len(test) for test in tests])
        rows.append(_rows(names, "band", low, mean, upper=high))
    return pd.concat(rows, ignore_index=True)


def _rows(
    names: list[str],
    kind: str,
    value: float,
    r: Array64,
    *,
    upper: float = np.nan,
    reference: Array64 | None = None,
) -> pd.DataFrame:
    delta = np.full(len(r), np.nan) if reference is None else r - reference
    return pd.DataFrame(
        {"target": names, "kind": kind, "value": value, "upper": upper, "r": r, "delta_r": delta}
    )


def _jitter(
    config: Config, assembly: Assembly, space: Space, scores: pd.DataFrame
) -> pd.DataFrame:
    """Fit ridge again on shifted features, at the layer that most electrodes chose per fold."""
    names = [str(name) for name in assembly.targets["name"]]
    features = feature_space(config, assembly, space)
    found = _layers(scores, len(assembly.plan.folds))
    layers = [features.layers.index(n) if n in features.layers else 0 for n in found]
    jitters = (0.0, *config.timescale.jitter_s)
    r = _jittered_r(config, assembly, features, layers, jitters)
    rows = [
        _rows(names, "jitter", jitter_s, one, reference=r[0])
        for jitter_s, one in zip(jitters, r, strict=True)
    ]
    return pd.concat(rows, ignore_index=True)


def _layers(scores: pd.DataFrame, n_folds: int) -> list[str]:
    """Per fold the layer that most electrodes chose on its inner folds."""
    chosen = scores[scores["layer"] == "selected"]
    found = []
    for k in range(n_folds):
        of_fold = chosen[chosen["fold"] == str(k + 1)]["layer_mode"].dropna()
        found.append(f"{int(of_fold.mode().iloc[0])}" if len(of_fold) else "")
    return found


def _jittered_r(
    config: Config,
    assembly: Assembly,
    features: FeatureSpace,
    layers: Sequence[int],
    jitters: Sequence[float],
) -> Array64:
    """(n_jitters, n_targets) over folds, each at its own layer; every layer is read once."""
    problem = problem_of(config, assembly)
    held_out = problem.held_out()
    r_fold = np.full((len(jitters), len(layers), held_out.n_targets), np.nan)
    for layer in sorted(set(layers)):
        runs = features.read(layer)
        for index, jitter_s in enumerate(jitters):
            maker = DesignMaker(
                _moved(runs, jitter_s, layer, config, assembly.interval_s),
                assembly.layout,
                delays=assembly.delays,
                n_components=features.n_components,
            )
            for k in held_out.scored:
                if layers[k] != layer:
                    continue
                fold = assembly.plan.folds[k]
                fit = fit_fold(
                    [maker.design(fold.outer.train)],
                    problem.fold_responses(k),
                    fold,
                    alphas=problem.alphas,
                    fixed_alpha=problem.fixed_alpha,
                    metric=problem.metric,
                    lags=maker.lags,
                )
                r_fold[index, k] = scored_r(held_out.responses[k], fit.prediction)
    return np.stack([fisher_mean(r, held_out.weights) for r in r_fold])


def _moved(
    runs: Sequence[Array32], jitter_s: float, layer: int, config: Config, interval_s: float
) -> Sequence[Array32]:
    """Jitter the features of all runs; the same shifts for every fold."""
    if jitter_s <= 0:
        return runs
    rng = np.random.default_rng(seed_of(config, "jitter", str(jitter_s), str(layer)))
    return [jittered(run, jitter_s=jitter_s, rate_hz=1 / interval_s, rng=rng) for run in runs]
