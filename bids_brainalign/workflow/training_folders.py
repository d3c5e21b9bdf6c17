"""Folders that trainings keep their checkpoints in: whose they are, and when they go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from bids_brainalign.store.atomic import write_json
from bids_brainalign.store.lock import exclusive

OWNER = "owner.json"
"""Names the step and the output folder that a training is for."""


@contextmanager
def held(folder: Path, *, step: str, output_dir: Path) -> Iterator[None]:
    """Note whose a training's folder is, and hold it while the training runs.

    Parameters
    ----------
    folder : Path
        ``work_dir/tuning/<key>``.
    step : str
        Name of the step; the key is of its settings.
    output_dir : Path
        Jobs with other outputs may share a work folder.
    """
    with exclusive(_lock(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / OWNER, _owner(step, output_dir))
        yield


def remove_finished(folder: Path, *, step: str, output_dir: Path) -> None:
    """Remove the folder of a finished step, and those that it left under other settings.

    Nobody goes on with the latter unless the settings are changed back. One that another job
    trains in stays, and where the file system has no locks to tell that by, all of them stay.
    """
    if folder.is_dir():
        _remove(folder)
    if not folder.parent.is_dir():
        return
    owner = _owner(step, output_dir)
    for other in sorted(folder.parent.iterdir()):
        if other.name.startswith("."):  # a job was killed while it removed this
            shutil.rmtree(other, ignore_errors=True)
        elif _read(other / OWNER) == owner:
            _remove_unless_held(other)


def _remove_unless_held(folder: Path) -> None:
    try:
        with exclusive(_lock(folder), timeout_s=0) as is_ours:
            if is_ours:
                _remove(folder)
    except Timeout:
        return


def _remove(folder: Path) -> None:
    """Remove a folder; renamed first, as no half may be gone on with."""
    shutil.rmtree(folder.rename(folder.with_name(f".{folder.name}")))


def _lock(folder: Path) -> Path:
    return folder.parents[1] / "steps" / f".training-{folder.name}.lock"


def _owner(step: str, output_dir: Path) -> dict[str, str]:
    return {"step": step, "output_dir": output_dir.resolve().as_posix()}


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
