"""``brainalign``: the tools beside the BIDS app (check, fetch, simulate, demo, …)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bids_brainalign import __version__
from bids_brainalign.cli.check import add_check, run_check
from bids_brainalign.cli.simulate_production import (
    add_production,
    check_production,
    run_production,
)
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.embedded import EMBEDDED, embedded_model_folder

DEFAULT_STORIES, DEFAULT_MINUTES = 4, 3.0
DEMO_NPROCS = 2
MIN_MINUTES = 0.5


class _Parser(argparse.ArgumentParser):
    """Leaves with the contract's exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        raise BrainAlignError(
            message, fix=f"see {self.prog} --help", exit_code=ExitCode.USAGE
        ) from None


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all subcommands."""
    parser = _Parser(prog="brainalign", description="Tools beside bids-brainalign.")
    parser.add_argument("--version", action="version", version=f"brainalign {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_check(commands)
    _add_simulate(commands)
    demo = commands.add_parser(
        "demo",
        help="simulate a small dataset, run participant and group on it, compare with the truth",
    )
    demo.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    demo.add_argument("--seed", type=int, default=0, help="of model, speech and noise")
    demo.add_argument("--nprocs", type=_at_least_one, default=DEMO_NPROCS, metavar="N")
    fetch = commands.add_parser(
        "fetch", help="download a model for offline use, or convert the .bin of a local folder"
    )
    fetch.add_argument("model", metavar="MODEL", help="openai/whisper-base, or a local folder")
    fetch.add_argument(
        "--model-dir", type=Path, default=Path("models"), metavar="DIR", help="default: ./models"
    )
    fetch.add_argument("--revision", metavar="REV", help="branch, tag or commit")
    recipes = commands.add_parser("recipes", help="list the recipes, or print one as TOML")
    recipes.add_argument("name", nargs="?", metavar="NAME")
    commands.add_parser(
        "descriptor",
        help="print the Boutiques descriptor of bids-brainalign, made from its parser",
    )
    return parser


def _add_simulate(commands: argparse._SubParsersAction[_Parser]) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="write a BIDS dataset with a planted answer",
        description="Writes OUT_DIR/bids and, beside it, OUT_DIR/ground_truth.json.",
    )
    add = simulate.add_argument
    add("out_dir", type=Path, metavar="OUT_DIR")
    add("--modality", choices=("ieeg", "fmri", "both", "eeg"), default="both",
        help="both: iEEG and fMRI")  # fmt: skip
    add(
        "--models",
        metavar="NAME=FOLDER",
        help="speech model whose layers are planted; default: the small one that is shipped",
    )
    add(
        "--audio",
        nargs="+",
        type=Path,
        metavar="WAV",
        help="stories to play; words from <stem>_words.tsv beside them; default: synthetic speech",
    )
    add("--participants", type=_at_least_one, default=2, metavar="N", help="per modality")
    add("--stories", type=_at_least_one, metavar="N", help="synthetic stories (default 4)")
    add("--minutes", type=float, metavar="M", help="per story (default 3); longer audio is cut")
    add("--layers", nargs="+", type=int, metavar="LAYER", help="planted layers, early first")
    add(
        "--phones",
        choices=("grouped", "scattered"),
        help="iEEG: plant tuning to classes of phones instead of layers, each class on a device "
        "of its own or all mixed",
    )
    add("--repeats", type=_at_least_one, default=1, metavar="N",
        help="fMRI: runs in which the first story is heard, for a noise ceiling")  # fmt: skip
    add("--tr", type=float, metavar="S", help="fMRI: repetition time (default 1.5)")
    add("--bold-lags", nargs="+", type=float, default=(), metavar="S",
        help="fMRI: lag of a short response (Gaussian, SD 0.6 s) per planted layer, instead of "
        "the canonical response")  # fmt: skip
    add("--language", choices=("en", "nl", "fr"), default="en", help="of synthetic speech")
    add_production(add, at_least_one=_at_least_one)
    add("--null", action="store_true", help="all-null twin: no link to stories or words")
    add("--seed", type=int, default=0)


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        Exit code.
    """
    commands = {
        "check": run_check,
        "simulate": _simulate,
        "demo": _demo,
        "fetch": _fetch,
        "recipes": _recipes,
        "descriptor": _descriptor,
    }
    try:
        arguments = build_parser().parse_args(argv)
        return commands[arguments.command](arguments)
    except BrainAlignError as error:
        print(f"brainalign: {error}", file=sys.stderr)
        return int(error.exit_code)
    except SystemExit as leave:  # --help and --version
        return int(leave.code or 0)


def _simulate(arguments: argparse.Namespace) -> int:
    check_production(arguments)
    if arguments.speech_production:
        return run_production(arguments)
    minutes = DEFAULT_MINUTES if arguments.minutes is None else arguments.minutes
    if minutes < MIN_MINUTES:
        raise BrainAlignError(
            f"--minutes {minutes:g} is too short for a story",
            fix=f"--minutes {MIN_MINUTES:g} or more",
            exit_code=ExitCode.USAGE,
        )
    if arguments.audio and arguments.stories:
        raise BrainAlignError(
            "--stories counts synthetic stories, and --audio gives recordings",
            fix="leave out one of the two",
            exit_code=ExitCode.USAGE,
        )
    if arguments.audio and arguments.language != "en":
        raise BrainAlignError(
            "--language is that of synthetic speech, and --audio gives recordings",
            fix="leave out one of the two; the app's --language tells what recordings speak",
            exit_code=ExitCode.USAGE,
        )
    _check_bold(arguments)
    model, folder = _model(arguments)

    from bids_brainalign.simulate.bids_tree import start_dataset
    from bids_brainalign.simulate.dataset import BIDS_FOLDER, TRUTH_FILE, simulate_dataset
    from bids_brainalign.simulate.fmri_files import TR_S
    from bids_brainalign.simulate.stories import stories_from_audio, synthetic_stories

    start_dataset(arguments.out_dir / BIDS_FOLDER)
    if arguments.audio:
        limit_s = None if arguments.minutes is None else 60 * minutes
        stories = stories_from_audio(arguments.audio, max_duration_s=limit_s)
    else:
        stories = synthetic_stories(
            arguments.stories or DEFAULT_STORIES, duration_s=60 * minutes, seed=arguments.seed,
            language=arguments.language,
        )  # fmt: skip
    simulate_dataset(
        arguments.out_dir,
        model=model,
        model_folder=folder,
        ieeg_stories=stories if arguments.modality in ("ieeg", "both") else [],
        fmri_stories=stories if arguments.modality in ("fmri", "both") else [],
        eeg_stories=stories if arguments.modality == "eeg" else [],
        n_participants=arguments.participants,
        layers=arguments.layers,
        seed=arguments.seed,
        null=arguments.null,
        phones=arguments.phones,
        n_repeats=arguments.repeats,
        tr_s=TR_S if arguments.tr is None else arguments.tr,
        bold_lags_s=arguments.bold_lags,
    )
    print(f"dataset: {arguments.out_dir / BIDS_FOLDER}")
    print(f"planted: {arguments.out_dir / TRUTH_FILE}")
    places = f"{arguments.out_dir / BIDS_FOLDER} {arguments.out_dir / 'derivatives'}"
    option = "" if arguments.models is None else f" --models {model}={folder}"
    print(f"analyse: bids-brainalign {places} participant{option}")
    return int(ExitCode.OK)


def _check_bold(arguments: argparse.Namespace) -> None:
    """Refuse a repetition time or lags that no recording has."""
    if arguments.tr is not None and not 0.2 <= arguments.tr <= 10:
        raise BrainAlignError(
            f"--tr {arguments.tr:g} is not a repetition time",
            fix="give it in seconds: --tr 0.8",
            exit_code=ExitCode.USAGE,
        )
    lags, n_layers = arguments.bold_lags, min(2, len(arguments.layers or (1, 2)))
    if lags and (len(lags) != n_layers or min(lags) < 0 or max(lags) > 30):
        raise BrainAlignError(
            f"--bold-lags {' '.join(f'{lag:g}' for lag in lags)} doesn't fit {n_layers} layers",
            fix=f"give {n_layers} lags between 0 and 30 s: one per planted layer, early first",
            exit_code=ExitCode.USAGE,
        )


def _model(arguments: argparse.Namespace) -> tuple[str, Path]:
    if arguments.models is None:
        return EMBEDDED, embedded_model_folder()
    name, separator, folder = arguments.models.partition("=")
    if not separator or not name or not folder:
        raise BrainAlignError(
            f"--models {arguments.models} has no NAME=FOLDER",
            fix="--models whisper-base=/path/to/whisper-base",
            exit_code=ExitCode.USAGE,
        )
    if not Path(folder).is_dir():
        raise BrainAlignError(
            f"the model folder {folder} does not exist",
            fix="--models NAME=FOLDER with config.json, preprocessor_config.json and "
            "model.safetensors in FOLDER",
            exit_code=ExitCode.MISSING_INPUT,
        )
    return name, Path(folder)


def _demo(arguments: argparse.Namespace) -> int:
    from bids_brainalign.cli.demo import run_demo

    options = ("--nprocs", str(arguments.nprocs))
    return run_demo(arguments.out_dir, seed=arguments.seed, app_options=options)


def _fetch(arguments: argparse.Namespace) -> int:
    from bids_brainalign.features.fetch import SOURCE_FILE, fetch_model

    folder = fetch_model(arguments.model, arguments.model_dir, revision=arguments.revision)
    print(f"{folder}: commit and checksums in {SOURCE_FILE}")
    name = arguments.model.rstrip("/").rpartition("/")[2]
    print(f"use it: --models {name}={folder}, or --models {arguments.model} --model-dir "
          f"{arguments.model_dir}")  # fmt: skip
    return int(ExitCode.OK)


def _recipes(arguments: argparse.Namespace) -> int:
    from bids_brainalign.config.recipes import list_recipes, recipe_text

    if arguments.name is None:
        print("\n".join(list_recipes()))
    else:
        print(recipe_text(arguments.name), end="")
    return int(ExitCode.OK)


def _descriptor(arguments: argparse.Namespace) -> int:
    from bids_brainalign.cli.descriptor import descriptor_text

    print(descriptor_text(), end="")
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
