"""Phone times of the stimuli of one fit: annotated, or from a step of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.phonemes.forced_alignment import INSTALL, can_find_phones, find_phones
from bids_brainalign.phonemes.times import PhoneTimes, annotated_times
from bids_brainalign.store.atomic import write_json
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
        if config.phonemes.times == "annotated":
            return f"{stimulus.name} has no annotated phones (phonemes.times = annotated)"
        if stimulus.words is None:
            return f"{stimulus.name} has neither annotated phones nor words to find them in"
        if not can_find_phones(stimulus.language):
            return (
                f"{_not_found(stimulus)}: pocketsphinx or espeak-ng is not installed ({INSTALL})"
            )
    return None


def require_aligner(config: Config, fits: Sequence[Fit]) -> None:
    """Refuse a run that is to find phones where nothing can.

    Raises
    ------
    BrainAlignError
        With exit code 64.
    """
    if config.phonemes.times != "align" or "phonemes" not in config.control.steps:
        return
    for stimulus in (s for fit in fits if fit.modality == "ieeg" for s in stimuli_of_fit(fit)):
        if stimulus.phones is None and not can_find_phones(stimulus.language):
            raise BrainAlignError(
                _not_found(stimulus),
                where="pocketsphinx (English) or espeak-ng (other languages) is not installed",
                fix=f"{INSTALL}; pip install 'bids-brainalign[simulate]' for espeak-ng",
                exit_code=ExitCode.USAGE,
            )


def _not_found(stimulus: Stimulus) -> str:
    return f"phones of {stimulus.name} ({stimulus.language}) can't be found from its words"


def phone_steps(config: Config, fit: Fit) -> Iterator[Step]:
    """Give the steps that find phone times where none are annotated, one per stimulus."""
    for stimulus in stimuli_of_fit(fit):
        if stimulus.phones is None:
            yield _step(config, stimulus)


def _step(config: Config, stimulus: Stimulus) -> Step:
    path = _path(config, stimulus)

    def work() -> list[Path]:
        from bids_brainalign.dataset.pointers import require_content
        from bids_brainalign.features.audio import load_audio

        require_content(stimulus.path, config.paths.bids_dir)
        assert stimulus.words is not None  # noqa: S101 - missing_reason has seen to it
        found = find_phones(
            load_audio(stimulus.path), stimulus.words.table, language=stimulus.language
        )
        content = asdict(found) | {"table": found.table.to_dict("list")}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content)
        return [path]

    return Step(
        name=f"phones {stimulus.name}",
        inputs={"key": phone_key(config, stimulus)},
        modules=("bids_brainalign.phonemes.forced_alignment",),
        work=work,
    )


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
    content = json.loads(_path(config, stimulus).read_text(encoding="utf-8"))
    return PhoneTimes(**(content | {"table": pd.DataFrame(content["table"])}))


def _path(config: Config, stimulus: Stimulus) -> Path:
    return config.paths.work_dir / "phones" / f"{phone_key(config, stimulus)}.json"
