"""Phone times of the stimuli of one fit: annotated, or from a step of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.phonemes.times import PhoneTimes, annotated_times
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.digest import digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.fits import Fit


def stimuli_of_fit(fit: Fit) -> list[Stimulus]:
    """Stimuli of a fit, each once, by name."""
    unique = {p.stimulus.name: p.stimulus for p in fit.presentations}
    return [unique[name] for name in sorted(unique)]


def missing_reason(config: Config, fit: Fit) -> str | None:
    """Why there are no phone times for this fit; None if there are some for every stimulus."""
    for stimulus in stimuli_of_fit(fit):
        if stimulus.phones is not None:
            continue
        return f"{stimulus.name} has neither annotated phones nor words to align"
    return None


def phone_steps(config: Config, fit: Fit) -> Iterator[Step]:
    """Give the steps that find phone times where none are annotated."""
    yield from ()


def phone_key(config: Config, stimulus: Stimulus) -> str:
    """Identity of the phone times of a stimulus."""
    tables = [
        [] if a is None else [a.table["onset"].round(6).tolist(),
                              a.table["duration"].round(6).tolist(), a.table["label"].tolist()]
        for a in (stimulus.words, stimulus.phones)
    ]  # fmt: skip
    return digest_of([stimulus.sha256, stimulus.language, tables])[:24]


def load_phone_times(config: Config, stimulus: Stimulus) -> PhoneTimes:
    """Phone times of one stimulus; its step, if it has one, has run."""
    if stimulus.phones is not None:
        written = config.paths.phone_classes is not None
        return annotated_times(stimulus.phones.table, as_written=written)
    raise NotImplementedError
