"""The page's section on regions of interest: their layer curves, and where the model adds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import LOWLEVEL
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.curves import curve_table, selected
from bids_brainalign.reports.figures.roi_curves import RoiPanel, region_matrix, roi_curves
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import ALPHA, NO_TEST, number, probability

MAX_PANELS = 12
"""More regions than this are drawn as a matrix."""
MAX_ROWS = 36


def rois_section(block: Block, album: Album) -> Section | None:
    """Show the regions of interest; None without any."""
    scores = block.main.scores
    chosen = selected(scores)
    rois = chosen[(chosen["target_type"] == "parcel") & (chosen["region"] != "n/a")]
    if rois.empty:
        return None
    pictures = _pictures(block, rois, album)
    return Section("Regions of interest", (_sentence(block, rois),), pictures, (_table(rois),))


def _pictures(block: Block, rois: pd.DataFrame, album: Album) -> tuple[Picture, ...]:
    curves = curve_table(block.main.scores).reindex(rois.index)
    if curves.empty or curves.isna().to_numpy().all():
        return ()
    layers = curves.columns.to_numpy(dtype=np.int64)
    names = list(dict.fromkeys(map(str, rois["region"])))
    if len(names) > MAX_PANELS:
        picture = album.add(
            f"{block.name}_regions",
            region_matrix([str(n) for n in rois.index], curves.to_numpy(dtype=float), layers),
            alt=f"Held-out correlation of {len(rois)} regions over the layers.",
            caption="Held-out r (mean over the voxels or vertices of each region) over the "
            "layers, all regions, whether significant or not.",
        )
        return (picture,)
    panels = [_panel(block, rois[rois["region"] == name], curves, name) for name in names]
    picture = album.add(
        f"{block.name}_rois",
        roi_curves(panels, layers),
        alt=f"Held-out correlation over the layers in {', '.join(names)}.",
        caption="Held-out r (mean over voxels or vertices) over the layers, whether significant "
        "or not. Grey: 95 % of the null of the largest r over layers (circular shifts); dotted: "
        "low-level features; both of the two hemispheres together where there are both.",
    )
    return (picture,)


def _panel(block: Block, rows: pd.DataFrame, curves: pd.DataFrame, name: str) -> RoiPanel:
    ordered = sorted(rows.index, key=lambda target: str(rows["hemisphere"][target]) in "LR")
    by_side = {
        {"n/a": "both"}.get(str(rows["hemisphere"][t]), str(rows["hemisphere"][t])): t
        for t in ordered
    }
    first, nulls = ordered[0], block.main.nulls
    null95 = float("nan")
    if nulls is not None and {"target", "q95"} <= set(nulls.columns):
        found = pd.to_numeric(nulls.set_index("target")["q95"], errors="coerce")
        null95 = float(found.get(first, np.nan))
    return RoiPanel(
        title=name,
        curves={
            side: curves.loc[target].to_numpy(dtype=float) for side, target in by_side.items()
        },
        lowlevel=float(rows["r_lowlevel"][first]),
        null95=null95,
    )


def _sentence(block: Block, rois: pd.DataFrame) -> str:
    low = block.main.model == LOWLEVEL
    q, what = ("q_fdr", "predict") if low else ("q_delta", "add to the low-level features in")
    name = "Low-level features" if low else block.main.model
    verb = what if low else what.replace("add", "adds")
    tested = rois[rois[q].notna()]
    if tested.empty:
        return f"Regions of interest: {NO_TEST}."
    found = [str(name) for name in tested.index[tested[q] < ALPHA]]
    if not found:
        return f"{name} {verb} none of {len(tested)} regions at q < .05 (over all rows)."
    listed = ", ".join(found[:MAX_PANELS]) + (" …" if len(found) > MAX_PANELS else "")
    return f"{name} {verb} {len(found)} of {len(tested)} regions (q < .05): {listed}."


def _table(rois: pd.DataFrame) -> Cells:
    columns = ("region", "r", "low-level", "Δr", "q of Δr", "layer", "agreement")
    rows = []
    for target, row in rois.head(MAX_ROWS).iterrows():
        layer, agreement = float(row["layer_mode"]), float(row["layer_agreement"])
        rows.append(
            (
                str(target),
                number(float(row["r"])),
                number(float(row["r_lowlevel"])),
                number(float(row["delta_r_lowlevel"])),
                probability(float(row["q_delta"])),
                number(layer, 0),
                f"{agreement:.0%}" if np.isfinite(agreement) else "n/a",
            )
        )
    more = "" if len(rois) <= MAX_ROWS else f" The first {MAX_ROWS} of {len(rois)} rows."
    return Cells(
        columns,
        tuple(rows),
        caption="Rows of scores.tsv; layer: chosen most often on the inner folds, over outer "
        f"folds and voxels, with the share of those that chose it.{more}",
    )
