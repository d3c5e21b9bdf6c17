"""Files appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = re.compile(r"^\.tmp-(?P<place>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}-(?P<name>.+)$")


@contextmanager
def atomic_path(dest: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `dest` when the block ends without an error.

    Parameters
    ----------
    dest : Path
        The file to write; its folder is made.

    Yields
    ------
    Path
        Dot-prefixed, in the folder of `dest` (a rename does not cross file systems), with the
        same suffixes (writers choose the format by them).

    Examples
    --------
    >>> import tempfile
    >>> dest = Path(tempfile.mkdtemp()) / "answer.txt"
    >>> with atomic_path(dest) as temporary:
    ...     _ = temporary.write_text("42")
    >>> dest.read_text()
    '42'
    """
    dest.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(dest)
    temporary = dest.parent / f".tmp-{_place()}-{os.getpid()}-{secrets.token_hex(4)}-{dest.name}"
    try:
        yield temporary
        os.replace(temporary, dest)  # noqa: PTH105 (Path.replace is the same call, less known)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_text(dest: Path, text: str) -> Path:
    """Write UTF-8 text with Unix line ends, whole or not at all."""
    with atomic_path(dest) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return dest


def write_json(dest: Path, content: object) -> Path:
    """Write JSON for people: indented, UTF-8, a line end at the end.

    NaN is refused: it is not JSON, and other readers fail on it.
    """
    return write_text(
        dest, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it exists, and is somebody else's
        return True
    return True


def _remove_leftovers(dest: Path) -> None:
    """Remove what killed processes of this machine left of the same file."""
    for path in dest.parent.glob(".tmp-*"):
        match = _TEMPORARY.match(path.name)
        if match is None or match["name"] != dest.name or match["place"] != _place():
            continue
        if not is_alive(int(match["pid"])):
            with suppress(OSError):
                path.unlink()


def _place() -> str:
    """Where process numbers mean something: this machine, boot and process namespace.

    Containers may share a host name and each have a process 1.
    """
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
