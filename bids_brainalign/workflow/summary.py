"""What a run did, and what it says of it at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bids_brainalign.errors import ExitCode

Status = Literal["done", "reused", "failed", "skipped"]


@dataclass(frozen=True)
class Unit:
    """One step of a run."""

    name: str
    status: Status
    message: str = ""
    crash_file: Path | None = None
    exit_code: int = 0
    participant: str | None = None


@dataclass(frozen=True)
class Summary:
    """All steps of a run."""

    units: tuple[Unit, ...]
    report: Path | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Units per status."""
        found = Counter(unit.status for unit in self.units)
        return {status: found.get(status, 0) for status in ("done", "reused", "failed", "skipped")}

    @property
    def exit_code(self) -> int:
        """0; the one code with which every participant failed; else 1."""
        failed = [unit for unit in self.units if unit.status == "failed"]
        if not failed:
            return int(ExitCode.OK)
        codes = {unit.exit_code or int(ExitCode.SOME_FAILED) for unit in failed}
        participants = {unit.participant for unit in self.units if unit.participant}
        hit = {unit.participant for unit in failed}
        everybody = None in hit or participants <= hit
        return codes.pop() if len(codes) == 1 and everybody else int(ExitCode.SOME_FAILED)

    def closing_text(self) -> str:
        """List counts, failed units with their crash files, and where the report is."""
        lines = ["  ".join(f"{status}: {count}" for status, count in self.counts.items())]
        for unit in self.units:
            if unit.status == "failed":
                lines.append(f"failed: {unit.name}: {unit.message}")
                if unit.crash_file is not None:
                    lines.append(f"  crash file: {unit.crash_file}")
            elif unit.status == "skipped":
                lines.append(f"skipped: {unit.name}: {unit.message}")
        if self.report is not None:
            lines.append(f"report: {self.report}")
        return "\n".join(lines)
