"""``brainalign check``: what a run would find in a dataset. Nothing is computed or written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.annotation_files import AnnotationFiles
from bids_brainalign.dataset.column_files import column_files
from bids_brainalign.dataset.content import group_content
from bids_brainalign.dataset.description import read_description
from bids_brainalign.dataset.index import Survey, survey
from bids_brainalign.dataset.pointers import annex_key, content_sha256, is_pointer, require_content
from bids_brainalign.dataset.rules.search import search
from bids_brainalign.dataset.rules.sources import Heard, Sources
from bids_brainalign.dataset.spoken_words import find_spoken_words
from bids_brainalign.dataset.stimuli import words_of
from bids_brainalign.dataset.stimuli_map import StimulusNotes, read_stimuli_map
from bids_brainalign.dataset.stimulus_files import require_distinct_names, require_stimulus
from bids_brainalign.dataset.types import Recording, Stimulus
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.channels import EEG_TYPES, NEURAL_TYPES, choose_channels
from bids_brainalign.responses.columns import column_shape
from bids_brainalign.responses.confounds import volumes_needed
from bids_brainalign.responses.speech_sound import find_sound
from bids_brainalign.workflow.check.facts import Facts, Run, Sound, Spoken


def check(config: Config) -> Facts:
    """Look at a dataset as a run would, and go on where a run would stop.

    Raises
    ------
    BrainAlignError
        The dataset or an option's file is absent (66), the filters select nothing (18), the
        options leave a choice open (64), or ``dataset_description.json`` is missing (16).
    """
    bids_dir = config.paths.bids_dir.absolute()
    found = survey(
        bids_dir,
        derivatives=config.paths.derivatives,
        selection=config.selection,
        modalities=config.modalities,
        database_dir=config.paths.bids_database_dir,
        bold_desc=volumes_needed(config.fmri.confounds),
    )
    name = str(read_description(bids_dir).get("Name", bids_dir.name)).strip()
    given = None
    if config.paths.stimuli_map is not None:
        given = read_stimuli_map(config.paths.stimuli_map, bids_dir)
    sources = Sources(bids_dir, given)
    # Raw runs that ready-made responses leave out are no runs to be.
    unprepared = found.unprepared if found.columns is None else ()
    runs = tuple(
        [_run(r, sources, prepared=True) for r in found.recordings]
        + [_run(r, sources, prepared=False) for r in unprepared]
    )
    heard = {h.path: h.recording.name for run in runs for h in run.heard}
    said = {p: given.about(p) if given is not None else StimulusNotes() for p in heard}
    files = AnnotationFiles(bids_dir, only_audio=len(sources.audio) == 1)
    sounds, pointers, notes = _sounds(heard, said, files, config.folds.transcript_overlap, sources)
    pointers += [p for run in runs for p in run.pointers]
    return Facts(
        bids_dir=bids_dir,
        name=name,
        survey=found,
        runs=runs,
        sounds=sounds,
        n_audio=len(sources.audio),
        notes=notes,
        pointers=tuple(dict.fromkeys(pointers)),
        responses=_hdf5_responses(found),
    )


def _run(recording: Recording, sources: Sources, *, prepared: bool) -> Run:
    problems, pointers = [], []
    needed = [*recording.paths, recording.mask_path, recording.confounds_path]
    for path in needed if prepared else ():
        try:
            if path is not None:
                require_content(path, sources.bids_dir)
        except BrainAlignError as error:
            if is_pointer(path):  # type: ignore[arg-type]  # None raises nothing
                pointers.append(path)
            else:
                problems.append(error.what)
    heard: tuple[Heard, ...] = ()
    reason = ""
    try:
        found = search(recording, sources)
        heard, reason = found.heard, found.reason
    except BrainAlignError as error:
        reason = error.what
        if recording.events_path is not None and is_pointer(recording.events_path):
            pointers.append(recording.events_path)
            reason = "its events.tsv is not downloaded"
    n_channels = None
    if prepared:
        lacking, n_channels = _facts(recording)
        problems += lacking
    return Run(
        recording,
        prepared,
        heard,
        reason,
        tuple(problems),
        tuple(p for p in pointers if p is not None),
        n_channels,
        _spoken(recording) if recording.modality == "ieeg" and not heard else None,
    )


def _spoken(recording: Recording) -> Spoken | None:
    """Words that the participant spoke; None where none are found, for whatever reason."""
    try:
        words = find_spoken_words(recording)
        sound = find_sound(recording)
    except BrainAlignError:
        return None
    labels = words.table["word"].str.casefold()
    source = "" if sound is None else sound.source
    return Spoken(len(labels), labels.nunique(), words.rule, source)


def _facts(recording: Recording) -> tuple[list[str], int | None]:
    """Say what a recording's sidecars must tell and do not; count its good channels."""
    if recording.modality == "fmri":
        lacking = []
        if not isinstance(recording.metadata.get("RepetitionTime"), int | float):
            lacking.append("no RepetitionTime in the JSON sidecar of its image")
        if recording.mask_path is None and recording.kind == "volume":
            lacking.append("no desc-brain_mask beside its image")
        if recording.kind == "columns" and recording.path.exists():
            lacking += _columns_lack(recording)
        return lacking, None
    try:
        types = EEG_TYPES if recording.modality == "eeg" else NEURAL_TYPES
        choice = choose_channels(
            recording.channels_path, recording_name=recording.name, types=types
        )
    except BrainAlignError as error:
        return [error.what], None
    return [], len(choice.kept)


def _columns_lack(recording: Recording) -> list[str]:
    """Say what is wrong with a file of HDF5 responses; its header is read, not its values."""
    try:
        column_shape(recording.path)
    except BrainAlignError as error:
        return [] if is_pointer(recording.path) else [error.what]
    return []


def _sounds(
    heard: Mapping[Path, str],
    said: Mapping[Path, StimulusNotes],
    files: AnnotationFiles,
    overlap: float,
    sources: Sources,
) -> tuple[tuple[Sound, ...], list[Path], tuple[str, ...]]:
    """Describe the sounds and group them; audio that is not here is known by name and key."""
    pointers: list[Path] = []
    stimuli: dict[Path, Stimulus] = {}
    problems: dict[Path, str] = {}
    pending: set[Path] = set()
    sizes = Counter(p.stat().st_size for p in heard if p.is_file() and not is_pointer(p))
    for path, wanted_by in heard.items():
        words = None
        try:
            away = () if said[path].transcript is not None else files.pending(path)
            pointers += away
            pending |= {path} if away else set()
            words = None if away else words_of(path, said[path], files)
        except BrainAlignError as error:
            problems[path] = error.what
        duration_s = None
        if is_pointer(path):
            pointers.append(path)
            problems.pop(path, None)
        else:
            try:
                require_stimulus(path, sources.bids_dir, wanted_by=wanted_by)
                duration_s = sources.duration_s(path)
            except BrainAlignError as error:
                problems[path] = error.what
        length = float("nan") if duration_s is None else duration_s
        stimuli[path] = Stimulus(path.stem, path, length, _identity(path, sizes), words)
    try:
        require_distinct_names(list(heard), sources.bids_dir)
    except BrainAlignError as error:
        problems[next(iter(heard))] = f"{error.what}: {error.where}"
    named = {s.name: said[p].content_groups for p, s in stimuli.items()}
    groups, notes = group_content(list(stimuli.values()), named, overlap=overlap)
    sounds = tuple(
        Sound(
            path,
            None if stimulus.duration_s != stimulus.duration_s else stimulus.duration_s,
            problems.get(path, ""),
            is_pointer(path),
            stimulus.words,
            path in pending,
            groups[stimulus.name],
        )
        for path, stimulus in sorted(stimuli.items())
    )
    return sounds, pointers, notes


def _identity(path: Path, sizes: Mapping[int, int]) -> str:
    """Identify audio, as two copies do alike; only files of equal size are hashed."""
    key = annex_key(path)
    if key is not None:
        return key
    if path.is_file() and sizes[path.stat().st_size] > 1:
        return content_sha256(path)
    return str(path)


def _hdf5_responses(found: Survey) -> tuple[str, int, int] | None:
    """Folder of HDF5 responses that is used, how many files it holds, and of how many people."""
    if found.columns is None:
        return None
    files = column_files(found.columns, found.participants)
    return str(found.columns), len(files), len({path.parent for path in files})
