"""``bids-brainalign``: argv in, exit code out."""

from __future__ import annotations

import logging
import secrets
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from bids_brainalign.cli.parser import build_config
from bids_brainalign.config.schema import Config
from bids_brainalign.config.toml import dump
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.summary import Summary, Unit

logger = logging.getLogger(__name__)
VALIDATOR = "bids-validator-deno"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the BIDS app.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code of the contract.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        config = build_config(words)
    except BrainAlignError as error:
        return _close(Summary(()), error=str(error), code=int(error.exit_code))
    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    handlers = _set_up_logging(config, run_id)
    try:
        return _run(config, words, run_id)
    finally:
        for handler in handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()


def _run(config: Config, words: Sequence[str], run_id: str) -> int:
    from bids_brainalign.outputs.provenance import write_crash_file, write_run_files, write_status

    output = config.paths.output_dir
    try:
        write_run_files(output / "logs" / run_id, config_toml=dump(config), command=words)
        if config.level == "participant" and not config.control.skip_bids_validation:
            _validate(config.paths.bids_dir)
        from bids_brainalign.workflow.run import execute

        summary = execute(config, run_id=run_id)
        write_status(output, [_status_row(unit) for unit in summary.units])
    except BrainAlignError as error:
        return _close(Summary(()), error=str(error), code=int(error.exit_code))
    except OSError as error:
        return _close(Summary(()), error=f"{error}", code=int(ExitCode.IO_ERROR))
    except Exception as error:  # noqa: BLE001 - ours: keep everything, show one line
        crash = write_crash_file(
            output,
            run_id=run_id,
            unit="run",
            participant=None,
            details={"command": list(words)},
            text="".join(traceback.format_exception(error)),
        )
        unit = Unit(
            "run", "failed", f"{type(error).__name__}: {error}", crash, int(ExitCode.INTERNAL)
        )
        return _close(Summary((unit,)), code=int(ExitCode.INTERNAL))
    return _close(summary, code=summary.exit_code)


def _close(summary: Summary, *, error: str = "", code: int) -> int:
    """Print what is always the last thing."""
    sys.stdout.flush()
    if error:
        print(f"bids-brainalign: error: {error}", file=sys.stderr)
    print(summary.closing_text(), file=sys.stderr)
    print(f"exit code: {code}", file=sys.stderr, flush=True)
    return code


def _status_row(unit: Unit) -> dict[str, object]:
    return {
        "step": unit.name,
        "participant": unit.participant or "n/a",
        "status": unit.status,
        "exit_code": unit.exit_code,
        "message": " ".join(unit.message.split()) or "n/a",
    }


def _set_up_logging(config: Config, run_id: str) -> list[logging.Handler]:
    """Send progress to stderr and everything to ``logs/<run id>/run.log``."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.DEBUG if config.control.verbose else logging.INFO)
    terminal.addFilter(lambda r: r.name.startswith("bids_brainalign") or r.levelno > 30)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [terminal]
    folder = config.paths.output_dir / "logs" / run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(folder / "run.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        handlers.append(file)
    except OSError as error:
        print(f"no log file: {error}", file=sys.stderr)
    for handler in handlers:
        root.addHandler(handler)
    for noisy in ("matplotlib", "numba", "urllib3", "filelock", "h5py", "mne", "nibabel"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return handlers


def _validate(bids_dir: Path) -> None:
    """Run the BIDS validator if it is there; its findings are warnings."""
    program = shutil.which(VALIDATOR) or _beside_python()
    if program is None:
        return
    try:
        done = subprocess.run(  # noqa: S603 - a program the user installed
            [program, str(bids_dir), "--ignoreWarnings", "--ignoreNiftiHeaders"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("%s did not finish: %s", VALIDATOR, error)
        return
    if done.returncode:
        found = [line.strip() for line in done.stdout.splitlines() if "[ERROR]" in line]
        for line in found[:5] or ["see its own output"]:
            logger.warning("%s: %s (going on)", VALIDATOR, line)


def _beside_python() -> str | None:
    path = Path(sys.executable).with_name(VALIDATOR)
    return str(path) if path.is_file() else None


if __name__ == "__main__":
    raise SystemExit(main())
