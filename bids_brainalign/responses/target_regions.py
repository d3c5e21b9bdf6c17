"""The label of every fMRI target in an atlas, on the responses' own grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.anatomy.atlas import Atlas, region_and_side
from bids_brainalign.anatomy.mesh_labels import MeshLabels
from bids_brainalign.anatomy.roi_sets import is_region
from bids_brainalign.anatomy.spaces import apply_affine, family_of, moved
from bids_brainalign.anatomy.spheres import Spheres, regions_in_spheres
from bids_brainalign.dataset.kinds import Kind
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.grids import Grayordinates, Grid, Surface, Volume

NESTED = (642, 2562, 10242, 40962, 163842)
"""Vertices of fsaverage3 … fsaverage6 and fsaverage: the first of a finer mesh are those of a
coarser one, FreeSurfer's icosahedra being subdivided."""
AFFINE_TOLERANCE = 1e-3
_CORTEX = {"CIFTI_STRUCTURE_CORTEX_LEFT": "L", "CIFTI_STRUCTURE_CORTEX_RIGHT": "R"}

LabelSource = Atlas | MeshLabels | Spheres
Names = NDArray[np.object_]


@dataclass(frozen=True)
class TargetRegions:
    """Where an atlas puts the targets."""

    label: Names
    """(n_targets,) label as the atlas writes it, ``n/a`` outside every region."""
    known: tuple[str, ...]
    """All regions of the atlas, found here or not."""
    notes: tuple[str, ...]


def target_regions(grid: Grid | None, targets: pd.DataFrame, source: LabelSource) -> TargetRegions:
    """Look up every target in an atlas.

    Parameters
    ----------
    grid : Grid or None
    targets : DataFrame
        ``x, y, z`` (mm) of voxels; one row per target of the grid.
    source : Atlas, MeshLabels or Spheres

    Raises
    ------
    BrainAlignError
        65: the atlas is of another kind, space or mesh than the responses.
    """
    space = "" if grid is None else grid.space
    require_fit(_kind(grid), space, source)
    if isinstance(source, Spheres) and isinstance(grid, Volume | Surface):
        return _in_spheres(grid, targets, source)
    if isinstance(source, Atlas) and isinstance(grid, Volume):
        return _in_volume(grid, targets, source)
    if isinstance(source, MeshLabels) and isinstance(grid, Surface):
        return _on_surface(grid, source)
    if isinstance(source, MeshLabels) and isinstance(grid, Grayordinates):
        return _on_grayordinates(grid, source)
    raise TypeError(f"{type(source)} on {type(grid)}")  # require_fit knows them all


def _kind(grid: Grid | None) -> Kind:
    if isinstance(grid, Volume):
        return "volume"
    if isinstance(grid, Surface):
        return "surface"
    return "grayordinates" if isinstance(grid, Grayordinates) else "columns"


def require_fit(kind: Kind, space: str, source: LabelSource) -> None:
    """Refuse an atlas of another kind or space than the responses; meshes are compared later.

    Parameters
    ----------
    kind : {"volume", "surface", "grayordinates", "columns"}
        Of the responses.
    space : str
    source : Atlas, MeshLabels or Spheres

    Raises
    ------
    BrainAlignError
        65.
    """
    if kind == "columns":
        raise BrainAlignError(
            f"--atlas: the responses{f' (space {space})' if space else ''} are columns of a file "
            "that says nothing about where in the brain they are.",
            where="HDF5 responses as of ds003020 have no coordinates, no mask and no mesh",
            fix="leave --atlas out; or give fMRIPrep outputs (-d fmriprep=PATH) for regions",
        )
    if isinstance(source, Spheres):
        _require_template(kind, space, source)
    elif isinstance(source, Atlas) and kind == "volume":
        _same_space(source, space)
    elif isinstance(source, Atlas) and kind == "surface":
        raise _wrong_kind(
            f"{source.name} labels voxels, the responses are vertices (space {space})",
            f"give labels of vertices (lh.NAME.annot, NAME_hemi-L.label.gii) of {space}",
        )
    elif isinstance(source, Atlas):
        raise _wrong_kind(
            f"{source.name} labels voxels, the responses are grayordinates ({space})",
            "give NAME.dlabel.nii, or a pair of NAME_hemi-L.label.gii of the same mesh",
        )
    elif kind == "volume":
        raise _wrong_kind(
            f"{source.name} labels vertices, the responses are voxels (space {space})",
            "give a label image of voxels (*_dseg.nii.gz) in that space, or choose a surface with "
            "--space fsaverage5",
        )


def _require_template(kind: Kind, space: str, spheres: Spheres) -> None:
    low = space.lower()
    on_fsaverage = kind == "surface" and low.startswith("fsaverage") and "sym" not in low
    if on_fsaverage or (kind == "volume" and family_of(space) == "mni152"):
        return
    raise _wrong_kind(
        f"{spheres.name} are spheres in MNI space, the responses are in {space}",
        "choose MNI152 volumes or an fsaverage surface with --space, or give an atlas file",
    )


def _wrong_kind(what: str, fix: str) -> BrainAlignError:
    return BrainAlignError(f"--atlas: {what}.", fix=fix)


def _in_volume(grid: Volume, targets: pd.DataFrame, atlas: Atlas) -> TargetRegions:
    """Nearest voxel of the label image, at the centre of every voxel of the responses."""
    known = tuple(name for name in atlas.names.values() if is_region(name))
    notes = _same_space(atlas, grid.space)
    points = targets[["x", "y", "z"]].to_numpy(dtype=np.float64)
    ijk = np.round(apply_affine(np.linalg.inv(atlas.affine), points)).astype(np.int64)
    inside = np.all((ijk >= 0) & (ijk < atlas.volume.shape), axis=1)
    value = np.zeros(len(points), dtype=np.int64)
    value[inside] = atlas.volume[tuple(ijk[inside].T)]
    label = _named(value, {int(v): n for v, n in atlas.names.items() if v != 0})
    if (label == "n/a").all():
        raise BrainAlignError(
            f"--atlas: no voxel of the responses lies in a region of {atlas.name}.",
            where=f"{len(points)} voxels in {grid.space}; atlas in {atlas.space}, shape "
            f"{atlas.volume.shape}",
            fix="check the space of the image and that its table has the image's numbers",
        )
    return TargetRegions(label, known, (*atlas.notes, *notes))


def _same_space(atlas: Atlas, space: str) -> tuple[str, ...]:
    """Say how the atlas was brought onto the grid; refuse another space or template."""
    how = (
        f"Labels of {atlas.name} were taken at the centre of every voxel of the responses "
        "(nearest neighbour)"
    )
    own, other = atlas.space.lower(), space.lower()
    if own == other:
        return (f"{how}; both are in {space}.",)
    if own == "mni152" and family_of(space) == "mni152":
        return (
            f"{how}; the atlas is taken to be in {space}, of its space no more is known than "
            "MNI152, and MNI templates differ by about 1 to 3 mm.",
        )
    if own == "scanras" and other in ("t1w", "individual", "native"):
        return (f"{how}; both are in the participant's own space.",)
    raise BrainAlignError(
        f"--atlas: {atlas.name} is in {atlas.space}, the responses are in {space or 'no space'}.",
        where="labels of another space or template would lie on the wrong voxels",
        fix=f"give the atlas in {space}, choose other outputs with --space, or, if its file name "
        f'is wrong, write atlas_space = "{space}" under [anatomy] of --config-file',
    )


def _in_spheres(grid: Volume | Surface, targets: pd.DataFrame, spheres: Spheres) -> TargetRegions:
    """Voxels by their centre; vertices of fsaverage halfway between white and pial surface."""
    known = tuple(dict.fromkeys(map(str, spheres.region)))
    how = f"Regions are spheres of published MNI coordinates ({spheres.name}), no gyri or areas"
    if isinstance(grid, Volume):
        points = targets[["x", "y", "z"]].to_numpy(dtype=np.float64)
        return TargetRegions(regions_in_spheres(spheres, points), known, (f"{how}.",))
    middle = {side: moved(xyz, "mni305", "mni152") for side, xyz in _middle_fsaverage5().items()}
    parts, count = [], 0
    for side, mask in (("L", grid.left), ("R", grid.right)):
        vertices = middle[side]
        if len(mask) and (len(mask) not in NESTED or len(mask) < NESTED[2] or vertices is None):
            raise _other_mesh(side, len(mask), NESTED[2], spheres.name)
        label = np.full(len(mask), "n/a", dtype=object)
        if len(mask) and vertices is not None:
            label[: len(vertices)] = regions_in_spheres(spheres, vertices)
        count = max(count, len(mask))
        parts.append(label[mask])
    said = (
        f"{how}; a vertex of fsaverage5 halfway between white and pial surface was moved from "
        "MNI305 to MNI152 (FreeSurfer's affine)."
    )
    if count > NESTED[2]:
        said += " Vertices that fsaverage5 lacks have no region."
    return TargetRegions(np.concatenate(parts), known, (said,))


def _middle_fsaverage5() -> dict[str, NDArray[np.float64]]:
    """Vertices of fsaverage5, mm of MNI305; the meshes come with nilearn."""
    from nilearn.datasets import load_fsaverage

    meshes = load_fsaverage("fsaverage5")
    return {
        side: np.mean(
            [
                np.asarray(meshes[kind].parts[name].coordinates)
                for kind in ("pial", "white_matter")
            ],
            axis=0,
            dtype=np.float64,
        )
        for side, name in (("L", "left"), ("R", "right"))
    }


def _on_surface(grid: Surface, source: MeshLabels) -> TargetRegions:
    parts, notes = [], []
    for side, mask in (("L", grid.left), ("R", grid.right)):
        if not len(mask):
            continue
        labels, said = _of_mesh(source, side, len(mask), grid.space)
        notes += said
        parts.append(_named(labels[mask], source.names[side], side))
    return TargetRegions(np.concatenate(parts), _known(source), tuple(dict.fromkeys(notes)))


def _on_grayordinates(grid: Grayordinates, source: MeshLabels) -> TargetRegions:
    label = np.full(len(grid.mask), "n/a", dtype=object)
    sizes, notes = dict(grid.n_vertices), []
    for structure, side in _CORTEX.items():
        rows = (grid.structure == structure) & (grid.vertex >= 0)
        if not rows.any():
            continue
        labels, said = _of_mesh(source, side, sizes[structure], grid.space)
        notes += said
        label[rows] = _named(labels[grid.vertex[rows]], source.names[side], side)
    rows = np.flatnonzero(grid.vertex < 0)
    if source.voxels is not None and len(rows):
        if not np.allclose(source.voxels.affine, grid.affine, atol=AFFINE_TOLERANCE):
            raise _wrong_kind(
                f"the voxels of {source.name} lie on another grid than the responses'",
                "give a dlabel file of the same resolution (91k: 2 mm)",
            )
        at = {tuple(ijk): int(v) for ijk, v in zip(
            source.voxels.ijk.tolist(), source.voxels.labels, strict=True)}  # fmt: skip
        values = np.array([at.get(tuple(ijk), 0) for ijk in grid.voxel[rows].tolist()])
        label[rows] = _named(values, source.names["n/a"])
    return TargetRegions(label[grid.mask], _known(source), tuple(dict.fromkeys(notes)))


def _of_mesh(
    source: MeshLabels, side: str, n_vertices: int, space: str
) -> tuple[NDArray[np.int64], list[str]]:
    """Labels of one hemisphere on the responses' mesh."""
    if side not in source.cortex:
        name = {"L": "left", "R": "right"}[side]
        raise BrainAlignError(
            f"--atlas: {source.name} has no labels of the {name} hemisphere.",
            fix="put the twin beside it: lh.NAME.annot and rh.NAME.annot, or hemi-L and hemi-R",
        )
    labels = source.cortex[side]
    if len(labels) == n_vertices:
        return labels, []
    nests = len(labels) in NESTED and n_vertices in NESTED and len(labels) > n_vertices
    if nests and space.lower().startswith("fsaverage"):
        return labels[:n_vertices], [
            f"{source.name} has {len(labels)} vertices per hemisphere, the responses "
            f"{n_vertices}: those are the first of the finer mesh (FreeSurfer's meshes nest)."
        ]
    raise _other_mesh(side, n_vertices, len(labels), source.name)


def _other_mesh(side: str, n_vertices: int, n_labels: int, name: str) -> BrainAlignError:
    word = {"L": "left", "R": "right"}[side]
    return BrainAlignError(
        f"--atlas: {name} has {n_labels} vertices in the {word} hemisphere, the responses have "
        f"{n_vertices}.",
        where="labels of another mesh would lie on the wrong vertices (fsaverage5 has 10242, "
        "fsaverage6 40962, fsaverage 163842, fsLR 32492, each fsnative its own)",
        fix="give the atlas on the responses' mesh, or choose other outputs with --space",
    )


def _named(values: NDArray[np.int64], names: Mapping[int, str], side: str = "") -> Names:
    """Labels of values; the side of the mesh is written in front where the label has none."""
    found, where = np.unique(values, return_inverse=True)
    text = []
    for value in found.tolist():
        name = str(names.get(value, "n/a"))
        if not is_region(name):
            name = "n/a"
        elif side and region_and_side(name)[1] == "n/a":
            name = f"{side} {name}"
        text.append(name)
    return np.array(text, dtype=object)[where.reshape(values.shape)]


def _known(source: MeshLabels) -> tuple[str, ...]:
    names = [name for table in source.names.values() for name in table.values()]
    return tuple(dict.fromkeys(name for name in names if is_region(name)))
