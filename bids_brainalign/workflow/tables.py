"""Rows of scores.tsv, channels.tsv, folds.tsv and nulls.tsv."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.inference import Contrast, SpaceResult, corrected, layer_mode

Array64 = NDArray[np.float64]

SCORE_COLUMNS: dict[str, str] = {
    "target": "Channel, or group of voxels (whole mask, hemisphere, region of interest; -L, -R: "
    "its part in one hemisphere): scores of a group are means over its voxels",
    "target_type": "Channel type, or parcel",
    "hemisphere": "L or R",
    "region": "Anatomical region, or region of interest",
    "model": "Feature space: NAME of the model, NAME:untrained for the same architecture with "
    "random weights, lowlevel for the baseline of sound, words and phones",
    "layer": "0 = input of the first block … L; selected = layer chosen on the inner folds; n/a "
    "for low-level features",
    "layer_mode": "Layer chosen most often over outer folds (and voxels)",
    "layer_agreement": "Share of outer folds (and voxels) that chose it",
    "encoder": "Encoding model",
    "fold": "Outer fold, or all",
    "n_samples": "Held-out samples that were scored",
    "r": "Pearson correlation of held-out prediction and response; over folds the sample-weighted "
    "mean on Fisher's z scale",
    "r2": "Out-of-sample R², about the training mean of each fold",
    "r_lowlevel": "r of the low-level features on the same folds",
    "r_untrained": "r of the untrained twin (the same layer, or its own nested choice)",
    "delta_r_lowlevel": "r of low-level features and model together (two-band ridge) minus "
    "r_lowlevel",
    "delta_r_untrained": "r minus r_untrained, both with nested choice of layer",
    "r_ceiling": "Noise ceiling of r, from repeated presentations of the held-out stimulus: the "
    "largest r that a perfect model would reach; over folds, of those with repeats. For a group "
    "of voxels the mean of theirs, where estimates below 0 count as such, so that chance cancels. "
    "n/a: not repeated, or no repeatable signal",
    "ceiling_kind": "What is scored, and so what r_ceiling is of: single presentations, or "
    "mean_of_R",
    "r_normalised": "r / r_ceiling, for groups of voxels mean r / mean ceiling; never clipped; "
    "n/a where presentations don't agree significantly (q < .05). Over folds r is that of those "
    "with repeats",
    "p": "One-sided p of r against circular shifts of the predictions; on selected rows of the "
    "maximum over layers (and max-corrected for it)",
    "q_fdr": "Benjamini-Hochberg q of p over targets of this fit",
    "p_max": "p against the maximum over layers and targets",
    "p_delta": "p of delta_r_lowlevel",
    "q_delta": "Benjamini-Hochberg q of p_delta over targets",
    "p_untrained": "p of delta_r_untrained",
    "q_untrained": "Benjamini-Hochberg q of p_untrained over targets",
    "n_null": "Draws of the null distribution",
    "context_past_s": "Seconds of audio before a frame that its features may have heard",
    "context_future_s": "Seconds of audio after a frame that its features may have heard",
}


@dataclass
class ScoreBlock:
    """What one feature space gives for the rows of a table (channels or parcels)."""

    model: str
    layers: tuple[str, ...]
    result: SpaceResult
    n_null: int
    context_past_s: float
    context_future_s: float
    q: Array64
    p_max: Array64
    r_lowlevel: Array64 | None = None
    untrained: SpaceResult | None = None
    delta_lowlevel: Contrast | None = None
    delta_untrained: Contrast | None = None
    delta_model: Contrast | None = None
    mode: NDArray[np.int64] | None = None
    agreement: Array64 | None = None


def score_table(
    block: ScoreBlock, targets: pd.DataFrame, *, n_samples: int, fold_sizes: list[int]
) -> pd.DataFrame:
    """Long table: a row per target and layer, the nested choice, and its folds.

    Parameters
    ----------
    block : ScoreBlock
    targets : DataFrame
        ``name, type, hemisphere, region``.
    n_samples : int
        Held-out samples of all folds.
    fold_sizes : list of int
        Held-out samples per fold.
    """
    n_targets = len(targets)
    base = {
        "target": targets["name"].to_numpy(dtype=object),
        "target_type": targets["type"].to_numpy(dtype=object),
        "hemisphere": targets["hemisphere"].to_numpy(dtype=object),
        "region": targets["region"].to_numpy(dtype=object),
        "model": block.model,
        "encoder": "ridge",
        "n_null": block.n_null if block.n_null else np.nan,
        "context_past_s": block.context_past_s,
        "context_future_s": block.context_future_s,
    }
    rows = []
    single = block.layers == ("n/a",)
    for index, layer in enumerate(() if single else block.layers):
        values = {
            "layer": layer,
            "fold": "all",
            "n_samples": n_samples,
            "r": block.result.layer_r[index],
            "r2": block.result.layer_r2[index],
            "r_lowlevel": block.r_lowlevel,
            "r_untrained": block.untrained.layer_r[index] if block.untrained else None,
            "p": block.result.layer_p[index],
        }
        rows.append(pd.DataFrame(base | {k: v for k, v in values.items() if v is not None}))
    rows.append(pd.DataFrame(base | _selected_values(block, n_samples, single=single)))
    for k, size in enumerate(fold_sizes):
        values = {
            "layer": "n/a" if single else "selected",
            "layer_mode": np.array(block.layers, dtype=object)[block.result.chosen[k]]
            if not single and block.mode is None
            else np.full(n_targets, "n/a", dtype=object),
            "fold": str(k + 1),
            "n_samples": size,
            "r": block.result.selected_r_fold[k],
        }
        rows.append(pd.DataFrame(base | values))
    table = pd.concat(rows, ignore_index=True)
    for column in SCORE_COLUMNS:
        if column not in table:
            table[column] = np.nan
    table["layer_mode"] = table["layer_mode"].astype(object)
    return table[list(SCORE_COLUMNS)]


def _selected_values(block: ScoreBlock, n_samples: int, *, single: bool) -> dict[str, object]:
    values: dict[str, object] = {
        "layer": "n/a" if single else "selected",
        "fold": "all",
        "n_samples": n_samples,
        "r": block.result.selected_r,
        "r2": block.result.selected_r2,
        "p": block.result.p,
        "q_fdr": block.q,
        "p_max": block.p_max,
    }
    if not single:
        mode, agreement = block.mode, block.agreement
        if mode is None or agreement is None:
            mode, agreement = layer_mode(block.result.chosen, len(block.layers))
        values["layer_mode"] = np.array(block.layers, dtype=object)[mode]
        values["layer_agreement"] = agreement
    if block.r_lowlevel is not None:
        values["r_lowlevel"] = block.r_lowlevel
    if block.untrained is not None:
        values["r_untrained"] = block.untrained.selected_r
    if block.delta_lowlevel is not None:
        values["delta_r_lowlevel"] = block.delta_lowlevel.value
        values["p_delta"] = block.delta_lowlevel.p
        values["q_delta"] = corrected(block.delta_lowlevel.p)
    if block.delta_untrained is not None:
        values["delta_r_untrained"] = block.delta_untrained.value
        values["p_untrained"] = block.delta_untrained.p
        values["q_untrained"] = corrected(block.delta_untrained.p)
    return values


CHANNEL_COLUMNS: dict[str, str] = {
    "name": "Channel",
    "type": "Channel type",
    "units": "Units of the response: high gamma in standard deviations, hence n/a",
    "low_cutoff": "n/a: see the high-gamma method in the scores' sidecar",
    "high_cutoff": "n/a: see the high-gamma method in the scores' sidecar",
    "hemisphere": SCORE_COLUMNS["hemisphere"],
    "region": SCORE_COLUMNS["region"],
    "label_distance_mm": "From the electrode to the nearest voxel that has a region; 0 inside one",
    "label_probability": "Share of the region among the labelled voxels around the electrode",
    "atlas": "Where the region is from; n/a: from the dataset, or there is none",
    "device": "Device group of the electrode (group in electrodes.tsv)",
    "x": "Coordinate in mm, in the space of the electrodes file",
    "y": "Coordinate in mm",
    "z": "Coordinate in mm",
    "space": "Space of the coordinates",
    "best_layer": SCORE_COLUMNS["layer_mode"],
    "layer_agreement": SCORE_COLUMNS["layer_agreement"],
    "r": SCORE_COLUMNS["r"] + "; layer chosen on the inner folds",
    "r_lowlevel": SCORE_COLUMNS["r_lowlevel"],
    "r_untrained": SCORE_COLUMNS["r_untrained"],
    "delta_r_lowlevel": SCORE_COLUMNS["delta_r_lowlevel"],
    "delta_r_untrained": SCORE_COLUMNS["delta_r_untrained"],
    "r_ceiling": SCORE_COLUMNS["r_ceiling"],
    "q_fdr": SCORE_COLUMNS["q_fdr"],
    "q_delta": SCORE_COLUMNS["q_delta"],
    "significant": "q_delta < .05: the model adds to the low-level features",
}


def channel_table(scores: pd.DataFrame, targets: pd.DataFrame, space: str) -> pd.DataFrame:
    """One row per electrode from the selected rows of its score table."""
    chosen = scores[(scores["fold"] == "all") & ~scores["layer"].str.isdigit()]
    chosen = chosen.set_index("target").loc[targets["name"]].reset_index()
    table = pd.DataFrame(
        {
            "name": targets["name"],
            "type": targets["type"],
            "units": "n/a",
            "low_cutoff": np.nan,
            "high_cutoff": np.nan,
        }
    )
    for column in ("hemisphere", "region", "device", "x", "y", "z"):
        table[column] = targets[column].to_numpy()
    for column in ("label_distance_mm", "label_probability", "atlas"):
        table[column] = targets[column].to_numpy() if column in targets else np.nan
    table["space"] = space or "n/a"
    table["best_layer"] = chosen["layer_mode"]
    for column in CHANNEL_COLUMNS:
        if column not in table and column in chosen:
            table[column] = chosen[column]
    significant = chosen["q_delta"] < 0.05
    table["significant"] = np.where(chosen["q_delta"].isna(), "n/a", significant.astype(str))
    return table[list(CHANNEL_COLUMNS)]


FOLD_COLUMNS: dict[str, str] = {
    "fold": "Outer fold",
    "held_out": "What it holds out",
    "run": "Recording",
    "content_group": "Recordings of one content group are never on both sides of a fold",
    "role": "test, train, gap (none of them: too near to the test part), or select (held out, but "
    "selects voxels instead of scoring them); where models are tuned also validation (chooses "
    "penalty, layer and epoch, trains nothing)",
    "start": "First second on the recording clock",
    "stop": "Last second on the recording clock",
    "n_samples": "Samples",
    "n_inner": "Inner folds of this outer fold",
    "hard_gap_s": "Delays + filters + decorrelation time of the responses",
    "soft_gap_s": "Context of the features as far as affordable",
    "censored_share": "Share of the run's samples with stimulus that are censored",
}


def fold_table(assembly: Assembly) -> pd.DataFrame:
    """One row per fold, run, content group and role."""
    samples, plan = assembly.samples, assembly.plan
    names = [r.name for r in assembly.fit.recordings]
    groups = sorted({p.content_group for p in assembly.fit.presentations})
    rows = []
    for k, fold in enumerate(plan.folds):
        role = np.full(len(samples), "gap", dtype=object)
        for split in fold.inner:
            role[split.test] = "validation"  # of rows that don't train (models are tuned)
        role[fold.outer.train] = "train"
        role[fold.outer.test] = "test"
        if assembly.aside:
            role[assembly.aside[k]] = "select"
        frame = pd.DataFrame(
            {"run": samples.run, "group": samples.group, "role": role, "time": samples.time_s}
        )
        for _, times in frame.groupby(["run", "group", "role"], sort=True)["time"]:
            run, group, what = (frame[c].iloc[times.index[0]] for c in ("run", "group", "role"))
            rows.append(
                {
                    "fold": k + 1,
                    "held_out": fold.name,
                    "run": names[run],
                    "content_group": groups[group],
                    "role": what,
                    "start": times.min(),
                    "stop": times.max() + samples.interval_s,
                    "n_samples": len(times),
                    "n_inner": len(fold.inner),
                    "hard_gap_s": plan.hard_gap_s,
                    "soft_gap_s": plan.soft_gap_s,
                    "censored_share": assembly.censored_share[run],
                }
            )
    return pd.DataFrame(rows)[list(FOLD_COLUMNS)]


def fold_summary(assembly: Assembly) -> str:
    """Lines for the terminal: what each fold holds out, its samples and gaps."""
    plan = assembly.plan
    lines = [
        f"  {len(plan.folds)} folds, {plan.kind}; gap {plan.hard_gap_s:.1f} s (delays, filters, "
        f"decorrelation) + {plan.soft_gap_s:.1f} s (context of the features)",
        f"  {'fold':<5}{'test':>8}{'train':>8}{'inner':>6}  held out",
    ]
    for k, fold in enumerate(plan.folds):
        lines.append(
            f"  {k + 1:<5}{len(fold.outer.test):>8}{len(fold.outer.train):>8}"
            f"{len(fold.inner):>6}  {fold.name}"
        )
    return "\n".join([*lines, *(f"  {note}" for note in plan.notes)])


NULL_COLUMNS: dict[str, str] = {
    "target": SCORE_COLUMNS["target"],
    "r_max": "Maximum over layers of r: what this null is the null of",
    "q50": "Median of the null of r_max",
    "q95": ".95 quantile of the null of r_max",
    "q99": ".99 quantile of the null of r_max",
    "max": "Largest draw",
}


def null_table(result: SpaceResult, targets: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of the max-over-layers null per target."""
    table = pd.DataFrame({"target": targets["name"], "r_max": result.r_max})
    for column, values in zip(("q50", "q95", "q99", "max"), result.null_quantiles, strict=True):
        table[column] = values
    return table
