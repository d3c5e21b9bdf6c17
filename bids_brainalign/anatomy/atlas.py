"""A brain atlas: a label per voxel, names, and the space it is in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode

LOOKUPS = (".tsv", ".csv", ".txt", ".lut")
ASSUMED_SPACE = "MNI152"
NOTHING = ("unknown", "background", "???", "n/a", "")
"""Names, in lower case, that are no region."""
_SIDE = re.compile(
    r"(?:^|(?<=[ _.-]))(ctx[_-])?(left|right|lh|rh|l|r)(?:[ _.-]+|$)", re.IGNORECASE
)
_SPACE = re.compile(r"(?:^|_)(?:space|tpl)-([A-Za-z0-9]+)")


@dataclass(frozen=True)
class Atlas:
    """Labels of voxels."""

    name: str
    volume: NDArray[np.integer]
    """(nx, ny, nz)."""
    affine: NDArray[np.float64]
    """(4, 4), voxel to mm of ``space``."""
    names: dict[int, str]
    """Voxel value → region; values without a name are no region."""
    space: str
    surface_affine: NDArray[np.float64] | None = None
    """(4, 4), voxel to FreeSurfer's surface coordinates, of a FreeSurfer volume."""
    notes: tuple[str, ...] = ()


def read_atlas(path: Path, *, space: str = "", names: dict[int, str] | None = None) -> Atlas:
    """Read a label image and its lookup table.

    Parameters
    ----------
    path : Path
        NIfTI or mgz.
    space : str
        Where its coordinates are; without it ``space-`` or ``tpl-`` of the file name, else
        MNI152 is assumed, and said.
    names : dict, optional
        Value → region; without it a table beside the image is read: the same stem, or for
        BIDS names the nearest ``*_dseg.tsv``.

    Returns
    -------
    Atlas

    Raises
    ------
    BrainAlignError
        66: no lookup table. 65: no image of labels, or a table without index and name.
    """
    import nibabel

    try:
        image: Any = nibabel.load(path)
        data = np.asarray(image.dataobj)
    except (OSError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise BrainAlignError(
            f"--atlas: {path.name} can't be read as an image: {error}", where=str(path)
        ) from error
    data = data[..., 0] if data.ndim == 4 and data.shape[3] == 1 else data
    if data.ndim != 3 or not np.array_equal(data, np.round(data)):
        raise BrainAlignError(
            f"--atlas: {path.name} is no image of labels: it must have three dimensions and whole "
            "numbers.",
            where=f"shape {data.shape}",
            fix="give the image with one label per voxel (maximum probability, dseg)",
        )
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    found = _SPACE.search(stem)
    declared = space or (found.group(1) if found else "")
    notes = (
        () if declared else (f"Atlas {path.name}: space not declared, {ASSUMED_SPACE} assumed.",)
    )
    surface = None
    if isinstance(image, nibabel.freesurfer.mghformat.MGHImage):
        header: Any = image.header
        surface = np.asarray(header.get_vox2ras_tkr(), dtype=np.float64)
    return Atlas(
        name=stem,
        volume=data.astype(np.int32),
        affine=np.asarray(image.affine, dtype=np.float64),
        names=names if names is not None else read_lookup(_lookup_beside(path, stem)),
        space=declared or ASSUMED_SPACE,
        surface_affine=surface,
        notes=notes,
    )


def _lookup_beside(path: Path, stem: str) -> Path:
    """Find the table: the same stem; else a BIDS table whose entities the image has all."""
    for suffix in LOOKUPS:
        if (path.parent / f"{stem}{suffix}").is_file():
            return path.parent / f"{stem}{suffix}"
    entities = set(stem.split("_"))
    tables = [p for p in path.parent.glob("*_dseg.tsv") if set(p.stem.split("_")) <= entities]
    if tables:
        return max(tables, key=lambda p: (len(p.stem.split("_")), p.name))
    raise BrainAlignError(
        f"--atlas: there is no table of labels beside {path.name}.",
        where=f"looked for {stem} with {', '.join(LOOKUPS)}, and *_dseg.tsv, in {path.parent}",
        fix="put a table with the columns index and name there",
        exit_code=ExitCode.MISSING_INPUT,
    )


def read_lookup(path: Path) -> dict[int, str]:
    """Read value → region from a BIDS ``dseg.tsv``, a CSV, or a FreeSurfer colour table.

    Raises
    ------
    BrainAlignError
        65: nothing that looks like index and name.
    """
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix in (".tsv", ".csv"):
        separator = "\t" if path.suffix == ".tsv" else ","
        table = pd.read_csv(path, sep=separator, keep_default_na=False, encoding="utf-8-sig")
        columns = {str(column).strip().lower(): column for column in table.columns}
        index = next((columns[c] for c in ("index", "value", "unnamed: 0") if c in columns), None)
        name = next((columns[c] for c in ("name", "label", "region") if c in columns), None)
        values = pd.to_numeric(table[index], errors="coerce") if index is not None else None
        if values is None or name is None or values.isna().any():
            raise BrainAlignError(
                f"--atlas: {path.name} has no columns index (whole numbers) and name.",
                where=f"its columns: {', '.join(map(str, table.columns))}",
                fix="write them as in a BIDS *_dseg.tsv",
            )
        return {int(v): str(n).strip() for v, n in zip(values, table[name], strict=True)}
    rows = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = {int(r[0]): _lut_name(r) for r in rows if len(r) >= 2 and r[0].lstrip("-").isdigit()}
    if not found:
        raise BrainAlignError(
            f"--atlas: {path.name} has no lines with a number and a name.",
            fix="write it as FreeSurferColorLUT.txt: number, name, and a colour if you like",
        )
    return found


def _lut_name(row: list[str]) -> str:
    """Give the name of a line: all up to the colour, which is three or four numbers at its end."""
    words = row[1:]
    for length in (4, 3):
        if len(words) > length and all(word.isdigit() for word in words[-length:]):
            return " ".join(words[:-length])
    return " ".join(words)


def region_and_side(name: str) -> tuple[str, str]:
    """Split a label's name into region and hemisphere (``L``, ``R`` or ``n/a``).

    Examples
    --------
    >>> region_and_side("L G_temp_sup-Lateral"), region_and_side("ctx_rh_G_front_middle")
    (('G_temp_sup-Lateral', 'L'), ('G_front_middle', 'R'))
    >>> region_and_side("Precentral_L"), region_and_side("Left-Hippocampus")
    (('Precentral', 'L'), ('Hippocampus', 'L'))
    >>> region_and_side("Frontal Pole")
    ('Frontal Pole', 'n/a')
    """
    match = _SIDE.search(name)
    if match is None:
        return name, "n/a"
    rest = (name[: match.start()] + name[match.end() :]).strip(" _.-")
    return rest or name, match.group(2)[0].upper()
