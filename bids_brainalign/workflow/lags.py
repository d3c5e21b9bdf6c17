"""The step that draws lag curves: electrodes from features at one lag at a time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.alignment.delays import lag_samples
from bids_brainalign.anatomy.labelling import NO_REGION
from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.lag_slopes import LagSlope, curve_slopes, lag_slope
from bids_brainalign.encoding.lagged import LagCurves, lag_curves, peak_lags
from bids_brainalign.encoding.layerwise import Problem
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import read_score_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import (
    Assembly,
    assemble,
    feature_space,
    held_age,
    null_draws,
)
from bids_brainalign.workflow.encoding import context_of, fit_inputs, problem_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.word_lags import word_lag_curves

logger = logging.getLogger(__name__)

LAG_COLUMNS: dict[str, str | Mapping[str, object]] = {
    "target": "Channel",
    "hemisphere": "L or R",
    "region": "Anatomical region",
    "model": "Feature space, as in scores.tsv",
    "mode": "continuous: every sample of the response; word: responses averaged around lags from "
    "word onsets, features averaged over the word",
    "layer": "0 = input of the first block … L; selected = chosen on inner folds (continuous: "
    "that of scores.tsv; word: chosen anew at each lag); n/a for low-level features",
    "lag_s": {"Description": "Response after (positive) or before the sound", "Units": "s"},
    "n_samples": "Held-out samples, or words",
    "r": "Held-out correlation from features at this lag alone, mean over folds on Fisher's z",
    "p": "p of r against the null of the maximum over lags; on selected and n/a rows",
    "peak": "Whether r is the largest over the lags",
    "peak_s": {
        "Description": "On the row of the peak: its lag, between lags by a parabola",
        "Units": "s",
    },
    "at_edge": "On the row of the peak: it is the first or last lag, and may lie outside",
    "q_peak": "On the peak of selected and n/a rows: Benjamini-Hochberg q of p over targets",
    "n_null": "Draws of the null distribution",
    "context_past_s": "Seconds of audio before a frame that its features may have heard; n/a: not "
    "known",
    "context_future_s": "Seconds after it; lags have no causal reading where this is above 0, "
    "and may have none where it is n/a",
}
SLOPE_COLUMNS: dict[str, str | Mapping[str, object]] = {
    "group": "Channel, region, or all targets with a peak (q_peak < .05, not on the edge)",
    "group_type": "target, region or all",
    "model": LAG_COLUMNS["model"],
    "mode": LAG_COLUMNS["mode"],
    "n_targets": "Targets with three or more layers that peak inside the window",
    "slope_ms": {"Description": "Slope of the peak lag on layer number, mean over the targets",
                 "Units": "ms per layer"},
    "ci_low_ms": "Lower end of the 95 % interval of the mean (Student's t over targets, recording "
    f"held fixed: noise that targets share is not in it); n/a below {MIN_FOR_INTERVAL} targets",
    "ci_high_ms": "Upper end",
    "heard_future": "Features have heard sound after each moment: the slope has no causal "
    "reading; n/a where it is not known what they heard",
}  # fmt: skip


@dataclass(frozen=True)
class LagResult:
    """Lag curves of one feature space with what describes them."""

    mode: str
    lags_s: NDArray[np.float64]
    layers: tuple[str, ...]
    curves: LagCurves
    weights: NDArray[np.float64]
    """Samples per fold."""
    targets: pd.DataFrame
    context_s: tuple[float, float]


def lag_step(config: Config, fit: Fit, space: Space, spaces: Sequence[Space]) -> Step:
    """Write ``desc-<analysis>_lags.tsv`` and ``_lagslopes.tsv`` of one feature space."""
    root, label = config.paths.output_dir, analysis_label(space.name)
    scores = scores_path(config, fit, space)
    assert scores is not None  # noqa: S101 - asked before

    def work() -> list[Path]:
        results, skipped = _results(config, fit, space, spaces, scores)
        tables = [lag_table(r, space.name) for r in results]
        path = root / fit.name.file("lags.tsv", analysis=label)
        table = pd.concat(tables, ignore_index=True)
        written = list(write_tsv(path, table, LAG_COLUMNS, extra={"Notes": skipped}))
        if results and len(results[0].layers) > 1:
            slopes = [slope_table(r, t, space.name) for r, t in zip(results, tables, strict=True)]
            path = root / fit.name.file("lagslopes.tsv", analysis=label)
            written += write_tsv(path, pd.concat(slopes, ignore_index=True), SLOPE_COLUMNS)
        return written

    return Step(
        name=f"lags {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs=fit_inputs(config, fit, spaces)
        | {
            "lags": asdict(config.lags),
            "words": [
                [] if p.stimulus.words is None else p.stimulus.words.table.round(6).values.tolist()
                for p in fit.presentations
            ],
            "scores": file_digest(scores, config.paths.work_dir / "digests"),
        },
        modules=("bids_brainalign.workflow.lags",),
        work=work,
    )


def _results(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space], scores: Path
) -> tuple[list[LagResult], list[str]]:
    """Lag curves of every mode asked for, and what is to be said about them."""
    assembly = assemble(config, fit, spaces)
    results, notes = [], []
    if "continuous" in config.lags.modes:
        results.append(continuous_lags(config, assembly, space, scores=scores))
    if "word" in config.lags.modes:
        try:
            result, left_out = word_lags(config, assembly, space, spaces)
        except BrainAlignError as error:
            if error.exit_code != ExitCode.DATA_ERROR or not results:
                raise
            notes.append(f"Word-locked mode was skipped: {error.what}.")
            logger.warning("%s: %s", fit.name.stem, notes[-1])
        else:
            results.append(result)
            if left_out:
                notes.append(
                    f"{left_out} words were left out of the word-locked mode: their responses "
                    "reach beyond the recording or into censored samples, or features are missing."
                )
    return results, notes


def scores_path(config: Config, fit: Fit, space: Space) -> Path | None:
    """Scores of the encoding that lag curves build on; None if there never were any."""
    name = fit.name.file("scores.tsv", analysis=analysis_label(space.name))
    path = config.paths.output_dir / name
    return path if path.is_file() else None


def word_lags(
    config: Config, assembly: Assembly, space: Space, spaces: Sequence[Space]
) -> tuple[LagResult, int]:
    """Lag curves locked to words, and the number of words left out."""
    c = config.lags
    lags = lag_samples(
        c.word_min_s, c.word_max_s, step_s=c.word_step_s, interval_s=assembly.interval_s
    )
    lags_s = np.array(lags) * assembly.interval_s
    layers, curves, weights, left_out = word_lag_curves(config, assembly, space, spaces, lags_s)
    context = context_of(config, assembly.fit, space)
    return LagResult("word", lags_s, layers, curves, weights, assembly.targets, context), left_out


def continuous_lags(
    config: Config, assembly: Assembly, space: Space, *, scores: Path
) -> LagResult:
    """Lag curves on every sample, on the folds and layers of the encoding.

    Parameters
    ----------
    config : Config
    assembly : Assembly
    space : Space
    scores : Path
        The encoding's table: its rows per fold say which layer the inner folds chose.
    """
    c, fit = config.lags, assembly.fit
    lags = lag_samples(c.min_s, c.max_s, step_s=c.step_s, interval_s=assembly.interval_s)
    draws = null_draws(
        config, fit, assembly.plan, lags, assembly.decorrelation_s, assembly.interval_s
    )
    problem: Problem = replace(
        problem_of(config, assembly, slice(None), None), delays=lags, draws=draws, _cache={}
    )
    features = feature_space(config, assembly, space)
    if space.kind != "lowlevel":
        features = replace(features, n_components=c.n_components)
    held_out = problem.held_out()
    chosen = _chosen(scores, features.layers, assembly)
    return LagResult(
        "continuous",
        # A held frame is older than the sample it stands for.
        np.array(lags) * assembly.interval_s + held_age(config, assembly, space),
        features.layers,
        lag_curves(features, problem, held_out, chosen),
        held_out.weights,
        assembly.targets,
        context_of(config, fit, space),
    )


def _chosen(scores: Path, layers: tuple[str, ...], assembly: Assembly) -> NDArray[np.int64]:
    """Layer index per fold and target, as the encoding chose it on inner folds."""
    n_folds = len(assembly.plan.folds)
    if len(layers) == 1:
        return np.zeros((n_folds, len(assembly.targets)), dtype=np.int64)
    table = read_score_table(scores)
    assert table is not None  # noqa: S101 - the encoding has just written it
    rows = table[(table["layer"] == "selected") & (table["fold"] != "all")]
    wide = rows.pivot_table(index="fold", columns="target", values="layer_mode", sort=False)
    wide = wide.reindex(
        index=[str(k + 1) for k in range(n_folds)], columns=assembly.targets["name"].astype(str)
    )
    position = {int(layer): i for i, layer in enumerate(layers)}
    index = np.vectorize(position.__getitem__, otypes=[np.int64])(wide.to_numpy().astype(int))
    return np.asarray(index, dtype=np.int64)


def lag_table(result: LagResult, model: str) -> pd.DataFrame:
    """Long table: targets × layers × lags."""
    single = len(result.layers) == 1
    curves = result.curves
    rows = [] if single else list(zip(result.layers, curves.r, strict=True))
    frames = [_rows(result, model, layer, r) for layer, r in rows]
    answer = _rows(result, model, "n/a" if single else "selected", curves.selected_r)
    answer["p"] = curves.p.T.ravel()
    peaks = answer["peak"] == "true"
    answer.loc[peaks, "q_peak"] = benjamini_hochberg(answer.loc[peaks, "p"].to_numpy(np.float64))
    return pd.concat([*frames, answer], ignore_index=True)[list(LAG_COLUMNS)]


def _rows(result: LagResult, model: str, layer: str, r: NDArray[np.float64]) -> pd.DataFrame:
    """One layer: ``r`` is (n_lags, n_targets)."""
    n_lags, n_targets = r.shape
    peak_s, at_edge = peak_lags(r.T, result.lags_s)
    top = np.where(np.isfinite(r).any(axis=0), np.nan_to_num(r, nan=-2.0).argmax(axis=0), -1)
    is_peak = np.arange(n_lags)[None, :] == top[:, None]  # (n_targets, n_lags)
    names = result.targets

    def per_target(values: object) -> NDArray[np.object_]:
        return np.repeat(np.asarray(values, dtype=object), n_lags)

    return pd.DataFrame(
        {
            "target": per_target(names["name"]),
            "hemisphere": per_target(names["hemisphere"]),
            "region": per_target(names["region"]),
            "model": model,
            "mode": result.mode,
            "layer": layer,
            "lag_s": np.round(np.tile(result.lags_s, n_targets), 6),
            "n_samples": int(result.weights.sum()),
            "r": r.T.ravel(),
            "p": np.nan,
            "peak": np.where(is_peak.ravel(), "true", "false"),
            "peak_s": np.where(is_peak, peak_s[:, None], np.nan).ravel(),
            "at_edge": np.where(
                is_peak, np.where(at_edge, "true", "false")[:, None], "n/a"
            ).ravel(),
            "q_peak": np.nan,
            "n_null": result.curves.n_null or np.nan,
            "context_past_s": result.context_s[0],
            "context_future_s": result.context_s[1],
        }
    )


def slope_table(result: LagResult, table: pd.DataFrame, model: str) -> pd.DataFrame:
    """Slope of the peak lag over layers, for targets with a peak that is there and inside."""
    answer = table[(table["layer"] == "selected") & (table["peak"] == "true")]
    found = set(answer.loc[(answer["q_peak"] < 0.05) & (answer["at_edge"] == "false"), "target"])
    slopes = curve_slopes(result.curves.r, result.lags_s)
    names = result.targets["name"].astype(str).to_numpy()
    regions = result.targets["region"].astype(str).to_numpy()
    kept = np.isin(names, sorted(found))
    groups = [("all", "all", kept)]
    groups += [
        (region, "region", kept & (regions == region))
        for region in sorted(set(regions[kept]) - set(NO_REGION))
    ]
    groups += [(name, "target", names == name) for name in names[kept]]
    rows = []
    for group, kind, members in groups:
        slope = lag_slope(slopes[members])
        rows.append(_slope_row(group, kind, slope) | {"model": model, "mode": result.mode})
    heard = _heard_future(result.context_s[1])
    return pd.DataFrame(rows).assign(heard_future=heard)[list(SLOPE_COLUMNS)]


def _heard_future(context_future_s: float) -> str:
    """Say whether features heard what came after; what own features heard is not known."""
    if np.isnan(context_future_s):
        return "n/a"
    return "true" if context_future_s > 0 else "false"


def _slope_row(group: str, kind: str, slope: LagSlope) -> dict[str, object]:
    return {
        "group": group,
        "group_type": kind,
        "n_targets": slope.n_targets,
        "slope_ms": slope.slope_ms,
        "ci_low_ms": slope.ci_low_ms,
        "ci_high_ms": slope.ci_high_ms,
    }
