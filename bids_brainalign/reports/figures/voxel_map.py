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


@dataclass(frozen=True)
class VoxelMaps:
    """Maps of one model on one grid, in RAS order."""

    best_r: NDArray[np.float64]
    """(nx, ny, nz): largest r over layers, NaN outside the mask."""
    layer: NDArray[np.float64] | None
    """(nx, ny, nz): preferred layer, NaN where it may not be shown (the writer decides)."""
    n_layers: int
    n_voxels: int
    n_found: int | None
    """Voxels predicted above chance, q < .05; None without a q map."""
    background: NDArray[np.float64] | None
    """(nx, ny, nz): template on this grid, 0…1."""
    z_mm: NDArray[np.float64]
    """(nz,): world coordinate of each axial slice."""
    aspect: float
    """Voxel height over width within an axial slice."""


def load_voxel_maps(maps: dict[str, Path]) -> VoxelMaps | None:
    """Read ``r``, ``q`` and ``layer`` images; None without an ``r`` image.

    Parameters
    ----------
    maps : dict
        ``r`` (4-D, last axis = layer), ``q`` and ``layer`` (3-D) → path.
    """
    if "r" not in maps:
        return None
    r, affine = _canonical(maps["r"])
    r = r if r.ndim == 4 else r[..., None]
    best_r = np.where(np.isnan(r), -np.inf, r).max(axis=-1)
    best_r[~np.isfinite(best_r)] = np.nan
    q = _canonical(maps["q"])[0] if "q" in maps else None
    layer = _canonical(maps["layer"])[0] if "layer" in maps and r.shape[-1] > 1 else None
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return VoxelMaps(
        best_r=best_r,
        layer=layer,
        n_layers=int(r.shape[-1]),
        n_voxels=int(np.isfinite(best_r).sum()),
        n_found=None if q is None else int((q < 0.05).sum()),
        background=_template(maps["r"], best_r.shape, affine),
        z_mm=affine[2, 2] * np.arange(best_r.shape[2]) + affine[2, 3],
        aspect=float(size[1] / size[0]),
    )


def _canonical(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import nibabel as nib

    image = nib.as_closest_canonical(nib.load(path))  # type: ignore[no-untyped-call]
    return np.asarray(image.dataobj, dtype=np.float64), np.asarray(image.affine)


def _template(
    path: Path, shape: tuple[int, ...], affine: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Resample the MNI template shipped with nilearn to the grid; None in any other space."""
    if "_space-MNI152" not in path.name:
        return None
    from nilearn.datasets import load_mni152_template
    from nilearn.image import resample_img

    template = resample_img(
        load_mni152_template(resolution=2),
        target_affine=affine,
        target_shape=shape,
        force_resample=True,
        copy_header=True,
    )
    return np.asarray(template.dataobj, dtype=np.float64)


def voxel_slices(
    maps: VoxelMaps, *, value: NDArray[np.float64], label: str, layers: bool
) -> Figure:
    """Draw a map on axial slices from bottom to top.

    Parameters
    ----------
    maps : VoxelMaps
        Grid and background.
    value : array, shape (nx, ny, nz)
        What is coloured; NaN stays background.
    label : str
        What the colour bar says.
    layers : bool
        Whether values are layer numbers: then the colours span all layers.

    Returns
    -------
    Figure
        Left of the picture is the left hemisphere.
    """
    slices = _slices(maps.best_r)
    figure = canvas.paper(9.8, 2.0)
    grid = figure.subplots(1, N_SLICES, squeeze=False)[0]
    norm = _norm(value, maps.n_layers, layers=layers)
    box = _bounding_box(maps)
    for axes, index in zip(grid, slices, strict=False):
        _draw_slice(axes, maps, value, index=index, norm=norm, box=box)
    for axes in grid[len(slices) :]:
        axes.set_visible(False)
    _colour_bar(figure, grid, norm=norm, label=label)
    return figure


def _slices(best_r: NDArray[np.float64]) -> list[int]:
    inside = np.isfinite(best_r).sum(axis=(0, 1))
    usable = np.flatnonzero(inside > MIN_SHARE * max(inside.max(), 1))
    if len(usable) <= N_SLICES:
        return [int(index) for index in usable]
    picks = np.linspace(0, len(usable) - 1, N_SLICES + 2)[1:-1]
    return [int(usable[round(float(pick))]) for pick in picks]


def _bounding_box(maps: VoxelMaps) -> tuple[slice, slice]:
    inside = np.isfinite(maps.best_r)
    if maps.background is not None:
        inside = inside | (maps.background > 0.1)
    spans = []
    for axis in (0, 1):
        used = np.flatnonzero(inside.any(axis=tuple(i for i in range(3) if i != axis)))
        spans.append(slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(None))
    return spans[0], spans[1]


def _draw_slice(
    axes: Axes,
    maps: VoxelMaps,
    value: NDArray[np.float64],
    *,
    index: int,
    norm: Normalize,
    box: tuple[slice, slice],
) -> None:
    inside = np.isfinite(maps.best_r[:, :, index])[box].T
    if maps.background is not None:
        under = maps.background[:, :, index][box].T
        axes.imshow(under, cmap="gray", origin="lower", vmin=-0.15, vmax=1.1, aspect=maps.aspect,
                    alpha=np.where((under > 0.05) | inside, 1.0, 0.0))  # fmt: skip
    else:
        axes.imshow(np.where(inside, 0.85, 1.0), cmap="gray", origin="lower", vmin=0, vmax=1,
                    aspect=maps.aspect)  # fmt: skip
    shown = value[:, :, index][box].T
    axes.imshow(np.ma.masked_invalid(shown), cmap=canvas.SEQUENTIAL, norm=norm, origin="lower",
                aspect=maps.aspect, interpolation="nearest")  # fmt: skip
    axes.axis("off")
    axes.set_title(f"z = {maps.z_mm[index]:.0f} mm", fontsize=canvas.SIZE_PT - 1, color=canvas.INK)


def _norm(value: NDArray[np.float64], n_layers: int, *, layers: bool) -> Normalize:
    if layers:
        return Normalize(0, max(n_layers - 1, 1))
    finite = value[np.isfinite(value)]
    high = float(np.quantile(finite, 0.999)) if len(finite) else 1.0
    return Normalize(0, high if high > 0 else 1e-3)


def _colour_bar(figure: Figure, grid: NDArray[np.object_], *, norm: Normalize, label: str) -> None:
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(
        ScalarMappable(norm, canvas.SEQUENTIAL), ax=list(grid), shrink=0.85, pad=0.01
    )
    bar.set_label(label, fontsize=canvas.SIZE_PT - 1, color=canvas.INK)
    bar.ax.tick_params(labelsize=canvas.SIZE_PT - 2, colors=canvas.FAINT, labelcolor=canvas.INK)
    bar.outline.set_visible(False)
