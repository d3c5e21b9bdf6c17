"""Preprocessed BOLD runs: fMRIPrep's image, mask and confounds with the raw run's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.derivatives import NATIVE, choose_space, space_label
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.listing import Listing
from bids_brainalign.dataset.selection import passes
from bids_brainalign.dataset.sidecars import inherited_metadata
from bids_brainalign.dataset.types import Recording

NIFTI = (".nii.gz", ".nii")
SURFACES = (".func.gii", ".dtseries.nii")
# What a filter file says about preprocessed images does not fit raw ones.
_DERIVED = ("space", "res", "den", "desc")


def raw_bold(raw: Listing, selection: Selection) -> list[DatasetFile]:
    """List the selected raw BOLD runs."""
    return [
        f
        for f in raw.of("bold", NIFTI)
        if "desc" not in f.entities and passes(f, selection, "bold", but=_DERIVED)
    ]


def raw_recordings(
    raw: Listing, selection: Selection, *, prepared: Sequence[Recording]
) -> list[Recording]:
    """Describe the selected raw runs that have no preprocessed image, each once.

    Their sidecars are not read: there may be hundreds, and nothing is computed from raw images.
    """
    known = {r.name for r in prepared}
    found: dict[str, Recording] = {}
    for file in raw_bold(raw, selection):
        if file.name in known or file.name in found:
            continue
        found[file.name] = Recording(
            participant=file.entities["sub"],
            session=file.entities.get("ses"),
            task=file.entities.get("task", ""),
            run=file.entities.get("run"),
            modality="fmri",
            path=file.path,
            datatype="func",
            entities=tuple(file.entities.items()),
            events_path=raw.nearest(
                file.source_entities(), file.path.parent, suffix="events", extension=".tsv"
            ),
        )
    return list(found.values())


def find_bold(
    raw: Listing, prepared: Listing, selection: Selection
) -> tuple[list[Recording], list[tuple[str, str]]]:
    """List the selected preprocessed runs in one space, and which runs are left out and why.

    Raises
    ------
    BrainAlignError
        See :func:`~bids_brainalign.dataset.derivatives.choose_space`.
    """
    found = [
        f
        for f in prepared.of("bold", NIFTI)
        if f.entities.get("desc") == "preproc" and passes(f, selection, "bold")
    ]
    recordings: list[Recording] = []
    skipped: dict[str, str] = {}
    if found:
        space = choose_space({space_label(f) for f in found}, selection.space)
        for file in found:
            if space_label(file) == space:
                recordings.append(_recording(file, raw, prepared))
        have = {r.name for r in recordings}
        for file in found:
            if file.name not in have:
                skipped[file.name] = f"it is not in space {space}"
    surfaces = {f.name for f in prepared.of("bold", SURFACES)}
    known = {r.name for r in recordings} | set(skipped)
    for file in raw_bold(raw, selection):
        if file.name in known:
            continue
        skipped[file.name] = f"{prepared.root.name} has no desc-preproc_bold.nii.gz of it" + (
            ", only surfaces; rerun fMRIPrep with a volume among its --output-spaces"
            if file.name in surfaces
            else ""
        )
    return recordings, list(skipped.items())


def _recording(file: DatasetFile, raw: Listing, prepared: Listing) -> Recording:
    entities, folder = file.entities, file.path.parent
    source = file.source_entities()
    raw_folder = raw.root / folder.relative_to(prepared.root)
    confounds = [
        f.path
        for suffix in ("timeseries", "regressors")  # the latter before fMRIPrep 20.2
        for f in prepared.of(suffix, (".tsv",))
        if f.entities == source | {"desc": "confounds"} and f.path.parent == folder
    ]
    masks = [
        f.path
        for f in prepared.of("mask", NIFTI)
        if f.entities == entities | {"desc": "brain"} and f.path.parent == folder
    ]
    # One raw image stands for all echoes and parts of a run: they share TR and slice times.
    one = source | {"echo": "1", "part": "mag"}
    raw_image = raw_folder / _named(one, "bold.nii.gz")
    said = inherited_metadata(raw_image, raw.root, missing_ok=True)
    return Recording(
        participant=entities["sub"],
        session=entities.get("ses"),
        task=entities.get("task", ""),
        run=entities.get("run"),
        modality="fmri",
        path=file.path,
        datatype="func",
        entities=tuple(entities.items()),
        metadata=said | inherited_metadata(file.path, prepared.root),
        events_path=raw.nearest(source, raw_folder, suffix="events", extension=".tsv"),
        mask_path=masks[0] if masks else None,
        confounds_path=confounds[0] if confounds else None,
        space=entities.get("space", NATIVE),
    )


def _named(entities: Mapping[str, str], rest: str) -> str:
    return "_".join([*(f"{key}-{value}" for key, value in entities.items()), rest])
