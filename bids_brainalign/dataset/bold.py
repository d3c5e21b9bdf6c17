"""Preprocessed BOLD runs: fMRIPrep's series, mask and confounds with the raw run's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.derivatives import NATIVE, choose_kind, space_label
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.kinds import GRAYORDINATES, SURFACES, VOLUMES, Kind, kind_of
from bids_brainalign.dataset.listing import Listing
from bids_brainalign.dataset.selection import passes
from bids_brainalign.dataset.sidecars import inherited_metadata
from bids_brainalign.dataset.types import Recording

PREPROCESSED = "preproc"
"""``desc-`` of fMRIPrep's volumes."""
# What a filter file says about preprocessed images does not fit raw ones.
_DERIVED = ("hemi", "space", "res", "den", "desc")


def raw_bold(raw: Listing, selection: Selection) -> list[DatasetFile]:
    """List the selected raw BOLD runs."""
    return [
        f
        for f in raw.of("bold", VOLUMES)
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
    raw: Listing, prepared: Listing, selection: Selection, *, desc: str = PREPROCESSED
) -> tuple[list[Recording], list[tuple[str, str]]]:
    """List the selected preprocessed runs in one space, and which runs are left out and why.

    Parameters
    ----------
    raw, prepared : Listing
    selection : Selection
    desc : str
        Of the volumes; surfaces and CIFTI files of fMRIPrep have none.

    Raises
    ------
    BrainAlignError
        See :func:`~bids_brainalign.dataset.derivatives.choose_kind`.
    """
    found = _without_parts(
        [f for f in _series(prepared, desc) if passes(f, selection, "bold")],
    )
    recordings: list[Recording] = []
    skipped: dict[str, str] = {}
    if found:
        spaces: dict[Kind, set[str]] = {}
        for file in found:
            spaces.setdefault(kind_of(file.path), set()).add(space_label(file))
        kind, space = choose_kind(spaces, selection.space)
        chosen = [f for f in found if (kind_of(f.path), space_label(f)) == (kind, space)]
        for file, right in _pairs(chosen):
            recordings.append(_recording(file, right, raw, prepared))
        have = {r.name for r in recordings}
        for name in dict.fromkeys(f.name for f in found if f.name not in have):
            others = sorted({space_label(f) for f in found if f.name == name})
            skipped[name] = f"it is not in space {space}, only in {', '.join(others)}"
    known = {r.name for r in recordings} | set(skipped)
    for file in raw_bold(raw, selection):
        if file.name not in known:
            skipped[file.name] = f"{prepared.root.name} has no desc-{desc}_bold.nii.gz of it"
    return recordings, list(skipped.items())


def _series(prepared: Listing, desc: str) -> list[DatasetFile]:
    """Preprocessed series of every kind."""
    volumes = [f for f in prepared.of("bold", VOLUMES) if f.entities.get("desc") == desc]
    others = prepared.of("bold", (*SURFACES, *GRAYORDINATES))
    return [*volumes, *(f for f in others if f.entities.get("desc", desc) == desc)]


def _without_parts(found: Sequence[DatasetFile]) -> list[DatasetFile]:
    """Leave out single echoes and phases of runs of which there is the whole as well."""
    whole = {tuple(f.source_entities().items()) for f in found if not _is_part(f)}
    return [f for f in found if not (_is_part(f) and tuple(f.source_entities().items()) in whole)]


def _is_part(file: DatasetFile) -> bool:
    return "echo" in file.entities or file.entities.get("part", "mag") != "mag"


def _pairs(chosen: Sequence[DatasetFile]) -> list[tuple[DatasetFile, DatasetFile | None]]:
    """Put the hemispheres of a surface together: left and right, or the one there is."""
    pairs: dict[tuple[tuple[str, str], ...], list[DatasetFile]] = {}
    for file in chosen:
        key = tuple((k, v) for k, v in file.entities.items() if k != "hemi")
        mine = pairs.setdefault((*key, ("extension", file.extension)), [])
        mine.append(file)
    found: list[tuple[DatasetFile, DatasetFile | None]] = []
    for mine in pairs.values():
        by_side = {f.entities.get("hemi", ""): f for f in mine}
        left, right = by_side.get("L"), by_side.get("R")
        found.append((left, right) if left and right else (mine[0], None))
    return found


def _recording(
    file: DatasetFile, right: DatasetFile | None, raw: Listing, prepared: Listing
) -> Recording:
    entities = {key: value for key, value in file.entities.items() if key != "hemi"}
    folder = file.path.parent
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
        for f in prepared.of("mask", VOLUMES)
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
        mask_path=masks[0] if masks and kind_of(file.path) == "volume" else None,
        confounds_path=confounds[0] if confounds else None,
        space=entities.get("space", NATIVE),
        right_path=right.path if right is not None else None,
    )


def _named(entities: Mapping[str, str], rest: str) -> str:
    return "_".join([*(f"{key}-{value}" for key, value in entities.items()), rest])
