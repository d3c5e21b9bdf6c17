"""``brainalign simulate --speech-production``: people who read words aloud."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from bids_brainalign.errors import BrainAlignError, ExitCode

FORMATS = ("nwb", "edf", "brainvision")
OF_LISTENERS = {
    "modality": "both", "models": None, "audio": None, "stories": None, "minutes": None,
    "layers": None, "phones": None, "repeats": 1, "tr": None, "bold_lags": (),
}  # fmt: skip
"""Options of simulated listeners, and their defaults."""
OF_SPEAKERS = ("production_signal", "production_format", "words", "channels")


def add_production(add: Callable[..., Any], *, at_least_one: Callable[[str], int]) -> None:
    """Add the options to the parser of ``simulate``."""
    add(
        "--speech-production",
        action="store_true",
        help="sEEG of people who read words aloud instead of listeners: high gamma after speech "
        "onset follows OUT_DIR/vectors.txt",
    )
    add("--production-signal", type=float, metavar="SHARE",
        help="share of the variance between words that the vectors explain (default 0.5; 0: none)",
        )  # fmt: skip
    add("--production-format", choices=FORMATS, help="of the recordings (default nwb)")
    add("--words", type=at_least_one, metavar="N",
        help="different words that are read (default 100, or all there are)")  # fmt: skip
    add("--channels", type=at_least_one, metavar="N", help="of each speaker (default 24)")


def check_production(arguments: argparse.Namespace) -> None:
    """Refuse options of listeners for speakers, and the other way round (64)."""
    if arguments.speech_production:
        wrong = [n for n, default in OF_LISTENERS.items() if getattr(arguments, n) != default]
        whose, fix = "of simulated listeners", "leave it out, or leave out --speech-production"
        if arguments.null and arguments.production_signal:
            raise BrainAlignError(
                "--null is a --production-signal of 0, but another one is given",
                fix="leave out one of the two",
                exit_code=ExitCode.USAGE,
            )
    else:
        wrong = [name for name in OF_SPEAKERS if getattr(arguments, name) is not None]
        whose, fix = "of simulated speakers", "add --speech-production, or leave it out"
    if wrong:
        raise BrainAlignError(
            f"--{wrong[0].replace('_', '-')} is an option {whose}",
            fix=fix,
            exit_code=ExitCode.USAGE,
        )


def run_production(arguments: argparse.Namespace) -> int:
    """Simulate the dataset and say where it lies."""
    from bids_brainalign.simulate.dataset import BIDS_FOLDER, TRUTH_FILE
    from bids_brainalign.simulate.production import VECTORS_FILE, simulate_production
    from bids_brainalign.simulate.production_plan import (
        DEFAULT_CHANNELS,
        DEFAULT_SHARE,
        DEFAULT_WORDS,
        ProductionPlan,
    )
    from bids_brainalign.simulate.word_list import MAX_WORDS

    share = arguments.production_signal
    if share is None:
        share = 0.0 if arguments.null else DEFAULT_SHARE
    plan = ProductionPlan(
        n_participants=arguments.participants,
        n_words=arguments.words or min(DEFAULT_WORDS, MAX_WORDS[arguments.language]),
        n_channels=arguments.channels or DEFAULT_CHANNELS,
        share=share,
        file_format=arguments.production_format or "nwb",
        language=arguments.language,
        seed=arguments.seed,
    )
    simulate_production(arguments.out_dir, plan)
    out = arguments.out_dir
    print(f"dataset: {out / BIDS_FOLDER}")
    print(f"planted: {out / TRUTH_FILE}")
    print(
        f"analyse: bids-brainalign {out / BIDS_FOLDER} {out / 'derivatives'} participant "
        f"--recipe speech-production --models planted={out / VECTORS_FILE}"
    )
    return int(ExitCode.OK)
