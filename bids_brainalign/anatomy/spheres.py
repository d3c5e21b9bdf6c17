"""An atlas that needs no download: spheres around published coordinates.

Seitzman et al. 2020 (NeuroImage 206:116290): 300 spheres of 4 or 5 mm in MNI space, each with the
functional network it belongs to. nilearn carries the table in its package; it is not part of this
one. The regions are networks (``Auditory``, ``VentralAttention`` …), not gyri or areas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEITZMAN = "seitzman"
NO_NETWORK = "unassigned"


@dataclass(frozen=True)
class Spheres:
    """Regions as balls in a template's space."""

    name: str
    centres_mm: NDArray[np.float64]
    """(n, 3)."""
    radius_mm: NDArray[np.float64]
    """(n,)."""
    region: NDArray[np.str_]
    """(n,): several spheres may share a region."""
    space: str


def seitzman_spheres() -> Spheres:
    """Load the spheres from nilearn's package folder; nothing is downloaded."""
    from nilearn.datasets import fetch_coords_seitzman_2018

    found = fetch_coords_seitzman_2018(ordered_regions=False)
    rois = np.column_stack([np.asarray(found.rois[axis], dtype=np.float64) for axis in "xyz"])
    network = np.asarray(found.networks, dtype=str)
    kept = network != NO_NETWORK
    return Spheres(
        name="Seitzman 2020 networks",
        centres_mm=rois[kept],
        radius_mm=np.asarray(found.radius, dtype=np.float64)[kept],
        region=network[kept],
        space="MNI152",
    )


def regions_in_spheres(spheres: Spheres, points_mm: NDArray[np.floating]) -> NDArray[np.object_]:
    """Region of each point: of the nearest centre among the spheres it lies in, else ``n/a``.

    Parameters
    ----------
    spheres : Spheres
    points_mm : ndarray of shape (n_points, 3)
        In the spheres' space; NaN lies nowhere.

    Returns
    -------
    ndarray of str, shape (n_points,)
    """
    region = np.full(len(points_mm), "n/a", dtype=object)
    nearest = np.full(len(points_mm), np.inf)
    for centre, radius, name in zip(
        spheres.centres_mm, spheres.radius_mm, spheres.region, strict=True
    ):
        distance = np.linalg.norm(points_mm - centre, axis=1)
        inside = (distance <= radius) & (distance < nearest)
        region[inside], nearest[inside] = str(name), distance[inside]
    return region
