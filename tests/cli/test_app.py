"""The app around a run: what is printed last, what is written, and the exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bids_brainalign import __version__
from bids_brainalign.cli import app, validation
from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow import run
from bids_brainalign.workflow.summary import Summary, Unit

ARGUMENTS = ["bids", "out", "participant", "--skip-bids-validation"]
DONE = Summary((Unit("e 01", "done", participant="01"),), Path("/o/index.html"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids/dataset_description.json").write_text('{"Name": "x"}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def execute(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Let the run end with a summary or an exception."""

    def become(result: object) -> None:
        def fake(config: Config, *, run_id: str) -> Summary:
            if isinstance(result, BaseException):
                raise result
            assert isinstance(result, Summary)
            return result

        monkeypatch.setattr(run, "execute", fake)

    return become


def closing(out: str) -> list[str]:
    lines = out.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("done: ")) :]


def test_good_run(place: Path, execute: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    execute(DONE)
    assert app.main(ARGUMENTS) == 0
    assert closing(capsys.readouterr().out) == [
        "done: 1  reused: 0  failed: 0  skipped: 0",
        "report: /o/index.html",
        "exit code: 0",
    ]
    (folder,) = (path for path in (place / "out/logs").iterdir() if path.is_dir())
    assert sorted(path.name for path in folder.iterdir()) == [
        "command.txt", "config.toml", "environment.json", "run.log",
    ]  # fmt: skip
    assert "e 01\tdone" in (place / "out/logs/status.tsv").read_text()


def test_two_runs_have_two_folders(place: Path, execute: Callable) -> None:
    execute(DONE)
    for _ in range(2):
        app.main(ARGUMENTS)
    assert len([path for path in (place / "out/logs").iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize(
    ("result", "code", "shown", "crash"),
    [
        (BrainAlignError("No such task.", fix="x", exit_code=ExitCode.NOTHING_SELECTED), 18,
         "error: No such task.\n  Fix: x", False),
        (ZeroDivisionError("division by zero"), 70, "ZeroDivisionError", True),
        (RuntimeError("CUDA out of memory. Tried …"), 75, "--batch-size", True),
        (KeyboardInterrupt(), 75, "finished steps are reused", False),
        (OSError(28, "No space left on device"), 74, "No space left", True),
    ],
)  # fmt: skip
def test_failed_run(
    place: Path,
    execute: Callable,
    capsys: pytest.CaptureFixture[str],
    result: BaseException,
    code: int,
    shown: str,
    crash: bool,
) -> None:
    execute(result)
    assert app.main(ARGUMENTS) == code
    captured = capsys.readouterr()
    assert shown in captured.err
    assert "Traceback" not in captured.err
    lines = closing(captured.out)
    assert lines[0] == f"done: 0  reused: 0  failed: {int(crash)}  skipped: 0"
    assert lines[-1] == f"exit code: {code}"
    files = list((place / "out/logs").rglob("crash-*.txt"))
    assert len(files) == int(crash)
    if crash:
        assert f"  crash file: {files[0]}" in lines
        assert "Traceback" in files[0].read_text()
        assert "bids-brainalign bids out participant" in files[0].read_text()


def test_failed_unit(execute: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    failed = Unit("e 02", "failed", "too short", exit_code=65, participant="02")
    execute(Summary((*DONE.units, failed), DONE.report))
    assert app.main(ARGUMENTS) == 1
    assert "failed: e 02: too short" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "fragment"),
    [
        (["bids", "out"], 64, "Missing: the analysis level"),
        (["bids", "out", "both"], 17, "Unknown analysis level"),
        (["nowhere", "out", "participant"], 66, "does not exist"),
        (["bids", "bids", "participant"], 73, "is BIDS_DIR"),
    ],
)
def test_mistakes_end_with_the_closing_text(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    fragment: str,
) -> None:
    assert app.main(arguments) == code
    captured = capsys.readouterr()
    assert fragment in captured.err
    assert captured.err.count("error:") == 1
    assert captured.out.splitlines() == [
        "done: 0  reused: 0  failed: 0  skipped: 0",
        f"exit code: {code}",
    ]
    assert not (place / "out").exists()


def test_fault_while_parsing_is_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise LookupError("x")

    monkeypatch.setattr(app, "build_config", fail)
    assert app.main([]) == 70
    assert capsys.readouterr().out.splitlines()[-1] == "exit code: 70"


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == f"bids-brainalign {__version__}\n"
    assert app.main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: bids-brainalign BIDS_DIR OUTPUT_DIR")


def test_dry_run_writes_nothing(place: Path, execute: Callable) -> None:
    execute(DONE)
    assert app.main([*ARGUMENTS, "--dry-run"]) == 0
    assert not (place / "out").exists()


def test_output_that_can_not_be_made(
    execute: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    execute(DONE)
    monkeypatch.setattr(app, "write_provenance", fail)
    assert app.main(ARGUMENTS) == 73
    assert "can't be written" in capsys.readouterr().err


def test_sigterm_ends_in_order(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def preempted(config: Config, *, run_id: str) -> Summary:
        os.kill(os.getpid(), signal.SIGTERM)
        return DONE

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(run, "execute", preempted)
    assert app.main(ARGUMENTS) == 75
    assert capsys.readouterr().out.splitlines()[-1] == "exit code: 75"
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture
def validator(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A program in the place of bids-validator-deno that prints something."""

    def install(prints: str) -> None:
        program = place / "bin/bids-validator-deno"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\nexit 16\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)

    return install


ISSUES = [
    {"code": "NO_AUTHORS", "severity": "warning", "location": "/a"},
    {"code": "EMPTY_FILE", "severity": "error", "location": "/sub-01/x"},
    {"code": "EMPTY_FILE", "severity": "error", "location": "/sub-02/x"},
]


def test_findings_of_the_validator_are_warnings(
    place: Path, validator: Callable, execute: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(DONE)
    validator(json.dumps({"issues": {"issues": ISSUES}}))
    assert app.main(["bids", "out", "participant"]) == 0
    err = capsys.readouterr().err
    assert "EMPTY_FILE, 2 times, first in /sub-01/x" in err
    assert "NO_AUTHORS" not in err
    assert app.main(ARGUMENTS) == 0
    assert "EMPTY_FILE" not in capsys.readouterr().err
    (place / "out").mkdir(exist_ok=True)
    assert app.main(["bids", "out", "group"]) == 0
    assert "EMPTY_FILE" not in capsys.readouterr().err


@pytest.mark.parametrize("prints", ["", "[]", '{"issues": 3}', "no json"])
def test_broken_validator_stops_nothing(
    place: Path, validator: Callable, caplog: pytest.LogCaptureFixture, prints: str
) -> None:
    validator(prints)
    validation.warn_of_invalid(place / "bids")
    assert "gave no result" in caplog.text


def test_module_is_the_program(place: Path) -> None:
    command = [sys.executable, "-m", "bids_brainalign", "bids", "out", "nolevel"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 17
    assert done.stdout.splitlines()[-1] == "exit code: 17"
    assert "Traceback" not in done.stderr


def test_openblas_is_told_not_to_wait_at_full_speed():
    code = "import os, bids_brainalign.cli.app; print(os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_THREAD_TIMEOUT"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "4"
