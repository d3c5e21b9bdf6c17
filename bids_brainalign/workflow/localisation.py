"""Regions of electrodes: from an atlas, else from what electrodes.tsv says.

This comes after the responses are loaded: another atlas filters no signal anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.anatomy.atlas import Atlas, read_atlas
from bids_brainalign.anatomy.electrodes import coordinate_system, read_electrodes
from bids_brainalign.anatomy.labelling import Limits, label_electrodes
from bids_brainalign.anatomy.named_atlases import nilearn_atlas, own_segmentation
from bids_brainalign.anatomy.spaces import has_distances
from bids_brainalign.anatomy.spheres import SEITZMAN
from bids_brainalign.config.checks import ATLAS_IMAGES, ATLASES, is_mesh_atlas
from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.derivatives import FREESURFER
from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.types import Response
from bids_brainalign.store.digest import file_digest
from bids_brainalign.workflow.fits import Fit

REGION_COLUMNS = (
    "region",
    "anatomy",
    "anatomical_label",
    "anat_label",
    "roi",
    "label",
    "location",
)
"""Of electrodes.tsv, in lower case: BIDS names none, these are in use; the first there counts."""
PLACE_COLUMNS = ("region", "label_distance_mm", "label_probability", "atlas", "hemisphere")


def anatomy_inputs(config: Config, fit: Fit) -> object:
    """Everything but the responses that regions depend on: part of the key of their steps."""
    settings = asdict(config.anatomy)
    name = config.anatomy.atlas
    if name is None or fit.modality != "ieeg" or is_mesh_atlas(name):
        return None
    memo = config.paths.work_dir / "digests"
    files = []
    if name.endswith(ATLAS_IMAGES):
        image = Path(name)
        stem = image.name.split(".")[0]
        beside = [*image.parent.glob(f"{stem}.*"), *image.parent.glob("*_dseg.tsv")]
        files = sorted({*beside, image})
    elif name == FREESURFER:
        files = sorted(
            path
            for folder in subjects_folders(config)
            for path in (folder / f"sub-{fit.participant}" / "mri").glob("aparc*aseg.mgz")
        )
    return [settings, [[p.name, file_digest(p, memo)] for p in files]]


def localised(
    config: Config, fit: Fit, responses: Sequence[Response]
) -> tuple[list[Response], tuple[str, ...]]:
    """Give intracranial electrodes their regions; voxels and scalp electrodes pass as they are.

    Parameters
    ----------
    config : Config
    fit : Fit
    responses : sequence of Response
        The same targets in each.

    Returns
    -------
    responses : list of Response
        Their targets have ``region``, ``hemisphere``, ``label_distance_mm``,
        ``label_probability`` and ``atlas``.
    notes : tuple of str
    """
    if fit.modality != "ieeg":
        return list(responses), ()
    targets, notes = located(config, fit, responses[0].targets)
    return [replace(r, targets=targets) for r in responses], notes


def located(
    config: Config, fit: Fit, targets: pd.DataFrame
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Give intracranial electrodes the columns of `PLACE_COLUMNS`; see :func:`localised`."""
    _require_voxels(config.anatomy.atlas)
    targets = targets.copy()
    table = _electrodes_of(fit)
    if config.anatomy.atlas is None:
        places, notes = _said_by_the_dataset(fit, targets)
    else:
        # One table, one space; targets between two contacts have names of their own.
        space = "n/a" if table is None or table.empty else str(table["space"].iloc[0])
        electrodes = targets.assign(space=space)
        a = config.anatomy
        limits = Limits(a.limit_mm, a.strip_limit_mm, a.sphere_mm)
        places, notes = label_electrodes(electrodes, atlas_of(config, fit), limits=limits)
    for column in PLACE_COLUMNS:
        targets[column] = places[column].to_numpy()
    return targets, notes


def distances_refused(fit: Fit) -> str | None:
    """Why coordinates say nothing about which electrodes are neighbours; None where they do."""
    first = fit.recordings[0]
    if first.electrodes_path is None:
        return None
    space, unit = coordinate_system(first.coordsystem_path)
    if has_distances(space, unit):
        return None
    return f"coordinates in space '{space}' (unit {unit}) give no distances in the brain"


def _electrodes_of(fit: Fit) -> pd.DataFrame | None:
    first = fit.recordings[0]
    if first.electrodes_path is None or not first.electrodes_path.is_file():
        return None
    return read_electrodes(first.electrodes_path, first.coordsystem_path)


def _said_by_the_dataset(fit: Fit, targets: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Regions as a column of electrodes.tsv has them; without one, those of the responses."""
    places = pd.DataFrame(
        {
            "region": targets["region"], "label_distance_mm": np.nan, "label_probability": np.nan,
            "atlas": "n/a", "hemisphere": targets["hemisphere"],
        }
    )  # fmt: skip
    path = fit.recordings[0].electrodes_path
    table = read_tsv(path).fillna("n/a") if path is not None and path.is_file() else None
    by_low = {} if table is None else {str(c).lower(): c for c in table.columns}
    column = next((by_low[name] for name in REGION_COLUMNS if name in by_low), None)
    if table is None or column is None:
        if (places["region"] != "n/a").any():
            return places, ()
        how = "give --atlas NAME|FILE to label electrodes"
        return places, (f"No atlas was given and electrodes.tsv names no regions: {how}.",)
    said = table.assign(name=table["name"].str.strip()).set_index("name")[column].str.strip()
    places["region"] = [_region(str(name), said) for name in targets["name"]]
    return places, (f"Regions are those of the column {column} of electrodes.tsv.",)


def _region(target: str, said: pd.Series[str]) -> str:
    """Region of a channel, or of a derivation whose two contacts lie in the same one."""
    contacts = [target] if target in said.index else target.split("-", 1)
    regions = {str(said.get(contact, "n/a")) or "n/a" for contact in contacts}
    return regions.pop() if len(regions) == 1 else "n/a"


def _require_voxels(atlas: str | None) -> None:
    if atlas is None or not (is_mesh_atlas(atlas) or atlas == SEITZMAN or Path(atlas).is_dir()):
        return
    raise BrainAlignError(
        f"--atlas {Path(atlas).name}: electrodes are labelled by an atlas of voxels.",
        fix=f"give a label image (.nii.gz, .mgz) or one of {', '.join(ATLASES[:-1])}; or leave "
        "iEEG out with --bids-filter-file",
    )


def atlas_of(config: Config, fit: Fit) -> Atlas:
    """Read the atlas of voxels that the configuration names."""
    a = config.anatomy
    name = str(a.atlas)
    if name.endswith(ATLAS_IMAGES):
        return read_atlas(Path(name), space=a.atlas_space)
    if name == FREESURFER:
        return own_segmentation(fit.participant, subjects_folders(config))
    return _nilearn_once(name, config.control.allow_download)


@lru_cache(maxsize=1)
def _nilearn_once(name: str, allow_download: bool) -> Atlas:
    return nilearn_atlas(name, allow_download=allow_download)


def subjects_folders(config: Config) -> list[Path]:
    """Where FreeSurfer's participants may lie: as given, else in the usual places."""
    given = [path for name, path in config.paths.derivatives if name == FREESURFER]
    if given:
        return given
    derivatives = config.paths.bids_dir / "derivatives"
    usual = [derivatives / FREESURFER, derivatives / "fmriprep" / "sourcedata" / FREESURFER]
    return [folder for folder in usual if folder.is_dir()]
