"""``brainalign check``: options, exit code, and the command that comes next."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bids_brainalign.cli import values
from bids_brainalign.cli.options import add_selection
from bids_brainalign.cli.parser import PREFIXES, overlay_of
from bids_brainalign.config.schema import Config
from bids_brainalign.config.toml import merge
from bids_brainalign.errors import BrainAlignError, ExitCode


def add_check(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand; its options are those of ``bids-brainalign`` that select."""
    parser = commands.add_parser(
        "check",
        help="say what would run on a dataset, what is missing, and how to mend it",
        description="Looks at names, sidecars and headers only: nothing is computed, and nothing "
        "is written but the index of --bids-database-dir.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("bids_dir", metavar="BIDS_DIR", help="root folder of the BIDS dataset")
    add_selection(parser.add_argument_group("selection"))
    parser.add_argument(
        "--bids-database-dir",
        dest="paths.bids_database_dir",
        metavar="DIR",
        help="where PyBIDS keeps its index between calls",
    )


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
    print(render(facts, next_command=_next_command(config, vars(arguments))))
    return int(facts.exit_code)


def _config(arguments: argparse.Namespace) -> Config:
    given = vars(arguments)
    overlay = overlay_of({key: value for key, value in given.items() if "." in key})
    bids_dir = values.absolute(given["bids_dir"])
    places = {
        "bids_dir": bids_dir,
        "output_dir": bids_dir / "derivatives" / "bids-brainalign",
        "work_dir": Path.cwd() / "work",
    }
    config = merge({"level": "participant", "paths": places}, overlay)
    stimuli_map = config.paths.stimuli_map
    if stimuli_map is not None and not stimuli_map.is_file():
        raise BrainAlignError(
            f"--stimuli-map: there is no file {stimuli_map}.", exit_code=ExitCode.MISSING_INPUT
        )
    return config


def _next_command(config: Config, given: Mapping[str, Any]) -> str:
    words = [str(config.paths.bids_dir), str(config.paths.output_dir), "participant"]
    for key, (option, _) in PREFIXES.items():
        labels = getattr(config.selection, key.removeprefix("selection."))
        words += [option, *labels] if labels else []
    if "selection.filters" in given:
        words += ["--bids-filter-file", given["selection.filters"]]
    words += ["--space", config.selection.space] if config.selection.space else []
    named = [f"{name}={path}" for name, path in config.paths.derivatives]
    words += ["-d", *named] if named else []
    if config.paths.stimuli_map is not None:
        words += ["--stimuli-map", str(config.paths.stimuli_map)]
    if config.paths.bids_database_dir is not None:
        words += ["--bids-database-dir", str(config.paths.bids_database_dir)]
    return shlex.join(["bids-brainalign", *words])
