"""Which region an electrode lies in, how far off, and how surely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree

from bids_brainalign.anatomy.atlas import NOTHING, Atlas, region_and_side
from bids_brainalign.anatomy.spaces import apply_affine, family_of, moved

UNKNOWN = "unknown"
NO_REGION = ("n/a", "", UNKNOWN)
"""Nothing is said of a region: electrodes with these share no place."""
MIDLINE_MM = 5.0
"""Nearer to the midline than this an electrode may get a label of the other side."""


@dataclass(frozen=True)
class Limits:
    """How far a label may be."""

    distance_mm: float = 5.0
    strip_distance_mm: float = 10.0
    """For subdural strips, which move with the brain when the skull is opened."""
    sphere_mm: float = 4.0
    """Radius in which labelled voxels are counted."""


def label_electrodes(
    electrodes: pd.DataFrame, atlas: Atlas, *, limits: Limits
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Label electrodes by the nearest labelled voxel.

    Parameters
    ----------
    electrodes : DataFrame
        ``x, y, z`` (mm), ``space``, ``device``, ``hemisphere``; one row per electrode.
    atlas : Atlas
    limits : Limits

    Returns
    -------
    DataFrame
        The same index: ``region`` (without its side; ``unknown`` beyond the limit, ``n/a``
        without coordinates or where their space says nothing), ``label_distance_mm`` (0 inside a
        labelled voxel, else to the centre of the nearest), ``label_probability`` (share of that
        label among the labelled voxels of the sphere), ``atlas``, ``hemisphere``.
    tuple of str
        What was assumed, and what disagreed.
    """
    result = pd.DataFrame(
        {
            "region": "n/a", "label_distance_mm": np.nan, "label_probability": np.nan,
            "atlas": "n/a", "hemisphere": electrodes["hemisphere"],
        },
        index=electrodes.index,
    )  # fmt: skip
    placed = electrodes[["x", "y", "z"]].notna().all(axis=1)
    notes = list(atlas.notes)
    for space, group in electrodes[placed].groupby("space", sort=True):
        points, affine, said = _in_atlas(group, str(space), atlas)
        notes += said
        if points is None:
            continue
        found = _nearest(points, atlas, affine, limits)
        rows, crossed = _judged(group, points, found, atlas, limits)
        notes += crossed
        result.loc[group.index, rows.columns] = rows.to_numpy(dtype=object)
    for column in ("label_distance_mm", "label_probability"):
        result[column] = result[column].astype(float)
    n_unknown = int((result["region"] == UNKNOWN).sum())
    if n_unknown:
        notes.append(
            f"{n_unknown} electrodes lie farther than {limits.distance_mm:g} mm (strips "
            f"{limits.strip_distance_mm:g} mm) from any label of {atlas.name}: region {UNKNOWN}."
        )
    return result, tuple(notes)


def _in_atlas(
    group: pd.DataFrame, space: str, atlas: Atlas
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64], list[str]]:
    """Coordinates in the atlas' space, the affine that leads there, and what to say."""
    xyz = group[["x", "y", "z"]].to_numpy(dtype=np.float64)
    source, target = family_of(space), family_of(atlas.space)
    if source == "surface" and target == "scanner" and atlas.surface_affine is not None:
        return xyz, atlas.surface_affine, []
    points = moved(xyz, source, target)
    if points is None:
        why = (
            f"coordinates in space '{space}' make no anatomical claim"
            if not source
            else f"no transform is known from space '{space}' to '{atlas.space}' of {atlas.name}"
        )
        return None, atlas.affine, [f"No regions for {len(group)} electrodes: {why}."]
    if source != target:
        said = f"Coordinates in {space} were moved to {atlas.space} (FreeSurfer's affine)."
    elif source == "scanner":
        said = (
            f"Coordinates in {space} are taken as scanner coordinates of the image that "
            f"{atlas.name} was made from."
        )
    elif space.lower() != atlas.space.lower():
        said = (
            f"Electrodes are in {space}, the atlas {atlas.name} is in {atlas.space}: these "
            "templates differ by about 1 to 3 mm."
        )
    else:
        return points, atlas.affine, []
    return points, atlas.affine, [said]


@dataclass(frozen=True)
class _Found:
    value: NDArray[np.integer]
    distance_mm: NDArray[np.float64]
    probability: NDArray[np.float64]


def _nearest(
    points: NDArray[np.float64], atlas: Atlas, affine: NDArray[np.float64], limits: Limits
) -> _Found:
    """Nearest labelled voxel of each point; value 0 where none is near."""
    reach = max(limits.distance_mm, limits.strip_distance_mm, limits.sphere_mm)
    voxels = _labelled_voxels(points, atlas, affine, reach)
    values = atlas.volume[tuple(voxels.T)]
    value = np.zeros(len(points), dtype=np.int32)
    distance, probability = np.full(len(points), np.nan), np.full(len(points), np.nan)
    if not len(voxels):
        return _Found(value, distance, probability)
    tree = KDTree(apply_affine(affine, voxels.astype(np.float64)))
    off, nearest = tree.query(points)
    own = np.round(apply_affine(np.linalg.inv(affine), points)).astype(int)
    for k, point in enumerate(points):
        inside = bool(np.array_equal(own[k], voxels[nearest[k]]))
        value[k], distance[k] = values[nearest[k]], 0.0 if inside else off[k]
        ball = tree.query_ball_point(point, limits.sphere_mm)
        if ball:
            probability[k] = np.mean(values[ball] == value[k])
    return _Found(value, distance, probability)


def _labelled_voxels(
    points: NDArray[np.float64], atlas: Atlas, affine: NDArray[np.float64], reach_mm: float
) -> NDArray[np.int_]:
    """Voxels (n, 3) that carry a region, in the box that holds all points and their reach."""
    corners = np.array(
        [
            [low - reach_mm, high + reach_mm]
            for low, high in zip(points.min(axis=0), points.max(axis=0), strict=True)
        ]
    )
    grid = np.array(np.meshgrid(*corners)).reshape(3, -1).T
    box = apply_affine(np.linalg.inv(affine), grid)
    shape = np.array(atlas.volume.shape)
    start = np.clip(np.floor(box.min(axis=0)).astype(int), 0, shape)
    stop = np.clip(np.ceil(box.max(axis=0)).astype(int) + 1, 0, shape)
    part = atlas.volume[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    regions = [v for v, n in atlas.names.items() if v != 0 and n.strip().lower() not in NOTHING]
    inside: NDArray[np.int_] = np.argwhere(np.isin(part, regions)) + start
    return inside


def _judged(
    group: pd.DataFrame,
    points: NDArray[np.float64],
    found: _Found,
    atlas: Atlas,
    limits: Limits,
) -> tuple[pd.DataFrame, list[str]]:
    """Names within their limit, and electrodes whose label lies on the other side."""
    strip = group["device"].astype(str).str.strip().str.lower()
    is_strip = (strip.eq("s") | strip.str.contains("strip")).to_numpy()
    limit = np.where(is_strip, limits.strip_distance_mm, limits.distance_mm)
    near = (found.value != 0) & (found.distance_mm <= limit)
    split = [region_and_side(atlas.names.get(int(v), "")) for v in found.value]
    side = np.array([s for _, s in split], dtype=object)
    region = np.where(near, np.array([r for r, _ in split], dtype=object), UNKNOWN)
    own = group["hemisphere"].to_numpy(dtype=object)
    against = near & np.isin(side, ["L", "R"]) & np.isin(own, ["L", "R"]) & (side != own)
    crossed = against & (np.abs(points[:, 0]) > MIDLINE_MM)
    region[crossed] = UNKNOWN
    notes = []
    if crossed.any():
        names = ", ".join(group["name"][crossed].astype(str)) if "name" in group else "some"
        notes.append(
            f"{int(crossed.sum())} electrodes lie on one side and nearest to a label of the other "
            f"({names}): check left and right; region {UNKNOWN}."
        )
    hemisphere = np.where((own == "n/a") & near & (side != "n/a"), side, own)
    rows = {
        "region": region, "label_distance_mm": found.distance_mm,
        "label_probability": np.where(near & ~crossed, found.probability, np.nan),
        "atlas": atlas.name, "hemisphere": hemisphere,
    }  # fmt: skip
    return pd.DataFrame(rows, index=group.index), notes
