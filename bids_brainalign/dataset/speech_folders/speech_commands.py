"""Speech Commands (Warden 2018): a folder per word, and lists of the parts."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.dataset.speech_folders.clip import Clip, Part, SpeechFolder

LISTS: dict[str, Part] = {"validation_list.txt": "validation", "testing_list.txt": "test"}


def is_speech_commands(folder: Path) -> bool:
    """Whether both lists of parts are there."""
    return all((folder / name).is_file() for name in LISTS)


def read_speech_commands(folder: Path) -> SpeechFolder:
    """Read all words; background noise is left out.

    Notes
    -----
    The lists part speakers by the digest in the name (Warden 2018, arXiv 1804.03209, section 7).
    The same words are in all parts: what is told apart is the word itself.
    """
    parts: dict[str, Part] = {}
    for name, part in LISTS.items():
        lines = (folder / name).read_text(encoding="utf-8").split()
        parts |= dict.fromkeys(lines, part)
    clips = []
    for path in sorted(folder.glob("*/*.wav")):
        word, speaker = path.parent.name, path.stem.partition("_nohash_")[0]
        if word.startswith("_"):
            continue
        relative = f"{word}/{path.name}"
        clips.append(
            Clip(
                name=f"{word}_{path.stem}",
                path=path,
                speaker=speaker,
                part=parts.get(relative, "train"),
                labels=(("word", word),),
            )
        )
    return SpeechFolder("Speech Commands", tuple(clips), ("The corpus' own lists are the parts.",))
