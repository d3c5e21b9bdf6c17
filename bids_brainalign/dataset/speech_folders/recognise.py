"""Which corpus a folder holds, by its layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bids_brainalign.dataset.speech_folders.clip import SpeechFolder
from bids_brainalign.dataset.speech_folders.crema_d import is_crema_d, read_crema_d
from bids_brainalign.dataset.speech_folders.librispeech import is_librispeech, read_librispeech
from bids_brainalign.dataset.speech_folders.listed import TABLE, is_listed, read_listed
from bids_brainalign.dataset.speech_folders.speech_commands import (
    is_speech_commands,
    read_speech_commands,
)
from bids_brainalign.dataset.speech_folders.timit import is_timit, read_timit
from bids_brainalign.errors import BrainAlignError, ExitCode

KINDS: tuple[tuple[Callable[[Path], bool], Callable[[Path], SpeechFolder]], ...] = (
    (is_listed, read_listed),
    (is_timit, read_timit),
    (is_speech_commands, read_speech_commands),
    (is_librispeech, read_librispeech),
    (is_crema_d, read_crema_d),
)


def read_speech_folder(name: str, folder: Path) -> SpeechFolder:
    """Read a folder of ``--probe-data``.

    Parameters
    ----------
    name : str
        As given, for messages.
    folder : Path

    Raises
    ------
    BrainAlignError
        No such folder, or one of no known layout, or without clips (66); a file of it is broken
        (65).
    """
    if not folder.is_dir():
        raise _missing(name, f"there is no folder {folder}", "")
    for holds, read in KINDS:
        if holds(folder):
            found = read(folder)
            if not found.clips:
                raise _missing(name, f"{folder} looks like {found.kind}, but has no audio", "")
            return found
    inside = sorted(p.name for p in folder.iterdir())[:8]
    raise _missing(
        name,
        f"{folder} has the layout of no corpus known here",
        f"it holds: {', '.join(inside) or 'nothing'}",
    )


def _missing(name: str, what: str, where: str) -> BrainAlignError:
    return BrainAlignError(
        f"--probe-data {name}: {what}.",
        where=where,
        fix="give the folder of TIMIT (TRAIN and TEST in it), LibriSpeech (dev-clean … in it), "
        "Speech Commands (validation_list.txt in it) or CREMA-D (AudioWAV in it), or put a table "
        f"{TABLE} of the clips into it",
        exit_code=ExitCode.MISSING_INPUT,
    )
