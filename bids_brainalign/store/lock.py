"""Locks between jobs that share a work folder."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bids_brainalign.store.atomic import write_json

_LOG = logging.getLogger(__name__)


@contextmanager
def exclusive(path: Path, *, timeout_s: float = -1.0) -> Iterator[bool]:
    """Hold a lock that other processes on this and other machines respect.

    Parameters
    ----------
    path : Path
        The lock file; beside it stands ``<name>.holder`` with host and process number.
    timeout_s : float
        How long to wait; -1 waits for ever.

    Yields
    ------
    bool
        False where the file system has no locks (some NFS): work goes on without, and writes stay
        safe because they are renames.

    Raises
    ------
    filelock.Timeout
        If somebody holds it for longer than `timeout_s`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_name(path.name + ".holder")
    lock = FileLock(path)
    try:
        _acquire(lock, holder, timeout_s)
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        _LOG.warning("no locks in %s (%s): going on without", path.parent, error)
        yield False
        return
    try:
        _report_stale(holder)
        write_json(holder, {"host": socket.gethostname(), "pid": os.getpid()})
        yield True
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, holder: Path, timeout_s: float) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _LOG.info("waiting for %s, held by %s", lock.lock_file, _holder_text(holder))
        lock.acquire(timeout=timeout_s, poll_interval=0.2)


def _report_stale(holder: Path) -> None:
    # The operating system frees the lock of a killed process, but nobody removes its name.
    if holder.exists():
        _LOG.warning("%s ended without releasing %s", _holder_text(holder), holder.stem)


def _holder_text(holder: Path) -> str:
    try:
        content = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {content['pid']} on {content['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown process"
