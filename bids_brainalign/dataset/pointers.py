"""Files that are there by name only: DataLad (git-annex) pointers."""

from __future__ import annotations

import re
from pathlib import Path

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.store.digest import annex_key, sha256_of

__all__ = ["annex_key", "content_sha256", "is_pointer", "require_content", "shown"]

# The digest of a SHA256(E) key is the content's own: SHA256E-s1024--<64 hex>.wav
_SHA256_KEY = re.compile(r"^SHA256E?-.*--([0-9a-f]{64})")


def is_pointer(path: Path) -> bool:
    """Whether git-annex knows the file but its content is not on this machine.

    Either a dangling link into ``.git/annex/objects`` (locked) or a small file that holds
    ``/annex/objects/<key>`` (unlocked).
    """
    if path.is_symlink() and path.exists():
        return False
    return annex_key(path) is not None


def require_content(path: Path, root: Path) -> None:
    """Check that a file's content is on this machine.

    Parameters
    ----------
    path : Path
    root : Path
        The dataset; messages name files relative to it.

    Raises
    ------
    BrainAlignError
        The file is a pointer, absent or empty (exit code 66).
    """
    name = shown(path, root)
    if is_pointer(path):
        raise BrainAlignError(
            f"{name} is not downloaded (DataLad pointer). Run: datalad get {name}",
            exit_code=ExitCode.MISSING_INPUT,
        )
    if path.is_symlink() and not path.exists():
        raise BrainAlignError(
            f"{name} is a broken link",
            where=f"it points to {path.readlink()}, which does not exist",
            fix="restore the file it points to",
            exit_code=ExitCode.MISSING_INPUT,
        )
    if not path.exists():
        raise BrainAlignError(
            f"{name} does not exist",
            where=str(path),
            fix="restore it, or leave its recordings out",
            exit_code=ExitCode.MISSING_INPUT,
        )
    # Folders (some EEG formats) are judged by their readers.
    if path.is_file() and path.stat().st_size == 0:
        raise BrainAlignError(
            f"{name} is empty (0 bytes)",
            where=str(path),
            fix="download or copy it again",
            exit_code=ExitCode.MISSING_INPUT,
        )


def content_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes, taken from its git-annex key where that has it."""
    match = _SHA256_KEY.match(annex_key(path) or "")
    return match.group(1) if match else sha256_of(path)


def shown(path: Path, root: Path) -> str:
    """Path as messages show it: relative to the dataset if it lies there."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
