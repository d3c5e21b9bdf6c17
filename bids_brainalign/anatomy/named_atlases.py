"""Atlases by name: nilearn's, and the participant's own FreeSurfer segmentation.

None is part of this package: each has a licence of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bids_brainalign.anatomy.atlas import Atlas, read_atlas
from bids_brainalign.anatomy.mesh_labels import MeshLabels, read_mesh_labels
from bids_brainalign.dataset.derivatives import FREESURFER
from bids_brainalign.errors import BrainAlignError, ExitCode

SURFACE_LABELS = ("aparc.a2009s", "aparc")
"""Of FreeSurfer, the finer first."""
SEGMENTATIONS = ("aparc.a2009s+aseg.mgz", "aparc+aseg.mgz")
"""Of FreeSurfer, the finer first (Destrieux, Desikan-Killiany)."""


@dataclass(frozen=True)
class _Nilearn:
    fetch: str
    options: dict[str, object]
    needs: str
    """A file below nilearn's data folder: without it, fetching needs the network."""
    space: str = ""
    """Where nilearn's ``template`` is missing or too loose."""


NILEARN = {
    "destrieux": _Nilearn(
        "fetch_atlas_destrieux_2009", {}, "destrieux_2009/destrieux2009_rois_lateralized.nii.gz"
    ),
    "harvard-oxford": _Nilearn(
        "fetch_atlas_harvard_oxford",
        {"atlas_name": "cort-maxprob-thr25-2mm"},
        "fsl/data/atlases/HarvardOxford/HarvardOxford-cort-maxprob-thr25-2mm.nii.gz",
        "MNI152NLin6Asym",
    ),
    "aal": _Nilearn("fetch_atlas_aal", {}, "aal_3v2/AAL3/AAL3v1.nii.gz", "MNIColin27"),
    "schaefer": _Nilearn(
        "fetch_atlas_schaefer_2018",
        {},
        "schaefer_2018/Schaefer2018_400Parcels_7Networks_order_FSLMNI152_1mm.nii.gz",
        "MNI152NLin6Asym",
    ),
}


def nilearn_atlas(name: str, *, allow_download: bool) -> Atlas:
    """Load one of nilearn's atlases.

    Parameters
    ----------
    name : str
        A key of :data:`NILEARN`.
    allow_download : bool
        Whether nilearn may get what is missing.

    Returns
    -------
    Atlas

    Raises
    ------
    BrainAlignError
        66: not on this machine, or it could not be got.
    """
    from nilearn import datasets

    entry = NILEARN[name]
    folders = [Path(folder) for folder in datasets.get_data_dirs()]
    root = next((folder for folder in folders if (folder / entry.needs).is_file()), None)
    if root is None and not allow_download:
        raise BrainAlignError(
            f"--atlas {name}: the atlas is not on this machine.",
            where=f"looked for {entry.needs} in {', '.join(map(str, folders))}",
            fix="run once with --allow-download, set NILEARN_DATA to a folder that has it, or "
            "give a file: --atlas labels.nii.gz",
            exit_code=ExitCode.MISSING_INPUT,
        )
    fetch: Any = getattr(datasets, entry.fetch)
    try:
        found = fetch(**entry.options, data_dir=root, verbose=0)
    except (OSError, ValueError, RuntimeError) as error:
        raise BrainAlignError(
            f"--atlas {name} could not be got: {error}",
            fix="check the network, or give a file: --atlas labels.nii.gz",
            exit_code=ExitCode.MISSING_INPUT,
        ) from error
    table = found.lut
    names = {int(i): str(n) for i, n in zip(table["index"], table["name"], strict=True)}
    space = entry.space or str(found.template)
    if isinstance(found.maps, str | Path):
        return replace(read_atlas(Path(found.maps), space=space, names=names), name=name)
    volume = np.asarray(found.maps.dataobj).astype(np.int32)
    return Atlas(name, volume, np.asarray(found.maps.affine, dtype=np.float64), names, space)


def own_segmentation(participant: str, folders: Sequence[Path]) -> Atlas:
    """Read the FreeSurfer segmentation of a participant.

    Parameters
    ----------
    participant : str
        Label without ``sub-``.
    folders : sequence of Path
        Subjects folders of FreeSurfer to look in.

    Returns
    -------
    Atlas
        In the participant's scanner coordinates, with the affine of the surface coordinates.

    Raises
    ------
    BrainAlignError
        66: not found.
    """
    from mne import read_freesurfer_lut

    for folder in folders:
        for file in SEGMENTATIONS:
            path = folder / f"sub-{participant}" / "mri" / file
            if path.is_file():
                values, _ = read_freesurfer_lut()
                names = {int(value): str(name) for name, value in values.items()}
                atlas = read_atlas(path, space="ScanRAS", names=names)
                return replace(atlas, name=f"FreeSurfer {path.stem}")
    raise BrainAlignError(
        f"--atlas {FREESURFER}: there is no segmentation of sub-{participant}.",
        where=f"looked for mri/{' and mri/'.join(SEGMENTATIONS)} in "
        f"{', '.join(map(str, folders)) or 'no folder'}",
        fix="give FreeSurfer's subjects folder with -d freesurfer=PATH",
        exit_code=ExitCode.MISSING_INPUT,
    )


def own_surface_labels(participant: str, folders: Sequence[Path]) -> MeshLabels:
    """Read FreeSurfer's labels of a participant's own surfaces (fsnative).

    Parameters
    ----------
    participant : str
        Label without ``sub-``.
    folders : sequence of Path
        Subjects folders of FreeSurfer to look in.

    Raises
    ------
    BrainAlignError
        66: not found.
    """
    for folder in folders:
        for name in SURFACE_LABELS:
            path = folder / f"sub-{participant}" / "label" / f"lh.{name}.annot"
            if path.is_file():
                return replace(read_mesh_labels(path), name=f"FreeSurfer {name}")
    raise BrainAlignError(
        f"--atlas {FREESURFER}: there are no surface labels of sub-{participant}.",
        where=f"looked for label/lh.{' and label/lh.'.join(SURFACE_LABELS)}.annot in "
        f"{', '.join(map(str, folders)) or 'no folder'}",
        fix="give FreeSurfer's subjects folder with -d freesurfer=PATH",
        exit_code=ExitCode.MISSING_INPUT,
    )
