"""Maps of voxels in a glass brain, and of vertices on an inflated cortex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas
from bids_brainalign.reports.figures.fsaverage5 import Cortex, fsaverage5
from bids_brainalign.reports.figures.voxel_map import OPAQUE_SHARE, Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array64 = NDArray[np.float64]

GLASS = (("l", (1, 2), 0, "left"), ("y", (0, 2), 1, "from behind"), ("z", (0, 1), 2, "from above"),
         ("r", (1, 2), 0, "right"))  # fmt: skip
"""nilearn's direction, the axes shown (0 = x …), the axis looked along, and a title."""
N_VERTICES = 10242
"""Of fsaverage5, per hemisphere."""
VIEWS = (("L", "left, outside", -1.0), ("L", "left, inside", 1.0), ("R", "right, inside", -1.0),
         ("R", "right, outside", 1.0))  # fmt: skip
"""Hemisphere, title, and from which end of the x axis it is seen."""
_RASTER_DPI = 100


def value_norm(values: Array64, n_layers: int, *, layers: bool) -> Normalize:
    """Colours of a map: all layers, or r from 0 to (nearly) its largest."""
    if layers:
        return Normalize(0, max(n_layers - 1, 1))
    finite = values[np.isfinite(values)]
    high = float(np.quantile(finite, 0.999)) if len(finite) else 0.0
    return Normalize(0, high if high > 0 else 1e-3)


def glass_map(value: Grid, *, n_layers: int, label: str, layers: bool) -> Figure:
    """Draw a map of voxels in MNI space through the whole brain.

    Parameters
    ----------
    value : Grid
        NaN is not drawn.
    n_layers : int
    label : str
        What the colour bar says.
    layers : bool
        Values are layers: of several behind each other the nearest to the viewer is shown. Else
        the largest.

    Returns
    -------
    Figure
        Left hemisphere from its side, both from behind and above, right hemisphere.
    """
    from nilearn.plotting.glass_brain import plot_brain_schematics

    figure = canvas.paper(9.8, 2.6)
    figure.set_dpi(1.5 * _RASTER_DPI)
    grid = figure.subplots(1, 4, width_ratios=(1.22, 1.0, 1.0, 1.22))
    norm = value_norm(value.data, n_layers, layers=layers)
    for axes, (direction, shown, along, title) in zip(grid, GLASS, strict=True):
        picture = projected(value, direction, along, nearest=layers)
        low = value.origin_mm - value.size_mm / 2
        high = low + value.size_mm * value.data.shape
        first, second = shown
        axes.imshow(
            np.nan_to_num(picture.T),  # what is transparent is drawn, too: the same every time
            origin="lower",
            extent=(low[first], high[first], low[second], high[second]),
            cmap=canvas.SEQUENTIAL,
            norm=norm,
            alpha=_alpha(picture.T, norm, layers=layers),
            interpolation="nearest",
        )
        bounds = plot_brain_schematics(axes, direction, alpha=0.7, linewidth=0.8)
        for outline in axes.patches:  # some hundred kB as paths
            outline.set_rasterized(True)
        ends = (bounds[0] - 4, bounds[1] + 4)
        axes.set_xlim(*(ends[::-1] if direction == "l" else ends))
        axes.set_ylim(bounds[2] - 4, bounds[3] + 4)
        axes.set_aspect("equal")
        axes.axis("off")
        axes.set_title(title, fontsize=canvas.SIZE_PT, color=canvas.INK)
    canvas.colour_bar(figure, list(grid), norm=norm, label=label, whole=layers)
    return figure


def projected(value: Grid, direction: str, along: int, *, nearest: bool) -> Array64:
    """Look along an axis: the largest value, or that nearest to the viewer.

    Parameters
    ----------
    value : Grid
    direction : str
        ``l`` and ``r`` show their own hemisphere only; ``y`` is seen from behind, ``z`` from
        above.
    along : int
    nearest : bool

    Returns
    -------
    ndarray of shape (n, m)
        The two other axes in order; NaN where nothing is.
    """
    data = value.data
    if direction in "lr":
        x = value.origin_mm[0] + value.size_mm[0] * np.arange(data.shape[0])
        side = x <= 0 if direction == "l" else x >= 0
        data = np.where(side[:, None, None], data, np.nan)
    data = np.moveaxis(data, along, -1)
    if direction in "rz":  # the viewer is at the far end
        data = data[..., ::-1]
    known = np.isfinite(data)
    if nearest:
        first = known.argmax(axis=-1)[..., None]
        picked = np.take_along_axis(data, first, axis=-1)[..., 0]
    else:
        picked = np.where(known, data, -np.inf).max(axis=-1)
    return np.where(known.any(axis=-1), picked, np.nan)


def _alpha(values: Array64, norm: Normalize, *, layers: bool) -> Array64:
    """Small r lets through what is behind, as in slices."""
    if layers:
        return np.isfinite(values).astype(np.float64)
    strength = np.clip(np.nan_to_num(values) / (OPAQUE_SHARE * (norm.vmax or 1.0)), 0, 1)
    return np.asarray(np.where(np.isfinite(values), strength**2, 0.0))


def cortex_map(values: dict[str, Array64], *, n_layers: int, label: str, layers: bool) -> Figure:
    """Draw a map of vertices on fsaverage5, both hemispheres from outside and inside.

    Parameters
    ----------
    values : dict of str to ndarray of shape (10242,)
        ``L``, ``R``; NaN shows the cortex.
    n_layers : int
    label : str
        What the colour bar says.
    layers : bool
        Values are layers.
    """
    views = [view for view in VIEWS if view[0] in values]
    figure = canvas.paper(2.35 * len(views) + 0.6, 2.1)
    figure.set_dpi(_RASTER_DPI)
    grid = list(figure.subplots(1, len(views), squeeze=False).flat)
    norm = value_norm(np.concatenate(list(values.values())), n_layers, layers=layers)
    for axes, (side, title, end) in zip(grid, views, strict=True):
        _draw_cortex(
            axes,
            fsaverage5("inflated")[{"L": "left", "R": "right"}[side]],
            values[side],
            end,
            norm,
            layers=layers,
        )
        axes.set_title(title, fontsize=canvas.SIZE_PT, color=canvas.INK)
    canvas.colour_bar(figure, grid, norm=norm, label=label, whole=layers)
    return figure


def _draw_cortex(
    axes: Axes, cortex: Cortex, values: Array64, end: float, norm: Normalize, *, layers: bool
) -> None:
    """Faces from far to near, as one picture; values over a grey that is darker in sulci."""
    corners = cortex.vertices[cortex.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    tilt = end * normal[:, 0]
    facing = np.flatnonzero(tilt > 0)
    order = facing[np.argsort(end * corners[facing, :, 0].mean(axis=1), kind="stable")]
    sulcus = (cortex.depth > 0)[cortex.faces[order]].mean(axis=1) > 0.5
    grey = np.clip((0.66 + 0.3 * tilt[order]) * np.where(sulcus, 0.86, 1.0), 0, 1)
    shown = face_values(values, cortex.faces[order], layers=layers)
    strength = _alpha(shown, norm, layers=layers)[:, None]
    colour = colormaps[canvas.SEQUENTIAL](norm(np.nan_to_num(shown)))[:, :3]
    mixed = strength * colour + (1 - strength) * np.repeat(grey[:, None], 3, axis=1)
    outline = np.stack([end * corners[order, :, 1], corners[order, :, 2]], axis=2)
    axes.add_collection(
        PolyCollection(
            list(outline), facecolors=mixed, edgecolors=mixed, linewidths=0.3, rasterized=True
        )
    )
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.axis("off")


def face_values(values: Array64, faces: NDArray[np.int64], *, layers: bool) -> Array64:
    """Value of each face: mean of its corners, or for layers the middle one; two must be known.

    Parameters
    ----------
    values : ndarray of shape (n_vertices,)
    faces : ndarray of int, shape (n_faces, 3)
    layers : bool
    """
    corners = np.sort(values[faces], axis=1)  # NaN last
    count = np.isfinite(corners).sum(axis=1)
    value = corners[:, 1] if layers else np.nan_to_num(corners).sum(axis=1) / np.maximum(count, 1)
    if layers:  # of two, the lower
        value = np.where(count == 2, corners[:, 0], value)
    return np.asarray(np.where(count >= 2, value, np.nan))
