"""Electrodes on the cortical surface of fsaverage, both sides from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.spatial import KDTree

from bids_brainalign.anatomy.spaces import family_of, moved
from bids_brainalign.reports.figures import canvas
from bids_brainalign.reports.figures.fsaverage5 import Cortex, fsaverage5

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SNAP_MM = 10.0
"""An electrode farther from the surface than this is deep (or misplaced) and not drawn on it."""
SIDES = (("left", -1.0), ("right", 1.0))
_RASTER_DPI = 100


@dataclass(frozen=True)
class OnSurface:
    """Where electrodes were put."""

    vertex: NDArray[np.int_]
    """(n_electrodes,): nearest vertex of their hemisphere."""
    is_right: NDArray[np.bool_]
    near: NDArray[np.bool_]
    """Within 10 mm of the surface."""
    seen: NDArray[np.bool_]
    """Near, and on the part of the surface that is seen from outside."""


def put_on_surface(xyz_mm: NDArray[np.float64], space: str) -> OnSurface | None:
    """Nearest vertices of electrodes.

    Parameters
    ----------
    xyz_mm : ndarray of shape (n, 3)
    space : str
        As declared; None comes back where no transform to MNI305 is known.

    Returns
    -------
    OnSurface or None
    """
    points = moved(xyz_mm, family_of(space), "mni305")
    if points is None:
        return None
    surfaces = fsaverage5("pial")
    is_right = points[:, 0] > 0
    vertex = np.zeros(len(points), dtype=np.int64)
    distance = np.full(len(points), np.inf)
    outward = np.zeros(len(points))
    for side, sign in SIDES:
        rows = np.flatnonzero(is_right == (sign > 0))
        if len(rows):
            surface = surfaces[side]
            distance[rows], vertex[rows] = KDTree(surface.vertices).query(points[rows])
            outward[rows] = sign * _vertex_normals(surface)[vertex[rows], 0]
    near = distance <= SNAP_MM
    return OnSurface(vertex, is_right, near, near & (outward > 0))


def surface_map(
    electrodes: pd.DataFrame,
    placed: OnSurface,
    *,
    value: str,
    label: str,
    marked: pd.Series[bool],
) -> Figure:
    """Draw electrodes on the sides of the brain that have any.

    Parameters
    ----------
    electrodes : DataFrame
        The column ``value``; one row per electrode of ``placed``.
    placed : OnSurface
    value : str
        Column that is the colour.
    label : str
        What the colour bar says.
    marked : Series of bool
        Electrodes drawn large, coloured and outlined.

    Returns
    -------
    Figure
    """
    sides = [s for s in SIDES if (placed.seen & (placed.is_right == (s[1] > 0))).any()]
    figure = canvas.paper(4.6 * len(sides) + 0.6, 3.5)
    figure.set_dpi(_RASTER_DPI)
    grid = list(figure.subplots(1, len(sides), squeeze=False).flat)
    values = electrodes[value].to_numpy(dtype=float)
    shown = marked.to_numpy(dtype=bool) & np.isfinite(values)
    norm = _norm(values[shown])
    for axes, (side, sign) in zip(grid, sides, strict=True):
        surface = fsaverage5("pial")[side]
        _draw_surface(axes, surface, sign)
        here = placed.seen & (placed.is_right == (sign > 0))
        place = surface.vertices[placed.vertex]
        across, up = sign * place[:, 1], place[:, 2]
        small, large = here & ~shown, here & shown
        axes.scatter(across[small], up[small], s=13, color="#5d6873", linewidth=0)
        axes.scatter(across[large], up[large], s=44, c=values[large], norm=norm,
                     cmap=canvas.SEQUENTIAL, edgecolor=canvas.INK, linewidth=0.6)  # fmt: skip
        axes.set_title(side, fontsize=canvas.SIZE_PT, color=canvas.INK)
    canvas.colour_bar(figure, grid, norm=norm, label=label, whole=False)
    return figure


def _draw_surface(axes: Axes, surface: Cortex, sign: float) -> None:
    """Faces from far to near, shaded by their tilt and darker in sulci, as one picture."""
    corners = surface.vertices[surface.faces]  # (n_faces, 3, 3)
    tilt = sign * _face_normals(surface)[:, 0]
    facing = np.flatnonzero(tilt > 0)
    order = facing[np.argsort(sign * corners[facing, :, 0].mean(axis=1), kind="stable")]
    sulcus = surface.depth[surface.faces[order]].mean(axis=1) > 0
    grey = (0.62 + 0.34 * tilt[order]) * np.where(sulcus, 0.86, 1.0)
    outline = np.stack([sign * corners[order, :, 1], corners[order, :, 2]], axis=2)
    colours = np.repeat(np.clip(grey, 0, 1)[:, None], 3, axis=1)
    # Edges of the faces' own colour close the seams between them.
    axes.add_collection(
        PolyCollection(
            list(outline), facecolors=colours, edgecolors=colours, linewidths=0.3, rasterized=True
        )
    )
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.axis("off")


def _face_normals(surface: Cortex) -> NDArray[np.float64]:
    """Give outward unit normals (n_faces, 3)."""
    a, b, c = (surface.vertices[surface.faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12))


def _vertex_normals(surface: Cortex) -> NDArray[np.float64]:
    """Sum of the normals of the faces around each vertex (n_vertices, 3)."""
    total = np.zeros_like(surface.vertices)
    normals = _face_normals(surface)
    for corner in range(3):
        np.add.at(total, surface.faces[:, corner], normals)
    return total


def _norm(values: NDArray[np.float64]) -> Normalize:
    if not len(values):
        return Normalize(0.0, 1.0)
    low, high = min(0.0, float(values.min())), float(values.max())
    return Normalize(low, high if high > low else low + 1e-3)
