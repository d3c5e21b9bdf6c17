"""Label files of surfaces and of CIFTI: ``.annot``, ``.label.gii`` and ``.dlabel.nii``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode

ANNOT, GIFTI, CIFTI = ".annot", ".label.gii", ".dlabel.nii"
MESH_FILES = (ANNOT, GIFTI, CIFTI)
SIDES = ("L", "R")
_STRUCTURES = {"CIFTI_STRUCTURE_CORTEX_LEFT": "L", "CIFTI_STRUCTURE_CORTEX_RIGHT": "R"}
_SIDE_TOKEN = re.compile(r"(?:(?<=hemi-)|(?:^|(?<=[._-])))(lh|rh|L|R|left|right)(?=[._-])")
_OTHER = {"lh": "rh", "L": "R", "left": "right"} | {"rh": "lh", "R": "L", "right": "left"}

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class VoxelLabels:
    """The subcortical part of a CIFTI file."""

    ijk: NDArray[np.int64]
    """(n_voxels, 3)."""
    labels: Labels
    """(n_voxels,)."""
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class MeshLabels:
    """Labels of the vertices of one or both hemispheres."""

    name: str
    cortex: Mapping[str, Labels]
    """``L``, ``R`` → (n_vertices,) label of each vertex."""
    names: Mapping[str, Mapping[int, str]]
    """``L``, ``R``, and ``n/a`` for voxels → label → region."""
    voxels: VoxelLabels | None = None


def read_mesh_labels(path: Path) -> MeshLabels:
    """Read the labels of both hemispheres.

    Parameters
    ----------
    path : Path
        A ``.dlabel.nii``; one of a pair ``lh.X.annot`` and ``rh.X.annot`` or of two
        ``.label.gii`` that differ by ``hemi-L`` and ``hemi-R`` (``L``, ``lh``, ``left``); or a
        folder that holds one such pair.

    Returns
    -------
    MeshLabels
        With one hemisphere only where the other's file is not there.

    Raises
    ------
    BrainAlignError
        64: a folder with several pairs. 65: unreadable. 66: a folder without any.
    """
    if path.is_dir():
        path = _only_pair(path)
    if path.name.endswith(CIFTI):
        return _read_cifti(path)
    cortex: dict[str, Labels] = {}
    names: dict[str, dict[int, str]] = {}
    for file in pair_of(path):
        if file.is_file():
            side = side_of(file)
            read = _read_annot if file.name.endswith(ANNOT) else _read_gifti
            cortex[side], names[side] = read(file)
    return MeshLabels(_stem(path), cortex, names)


def label_files(path: Path) -> list[Path]:
    """List the files that :func:`read_mesh_labels` would read."""
    if path.is_dir():
        path = _only_pair(path)
    if path.name.endswith(CIFTI):
        return [path]
    return [file for file in pair_of(path) if file.is_file()]


def side_of(path: Path) -> str:
    """Hemisphere that a file is of, by its name.

    Examples
    --------
    >>> side_of(Path("rh.aparc.annot")), side_of(Path("tpl-fsLR_hemi-L_dseg.label.gii"))
    ('R', 'L')

    Raises
    ------
    BrainAlignError
        64: the name doesn't say it.
    """
    found = _SIDE_TOKEN.search(path.name)
    if found is None:
        raise BrainAlignError(
            f"--atlas: {path.name} does not say which hemisphere it is.",
            where=str(path),
            fix="name it lh.NAME.annot, or NAME_hemi-L.label.gii, and its twin likewise",
            exit_code=ExitCode.USAGE,
        )
    return found.group(1)[0].upper()


def pair_of(path: Path) -> tuple[Path, Path]:
    """Files of the left and the right hemisphere, of which one is given."""
    side = side_of(path)
    found = _SIDE_TOKEN.search(path.name)
    assert found is not None  # noqa: S101 - side_of would have raised
    start, stop = found.span(1)
    twin = path.with_name(path.name[:start] + _OTHER[found.group(1)] + path.name[stop:])
    return (path, twin) if side == "L" else (twin, path)


def _only_pair(folder: Path) -> Path:
    """Find the file of the left hemisphere (or the right, without one) in a folder."""
    files = sorted(p for p in folder.iterdir() if p.name.endswith((ANNOT, GIFTI)))
    pairs: dict[Path, Path] = {}
    for file in files:
        pairs.setdefault(pair_of(file)[0], file)
    if not pairs:
        raise BrainAlignError(
            f"--atlas: no label files of surfaces in {folder}.",
            where=f"looked for *{ANNOT} and *{GIFTI}",
            fix="give a folder with lh.NAME.annot and rh.NAME.annot, or one of the files",
            exit_code=ExitCode.MISSING_INPUT,
        )
    if len(pairs) > 1:
        raise BrainAlignError(
            f"--atlas: {folder} holds {len(pairs)} atlases.",
            where=", ".join(path.name for path in pairs.values()),
            fix="give one of these files",
            exit_code=ExitCode.USAGE,
        )
    return next(iter(pairs.values()))


def _stem(path: Path) -> str:
    """Name of the atlas without hemisphere and ending."""
    name = path.name
    for ending in MESH_FILES:
        name = name.removesuffix(ending)
    bare = re.sub(r"(^|[._-])(?:hemi-)?(?:lh|rh|L|R|left|right)(?=[._-]|$)", r"\1", name)
    return re.sub(r"([._-])[._-]+", r"\1", bare).strip("._-") or name


def _read_annot(path: Path) -> tuple[Labels, dict[int, str]]:
    from nibabel.freesurfer import io

    read: Any = io.read_annot  # untyped
    try:
        # Vertices without a label get -1; else a label is the row of the table of names.
        labels, _, names = read(path)
    except Exception as error:
        raise _unreadable(path, error) from error
    table = {row: name.decode("utf-8", "replace") for row, name in enumerate(names)}
    return np.asarray(labels, dtype=np.int64), table


def _read_gifti(path: Path) -> tuple[Labels, dict[int, str]]:
    import nibabel

    try:
        image: Any = nibabel.load(path)
        (array,) = image.darrays[:1]
        labels = np.asarray(array.data)
        table = {
            int(key): str(name) for key, name in image.labeltable.get_labels_as_dict().items()
        }
    except Exception as error:
        raise _unreadable(path, error) from error
    if labels.ndim != 1 or not np.array_equal(labels, np.round(labels)):
        raise _unreadable(path, ValueError("it holds no labels (one whole number per vertex)"))
    return labels.astype(np.int64), table


def _read_cifti(path: Path) -> MeshLabels:
    import nibabel
    from nibabel.cifti2 import cifti2_axes

    try:
        image: Any = nibabel.load(path)
        header: Any = image.header
        maps, brain = header.get_axis(0), header.get_axis(1)
    except Exception as error:
        raise _unreadable(path, error) from error
    is_brain = isinstance(brain, cifti2_axes.BrainModelAxis)
    if not isinstance(maps, cifti2_axes.LabelAxis) or not is_brain:
        raise _unreadable(path, ValueError("it holds no labels of grayordinates"))
    values = np.asarray(image.dataobj[0]).astype(np.int64)
    table = {int(key): str(entry[0]) for key, entry in maps.label[0].items()}
    cortex = {
        _STRUCTURES[str(structure)]: _on_mesh(values[rows], part)
        for structure, rows, part in _structures(brain)
        if str(structure) in _STRUCTURES
    }
    inside = np.asarray(brain.vertex) < 0
    voxels = None
    if inside.any():
        ijk = np.asarray(brain.voxel, dtype=np.int64)[inside]
        voxels = VoxelLabels(ijk, values[inside], np.asarray(brain.affine, dtype=np.float64))
    return MeshLabels(_stem(path), cortex, dict.fromkeys((*SIDES, "n/a"), table), voxels)


def _structures(brain: Any) -> Iterator[tuple[object, slice, Any]]:
    yield from brain.iter_structures()


def _on_mesh(values: Labels, part: Any) -> Labels:
    """Labels of all vertices of a mesh; 0 where the file has none (the medial wall)."""
    n_vertices = next(iter(part.nvertices.values()))
    labels = np.zeros(int(n_vertices), dtype=np.int64)
    labels[np.asarray(part.vertex, dtype=np.int64)] = values
    return labels


def _unreadable(path: Path, error: Exception) -> BrainAlignError:
    return BrainAlignError(
        f"--atlas: {path.name} can't be read: {error}",
        where=str(path),
        fix="give it as FreeSurfer, Connectome Workbench or TemplateFlow write it",
    )
