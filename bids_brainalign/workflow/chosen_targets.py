"""Targets that the user chooses: ``--targets`` with electrodes in a TSV, or voxels in a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.types import Response, Volume
from bids_brainalign.workflow.fits import Fit

IMAGES = (".nii", ".nii.gz")
_LABELS = ("region", "hemisphere")
_LISTED = 8


def is_image(path: Path) -> bool:
    """Whether the file is a mask, for fMRI; else it is a table of electrodes, for iEEG."""
    return path.name.endswith(IMAGES)


def keep_chosen(
    fit: Fit, responses: Sequence[Response], files: Sequence[Path]
) -> tuple[list[Response], tuple[str, ...]]:
    """Keep the targets that the files name; a file of the other modality says nothing here.

    References and masks are computed before: leaving a target out changes no other target.

    Parameters
    ----------
    fit : Fit
    responses : sequence of Response
        The same targets in each.
    files : sequence of Path
        Tables with a column ``name`` and, if wanted, ``participant`` (which participant the row
        is for), ``region`` and ``hemisphere`` (which replace those of the dataset); or NIfTI
        masks, of which the voxels above 0 are kept.

    Returns
    -------
    responses : list of Response
    notes : tuple of str

    Raises
    ------
    BrainAlignError
        A table without the column ``name``, or nothing is left (65).
    """
    kept, notes = list(responses), []
    for path in files:
        if is_image(path) and fit.modality == "fmri":
            kept, note = _voxels(kept, path)
        elif not is_image(path) and fit.modality != "fmri":
            kept, note = _electrodes(fit, kept, path)
        else:
            continue
        notes.append(note)
    return kept, tuple(notes)


def _electrodes(fit: Fit, responses: Sequence[Response], path: Path) -> tuple[list[Response], str]:
    table = _rows_for(fit.participant, path)
    targets = responses[0].targets
    there = targets["name"].isin(table["name"])
    absent = [name for name in table["name"] if name not in set(targets["name"])]
    if not there.any():
        raise _nothing_left(
            fit.name.stem,
            path,
            f"names in the file: {_listed(table['name'])}; good channels of this fit: "
            f"{_listed(targets['name'])}",
        )
    chosen = targets[there].reset_index(drop=True)
    rows = table.drop_duplicates("name").set_index("name").reindex(chosen["name"])
    for column in _LABELS:
        if column in rows:
            given = rows[column].to_numpy(dtype=object)
            known = (given != "n/a") & ~pd.isna(given)
            chosen[column] = np.where(known, given, chosen[column].to_numpy(dtype=object))
    columns = np.flatnonzero(there.to_numpy())
    note = f"{len(chosen)} of {len(targets)} channels were chosen by {path.name}"
    if absent:
        note += f"; not among the good channels: {_listed(absent)}"
    return [replace(r, data=r.data[:, columns], targets=chosen) for r in responses], f"{note}."


def _rows_for(participant: str, path: Path) -> pd.DataFrame:
    table = read_tsv(path)
    if "name" not in table.columns:
        raise BrainAlignError(
            f"--targets: {path.name} has no column name",
            where=f"its columns are {', '.join(table.columns)}",
            fix="write one electrode per line under name, as in channels.tsv",
        )
    column = next((c for c in ("participant", "participant_id") if c in table.columns), None)
    if column is None:
        return table
    return table[table[column].str.removeprefix("sub-").isin([participant, "n/a"])]


def _voxels(responses: Sequence[Response], path: Path) -> tuple[list[Response], str]:
    volume = responses[0].volume
    if volume is None:
        raise BrainAlignError(
            f"--targets: {path.name} is an image, but these responses lie in no volume",
            fix="leave it out, or choose a volume with --space",
        )
    wanted = _on_grid(path, volume)
    inside = wanted[volume.mask]
    if not inside.any():
        raise _nothing_left(
            f"space {volume.space}", path, "no voxel above 0 lies in the mask of the brain"
        )
    mask = volume.mask & wanted
    chosen = responses[0].targets[inside].reset_index(drop=True)
    columns = np.flatnonzero(inside)
    smaller = replace(volume, mask=mask)
    return [
        replace(r, data=r.data[:, columns], targets=chosen, grid=smaller) for r in responses
    ], f"{len(columns)} of {len(inside)} voxels were chosen by {path.name}."


def _on_grid(path: Path, volume: Volume) -> NDArray[np.bool_]:
    """Voxels of the image above 0, on the grid of the responses."""
    import nibabel
    from nilearn.image import resample_img

    try:
        image: Any = nibabel.load(path)
        data = np.asarray(image.dataobj)
    except (OSError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise BrainAlignError(
            f"--targets: {path.name} can't be read as an image: {error}", where=str(path)
        ) from error
    if data.ndim != 3:
        raise BrainAlignError(
            f"--targets: {path.name} has {data.ndim} dimensions",
            fix="give a mask with three: voxels above 0 are kept",
        )
    if data.shape == volume.mask.shape and np.allclose(image.affine, volume.affine, atol=1e-3):
        return np.asarray(data > 0)
    make_image: Any = nibabel.Nifti1Image
    binary = make_image((data > 0).astype(np.uint8), image.affine)
    moved = resample_img(
        binary,
        target_affine=volume.affine,
        target_shape=volume.mask.shape,
        interpolation="nearest",
        force_resample=True,
        copy_header=True,
    )
    return np.asarray(np.asarray(moved.dataobj) > 0)


def _listed(names: Sequence[str] | pd.Series[str]) -> str:
    words = [str(name) for name in names]
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return (", ".join(words[:_LISTED]) or "none") + more


def _nothing_left(place: str, path: Path, where: str) -> BrainAlignError:
    return BrainAlignError(
        f"--targets: {path.name} leaves no target of {place}",
        where=where,
        fix="write names as in channels.tsv, or a mask in the space of the responses (--space)",
        exit_code=ExitCode.DATA_ERROR,
    )
