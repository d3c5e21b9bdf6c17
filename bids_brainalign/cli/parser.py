"""The command line of the BIDS app.

Each option's destination is the key of the configuration that it sets (``ieeg.reference``); an
option that is not given sets nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bids_brainalign import __version__
from bids_brainalign.cli import values
from bids_brainalign.cli.arguments import PROG, AppParser
from bids_brainalign.cli.limits import available_cpus, check_device
from bids_brainalign.cli.models import model_sources, resolve_models
from bids_brainalign.cli.places import check_places
from bids_brainalign.config.checks import (
    HIGH_GAMMA,
    PRECISIONS,
    REFERENCES,
    SAVE,
    STEPS,
    check_level,
    check_values,
)
from bids_brainalign.config.recipes import SLOPPY, list_recipes, load_recipe
from bids_brainalign.config.schema import Config
from bids_brainalign.config.toml import Overlay, merge, read_overlay

_LEVEL_ALIASES = {"subject": "participant", "dataset": "group"}
_PREFIXES = {
    "selection.participants": ("--participant-label", "sub-"),
    "selection.sessions": ("--session-label", "ses-"),
    "selection.tasks": ("--task-label", "task-"),
    "selection.runs": ("--run-label", "run-"),
}
_PATHS = ("paths.work_dir", "paths.stimuli_map", "paths.folds", "paths.bids_database_dir",
          "paths.model_dir")  # fmt: skip
_NAMED_PATHS = {"paths.derivatives": "--derivatives", "paths.features": "--features"}
_NOT_CONFIGURATION = ("bids_dir", "output_dir", "level", "recipe", "config_file", "mem", "notrack")


def build_config(argv: Sequence[str]) -> Config:
    """Turn the command line into the configuration, and check what can be checked at once.

    Parameters
    ----------
    argv : sequence of str
        Without the program's name.

    Returns
    -------
    Config
        Defaults, then the recipe, then ``--config-file``, then options.

    Raises
    ------
    BrainAlignError
        In this order: usage (64), level (17), paths (66, 73, 16), models (66).
    SystemExit
        For ``--help`` and ``--version``.
    """
    given = vars(build_parser().parse_strictly(argv))
    options = _options(given)
    file: dict[str, Any] = (
        read_overlay(values.absolute(given["config_file"])) if "config_file" in given else {}
    )
    recipe = given.get("recipe", file.get("recipe"))
    # A file with a level is a whole configuration, as runs leave it: its recipe is in it already.
    is_whole = "level" in file and "recipe" not in given
    layers: list[Overlay] = [
        {
            "paths": {"work_dir": Path.cwd() / "work"},
            "resources": {"nprocs": available_cpus()},
        }
    ]
    if recipe is not None and not is_whole:
        layers.append(load_recipe(recipe))
    if options.get("sloppy", file.get("sloppy", False)):
        layers.append(SLOPPY)
    if "recipe" in given:
        file.pop("recipe", None)
    config = merge(*layers, file, options)
    check_values(config)
    check_device(config.resources.device, precision=config.resources.precision)
    check_level(config.level)
    check_places(config)
    return resolve_models(config)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Overlay of what was given on the command line."""
    level = _LEVEL_ALIASES.get(given["level"], given["level"])
    overlay: dict[str, Any] = {
        "level": level,
        "paths": {name: values.absolute(given[name]) for name in ("bids_dir", "output_dir")},
    }
    if "mem" in given:
        given["resources.mem_gb"] = values.memory_gb(given["mem"])
    for key, value in given.items():
        if key in _NOT_CONFIGURATION:
            continue
        table, _, name = key.rpartition(".")
        target = overlay.setdefault(table, {}) if table else overlay
        target[name] = _value(key, value)
    return overlay


def _value(key: str, value: Any) -> Any:
    if key in _PREFIXES:
        option, prefix = _PREFIXES[key]
        return values.labels(value, option, prefix=prefix)
    if key in _PATHS:
        return values.absolute(value)
    if key in _NAMED_PATHS:
        return values.named_paths(value, _NAMED_PATHS[key])
    if key == "features.models":
        return model_sources(value)
    if key == "paths.targets":
        return tuple(values.absolute(path) for path in value)
    if key == "save":
        return tuple(what for what in SAVE if what in value)
    if key == "selection.space":
        return values.labels([value], "--space", prefix="space-")[0]
    if key == "selection.filters":
        return values.filter_file(values.absolute(value))
    if key == "control.steps":
        return values.steps(value)
    return value


def build_parser() -> AppParser:
    """Make the parser; its help is the reference of the options."""
    parser = AppParser(
        prog=PROG,
        usage=f"{PROG} BIDS_DIR OUTPUT_DIR {{participant,group}} [options]",
        description="Align speech and language models with ECoG, sEEG and fMRI recordings.",
        epilog="Options with several values go after the three positional arguments. "
        "Underscores instead of hyphens are accepted.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("bids_dir", metavar="BIDS_DIR", help="root folder of the BIDS dataset")
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="where derivatives go")
    parser.add_argument("level", metavar="{participant,group}", help="analysis level")
    _add_selection(parser.add_argument_group("selection"))
    _add_material(parser.add_argument_group("own material"))
    _add_work(parser.add_argument_group("work"))
    _add_resources(parser.add_argument_group("resources"))
    _add_control(parser.add_argument_group("control"))
    return parser


def _add_selection(group: argparse._ArgumentGroup) -> None:
    def several(*names: str, dest: str, help: str) -> None:
        group.add_argument(
            *names, dest=dest, nargs="+", action="extend", metavar="LABEL", help=help
        )

    several(
        "--participant-label",
        dest="selection.participants",
        help="participants, with or without sub-; @FILE reads labels from a file",
    )
    several("--session-label", "--session-id", dest="selection.sessions", help="sessions")
    several("-t", "--task-label", "--task-id", dest="selection.tasks", help="tasks")
    several("--run-label", "--run-id", dest="selection.runs", help="runs")
    group.add_argument(
        "--bids-filter-file",
        dest="selection.filters",
        metavar="JSON",
        help="entities to require, per kind of query (ieeg, bold)",
    )
    group.add_argument(
        "--space", dest="selection.space", metavar="LABEL", help="space of the fMRI images"
    )
    group.add_argument(
        "-d",
        "--derivatives",
        dest="paths.derivatives",
        nargs="+",
        action="extend",
        metavar="NAME=PATH",
        help="input derivatives, e.g. fmriprep=/path",
    )
    group.add_argument(
        "--stimuli-map",
        dest="paths.stimuli_map",
        metavar="TSV",
        help="which stimulus was played when: recording entities, stimulus file, onset",
    )


def _add_material(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--features",
        dest="paths.features",
        nargs="+",
        action="extend",
        metavar="NAME=DIR",
        help="features of your own: a .npy or .h5 file with times per stimulus",
    )
    group.add_argument(
        "--folds",
        dest="paths.folds",
        metavar="TSV",
        help="folds of your own: run or time range, and fold, test or exclude",
    )
    group.add_argument(
        "--targets",
        dest="paths.targets",
        nargs="+",
        action="extend",
        metavar="TSV|MASK",
        help="electrodes (a table with the column name) or voxels (a NIfTI mask) to analyse",
    )
    group.add_argument(
        "--language",
        metavar="TAG",
        help="language of stimuli where nothing else tells it, e.g. nl (default: en)",
    )
    group.add_argument(
        "--save",
        nargs="+",
        action="extend",
        choices=SAVE,
        metavar="WHAT",
        help="also write predictions (of voxels) or weights (per delay, in feature units)",
    )


def _add_work(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help=f"settings of a published method: {', '.join(list_recipes())}, or a TOML file",
    )
    group.add_argument(
        "--config-file",
        metavar="TOML",
        help="settings that have no option; each run leaves its own in logs/",
    )
    group.add_argument(
        "--steps",
        dest="control.steps",
        nargs="+",
        action="extend",
        metavar="STEP",
        help=f"some of {', '.join(STEPS)}",
    )
    group.add_argument(
        "--models",
        dest="features.models",
        nargs="+",
        action="extend",
        metavar="NAME=SOURCE",
        help="speech models: a name and a local folder or a hub id (openai/whisper-base)",
    )
    group.add_argument(
        "--model-dir",
        dest="paths.model_dir",
        metavar="DIR",
        help="where models lie that are given by hub id (see brainalign fetch)",
    )
    group.add_argument(
        "--allow-download",
        dest="control.allow_download",
        action="store_true",
        help="download models that are not on this machine; else nothing touches the network",
    )
    group.add_argument(
        "--no-untrained",
        dest="features.untrained",
        action="store_false",
        help="leave out the models' twins with random weights",
    )
    group.add_argument(
        "--sloppy", action="store_true", help="quick and rough: for trying out, not for results"
    )
    group.add_argument("--random-seed", type=int, metavar="N", help="master seed")
    group.add_argument(
        "--reference", dest="ieeg.reference", choices=REFERENCES, help="iEEG reference"
    )
    group.add_argument(
        "--high-gamma",
        dest="ieeg.high_gamma",
        choices=HIGH_GAMMA,
        help="how high gamma is computed",
    )


def _add_resources(group: argparse._ArgumentGroup) -> None:
    def number(*names: str, dest: str, help: str) -> None:
        group.add_argument(*names, dest=f"resources.{dest}", type=int, metavar="N", help=help)

    group.add_argument(
        "-w",
        "--work-dir",
        dest="paths.work_dir",
        metavar="DIR",
        help="intermediate results, safe to delete (default: ./work)",
    )
    number(
        "--nprocs",
        "--n-procs",
        "--n-cpus",
        "--nthreads",
        dest="nprocs",
        help="processors to use (default: all that we may use)",
    )
    number("--omp-nthreads", dest="omp_nthreads", help="threads per process")
    memory = group.add_mutually_exclusive_group()
    memory.add_argument("--mem", metavar="16G", help="memory limit, with its unit")
    memory.add_argument(
        "--mem-gb", dest="resources.mem_gb", type=float, metavar="N", help="memory limit in GB"
    )
    group.add_argument(
        "--device",
        dest="resources.device",
        metavar="auto|cpu|cuda[:n]",
        help="where models run; CUDA asked for and absent is an error",
    )
    group.add_argument(
        "--precision",
        dest="resources.precision",
        choices=PRECISIONS,
        help="of the speech models; half precision is for CUDA (bf16 also for recent CPUs)",
    )
    number("--batch-size", dest="batch_size", help="windows of audio per call of a model")


def _add_control(group: argparse._ArgumentGroup) -> None:
    def switch(name: str, help: str) -> None:
        dest = f"control.{name.removeprefix('--').replace('-', '_')}"
        group.add_argument(name, dest=dest, action="store_true", help=help)

    switch("--skip-bids-validation", "don't run bids-validator-deno on BIDS_DIR")
    group.add_argument(
        "--bids-database-dir",
        dest="paths.bids_database_dir",
        metavar="DIR",
        help="keep the index of the dataset here",
    )
    switch("--dry-run", "list what would run")
    switch("--stop-on-first-crash", "don't go on with the rest")
    switch("--reports-only", "write the reports again from what is there")
    switch("--boilerplate-only", "write the citation text only")
    switch("--clean-workdir", "empty the work folder first")
    group.add_argument(
        "--notrack", action="store_true", help="accepted and without effect: we never track"
    )
    group.add_argument(
        "-v", dest="control.verbose", action="count", help="more messages, for each v"
    )
    group.add_argument("--version", action="version", version=f"{PROG} {__version__}")
