"""The small network of voxels beside ridge, on a participant's page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import read_score_table, read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.curves import selected
from bids_brainalign.reports.figures.voxel_map import VoxelMaps, load_voxel_maps, voxel_slices
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import is_parcels, number, probability

MLP = "mlp"
VALUES = ("r", "r_ridge", "delta_r_ridge")


def voxel_network_section(block: Block, album: Album) -> Section | None:
    """Show the network's gain over ridge; None where it was not asked for."""
    if not is_parcels(block):
        return None  # networks of electrodes have a section of their own
    label = analysis_label(block.main.model, MLP)
    path = block.main.file.path.with_name(f"{block.main.file.prefix}_desc-{label}_scores.tsv")
    if block.table(path) is None:
        return None
    scores = read_score_table(path)
    if scores is None:
        return None
    sidecar = read_sidecar(path.with_suffix(".json"))
    rows = selected(scores)
    cells = tuple(
        (str(target), *(number(value) for value in values[:3]), probability(values[3]))
        for target, values in zip(
            rows.index, rows[[*VALUES, "p_delta_ridge"]].to_numpy(dtype=float), strict=True
        )
    )
    columns = ("voxels", "r", "r of ridge", "Δr", "p")
    caption = (
        "Means over voxels of held-out r (of the network: and over seeds), on the same layer and "
        "folds; p: one-sided, against the same circular shifts of both."
    )
    pictures: tuple[Picture, ...] = ()
    maps = _difference(path.parent, block.main.file.prefix, label)
    if maps is not None:
        pictures = (
            album.add(
                f"{block.main.file.prefix}_desc-{label}_difference",
                voxel_slices(maps, value=maps.best_r, label="Δr", layers=False),
                alt="Axial slices: held-out r of the network less r of ridge.",
                caption="Held-out r of the network less r of ridge in every voxel, without "
                "threshold; where it is 0 or less nothing is coloured. Left is left.",
            ),
        )
    return Section(
        "A small network and ridge",
        sentences=(str(sidecar.get("Encoder", "")), *_said(sidecar)),
        pictures=pictures,
        tables=(Cells(columns, cells, caption),),
    )


def _difference(folder: Path, prefix: str, label: str) -> VoxelMaps | None:
    """Read the map of the difference; None where it is no volume."""
    entities = set(prefix.split("_"))
    for path in sorted(folder.glob(f"*_stat-rDelta_desc-{label}_statmap.nii.gz")):
        if entities <= set(path.name.split("_")):
            return load_voxel_maps({"r": path})
    return None


def _said(sidecar: Mapping[str, object]) -> list[str]:
    """Say what the folds chose, and in how many voxels the network predicts more."""
    sentences = []
    tested, found = sidecar.get("VoxelsTested"), sidecar.get("VoxelsWithGain")
    if isinstance(tested, int) and isinstance(found, int) and tested:
        sentences.append(
            f"The network predicts more than ridge in {found:,} of {tested:,} voxels (q < .05)."
        )
    chosen = sidecar.get("Chosen")
    folds = [fold for fold in chosen if isinstance(fold, dict)] if isinstance(chosen, list) else []
    idle = sum(fold.get("epochs") == 0 for fold in folds)
    if idle:
        sentences.append(
            f"In {idle} of {len(folds)} folds no network helped on the inner folds: there the "
            "ridge stands."
        )
    return sentences
