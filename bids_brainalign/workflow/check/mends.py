"""The commands that mend what a check found missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from bids_brainalign.dataset.pointers import annex_key

FEW = 3
"""So many files are named one by one."""
MOST = 8
"""Commands shown at most."""


def datalad_commands(pointers: Sequence[Path], bids_dir: Path) -> list[str]:
    """``datalad get`` with as few words as possible, run in the dataset's folder.

    Returns
    -------
    list of str
        Each with a comment on how much it downloads. At most nine.
    """
    kinds: dict[str, list[Path]] = {}
    for path in pointers:
        if path.is_relative_to(bids_dir):
            kinds.setdefault(_pattern(path.relative_to(bids_dir)), []).append(path)
    commands = []
    for pattern, paths in kinds.items():
        wanted = _words(pattern, paths, bids_dir)
        needed = "needed: " if wanted == pattern else ""
        commands.append(f"datalad get {wanted}   # {needed}{_amount(paths)}")
    if len(commands) > MOST:
        left = sum(len(paths) for paths in list(kinds.values())[MOST:])
        commands = [*commands[:MOST], f"# … and {left} more files"]
    return commands


def _pattern(path: Path) -> str:
    """Path with labels replaced by ``*``: one pattern per kind of file."""
    text = path.as_posix()
    if not text.startswith("sub-"):
        return (path.parent / f"*{path.suffix}").as_posix()
    ending = path.name.rsplit("_", 1)[-1]
    folders = [re.sub(r"^(sub|ses)-.*", r"\1-*", part) for part in path.parts[:-1]]
    return "/".join([*folders, f"*_{ending}"])


def _words(pattern: str, paths: Sequence[Path], bids_dir: Path) -> str:
    names = [p.relative_to(bids_dir).as_posix() for p in paths]
    if len(names) <= FEW:
        return " ".join(shlex.quote(name) for name in names)
    if 2 * len(names) >= len(list(bids_dir.glob(pattern))):
        return pattern
    # Of a selection only some are wanted: their folders say which.
    folders = list(dict.fromkeys(name.rsplit("/", 1)[0] for name in names))
    if len(folders) == 1:
        return " ".join(shlex.quote(n) for n in names[:FEW]) + " …"
    ending = pattern.rsplit("/", 1)[1]
    shown = " ".join(f"{f}/{ending}" for f in folders[:FEW])
    return shown + (" …" if len(folders) > FEW else "")


def _amount(paths: Sequence[Path]) -> str:
    sizes = [size_of(path) for path in paths]
    count = f"{len(paths)} file{'s' if len(paths) > 1 else ''}"
    known = [size for size in sizes if size is not None]
    return f"{count}, {in_bytes(sum(known))}" if len(known) == len(paths) else count


def size_of(path: Path) -> int | None:
    """Bytes of a file's content by its annex key (``MD5E-s<bytes>--…``); None if not told."""
    match = re.match(r"[A-Z0-9]+-s(\d+)-", annex_key(path) or "")
    return int(match.group(1)) if match else None


def in_bytes(size: float) -> str:
    """Size for people: ``3.5 GB``.

    Examples
    --------
    >>> in_bytes(317_520_626)
    '318 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return (
                f"{size:.0f} {unit}" if unit in ("B", "kB") or size >= 10 else f"{size:.1f} {unit}"
            )
        size /= 1000
    return f"{size:.1f} TB"
