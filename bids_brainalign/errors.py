"""The one exception of the program and the exit codes it carries."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the BIDS execution specification (draft), as our contract assigns them."""

    OK = 0
    SOME_FAILED = 1
    INVALID_INPUT = 16
    UNKNOWN_LEVEL = 17
    NOTHING_SELECTED = 18
    USAGE = 64
    DATA_ERROR = 65
    MISSING_INPUT = 66
    INTERNAL = 70
    CANNOT_CREATE = 73
    IO_ERROR = 74
    TEMPORARY = 75


class BrainAlignError(Exception):
    """Something a user can mend.

    Parameters
    ----------
    what : str
        What is wrong, naming the file or option.
    where : str, optional
        What was searched or where it was found.
    fix : str, optional
        The option or command that mends it.
    exit_code : ExitCode
        What the program returns to the shell.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        fix: str = "",
        exit_code: ExitCode = ExitCode.DATA_ERROR,
    ) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        self.exit_code = exit_code
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what.rstrip()]
        if self.where:
            parts.append(self.where.rstrip())
        if self.fix:
            parts.append(f"Fix: {self.fix.rstrip()}")
        return "\n  ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Survives the trip back from a worker process.
        return (_rebuild, (self.what, self.where, self.fix, int(self.exit_code)))


def _rebuild(what: str, where: str, fix: str, exit_code: int) -> BrainAlignError:
    return BrainAlignError(what, where=where, fix=fix, exit_code=ExitCode(exit_code))
