"""``brainalign check``: options, exit code, and the command that comes next."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bids_brainalign.cli import values
from bids_brainalign.config.schema import Config, Paths, Selection
from bids_brainalign.errors import BrainAlignError, ExitCode

LABELS = {
    "participants": (("--participant-label",), "sub-"),
    "sessions": (("--session-label", "--session-id"), "ses-"),
    "tasks": (("-t", "--task-label", "--task-id"), "task-"),
    "runs": (("--run-label", "--run-id"), "run-"),
}


def add_check(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand; its options mean the same as those of ``bids-brainalign``."""
    parser = commands.add_parser(
        "check",
        help="say what would run on a dataset, what is missing, and how to mend it",
        description="Looks at names, sidecars and headers only: nothing is computed, and nothing "
        "is written but the index of --bids-database-dir.",
    )
    parser.add_argument("bids_dir", metavar="BIDS_DIR", help="root folder of the BIDS dataset")
    for name, (options, _) in LABELS.items():
        parser.add_argument(*options, dest=name, nargs="+", action="extend", metavar="LABEL")
    add = parser.add_argument
    add("--bids-filter-file", metavar="JSON", help="entities to require (ieeg, bold)")
    add("--space", metavar="LABEL", help="space of the fMRI images")
    add("-d", "--derivatives", nargs="+", action="extend", metavar="NAME=PATH",
        help="input derivatives, e.g. fmriprep=/path")  # fmt: skip
    add("--stimuli-map", metavar="TSV", help="which stimulus was played when")
    add("--bids-database-dir", metavar="DIR", help="where PyBIDS keeps its index between calls")


def run_check(arguments: argparse.Namespace) -> int:
    """Check a dataset and print what was found.

    Returns
    -------
    int
        0 if at least one recording can run; 65 or 66 else.

    Raises
    ------
    BrainAlignError
        The dataset can't be looked at: see :func:`bids_brainalign.workflow.check.gather.check`.
    """
    from bids_brainalign.workflow.check.gather import check
    from bids_brainalign.workflow.check.text import render

    config = _config(arguments)
    facts = check(config)
    print(render(facts, next_command=_next_command(config, arguments)))
    return int(facts.exit_code)


def _config(arguments: argparse.Namespace) -> Config:
    labels = {
        name: values.labels(given, _long(options), prefix=prefix)
        for name, (options, prefix) in LABELS.items()
        if (given := getattr(arguments, name)) is not None
    }
    space = arguments.space
    filters = arguments.bids_filter_file
    selection = Selection(
        **labels,
        space=None if space is None else values.labels([space], "--space", prefix="space-")[0],
        filters=() if filters is None else values.filter_file(values.absolute(filters)),
    )
    bids_dir = values.absolute(arguments.bids_dir)
    stimuli_map = _path(arguments.stimuli_map)
    if stimuli_map is not None and not stimuli_map.is_file():
        raise BrainAlignError(
            f"--stimuli-map: there is no file {stimuli_map}.", exit_code=ExitCode.MISSING_INPUT
        )
    paths = Paths(
        bids_dir=bids_dir,
        output_dir=bids_dir / "derivatives" / "bids-brainalign",
        work_dir=Path.cwd() / "work",
        derivatives=values.named_paths(arguments.derivatives or (), "--derivatives"),
        stimuli_map=stimuli_map,
        bids_database_dir=_path(arguments.bids_database_dir),
    )
    return Config(level="participant", paths=paths, selection=selection)


def _path(text: str | None) -> Path | None:
    return None if text is None else values.absolute(text)


def _long(options: Sequence[str]) -> str:
    """First spelling with two hyphens: what scripts should say."""
    return next(option for option in options if option.startswith("--"))


def _next_command(config: Config, arguments: argparse.Namespace) -> str:
    words = [str(config.paths.bids_dir), str(config.paths.output_dir), "participant"]
    for name, (options, _) in LABELS.items():
        given = getattr(config.selection, name)
        words += [_long(options), *given] if given else []
    if arguments.bids_filter_file:
        words += ["--bids-filter-file", arguments.bids_filter_file]
    words += ["--space", config.selection.space] if config.selection.space else []
    named = [f"{name}={path}" for name, path in config.paths.derivatives]
    words += ["-d", *named] if named else []
    if config.paths.stimuli_map is not None:
        words += ["--stimuli-map", str(config.paths.stimuli_map)]
    if config.paths.bids_database_dir is not None:
        words += ["--bids-database-dir", str(config.paths.bids_database_dir)]
    return shlex.join(["bids-brainalign", *words])
