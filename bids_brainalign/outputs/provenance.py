"""What a run was: settings, versions, command, log, status and crash files, all below logs/."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Protocol

from bids_brainalign import __version__
from bids_brainalign.config.schema import Config
from bids_brainalign.config.toml import dump
from bids_brainalign.store.atomic import write_json, write_text
from bids_brainalign.store.lock import exclusive

STATUS_COLUMNS = (
    "participant", "unit", "status", "exit_code", "message", "crash_file", "run_id",
)  # fmt: skip
_MISSING = "n/a"
_DISTRIBUTION = "bids-brainalign"


class FinishedUnit(Protocol):
    """What status.tsv says of a unit; ``workflow.summary.Unit`` is one."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def crash_file(self) -> Path | None: ...  # noqa: D102
    @property
    def exit_code(self) -> int: ...  # noqa: D102
    @property
    def participant(self) -> str | None: ...  # noqa: D102


def write_provenance(config: Config, argv: Sequence[str], *, run_id: str) -> Path:
    """Write what is needed to understand and repeat a run.

    Parameters
    ----------
    config : Config
        Resolved; ``--config-file`` takes it as it is written.
    argv : sequence of str
        The command line without the program's name.
    run_id : str
        Names the folder.

    Returns
    -------
    Path
        ``logs/<run id>`` with ``config.toml``, ``environment.json`` and ``command.txt``.
    """
    folder = config.paths.output_dir / "logs" / run_id
    write_text(folder / "config.toml", dump(config))
    write_json(folder / "environment.json", {"packages": versions(), "hardware": hardware()})
    write_text(folder / "command.txt", shlex.join([_DISTRIBUTION, *argv]) + "\n")
    return folder


def versions() -> dict[str, str]:
    """Versions of Python, this package and everything it needs."""
    found = {"python": platform.python_version(), _DISTRIBUTION: __version__}
    with suppress(metadata.PackageNotFoundError):
        for requirement in metadata.requires(_DISTRIBUTION) or []:
            name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
            with suppress(metadata.PackageNotFoundError):
                found.setdefault(name, metadata.version(name))
    return found


def hardware() -> dict[str, object]:
    """Processor, memory and GPUs; nothing that names the machine or its user."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _after_colon(Path("/proc/cpuinfo"), "model name"),
        "cpus": os.cpu_count(),
        "cpus_usable": len(affinity(0)) if affinity else os.cpu_count(),
        "memory": _after_colon(Path("/proc/meminfo"), "MemTotal"),
        # The driver's own list: asking torch would take seconds.
        "gpus": [
            _after_colon(path, "Model")
            for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        ],
    }


def _after_colon(path: Path, key: str) -> str | None:
    with suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            name, colon, value = line.partition(":")
            if colon and name.strip() == key:
                return value.strip()
    return None


@contextmanager
def run_log(output_dir: Path, *, run_id: str) -> Iterator[Path]:
    """Send what this package logs, and others' warnings, to ``logs/<run id>/run.log``.

    Worker processes may open it too: lines are appended.
    """
    path = output_dir / "logs" / run_id / "run.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setLevel(logging.DEBUG)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
    )
    handler.addFilter(is_of_interest)
    package, root = logging.getLogger("bids_brainalign"), logging.getLogger()
    level = package.level
    package.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield path
    finally:
        root.removeHandler(handler)
        package.setLevel(level)
        handler.close()


def is_of_interest(record: logging.LogRecord) -> bool:
    """Whether a log record is ours, or a warning of somebody else."""
    return record.name.startswith("bids_brainalign") or record.levelno >= logging.WARNING


def write_crash_file(
    output_dir: Path,
    *,
    run_id: str,
    unit: str,
    participant: str | None,
    details: Mapping[str, object],
    text: str,
) -> Path:
    """Write everything that helps to find our fault.

    Parameters
    ----------
    output_dir : Path
        The derivative dataset.
    run_id : str
        The run.
    unit : str
        Name of the unit that failed.
    participant : str or None
        Label without ``sub-``; None for what participants share.
    details : mapping
        Inputs and settings of the unit.
    text : str
        The traceback.

    Returns
    -------
    Path
        ``logs[/sub-<label>]/<run id>/crash-<unit>.txt``.
    """
    logs = output_dir / "logs"
    folder = (logs / f"sub-{participant}" if participant else logs) / run_id
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", unit).strip("-.")[:150]
    command = "unknown\n"
    with suppress(OSError):
        command = (logs / run_id / "command.txt").read_text(encoding="utf-8")
    sections = {
        "unit": unit,
        "command": command,
        "traceback": text,
        "details": json.dumps(details, indent=2, default=str),
        "gpu memory": _gpu_memory(),
        "packages": json.dumps(versions(), indent=2),
        "hardware": json.dumps(hardware(), indent=2),
    }
    body = "\n\n".join(f"## {title}\n{content.strip()}" for title, content in sections.items())
    return write_text(folder / f"crash-{slug}.txt", body + "\n")


def _gpu_memory() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return "no GPU in use"
    return str(torch.cuda.memory_summary(abbreviated=True))


def write_status(output_dir: Path, units: Sequence[FinishedUnit], *, run_id: str) -> Path:
    """Write how each unit ended to ``logs/status.tsv``.

    Rows of participants and shared units that this run did not touch are kept: the jobs of a
    cluster array, one participant each, share the table.

    Parameters
    ----------
    output_dir : Path
        The derivative dataset.
    units : sequence of FinishedUnit
        All units of the run.
    run_id : str
        The run.

    Returns
    -------
    Path
        The table; missing values are ``n/a``.
    """
    path = output_dir / "logs" / "status.tsv"
    new = [_status_row(output_dir, unit, run_id) for unit in units]
    participants = {row["participant"] for row in new} - {_MISSING}
    shared = {row["unit"] for row in new if row["participant"] == _MISSING}
    with exclusive(path.with_name(".status.lock")):
        kept = [
            row
            for row in _read_status(path)
            if row["participant"] not in participants
            and not (row["participant"] == _MISSING and row["unit"] in shared)
        ]
        rows = sorted([*kept, *new], key=lambda row: (row["participant"], row["unit"]))
        text = io.StringIO()
        writer = csv.DictWriter(text, STATUS_COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return write_text(path, text.getvalue())


def _status_row(output_dir: Path, unit: FinishedUnit, run_id: str) -> dict[str, str]:
    crash = unit.crash_file
    if crash is not None and crash.is_relative_to(output_dir):
        crash = crash.relative_to(output_dir)
    row = {
        "participant": f"sub-{unit.participant}" if unit.participant else "",
        "unit": unit.name,
        "status": unit.status,
        "exit_code": str(unit.exit_code) if unit.status == "failed" else "",
        "message": unit.message,
        "crash_file": "" if crash is None else crash.as_posix(),
        "run_id": run_id,
    }
    return {key: " ".join(value.split()) or _MISSING for key, value in row.items()}


def _read_status(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [{key: row.get(key) or _MISSING for key in STATUS_COLUMNS} for row in rows]
