"""How a run ended: its units, its exit code, and the last words on the terminal."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bids_brainalign.errors import BrainAlignError, ExitCode

Status = Literal["done", "reused", "failed", "skipped"]

STATUSES: tuple[Status, ...] = ("done", "reused", "failed", "skipped")
# Nothing of ours: the disk is full, gone, read-only or closed to us.
_IO_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EACCES, errno.EPERM,
}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """One piece of work of a run."""

    name: str
    status: Status
    message: str = ""
    """Why it failed or was skipped."""
    crash_file: Path | None = None
    exit_code: int = 0
    """Of a failed unit."""
    participant: str | None = None
    """Label without ``sub-``; None for what participants share."""


@dataclass(frozen=True)
class Summary:
    """All units of a run."""

    units: tuple[Unit, ...]
    report: Path | None = None
    """The page to open first; None if there is none."""
    error_code: int = 0
    """Exit code of an error that ended the run as a whole."""

    def count(self, status: Status) -> int:
        """Count the units of a status."""
        return Counter(unit.status for unit in self.units)[status]

    @property
    def failed(self) -> tuple[Unit, ...]:
        """Units that failed, in their order."""
        return tuple(unit for unit in self.units if unit.status == "failed")

    @property
    def exit_code(self) -> int:
        """Exit code of the program.

        The code that all failures share if nobody's work is complete; 1 if they differ, or if
        some participants are complete.
        """
        if self.error_code:
            return self.error_code
        if not self.failed:
            return int(ExitCode.OK)
        codes = {unit.exit_code or int(ExitCode.INTERNAL) for unit in self.failed}
        some = self._has_complete() or len(codes) > 1
        return int(ExitCode.SOME_FAILED) if some else codes.pop()

    def _has_complete(self) -> bool:
        """Whether a participant, or a unit of a run without participants, got its results."""
        worked = [unit for unit in self.units if unit.status != "skipped"]
        if all(unit.participant is None for unit in worked):
            return any(unit.status != "failed" for unit in worked)
        lacking = {unit.participant for unit in self.failed}
        if None in lacking:  # what all share failed, and some were skipped for it
            lacking |= {unit.participant for unit in self.units if unit.status == "skipped"}
        return any(u.participant is not None and u.participant not in lacking for u in worked)

    def closing_text(self) -> str:
        """Give the last words of a run: counts, what was skipped or failed, report, exit code."""
        lines = ["  ".join(f"{status}: {self.count(status)}" for status in STATUSES)]
        skipped = [unit for unit in self.units if unit.status == "skipped" and unit.message]
        lines += [f"skipped: {unit.name}: {' '.join(unit.message.split())}" for unit in skipped]
        for unit in self.failed:
            lines.append(f"failed: {unit.name}: {' '.join(unit.message.split())}")
            if unit.crash_file is not None:
                lines.append(f"  crash file: {unit.crash_file}")
        if self.report is not None:
            lines.append(f"report: {self.report}")
        return "\n".join([*lines, f"exit code: {self.exit_code}"])


def describe_failure(error: BaseException) -> tuple[int, str, bool]:
    """Say what an exception means for the user.

    Parameters
    ----------
    error : BaseException
        What ended a unit or a run.

    Returns
    -------
    exit_code : int
        As the contract assigns them.
    message : str
        What is wrong and what helps.
    is_ours : bool
        Whether it is our own fault and deserves a crash file.
    """
    if isinstance(error, BrainAlignError):
        return int(error.exit_code), str(error), False
    if isinstance(error, KeyboardInterrupt):
        message = "Stopped from outside. Run the same command again: finished steps are reused."
        return int(ExitCode.TEMPORARY), message, False
    if _is_cuda_out_of_memory(error):
        first = str(error).partition("\n")[0]
        message = (
            f"The GPU is out of memory: {first}\n  Fix: a smaller --batch-size, or --device cpu"
        )
        return int(ExitCode.TEMPORARY), message, True
    if isinstance(error, MemoryError):
        message = "Out of memory.\n  Fix: fewer processes (--nprocs 1), or more memory for the job"
        return int(ExitCode.TEMPORARY), message, True
    if isinstance(error, OSError) and error.errno in _IO_ERRORS:
        message = f"{error}\n  Fix: check free space and permissions there"
        return int(ExitCode.IO_ERROR), message, True
    return int(ExitCode.INTERNAL), f"{type(error).__name__}: {error}", True


def _is_cuda_out_of_memory(error: BaseException) -> bool:
    # By name: torch need not be imported, and older versions raise a plain RuntimeError.
    name = type(error).__name__
    return name == "OutOfMemoryError" or (name == "RuntimeError" and "out of memory" in str(error))
