"""Voxel maps as axial slices, in the image's own space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_SLICES = 7
MIN_SHARE = 0.12
"""Slices with less than this share of the largest slice's mask are not shown."""
OPAQUE_SHARE = 0.4
"""Values from this share of the scale on hide the anatomy; smaller ones let it through."""


@dataclass(frozen=True)
class Grid:
    """A picture in space: voxels in RAS order, axes along the scanner's or the template's."""

    data: NDArray[np.float64]
    """(nx, ny, nz)."""
    origin_mm: NDArray[np.float64]
    """(3,): centre of the first voxel."""
    size_mm: NDArray[np.float64]
    """(3,): distance of voxels."""

    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, back and front edge of an axial slice in mm."""
        low = self.origin_mm - self.size_mm / 2
        high = low + self.size_mm * self.data.shape
        return float(low[0]), float(high[0]), float(low[1]), float(high[1])

    def slice_at(self, z_mm: float) -> NDArray[np.float64]:
        """Nearest axial slice, (ny, nx); NaN beyond the grid."""
        index = round(float((z_mm - self.origin_mm[2]) / self.size_mm[2]))
        if not 0 <= index < self.data.shape[2]:
            return np.full(self.data.shape[1::-1], np.nan)
        return self.data[:, :, index].T


@dataclass(frozen=True)
class VoxelMaps:
    """Maps of one model."""

    best_r: Grid
    """Largest r over layers, NaN outside the mask."""
    layer: Grid | None
    """Preferred layer, NaN where it may not be shown (the writer decides)."""
    n_layers: int
    n_voxels: int
    n_found: int | None
    """Voxels predicted above chance, q < .05; None without a q map."""
    background: Grid | None
    """Template, 0…1."""


def load_voxel_maps(maps: dict[str, Path]) -> VoxelMaps | None:
    """Read ``r``, ``q`` and ``layer`` images; None without an ``r`` image.

    Parameters
    ----------
    maps : dict
        ``r`` (4-D, last axis = layer), ``q`` and ``layer`` (3-D) → path.
    """
    if "r" not in maps:
        return None
    r = _read(maps["r"])
    layers = r.data if r.data.ndim == 4 else r.data[..., None]
    best = np.where(np.isnan(layers), -np.inf, layers).max(axis=-1)
    best[~np.isfinite(best)] = np.nan
    q = _read(maps["q"]).data if "q" in maps else None
    mni = "_space-MNI152" in maps["r"].name
    return VoxelMaps(
        best_r=Grid(best, r.origin_mm, r.size_mm),
        layer=_read(maps["layer"]) if "layer" in maps and layers.shape[-1] > 1 else None,
        n_layers=int(layers.shape[-1]),
        n_voxels=int(np.isfinite(best).sum()),
        n_found=None if q is None else int((q < 0.05).sum()),
        background=_template() if mni and _is_straight(maps["r"]) else None,
    )


def _read(path: Path) -> Grid:
    import nibabel as nib

    image = nib.as_closest_canonical(nib.load(path))  # type: ignore[no-untyped-call]
    affine = np.asarray(image.affine, dtype=np.float64)
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return Grid(np.asarray(image.dataobj, dtype=np.float64), affine[:3, 3], size)


def _is_straight(path: Path) -> bool:
    """Whether the voxels' axes run along the space's: only then a template fits beneath."""
    import nibabel as nib

    image = nib.as_closest_canonical(nib.load(path))  # type: ignore[no-untyped-call]
    rotation = np.asarray(image.affine)[:3, :3]
    return bool(np.allclose(rotation, np.diag(np.diag(rotation)), atol=1e-3))


def _template() -> Grid:
    """MNI template that is shipped with nilearn: no download."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=2)
    affine = np.asarray(image.affine, dtype=np.float64)
    return Grid(np.asarray(image.dataobj, dtype=np.float64), affine[:3, 3], np.diag(affine)[:3])


def voxel_slices(maps: VoxelMaps, *, value: Grid, label: str, layers: bool) -> Figure:
    """Draw a map on axial slices from bottom to top.

    Parameters
    ----------
    maps : VoxelMaps
        Mask and background.
    value : Grid
        What is coloured; NaN stays background.
    label : str
        What the colour bar says.
    layers : bool
        Whether values are layer numbers: then the colours span all layers, without fading.

    Returns
    -------
    Figure
        Left of the picture is the left hemisphere.
    """
    heights = _heights(maps.best_r)
    figure = canvas.paper(9.8, 1.85)
    grid = figure.subplots(1, N_SLICES, squeeze=False)[0]
    box = _box(maps)
    norm = _norm(value.data, maps.n_layers, layers=layers)
    for axes, z_mm in zip(grid, heights, strict=False):
        _draw_slice(axes, maps, value, z_mm=z_mm, box=box, norm=norm, fade=not layers)
    for axes in grid[len(heights) :]:
        axes.set_visible(False)
    canvas.colour_bar(figure, list(grid), norm=norm, label=label, whole=layers)
    return figure


def _heights(best_r: Grid) -> list[float]:
    """Pick slices evenly among those with enough of the mask."""
    inside = np.isfinite(best_r.data).sum(axis=(0, 1))
    usable = np.flatnonzero(inside > MIN_SHARE * max(inside.max(), 1))
    if len(usable) > N_SLICES:
        # Not the outermost ones, unless there is hardly a choice.
        margin = (len(usable) - 1) / (N_SLICES + 1) if len(usable) > 2 * N_SLICES else 0.0
        picks = np.linspace(margin, len(usable) - 1 - margin, N_SLICES)
        usable = usable[np.round(picks).astype(int)]
    return [float(best_r.origin_mm[2] + best_r.size_mm[2] * index) for index in usable]


def _box(maps: VoxelMaps) -> tuple[float, float, float, float]:
    """Left, right, back, front in mm around template and mask, without their empty margins."""
    edges = []
    for grid in filter(None, (maps.background, maps.best_r)):
        used = np.nonzero(grid.data > 0.05 if grid is maps.background else np.isfinite(grid.data))
        for axis in (0, 1):
            span = (used[axis].min() - 0.5, used[axis].max() + 0.5) if len(used[0]) else (0, 1)
            edges.append(grid.origin_mm[axis] + grid.size_mm[axis] * np.array(span))
    across, along = np.concatenate(edges[::2]), np.concatenate(edges[1::2])
    return float(across.min()), float(across.max()), float(along.min()), float(along.max())


def _draw_slice(
    axes: Axes,
    maps: VoxelMaps,
    value: Grid,
    *,
    z_mm: float,
    box: tuple[float, float, float, float],
    norm: Normalize,
    fade: bool,
) -> None:
    under = maps.background
    if under is not None:
        picture = under.slice_at(z_mm)
        axes.imshow(
            np.ma.masked_where(~(picture > 0.05), picture),
            cmap="gray",
            origin="lower",
            vmin=-0.1,
            vmax=1.15,
            extent=under.extent(),
        )
    else:
        mask = np.isfinite(maps.best_r.slice_at(z_mm))
        axes.imshow(np.where(mask, 0.88, 1.0), cmap="gray", origin="lower", vmin=0, vmax=1,
                    extent=maps.best_r.extent())  # fmt: skip
    shown = value.slice_at(z_mm)
    strength = np.clip(np.nan_to_num(shown) / (OPAQUE_SHARE * (norm.vmax or 1.0)), 0, 1)
    alpha = np.where(np.isfinite(shown), strength**2 if fade else 1.0, 0.0)
    axes.imshow(np.nan_to_num(shown), cmap=canvas.SEQUENTIAL, norm=norm, origin="lower",
                alpha=alpha, extent=value.extent(), interpolation="nearest")  # fmt: skip
    left, right, back, front = box
    axes.set_xlim(left, right)
    axes.set_ylim(back, front)
    axes.axis("off")
    axes.set_title(f"z = {z_mm:.0f} mm", fontsize=canvas.SIZE_PT - 1, color=canvas.INK)


def _norm(value: NDArray[np.float64], n_layers: int, *, layers: bool) -> Normalize:
    if layers:
        return Normalize(0, max(n_layers - 1, 1))
    finite = value[np.isfinite(value)]
    high = float(np.quantile(finite, 0.999)) if len(finite) else 1.0
    return Normalize(0, high if high > 0 else 1e-3)
