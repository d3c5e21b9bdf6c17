"""Was the planted answer found? Compares the program's outputs with the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.simulate.ground_truth import GroundTruth, PlantedGroup

UNPLANTED_LIMIT = 1 / 3
"""Unplanted targets must stay below this share of the planted ones' mean r."""


@dataclass(frozen=True)
class Recovery:
    """One group of targets: what was planted and what was found."""

    group: PlantedGroup
    curves: NDArray[np.float64]
    """(n_targets, n_layers) r."""
    delta: float
    """Mean gain over the low-level features at the nested choice of layer; NaN for voxels."""

    @property
    def curve(self) -> NDArray[np.float64]:
        """(n_layers,) mean r over the group's targets."""
        return np.asarray(np.nanmean(self.curves, axis=0))

    @property
    def plausible_layers(self) -> tuple[int, ...]:
        """Layers that the data don't tell from the best: within 2 paired standard errors.

        Neighbouring layers of a trained model predict nearly alike; where they do, naming one of
        them would claim more than was found.
        """
        below = self.curves[:, [self.found_layer]] - self.curves
        error = below.std(axis=0, ddof=1) / np.sqrt(len(below)) if len(below) > 1 else 0.0
        return tuple(np.flatnonzero(below.mean(axis=0) <= 2 * error).tolist())

    @property
    def found_layer(self) -> int:
        """Layer with the largest mean r."""
        return int(np.argmax(self.curve))

    @property
    def r(self) -> float:
        """Largest mean r of the curve."""
        return float(self.curve.max())


def recover(truth: GroundTruth, output_dir: Path) -> list[Recovery]:
    """Read the layer curve of every planted and unplanted group.

    Electrodes are read from ``*_scores.tsv``, voxels from ``*_stat-r_*_statmap.nii.gz``.

    Raises
    ------
    BrainAlignError
        A participant's results are not there (exit code 66).
    """
    return [_recover_group(group, truth, output_dir) for group in truth.groups]


def _recover_group(group: PlantedGroup, truth: GroundTruth, output_dir: Path) -> Recovery:
    label = analysis_label(truth.model)
    if group.modality == "fmri":
        path = _result(output_dir, group, f"*_stat-r_desc-{label}_statmap.nii.gz")
        return Recovery(group, _voxel_curves(path, group), float("nan"))
    scores = pd.read_csv(
        _result(output_dir, group, f"*_desc-{label}_scores.tsv"),
        sep="\t",
        na_values=["n/a"],
        dtype={"layer": str, "fold": str, "target": str},
    )
    ours = scores[
        (scores["model"] == truth.model)
        & (scores["encoder"] == "ridge")
        & (scores["fold"] == "all")
        & scores["target"].isin(list(group.targets))
    ]
    by_layer = ours.pivot_table(index="target", columns="layer", values="r")
    curves = by_layer[[str(layer) for layer in range(truth.n_layers)]].to_numpy(dtype=np.float64)
    selected = ours[ours["layer"] == "selected"]
    return Recovery(group, curves, float(selected["delta_r_lowlevel"].mean()))


def _result(output_dir: Path, group: PlantedGroup, pattern: str) -> Path:
    datatype = "func" if group.modality == "fmri" else group.modality
    folder = output_dir / f"sub-{group.participant}" / datatype
    found = sorted(folder.glob(pattern))
    if not found:
        raise BrainAlignError(
            f"sub-{group.participant} has no {pattern.lstrip('*_')}",
            where=str(folder),
            fix="look into logs/status.tsv of the outputs",
            exit_code=ExitCode.MISSING_INPUT,
        )
    return found[0]


def _voxel_curves(path: Path, group: PlantedGroup) -> NDArray[np.float64]:
    import nibabel

    image: NDArray[np.float64] = nibabel.load(path).get_fdata()  # type: ignore[attr-defined]
    index = np.array(group.targets, dtype=int)
    return np.asarray(image[tuple(index.T)], dtype=np.float64)


def passed(results: Sequence[Recovery], one: Recovery) -> bool | None:
    """Judge one group: None where nothing is claimed (low-level targets, null datasets).

    A planted layer is found if the data don't tell it from the best layer, and do tell the layers
    planted elsewhere in the same participant.
    """
    if one.group.source == "layer":
        others = {
            other.group.layer
            for other in results
            if other.group.source == "layer"
            and other.group.participant == one.group.participant
            and other.group.modality == one.group.modality
        } - {one.group.layer}
        plausible = one.plausible_layers
        return one.group.layer in plausible and not others & set(plausible)
    planted = [
        other.r
        for other in results
        if other.group.source == "layer"
        and other.group.participant == one.group.participant
        and other.group.modality == one.group.modality
    ]
    if one.group.source == "lowlevel" or not planted:
        return None
    return one.r < UNPLANTED_LIMIT * float(np.mean(planted))


def format_recovery(results: Sequence[Recovery]) -> str:
    """Lay out planted and found answers as a table for the terminal."""
    header = ("participant", "modality", "region", "planted", "found", "mean r", "Δ low-level", "")
    rows = [header]
    for one in results:
        verdict = passed(results, one)
        layered = one.group.source == "layer"
        rows.append(
            (
                f"sub-{one.group.participant}",
                one.group.modality,
                f"{one.group.name} ({len(one.group.targets)})",
                f"layer {one.group.layer}" if layered else _SOURCES[one.group.source],
                _in_words(one) if layered else "–",
                f"{one.r:.3f}",
                "–" if np.isnan(one.delta) else f"{one.delta:+.3f}",
                "" if verdict is None else ("ok" if verdict else "NOT FOUND"),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _in_words(one: Recovery) -> str:
    """Say the best layer, and in brackets those that can't be told from it."""
    layers = one.plausible_layers
    if len(layers) == 1:
        return f"layer {one.found_layer}"
    return f"layer {one.found_layer} ({', '.join(map(str, layers))})"


_SOURCES = {"none": "nothing", "lowlevel": "low-level"}
