import errno
from pathlib import Path

import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.summary import Summary, Unit, describe_failure


def unit(status: str, participant: str | None = None, code: int = 0) -> Unit:
    return Unit(f"encoding {participant}", status, exit_code=code, participant=participant)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("units", "code"),
    [
        ([], 0),
        ([unit("done", "01"), unit("reused", "02"), unit("skipped", "03")], 0),
        ([unit("failed", "01", 65), unit("failed", "02", 65)], 65),
        ([unit("failed", "01", 65), unit("failed", "02", 66)], 1),
        ([unit("failed", "01", 65), unit("failed", "01", 66)], 1),
        ([unit("failed", "01", 65), unit("done", "02")], 1),
        ([unit("failed", "01", 65), unit("reused", "02")], 1),
        # Somebody who failed somewhere is not complete, whatever else was done.
        ([unit("failed", "01", 65), unit("done", "01")], 65),
        # Nor does what all share make anybody complete.
        ([unit("done"), unit("failed", "01", 65)], 65),
        ([unit("failed", "01", 65), unit("skipped", "02")], 65),
        # The model's features failed: nobody has results, though responses were made.
        ([unit("failed", None, 66), unit("done", "01"), unit("skipped", "01")], 66),
        ([unit("failed", None, 70), unit("done", "01")], 1),
        # The group level has no participants.
        ([unit("failed", None, 65)], 65),
        ([unit("failed", None, 65), unit("done")], 1),
        # A failure without a code is ours.
        ([unit("failed", "01")], 70),
    ],
)
def test_exit_code(units: list[Unit], code: int) -> None:
    assert Summary(tuple(units)).exit_code == code


def test_error_of_the_run_as_a_whole_wins() -> None:
    assert Summary((), report=None, error_code=18).exit_code == 18


def test_closing_text() -> None:
    units = (
        unit("done", "01"),
        unit("done", "02"),
        unit("reused", "01"),
        Unit("sub-03", "skipped", "no events.tsv"),
        Unit("encoding 04", "failed", "too little\n  data", Path("/o/logs/c.txt"), 65, "04"),
    )
    assert Summary(units, Path("/o/index.html")).closing_text().splitlines() == [
        "done: 2  reused: 1  failed: 1  skipped: 1",
        "skipped: sub-03: no events.tsv",
        "failed: encoding 04: too little data",
        "  crash file: /o/logs/c.txt",
        "report: /o/index.html",
        "exit code: 1",
    ]


def test_closing_text_of_nothing() -> None:
    expected = "done: 0  reused: 0  failed: 0  skipped: 0\nexit code: 0"
    assert Summary(()).closing_text() == expected


class OutOfMemoryError(RuntimeError):
    """As torch.cuda's."""


@pytest.mark.parametrize(
    ("error", "code", "fragment", "is_ours"),
    [
        (BrainAlignError("no a", exit_code=ExitCode.MISSING_INPUT), 66, "no a", False),
        (KeyboardInterrupt(), 75, "finished steps are reused", False),
        (OutOfMemoryError("CUDA out of memory."), 75, "--batch-size", True),
        (RuntimeError("CUDA error: out of memory"), 75, "--batch-size", True),
        (MemoryError(), 75, "--nprocs 1", True),
        (OSError(errno.ENOSPC, "No space left"), 74, "No space left", True),
        (PermissionError(errno.EACCES, "Permission denied"), 74, "Permission denied", True),
        (FileNotFoundError(errno.ENOENT, "No such file"), 70, "FileNotFoundError", True),
        (ZeroDivisionError("division by zero"), 70, "ZeroDivisionError: division", True),
    ],
)
def test_describe_failure(error: BaseException, code: int, fragment: str, is_ours: bool) -> None:
    found, message, ours = describe_failure(error)
    assert (found, ours) == (code, is_ours)
    assert fragment in message
