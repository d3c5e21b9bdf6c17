"""The page's section on maps: through a glass brain, or on an inflated cortex."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.anatomy.spaces import family_of
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.brain_views import N_VERTICES, cortex_map, glass_map
from bids_brainalign.reports.figures.voxel_map import Grid, load_voxel_maps
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Section

Array64 = NDArray[np.float64]
TITLE = "Maps in the brain"
CONDITIONS = (
    "only where the model adds to the low-level features (q < .05), the curve over layers is not "
    "flat (q < .05), more than half of the outer folds chose this layer, and odd and even folds "
    "agree"
)
_NESTED = (N_VERTICES, 40962, 163842)
"""fsaverage5, fsaverage6, fsaverage: the first vertices of the finer are the coarser."""


def maps_section(block: Block, album: Album) -> Section | None:
    """Show maps in or on a brain; None without maps, or where slices say all there is."""
    space = _space(block)
    if "r" in block.main.maps:
        if family_of(space) != "mni152":
            return None
        return _glass(block, album)
    surfaces = {stat: _surface_files(block, stat) for stat in ("r", "layer", "com")}
    if surfaces["r"]:
        return _cortex(block, album, surfaces, space)
    folder, label = block.main.file.path.parent, block.main.file.label
    for ending, what in (
        ("dscalar.nii", "grayordinates (CIFTI): no mesh of them is at hand"),
        ("h5", "columns of a file that does not say where in the brain they are"),
    ):
        if any(folder.glob(f"{block.main.file.prefix}_*_desc-{label}_statmap.{ending}")):
            return Section(
                TITLE,
                (f"Maps are written (*_statmap.{ending}) and not drawn: targets are {what}.",),
            )
    return None


def _space(block: Block) -> str:
    parts = block.main.file.prefix.split("_")
    return next((part[6:] for part in parts if part.startswith("space-")), "")


def _glass(block: Block, album: Album) -> Section | None:
    maps = load_voxel_maps(block.main.maps)
    if maps is None or maps.background is None:
        return None
    values = {"r": maps.best_r, "layer": maps.layer, "com": _grid_of(block, "com", maps.best_r)}
    pictures = [
        album.add(
            f"{block.name}_glass-{stat}",
            glass_map(grid, n_layers=maps.n_layers, label=_label(stat), layers=stat != "r"),
            alt=f"Glass brain: {_label(stat)}.",
            caption=f"{_caption(stat, maps.n_layers)} "
            + (
                "Seen through the whole brain: the largest value along the line of sight."
                if stat == "r"
                else "Of voxels behind each other the nearest to the viewer is shown."
            ),
        )
        for stat, grid in values.items()
        if grid is not None and np.isfinite(grid.data).any()
    ]
    return Section(TITLE, _shown(values["layer"], maps.n_voxels, "voxels"), tuple(pictures))


def _grid_of(block: Block, stat: str, like: Grid) -> Grid | None:
    """Read a map that lies on the same grid as another."""
    import nibabel as nib

    path = block.main.maps.get(stat)
    if path is None:
        return None
    image = nib.as_closest_canonical(nib.load(path))  # type: ignore[no-untyped-call]
    return Grid(np.asarray(image.dataobj, dtype=np.float64), like.origin_mm, like.size_mm)


def _surface_files(block: Block, stat: str) -> dict[str, Path]:
    """``L``, ``R`` → map of one statistic of this analysis."""
    found = {}
    entities = set(block.main.file.prefix.split("_"))
    for side in "LR":
        pattern = f"*_hemi-{side}_*stat-{stat}_desc-{block.main.file.label}_statmap.func.gii"
        for path in sorted(block.main.file.path.parent.glob(pattern)):
            if entities <= set(path.name.split("_")):
                found[side] = path
    return found


def _cortex(block: Block, album: Album, files: dict[str, dict[str, Path]], space: str) -> Section:
    curves = {side: _read(path) for side, path in files["r"].items()}
    n_layers, n_vertices = next(iter(curves.values())).shape
    on_mesh = space.startswith("fsaverage") and all(r.shape[1] in _NESTED for r in curves.values())
    if not on_mesh:
        return Section(
            TITLE,
            (
                f"Maps are written (*_statmap.func.gii) and not drawn: there is no mesh of "
                f"{space or 'this space'} with {n_vertices} vertices here. Those of fsaverage5, "
                "fsaverage6 and fsaverage are drawn.",
            ),
        )
    best = {side: _largest(r)[:N_VERTICES] for side, r in curves.items()}
    values = {"r": best}
    for stat in ("layer", "com"):
        if files[stat] and n_layers > 1:
            values[stat] = {s: _read(path)[0][:N_VERTICES] for s, path in files[stat].items()}
    coarser = any(r.shape[1] > N_VERTICES for r in curves.values())
    pictures: list[Picture] = []
    for stat, sides in values.items():
        if any(np.isfinite(v).any() for v in sides.values()):
            pictures.append(
                album.add(
                    f"{block.name}_cortex-{stat}",
                    cortex_map(sides, n_layers=n_layers, label=_label(stat), layers=stat != "r"),
                    alt=f"Inflated cortex: {_label(stat)}.",
                    caption=f"{_caption(stat, n_layers)} Inflated cortex of fsaverage5, darker "
                    f"in sulci.{' Of the finer mesh the vertices of fsaverage5.' * coarser}",
                )
            )
    layer = {s: _read(path)[0] for s, path in files["layer"].items()}
    total = sum(int(np.isfinite(_largest(r)).sum()) for r in curves.values())
    shown = None if not layer else np.concatenate(list(layer.values()))
    return Section(TITLE, _shown(shown, total, "vertices"), tuple(pictures))


def _read(path: Path) -> Array64:
    """Read all arrays of a GIFTI file, (n_arrays, n_vertices)."""
    import nibabel as nib

    image = nib.load(path)
    return np.stack([np.asarray(a.data, dtype=np.float64) for a in image.darrays])  # type: ignore[attr-defined]


def _largest(r: Array64) -> Array64:
    """Maximum over layers, NaN where there is no target."""
    best = np.where(np.isnan(r), -np.inf, r).max(axis=0)
    return np.where(np.isfinite(best), best, np.nan)


def _label(stat: str) -> str:
    return {"r": "largest r", "layer": "layer", "com": "centre of mass (layer)"}[stat]


def _caption(stat: str, n_layers: int) -> str:
    if stat == "r":
        return (
            "Largest held-out r over layers, without threshold: colour fades where r is small (a "
            "maximum over layers is above zero by chance alone)."
            if n_layers > 1
            else "Held-out r, without threshold: colour fades where r is small."
        )
    what = (
        "Layer chosen most often on the inner folds"
        if stat == "layer"
        else "Centre of mass of the curve over layers (r above the curve's lowest point)"
    )
    return f"{what}, {CONDITIONS}."


def _shown(layer: Grid | Array64 | None, total: int, what: str) -> tuple[str, ...]:
    if layer is None:
        return ()
    data = layer.data if isinstance(layer, Grid) else layer
    count = int(np.isfinite(data).sum())
    return (f"A preferred layer can be claimed in {count:,} of {total:,} {what}: {CONDITIONS}.",)
