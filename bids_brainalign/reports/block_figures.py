"""The figures of one block: which are drawn, and what is said under them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.anatomy.spaces import is_template
from bids_brainalign.outputs.reading import LOWLEVEL, PHONES
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.curves import curve_panels, selected
from bids_brainalign.reports.figures.electrode_map import (
    electrode_strip,
    glass_brain,
    plain_scatter,
)
from bids_brainalign.reports.figures.electrode_surface import (
    SNAP_MM,
    put_on_surface,
    surface_map,
)
from bids_brainalign.reports.figures.fold_timeline import fold_timeline
from bids_brainalign.reports.figures.layer_curves import layer_curves
from bids_brainalign.reports.figures.null_distribution import null_distribution
from bids_brainalign.reports.figures.onset_response import FEW_TARGETS, onset_response
from bids_brainalign.reports.figures.voxel_map import VoxelMaps, voxel_slices
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.summary import context_sentence, is_parcels


def alignment_picture(block: Block, album: Album) -> Picture | None:
    """Responses around onsets; None without the table."""
    locked = block.locked
    needed = {"locked_to", "time_s", "target", "mean", "sem", "n"}
    if locked is None or not needed <= set(locked.columns):
        return None
    if locked["target"].nunique() > FEW_TARGETS:
        band = (
            "Light lines are single targets, the dark line is their mean, the band its standard "
            "error over targets."
        )
    else:
        band = "Bands are standard errors over onsets (onsets overlap: for orientation only)."
    if locked["locked_to"].astype(str).str.endswith(PHONES).any():
        band += " Phones by class: means over all targets, with the number of onsets."
    rise = "seconds" if is_parcels(block) else "a few hundred milliseconds"
    return album.add(
        f"{block.main.file.prefix}_desc-onset_locked",
        onset_response(locked),
        alt="Mean response around onsets of stimuli, words and phones.",
        caption=f"Response around onsets. If stimulus and recording are on one clock, responsive "
        f"targets rise within {rise} after the line at zero; a rise before it, or none, asks for "
        f"a second look at the onsets. {band}",
    )


def curve_pictures(block: Block, album: Album) -> list[Picture]:
    """Curves of r over layers, and of the gain where it was computed per layer."""
    pictures = []
    panels = curve_panels(block)
    kind = "voxel groups" if is_parcels(block) else "electrodes"
    if panels:
        caption = (
            f"Prediction of held-out data from each layer. All {kind} are shown, whether "
            "significant or not, so that no selection lifts the curves. "
            "Solid: trained model; dashed: the same network with random weights; dotted: "
            "low-level features (of sound, words and phones). "
        )
        if block.causal is not None:
            caption += (
                "Dash-dotted: the same model in windows that end at the frame (causal mode): what "
                "is lost against the solid line was predicted from sound still to come. "
            )
        if any(len(panel.trained) > 1 for panel in panels):
            caption += (
                "Light lines are single electrodes; bands are standard errors over them, which "
                "describe spread and are no test. "
            )
        pictures.append(
            album.add(
                f"{block.name}_layers",
                layer_curves(panels),
                alt=f"Held-out correlation over the layers of {block.main.model}.",
                caption=caption + context_sentence(block),
            )
        )
    gains = curve_panels(block, value="delta_r_lowlevel")
    if gains:
        pictures.append(
            album.add(
                f"{block.name}_gain",
                layer_curves(gains, ylabel="Δr over low-level"),
                alt=f"Gain over the low-level baseline over the layers of {block.main.model}.",
                caption="Gain over the low-level baseline: r of low-level features and layer "
                "together minus r of the low-level features.",
            )
        )
    return pictures


def map_pictures(block: Block, maps: VoxelMaps | None, album: Album) -> list[Picture]:
    """Voxel maps, or electrodes in space."""
    if maps is not None:
        return _voxel_pictures(block, maps, album)
    channels = block.main.channels
    if channels is None or "name" not in channels:
        return []
    return _electrode_pictures(block, _electrodes(block, channels), album)


def _voxel_pictures(block: Block, maps: VoxelMaps, album: Album) -> list[Picture]:
    under = (
        "Background: the MNI template"
        if maps.background is not None
        else "Background: the mask, no anatomy"
    )
    pictures = [
        album.add(
            f"{block.name}_best",
            voxel_slices(maps, value=maps.best_r, label="largest r", layers=False),
            alt="Axial slices: largest held-out correlation over layers in each voxel.",
            caption="Largest held-out r over layers in every voxel, without threshold: colour "
            "fades where r is small (a maximum over layers is above zero by chance alone). "
            f"Left is left. {under}.",
        )
    ]
    if maps.layer is not None and np.isfinite(maps.layer.data).any():
        pictures.append(
            album.add(
                f"{block.name}_layermap",
                voxel_slices(maps, value=maps.layer, label="layer", layers=True),
                alt="Axial slices: preferred layer where the model beats the baseline.",
                caption="Layer chosen most often on the inner folds, only where the model adds to "
                "the low-level baseline (q < .05), the curve over layers is not flat (q < .05), "
                "more than half of the outer folds chose this layer, and odd and even folds "
                f"agree. Left is left. {under}.",
            )
        )
    return pictures


def _electrodes(block: Block, channels: pd.DataFrame) -> pd.DataFrame:
    """Places from ``channels.tsv``, values from the scores: numbers stand in one table only."""
    table = channels.drop_duplicates("name").reset_index(drop=True)
    for axis in "xyz":
        raw = table[axis] if axis in table else pd.Series(np.nan, index=table.index)
        table[axis] = pd.to_numeric(raw, errors="coerce")
    chosen = selected(block.main.scores).reindex(table["name"])
    gain = "r" if block.main.model == LOWLEVEL else "delta_r_lowlevel"
    table["value"] = chosen[gain].to_numpy(dtype=float)
    table["layer"] = chosen["layer_mode"].to_numpy(dtype=float)
    q = chosen["q_fdr" if gain == "r" else "q_delta"].to_numpy(dtype=float)
    table["found"] = q < 0.05
    table["stable"] = table["found"] & (chosen["layer_agreement"].to_numpy(dtype=float) > 0.5)
    return table


def _last_layer(block: Block) -> int:
    layers = block.main.scores["layer"]
    return int(layers[layers.str.fullmatch(r"\d+")].astype(int).max())


def _space(table: pd.DataFrame) -> str:
    known = table["space"].dropna() if "space" in table else pd.Series(dtype=object)
    return "" if known.empty else str(known.iloc[0])


def _electrode_pictures(block: Block, table: pd.DataFrame, album: Album) -> list[Picture]:
    space = _space(table)
    placed = table[["x", "y", "z"]].notna().all(axis=1)
    label = "held-out r" if block.main.model == LOWLEVEL else "Δr over low-level"
    found = "q < .05" if block.main.model == LOWLEVEL else "gain over the baseline, q < .05"
    if not placed.any():
        strip = electrode_strip(table, value="value", label=label, marked=table["found"])
        caption = f"No coordinates in this dataset: electrodes in a row. Dark: {found}."
        return [
            album.add(f"{block.name}_electrodes", strip, alt="Bar per electrode.", caption=caption)
        ]
    lost = int((~placed).sum())
    missing = f" {lost} electrodes have no coordinates and are not shown." if lost else ""
    table = table[placed]
    mni = is_template(space)
    draw = glass_brain if mni else plain_scatter
    where = (
        f"Coordinates: {space}." if mni
        else f"Coordinates as given ({space or 'space not declared'}): no anatomical claim."
    )  # fmt: skip
    pictures = [
        album.add(
            f"{block.name}_electrodes",
            draw(table, value="value", label=label, marked=table["found"]),
            alt=f"Map of {len(table)} electrodes; {int(table['found'].sum())} are marked.",
            caption=f"Electrodes; large and coloured: {found}; small grey: not. {where}{missing}",
        )
    ]
    pictures += _surface_pictures(block, table, album, space=space, label=label, found=found)
    if table["stable"].any() and table["layer"].notna().any():
        pictures.append(
            album.add(
                f"{block.name}_layermap",
                draw(
                    table,
                    value="layer",
                    label="layer",
                    marked=table["stable"],
                    last_layer=_last_layer(block),
                ),
                alt=f"Preferred layer of {int(table['stable'].sum())} electrodes.",
                caption="Layer chosen most often on the inner folds, only where the model adds to "
                "the low-level baseline (q < .05) and more than half of the outer folds agree. "
                f"{where}{missing}",
            )
        )
    return pictures


def _surface_pictures(
    block: Block, table: pd.DataFrame, album: Album, *, space: str, label: str, found: str
) -> list[Picture]:
    """Electrodes on the cortex, where their space has one and some lie on it."""
    placed = put_on_surface(table[["x", "y", "z"]].to_numpy(dtype=float), space)
    if placed is None or not placed.seen.any():
        return []
    deep, hidden = int((~placed.near).sum()), int((placed.near & ~placed.seen).sum())
    left_out = ""
    if deep or hidden:
        left_out = (
            f" Not drawn: {deep} farther than {SNAP_MM:g} mm from the surface, {hidden} on parts "
            "that are not seen from outside."
        )
    return [
        album.add(
            f"{block.name}_surface",
            surface_map(table, placed, value="value", label=label, marked=table["found"]),
            alt=f"{int(placed.seen.sum())} electrodes on the surface of a template brain.",
            caption=f"The same electrodes moved to the nearest point of a template's cortex "
            f"(fsaverage), seen from outside; large and coloured: {found}. A template, not this "
            f"participant's brain.{left_out}",
        )
    ]


def null_picture(block: Block, album: Album) -> Picture | None:
    """Observed scores against their nulls; None without a null."""
    nulls = block.main.nulls
    if nulls is None or not {"target", "q50", "q95", "q99"} <= set(nulls.columns):
        return None
    chosen = selected(block.main.scores)
    draws = chosen["n_null"].max()
    count = f"{int(draws):,} " if np.isfinite(draws) else ""
    if nulls["q95"].isna().all():
        return None
    found = int((chosen["q_fdr"] < 0.05).sum())
    return album.add(
        f"{block.name}_null",
        null_distribution(chosen, nulls),
        alt=f"Observed correlation of {len(chosen)} targets over their null distributions.",
        caption=f"Each target's largest r over layers (dots) above the null of that same maximum "
        f"(bars: median to 95th percentile of {count}draws in which predictions were shifted "
        f"against the responses). {found} of {len(chosen)} have q < .05. The test of the gain "
        "over the baseline is separate: see the table.",
    )


def fold_picture(block: Block, album: Album) -> Picture | None:
    """Folds over time; None without the table."""
    folds = block.main.folds
    if folds is None or not {"fold", "run", "start", "stop", "role"} <= set(folds.columns):
        return None
    return album.add(
        f"{block.name}_folds",
        fold_timeline(folds),
        alt=f"Timeline of {folds['fold'].nunique()} folds: what trained, what was held out.",
        caption="What each outer fold trained on and held out. Gaps belong to neither side: they "
        "keep delays, filters and slow signals from reaching across.",
    )
