"""Regions of interest of fMRI: named sets of an atlas' labels, and the targets in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.anatomy.atlas import LOOKUPS, region_and_side
from bids_brainalign.anatomy.mesh_labels import MeshLabels, label_files, read_mesh_labels
from bids_brainalign.anatomy.named_atlases import own_surface_labels
from bids_brainalign.anatomy.roi_sets import Resolved, Roi, bare, resolve
from bids_brainalign.anatomy.spheres import SEITZMAN, seitzman_spheres
from bids_brainalign.config.checks import is_atlas_path, is_mesh_atlas
from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.derivatives import FREESURFER
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.target_regions import LabelSource, require_fit, target_regions
from bids_brainalign.responses.types import Response
from bids_brainalign.store.digest import file_digest
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.localisation import atlas_of, subjects_folders

Mask = NDArray[np.bool_]
SIDES = ("L", "R")


@dataclass(frozen=True)
class Regions:
    """Groups of targets, as rows of scores.tsv."""

    members: Mask
    """(n_regions, n_targets)."""
    rows: pd.DataFrame
    """``name, type, hemisphere, region``."""
    notes: tuple[str, ...]


def region_inputs(config: Config) -> object:
    """Everything but the responses that regions of interest depend on: part of a step's key."""
    name = config.anatomy.atlas
    if name is None:
        return None
    memo = config.paths.work_dir / "digests"
    path, files = Path(name), list[Path]()
    if is_atlas_path(name) and (is_mesh_atlas(name) or path.is_dir()):
        files = label_files(path)
    elif is_atlas_path(name):
        stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
        beside = [path.with_name(stem + suffix) for suffix in LOOKUPS]
        files = [
            path,
            *(p for p in beside if p.is_file()),
            *sorted(path.parent.glob("*_dseg.tsv")),
        ]
    elif name == FREESURFER:
        for folder in subjects_folders(config):
            files += sorted(folder.glob("sub-*/mri/aparc*aseg.mgz"))
            files += sorted(folder.glob("sub-*/label/?h.aparc*.annot"))
    digests = [[p.name, file_digest(p, memo)] for p in dict.fromkeys(files)]
    return [name if not files else "", config.anatomy.atlas_space, asdict(config.rois), digests]


def regions_of_interest(config: Config, fit: Fit, responses: Sequence[Response]) -> Regions | None:
    """Find regions of interest among the targets of a fit.

    Parameters
    ----------
    config : Config
    fit : Fit
    responses : sequence of Response
        The same targets in each.

    Returns
    -------
    Regions or None
        None without an atlas, and for electrodes.

    Raises
    ------
    BrainAlignError
        65: the atlas does not fit the responses, or no target lies in any region asked for.
    """
    if fit.modality != "fmri" or config.anatomy.atlas is None:
        return None
    grid, targets = responses[0].grid, responses[0].targets
    found = target_regions(grid, targets, _source(config, fit))
    resolved = resolve(found.known, sets=config.rois.sets, own=dict(config.rois.own))
    region, side = _split(found.label, targets)
    groups, notes = _groups(region, side, resolved.rois)
    if config.rois.all_regions or not resolved.rois:
        groups |= _every_region(region, side, taken=groups)
    if not groups:
        raise BrainAlignError(
            f"--atlas {config.anatomy.atlas}: no target lies in any region of interest.",
            where="; ".join([*resolved.notes, *notes]),
            fix="under [rois] of --config-file name sets the atlas has, or all_regions = true",
        )
    rows = pd.DataFrame(
        [
            {"name": name, "type": "parcel", "hemisphere": hemisphere, "region": label}
            for name, (label, hemisphere, _) in groups.items()
        ]
    )
    members = np.stack([mask for _, _, mask in groups.values()])
    said = _said(resolved, members, rows, all_regions=config.rois.all_regions)
    return Regions(members, rows, (*found.notes, *resolved.notes, *notes, *said))


def require_atlas(config: Config, fits: Sequence[Fit]) -> None:
    """Refuse an atlas that suits none of the fits, before hours of work.

    Raises
    ------
    BrainAlignError
        That of the first fit.
    """
    errors = [_misfit(config, fit) for fit in fits]
    if errors and all(errors):
        raise next(error for error in errors if error is not None)


def _misfit(config: Config, fit: Fit) -> BrainAlignError | None:
    if fit.modality != "fmri" or config.anatomy.atlas is None:
        return None
    first = fit.recordings[0]
    try:
        require_fit(first.kind, first.space or "n/a", _source(config, fit))
    except BrainAlignError as error:
        return error
    return None


def _source(config: Config, fit: Fit) -> LabelSource:
    """Read the atlas that is meant for these responses."""
    name = str(config.anatomy.atlas)
    if name == SEITZMAN:
        return seitzman_spheres()
    if is_atlas_path(name) and (is_mesh_atlas(name) or Path(name).is_dir()):
        return read_mesh_labels(Path(name))
    if name == FREESURFER and fit.recordings[0].kind == "surface":
        return _own_surface(config, fit)
    atlas = atlas_of(config, fit)
    return replace(atlas, space=config.anatomy.atlas_space or atlas.space)


def _own_surface(config: Config, fit: Fit) -> MeshLabels:
    space = fit.recordings[0].space or "n/a"
    if space.lower() != "fsnative":
        raise BrainAlignError(
            f"--atlas {FREESURFER}: the responses are on {space}, the participant's own "
            "labels on fsnative.",
            fix="choose --space fsnative, or give lh.aparc.annot of fsaverage as a file",
        )
    return own_surface_labels(fit.participant, subjects_folders(config))


def _split(
    label: NDArray[np.object_], targets: pd.DataFrame
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Region and hemisphere of every target; the target's own side where the label has none."""
    names, where = np.unique(label.astype(str), return_inverse=True)
    region = np.array([bare(name) for name in names], dtype=object)[where]
    side = np.array([region_and_side(name)[1] for name in names], dtype=object)[where]
    own = targets["hemisphere"].to_numpy(dtype=object)
    return region, np.where(side == "n/a", own, side)


def _groups(
    region: NDArray[np.object_], side: NDArray[np.object_], rois: Sequence[Roi]
) -> tuple[dict[str, tuple[str, str, Mask]], list[str]]:
    """Name → ROI, hemisphere and members: of both sides together and of each."""
    groups: dict[str, tuple[str, str, Mask]] = {}
    notes = []
    for roi in rois:
        inside = np.isin(region.astype(str), sorted(roi.labels))
        if not inside.any():
            notes.append(f"ROI {roi.name} is left out: no target lies in it.")
            continue
        groups |= _sides(roi.name, inside, side, together=True)
    return groups, notes


def _sides(
    name: str, inside: Mask, side: NDArray[np.object_], *, together: bool
) -> dict[str, tuple[str, str, Mask]]:
    here = [s for s in SIDES if (inside & (side == s)).any()]
    each = {f"{name}-{s}": (name, s, inside & (side == s)) for s in here}
    whole = {name: (name, here[0] if len(here) == 1 else "n/a", inside)}
    if len(here) == 1:
        return each if (inside == each[f"{name}-{here[0]}"][2]).all() else whole | each
    return whole | each if together or not here else each


def _every_region(
    region: NDArray[np.object_],
    side: NDArray[np.object_],
    *,
    taken: dict[str, tuple[str, str, Mask]],
) -> dict[str, tuple[str, str, Mask]]:
    """Give every region of the atlas, one row per side; a set's name stays the set's."""
    found: dict[str, tuple[str, str, Mask]] = {}
    sets = {label for label, _, _ in taken.values()}
    for label in sorted(set(region.astype(str)) - {"n/a"}):
        name = f"{label}.label" if label in sets else label
        found |= _sides(name, region == label, side, together=False)
    return found


def _said(
    resolved: Resolved, members: Mask, rows: pd.DataFrame, *, all_regions: bool
) -> list[str]:
    """Say how many targets each set has; of all regions only how many there are."""
    sizes = dict(zip(rows["name"], members.sum(axis=1).tolist(), strict=True))
    of_sets = [n for n in sizes if any(n in (r.name, f"{r.name}-L", f"{r.name}-R")
                                       for r in resolved.rois)]  # fmt: skip
    said = []
    if of_sets:
        listed = ", ".join(f"{name} {sizes[name]}" for name in of_sets)
        said.append(f"Voxels or vertices in the regions of interest: {listed}.")
    if all_regions or not of_sets:
        said.append(f"{len(sizes) - len(of_sets)} regions of the atlas, by hemisphere, are rows.")
    return said
