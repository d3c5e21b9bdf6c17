"""Recordings that a derivative has already prepared: cleaned ones, and ready-made high gamma.

Such folders (``derivatives/ecogprep`` of ds005574) often have no ``dataset_description.json``, no
``channels.tsv`` and files of a format outside BIDS (FIF), so they are looked through by name.
Events, channels and electrodes are those of the raw recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.selection import passes
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode

EXTENSIONS = (".fif", ".edf", ".vhdr", ".set")
FOLDERS = ("ieeg", "eeg")
HIGH_GAMMA = "highgamma"
BROADBAND = "broadband"


def prepared_files(folder: Path) -> list[DatasetFile]:
    """List the recordings of electrodes below a derivative, in the order of their paths."""
    found = [
        DatasetFile(path)
        for datatype in FOLDERS
        for pattern in (f"sub-*/{datatype}", f"sub-*/ses-*/{datatype}")
        for path in folder.glob(f"{pattern}/sub-*_{datatype}.*")
    ]
    # Of a split FIF the first part names the others.
    first = [f for f in found if int(f.entities.get("split", "1")) == 1]
    return sorted((f for f in first if f.extension in EXTENSIONS), key=lambda f: str(f.path))


def use_prepared(
    recordings: Sequence[Recording],
    derivatives: Sequence[tuple[str, Path]],
    selection: Selection,
) -> list[Recording]:
    """Put prepared files in the place of the raw recordings they were made of.

    Parameters
    ----------
    recordings : sequence of Recording
        Raw ones.
    derivatives : sequence of (name, folder)
        ``-d``. High gamma (``desc-highgamma``) is preferred to a cleaned recording.
    selection : Selection
        A filter file may choose by ``desc``.

    Raises
    ------
    BrainAlignError
        64: several prepared files of one recording.
    """
    files = [(name, f) for name, folder in derivatives for f in prepared_files(folder)]
    return [_replaced(recording, files, selection) for recording in recordings]


def _replaced(
    recording: Recording, files: Sequence[tuple[str, DatasetFile]], selection: Selection
) -> Recording:
    mine = [
        (name, f)
        for name, f in files
        if f.name == recording.name
        and f.suffix == recording.datatype
        and passes(f, selection, recording.datatype)
    ]
    ready = [(name, f) for name, f in mine if f.entities.get("desc", "").lower() == HIGH_GAMMA]
    chosen = ready or mine
    if not chosen:
        return recording
    if len(chosen) > 1:
        raise BrainAlignError(
            f"{recording.name} has several prepared recordings",
            where=", ".join(str(f.path) for _, f in chosen),
            fix="choose one with -d, or by desc with --bids-filter-file",
            exit_code=ExitCode.USAGE,
        )
    name, file = chosen[0]
    return replace(
        recording,
        path=file.path,
        prepared=HIGH_GAMMA if ready else BROADBAND,
        prepared_by=name,
    )
