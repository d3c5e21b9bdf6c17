"""The real datasets of ``shared/data`` as they lie after ``datalad clone``: names and sidecars.

Images, audio and recordings are git-annex pointers (links to content that is not there); text
files hold their real text where ``shared/data`` has it.
"""

import hashlib
import os
import shutil
from pathlib import Path

ANNEXED = (".nii.gz", ".nii", ".wav", ".mp3", ".edf", ".hf5", ".hdf5", ".fif", ".TextGrid",
           ".svg", ".npz", ".mgz", ".csv")  # fmt: skip
PODCAST = (
    "stimuli/podcast.wav",
    "stimuli/podcast_transcript.csv",
    "stimuli/whisper-medium/encoder.hdf5",
    *(f"sub-{n:02d}/ieeg/sub-{n:02d}_task-podcast_ieeg.edf" for n in range(1, 10)),
    *(f"derivatives/ecogprep/sub-{n:02d}/ieeg/sub-{n:02d}_task-podcast_ieeg.fif"
      for n in range(1, 10)),
)  # fmt: skip
"""Annexed files of ds005574; of its text files nothing is missing in ``shared/data``."""


def real_tree(shared: Path, name: str, root: Path) -> Path:
    """Rebuild a dataset from its list of files.

    Parameters
    ----------
    shared : Path
        Holds ``data/<name>``.
    name : str
        ``ds002345``, ``ds003020`` or ``ds005574``.
    root : Path
        Where to build it; must not exist.
    """
    source = shared / "data" / name
    listed = source / "FILES.txt"
    names = listed.read_text().split("\n") if listed.exists() else PODCAST
    shutil.copytree(source, root, ignore=shutil.ignore_patterns("FILES.txt"))
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)
    events: list[Path] = []
    for line in names:
        path = root / line
        if not line or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if line.endswith(ANNEXED):
            pointer(path, root)
        elif line.endswith("_events.tsv"):
            events.append(path)
        else:
            path.write_text("{}\n" if line.endswith(".json") else "n/a\n")
    # Before any is written: only real ones are copied.
    real = sorted(root.glob("sub-*/func/*events.tsv"))
    texts = {path: _events_like(real, path) for path in events}
    for path, text in texts.items():
        path.write_text(text)
    return root


def pointer(
    path: Path, root: Path, *, size: int = 123_456_789, content: str | None = None
) -> None:
    """A link into git-annex whose content is not there."""
    extension = "".join(path.suffixes[-2:]) if path.name.endswith(".nii.gz") else path.suffix
    digest = hashlib.md5((content or str(path)).encode(), usedforsecurity=False).hexdigest()
    key = f"MD5E-s{size}--{digest}{extension}"
    up = "../" * len(path.relative_to(root).parts[:-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(f"{up}.git/annex/objects/xx/yy/{key}/{key}")


_MADE_UP = {
    "milkyway": ("milkywayoriginal", "milkywaysynonyms", "milkywayvodka"),
    "schema": ("friends", "himym", "seinfeld", "bigbang", "santa", "shame", "vinny", "upintheair"),
}
"""Tasks with several stories; which participant heard which is made up here."""


def _events_like(real: list[Path], path: Path) -> str:
    """Events of another participant in the same task, else one row, made up, for its story."""
    task = next(p for p in path.name.split("_") if p.startswith("task-"))
    twins = [twin for twin in real if f"_{task}_" in twin.name]
    if twins:
        return twins[0].read_text()
    label = task.removeprefix("task-")
    stories = _MADE_UP.get(label, (label,))
    number = sum(ord(character) for character in path.name)
    wav = f"{stories[number % len(stories)]}_audio.wav"
    return f"onset\tduration\ttrial_type\tstim_file\n3.0\t600.0\tstory\t{wav}\n"
