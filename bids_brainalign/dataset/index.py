"""Recordings of a BIDS dataset and of its fMRIPrep derivative, through PyBIDS."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.derivatives import find_fmriprep
from bids_brainalign.dataset.sidecars import inherited_metadata
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode

IEEG_EXTENSIONS = (".edf", ".vhdr", ".set")
PREFERRED_SPACE = "MNI152NLin2009cAsym"
OUTSIDE = ("derivatives", "sourcedata", "code", "stimuli", "models", ".git", ".datalad")
"""Folders without recordings of this dataset."""


@dataclass(frozen=True)
class Index:
    """What lies there."""

    recordings: tuple[Recording, ...]
    skipped: tuple[tuple[str, str], ...]
    """Name and reason."""


def find_recordings(
    bids_dir: Path,
    *,
    derivatives: Sequence[tuple[str, Path]],
    selection: Selection,
    modalities: Sequence[str],
    database_dir: Path | None = None,
) -> Index:
    """List the recordings to run.

    Parameters
    ----------
    bids_dir : Path
    derivatives : sequence of (name, folder)
        ``-d``; without one, ``derivatives/*`` by fMRIPrep if there is exactly one.
    selection : Selection
    modalities : sequence of {"ieeg", "fmri"}
    database_dir : Path, optional
        Where PyBIDS keeps its index.

    Raises
    ------
    BrainAlignError
        Nothing is left after selection (18); BOLD without fMRIPrep outputs and nothing else (66);
        several spaces or derivatives to choose from (64).
    """
    layout = _layout(bids_dir, selection, database_dir, name="raw")
    participants = sorted(
        p.name.removeprefix("sub-") for p in bids_dir.glob("sub-*") if p.is_dir()
    )
    _require_participants(participants, selection, bids_dir)
    recordings: list[Recording] = []
    skipped: list[tuple[str, str]] = []
    if "ieeg" in modalities:
        recordings += _ieeg(layout, selection)
    raw_bold = _query(layout, selection, "bold", suffix="bold", extension=[".nii.gz", ".nii"])
    if "fmri" in modalities:
        folder = find_fmriprep(bids_dir, derivatives)
        if folder is not None:
            prepared = _layout(folder, selection, database_dir, name=folder.name)
            recordings += _bold(prepared, layout, selection)
        elif raw_bold:
            skipped.append(
                (
                    f"{len(raw_bold)} BOLD runs",
                    "there is no fMRIPrep derivative; run fMRIPrep, then give it with "
                    "-d fmriprep=PATH",
                )
            )
    if not recordings and skipped:
        name, reason = skipped[0]
        raise BrainAlignError(
            f"{name} of {bids_dir} can't be used: {reason}",
            where=f"looked in {bids_dir / 'derivatives'} for GeneratedBy fMRIPrep",
            fix="bids-brainalign … -d fmriprep=PATH",
            exit_code=ExitCode.MISSING_INPUT,
        )
    if not recordings:
        raise _nothing(bids_dir, participants, selection, modalities, layout)
    return Index(tuple(sorted(recordings, key=lambda r: (r.modality, r.name))), tuple(skipped))


def _layout(root: Path, selection: Selection, database_dir: Path | None, *, name: str) -> Any:
    """Index file names, of the chosen participants only; sidecars are read by us."""
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    ignore: list[re.Pattern[str] | str] = [
        re.compile(rf"^/({'|'.join(re.escape(folder) for folder in OUTSIDE)})(/|$)")
    ]
    if selection.participants:
        wanted = "|".join(re.escape(label) for label in selection.participants)
        ignore.append(re.compile(rf"^/sub-(?!(?:{wanted})(?:/|$|_))"))
    database = None
    if database_dir is not None:
        label = "-".join(selection.participants) or "all"
        database = database_dir / f"{name}-{label}"
    indexer = BIDSLayoutIndexer(validate=False, ignore=ignore, index_metadata=False)
    return BIDSLayout(
        root,
        validate=False,
        is_derivative=name != "raw",
        config=["bids", "derivatives"],
        database_path=database,
        indexer=indexer,
    )


def _query(layout: Any, selection: Selection, kind: str, **fixed: object) -> list[Any]:
    filters: dict[str, object] = dict(fixed)
    given = {
        "subject": selection.participants,
        "session": selection.sessions,
        "task": selection.tasks,
    }
    filters |= {key: list(values) for key, values in given.items() if values}
    for name, entities in selection.filters:
        if name == kind:
            filters |= {key: list(values) for key, values in entities}
    found = layout.get(**filters)
    if selection.runs:
        wanted = {label.lstrip("0") or "0" for label in selection.runs}
        found = [f for f in found if str(f.entities.get("run", "")).lstrip("0") in wanted]
    return list(found)


def _ieeg(layout: Any, selection: Selection) -> list[Recording]:
    recordings = []
    files = _query(layout, selection, "ieeg", suffix="ieeg", extension=list(IEEG_EXTENSIONS))
    for file in files:
        path = Path(file.path)
        stem = path.name.removesuffix(f"_ieeg{path.suffix}")
        electrodes, coordsystem, space = _electrodes(path, file.entities)
        recordings.append(
            Recording(
                **_labels(path),
                modality="ieeg",
                path=path,
                datatype="ieeg",
                entities=_entities(path),
                metadata=inherited_metadata(path, Path(layout.root)),
                events_path=_inherited(path, f"{stem}_events.tsv", layout),
                channels_path=_inherited(path, f"{stem}_channels.tsv", layout),
                electrodes_path=electrodes,
                coordsystem_path=coordsystem,
                space=space,
            )
        )
    return recordings


def _bold(prepared: Any, raw: Any, selection: Selection) -> list[Recording]:
    files = _query(
        prepared, selection, "bold", suffix="bold", desc="preproc", extension=[".nii.gz", ".nii"]
    )
    if not files:
        return []
    space = _choose_space({f.entities.get("space") or "native" for f in files}, selection.space)
    recordings = []
    for file in files:
        if (file.entities.get("space") or "native") != space:
            continue
        path = Path(file.path)
        before = path.name.split("_space-")[0].split("_desc-")[0]
        source = f"{before}_bold.nii.gz"
        events = [
            p
            for p in Path(raw.root).glob(f"sub-*/**/{before}_events.tsv")
            if p.parent.name == "func"
        ]
        metadata = _raw_metadata(raw, source)
        metadata |= inherited_metadata(path, Path(prepared.root))
        recordings.append(
            Recording(
                **_labels(path),
                modality="fmri",
                path=path,
                datatype="func",
                entities=_entities(path),
                metadata=metadata,
                events_path=events[0] if events else _task_events(Path(raw.root), path),
                mask_path=_existing(
                    path, path.name.replace("_desc-preproc_bold", "_desc-brain_mask")
                ),
                confounds_path=_existing(path, f"{before}_desc-confounds_timeseries.tsv"),
                space=space,
            )
        )
    return recordings


def _choose_space(spaces: set[str], wanted: str | None) -> str:
    listed = ", ".join(sorted(spaces))
    if wanted is not None:
        if wanted not in spaces:
            near = difflib.get_close_matches(wanted, spaces, n=1)
            raise BrainAlignError(
                f"--space {wanted}: no preprocessed BOLD is in that space",
                where=f"spaces found: {listed}",
                fix=f"--space {near[0] if near else sorted(spaces)[0]}",
                exit_code=ExitCode.NOTHING_SELECTED,
            )
        return wanted
    if len(spaces) == 1:
        return next(iter(spaces))
    if PREFERRED_SPACE in spaces:
        return PREFERRED_SPACE
    raise BrainAlignError(
        "the derivative has BOLD in several spaces",
        where=f"spaces found: {listed}",
        fix="choose one with --space",
        exit_code=ExitCode.USAGE,
    )


def _entities(path: Path) -> tuple[tuple[str, str], ...]:
    pairs = (part.split("-", 1) for part in path.name.split("_") if "-" in part)
    return tuple((key, value) for key, value in pairs)


def _labels(path: Path) -> dict[str, Any]:
    """Labels as written in the name: PyBIDS turns run-01 into 1."""
    entities = dict(_entities(path))
    return {
        "participant": entities["sub"],
        "session": entities.get("ses"),
        "task": entities.get("task", "n/a"),
        "run": entities.get("run"),
    }


def _existing(path: Path, name: str) -> Path | None:
    other = path.with_name(name)
    return other if other.exists() or other.is_symlink() else None


def _inherited(path: Path, name: str, layout: Any) -> Path | None:
    """File beside the recording, or a dataset-level one for its task (inheritance principle)."""
    beside = _existing(path, name)
    if beside is not None:
        return beside
    suffix = name.rsplit("_", 1)[1]
    if suffix == "events.tsv":
        return _task_events(Path(layout.root), path)
    return None


def _task_events(root: Path, path: Path) -> Path | None:
    common = root / f"task-{_labels(path)['task']}_events.tsv"
    return common if common.exists() else None


def _electrodes(
    path: Path, entities: dict[str, object]
) -> tuple[Path | None, Path | None, str | None]:
    """Choose electrodes.tsv in MNI space if there is one; with the coordsystem of that space."""
    labels = _labels(path)
    stem = f"sub-{labels['participant']}" + (
        f"_ses-{labels['session']}" if labels["session"] else ""
    )
    files = sorted(path.parent.glob(f"{stem}*_electrodes.tsv"))
    if not files:
        return None, None, None

    def space_of(file: Path) -> str | None:
        return dict(_entities(file)).get("space")

    chosen = min(files, key=lambda f: (not (space_of(f) or "").startswith("MNI"), f.name))
    coordsystem = chosen.with_name(chosen.name.replace("_electrodes.tsv", "_coordsystem.json"))
    if not coordsystem.exists():
        others = sorted(path.parent.glob(f"{stem}*_coordsystem.json"))
        same = [p for p in others if dict(_entities(p)).get("space") == space_of(chosen)]
        return chosen, same[0] if same else None, space_of(chosen)
    return chosen, coordsystem, space_of(chosen)


def _raw_metadata(raw: Any, name: str) -> dict[str, object]:
    """Sidecar fields of the unprocessed run, whose image may be absent."""
    for file in raw.get(suffix="bold", extension=[".nii.gz", ".nii", ".json"]):
        path = Path(file.path)
        if path.name.split(".")[0] == name.split(".")[0]:
            return inherited_metadata(path, Path(raw.root))
    return {}


def _require_participants(
    participants: Sequence[str], selection: Selection, bids_dir: Path
) -> None:
    absent = [label for label in selection.participants if label not in participants]
    if not absent:
        return
    near = [m for label in absent for m in difflib.get_close_matches(label, participants, n=1)]
    hint = f"--participant-label {' '.join(near)}" if near else "choose from those"
    raise BrainAlignError(
        f"--participant-label: {bids_dir} has no participant {', '.join(absent)}",
        where=f"participants: {_some(participants)}",
        fix=hint,
        exit_code=ExitCode.NOTHING_SELECTED,
    )


def _nothing(
    bids_dir: Path,
    participants: Sequence[str],
    selection: Selection,
    modalities: Sequence[str],
    layout: Any,
) -> BrainAlignError:
    given = {
        "--participant-label": selection.participants,
        "--session-label": selection.sessions,
        "--task-label": selection.tasks,
        "--run-label": selection.runs,
    }
    filters = [f"{name} {' '.join(values)}" for name, values in given.items() if values]
    if selection.filters:
        filters.append("--bids-filter-file")
    tasks = sorted(layout.get_tasks())
    near = [m for t in selection.tasks for m in difflib.get_close_matches(t, tasks, n=1)]
    runs = sorted({str(r) for r in layout.get_runs()})
    return BrainAlignError(
        f"no recording was selected in {bids_dir}",
        where=f"searched for {' and '.join(modalities)} recordings"
        + (f" with {', '.join(filters)}" if filters else "")
        + f"; the dataset has participants {_some(participants)}, tasks {_some(tasks)}, "
        f"sessions {_some(sorted(layout.get_sessions()))}, runs {_some(runs)}",
        fix=f"--task-label {near[0]}" if near else "widen the selection, or check BIDS_DIR",
        exit_code=ExitCode.NOTHING_SELECTED,
    )


def _some(labels: Iterable[str]) -> str:
    listed = list(labels)
    shown = ", ".join(listed[:12]) or "none"
    return f"{shown}, … ({len(listed)})" if len(listed) > 12 else shown
