"""Files that are there by name only: DataLad (git-annex) pointers."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.store.digest import annex_key


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
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    if is_pointer(path):
        raise BrainAlignError(
            f"{shown} is not downloaded (DataLad pointer). Run: datalad get {shown}",
            exit_code=ExitCode.MISSING_INPUT,
        )
    if not path.exists():
        raise BrainAlignError(
            f"{shown} does not exist",
            where=str(path),
            fix="restore it, or leave its recordings out",
            exit_code=ExitCode.MISSING_INPUT,
        )
    if path.stat().st_size == 0:
        raise BrainAlignError(
            f"{shown} is empty (0 bytes)",
            where=str(path),
            fix="download it again",
            exit_code=ExitCode.MISSING_INPUT,
        )


def is_pointer(path: Path) -> bool:
    """Whether git-annex knows the file but its content is not here."""
    return (not path.exists() and path.is_symlink()) or (
        path.exists() and not path.is_symlink() and annex_key(path) is not None
    )
