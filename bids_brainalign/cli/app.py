"""The BIDS app: argv in, exit code out."""

from __future__ import annotations

import logging
import secrets
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

from bids_brainalign.cli.arguments import PROG
from bids_brainalign.cli.parser import build_config
from bids_brainalign.cli.validation import warn_of_invalid
from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.provenance import (
    is_of_interest,
    run_log,
    write_crash_file,
    write_provenance,
    write_status,
)
from bids_brainalign.workflow.summary import Summary, Unit, describe_failure

_LOG = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the BIDS app.

    Parameters
    ----------
    argv : sequence of str, optional
        Command line without the program's name; of this process if not given.

    Returns
    -------
    int
        The exit code. The last thing printed is the closing text of the run's summary.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        config = build_config(argv)
    except SystemExit as stop:  # --help, --version
        return int(stop.code or 0)
    except BrainAlignError as error:
        _print_error(str(error))
        summary = Summary((), report=None, error_code=int(error.exit_code))
    except Exception as error:  # noqa: BLE001 (the closing text comes whatever happens)
        traceback.print_exception(error)
        summary = Summary((), report=None, error_code=int(ExitCode.INTERNAL))
    else:
        summary = _run(config, argv)
    sys.stderr.flush()
    print(summary.closing_text(), flush=True)
    return summary.exit_code


def _run(config: Config, argv: Sequence[str]) -> Summary:
    """Run with logs around it; whatever happens becomes a summary."""
    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    with ExitStack() as stack:
        stack.enter_context(_terminal_log(config.control.verbose))
        stack.enter_context(_terminable())
        try:
            if not config.control.dry_run:
                stack.enter_context(_records(config, argv, run_id))
            summary = _work(config, run_id)
            if not config.control.dry_run:
                write_status(config.paths.output_dir, summary.units, run_id=run_id)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (becomes the summary)
            summary = _failure(config, error, run_id)
    return summary


def _work(config: Config, run_id: str) -> Summary:
    if config.level == "participant" and not config.control.skip_bids_validation:
        warn_of_invalid(config.paths.bids_dir)
    from bids_brainalign.workflow.run import execute  # brings torch, mne and nilearn

    return execute(config, run_id=run_id)


@contextmanager
def _records(config: Config, argv: Sequence[str], run_id: str) -> Iterator[None]:
    """Write what the run is, and its log."""
    try:
        write_provenance(config, argv, run_id=run_id)
    except OSError as error:
        raise BrainAlignError(
            f"OUTPUT_DIR {config.paths.output_dir} can't be written: {error}.",
            exit_code=ExitCode.CANNOT_CREATE,
        ) from error
    with run_log(config.paths.output_dir, run_id=run_id) as path:
        _LOG.debug("log: %s", path)
        yield


def _failure(config: Config, error: BaseException, run_id: str) -> Summary:
    """Summary of a run that an error ended as a whole."""
    code, message, is_ours = describe_failure(error)
    _print_error(message)
    _LOG.debug("ended by an error", exc_info=error)
    if not is_ours:
        return Summary((), report=None, error_code=code)
    try:
        crash = write_crash_file(
            config.paths.output_dir,
            run_id=run_id,
            unit="run",
            participant=None,
            details={},
            text="".join(traceback.format_exception(error)),
        )
    except OSError:
        traceback.print_exception(error)  # nowhere else to put it
        crash = None
    unit = Unit("run", "failed", message=message, crash_file=crash, exit_code=code)
    return Summary((unit,), report=None)


def _print_error(message: str) -> None:
    print(f"{PROG}: error: {message}", file=sys.stderr)


@contextmanager
def _terminal_log(verbose: int) -> Iterator[None]:
    """Log to stderr: progress, and with ``-v`` everything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.DEBUG if verbose else logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    handler.addFilter(is_of_interest)
    package, root = logging.getLogger("bids_brainalign"), logging.getLogger()
    level = package.level
    package.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        package.setLevel(level)


@contextmanager
def _terminable() -> Iterator[None]:
    """End in order when a cluster takes the machine away (SIGTERM)."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread: somebody else's business
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
