"""What the benchmarks share: one row per tool, the machine they ran on, Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One tool on one case."""

    case: str
    tool: str
    cpu_s: float | None
    """None where it could not run."""
    ratio: float | None
    """CPU seconds of this tool over ours, in the same run."""
    memory_gb: float | None
    """Peak of anonymous memory above the data; None where it was not looked at."""
    agreement: str
    """How near the answers are."""


def machine(threads: int | str) -> str:
    """Name processor, cores, threads and the libraries that do the work."""
    cpu = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = named[0].split(":", 1)[1].strip() if named else cpu
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "himalaya"))
    return f"{cpu}, {os.cpu_count()} cores, {threads} threads used; {packages}"


def show(rows: Sequence[Row], *, threads: int, as_json: bool) -> None:
    """Print rows as one JSON object, or as a table in Markdown."""
    if as_json:
        print(json.dumps({"machine": machine(threads), "rows": [asdict(row) for row in rows]}))
        return
    print(head(threads))
    for row in rows:
        print(line(row))


def head(threads: int | str) -> str:
    """Name the machine, and begin a table."""
    columns = "| case | tool | CPU s | ratio | memory | agreement |\n|---|---|---|---|---|---|"
    return f"{machine(threads)}\n\n{columns}"


def line(row: Row) -> str:
    """Lay a row of the table out."""
    memory = "" if row.memory_gb is None else f"{row.memory_gb:.1f} GB"
    seconds = "" if row.cpu_s is None else f"{row.cpu_s:.3g}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2g}"
    cells = (row.case, row.tool, seconds, ratio, memory, row.agreement)
    return f"| {' | '.join(cells)} |"
