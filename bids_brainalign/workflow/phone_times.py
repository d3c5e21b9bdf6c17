"""Phone times of stimuli: annotated, or found from words before features are made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Annotations, Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.phonemes.forced_alignment import (
    INSTALL,
    can_find_phones,
    find_phones,
    has_pocketsphinx,
)
from bids_brainalign.phonemes.pronunciation import has_espeak
from bids_brainalign.phonemes.times import ANNOTATED, PhoneTimes, annotated_times
from bids_brainalign.store.atomic import write_json
from bids_brainalign.store.digest import digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.fits import Fit

USERS = frozenset({"features", "encoding", "phonemes"})
"""Steps of a run that use phone times. Any of them has phones found, or reads what was found
before: the baseline is the same whether steps run together or one after the other."""


def stimuli_of_fit(fit: Fit) -> list[Stimulus]:
    """Stimuli of a fit, each once, by name."""
    unique = {p.stimulus.name: p.stimulus for p in fit.presentations}
    return [unique[name] for name in sorted(unique)]


def stimuli_to_align(config: Config, fits: Sequence[Fit]) -> list[Stimulus]:
    """Stimuli of a run whose phones are to be found from their words, each once, by name."""
    if not USERS & set(config.control.steps):
        return []
    unique = {s.name: s for fit in fits for s in stimuli_of_fit(fit)}
    return [
        unique[name]
        for name in sorted(unique)
        if unique[name].phones is None and _not_alignable(config, unique[name]) is None
    ]


def _not_alignable(config: Config, stimulus: Stimulus) -> str | None:
    """Why the phones of a stimulus without annotated ones aren't looked for; None if they are."""
    if config.phonemes.times == "annotated":
        return f"{stimulus.name} has no annotated phones (phonemes.times = annotated)"
    if stimulus.words is None or not len(stimulus.words.table):
        return f"{stimulus.name} has neither annotated phones nor words to find them in"
    if not can_find_phones(stimulus.language):
        return f"{_not_found(stimulus)}: pocketsphinx or espeak-ng is not installed ({INSTALL})"
    return None


def missing_reason(config: Config, fit: Fit) -> str | None:
    """Why there are no phone times for this fit; None if there are some for every stimulus.

    Phones have been looked for: the fit is one of `with_phones`.
    """
    for stimulus in stimuli_of_fit(fit):
        if stimulus.phones is None:
            failed = f"{_not_found(stimulus)}: their alignment failed"
            return _not_alignable(config, stimulus) or failed
    return None


def require_aligner(config: Config, fits: Sequence[Fit]) -> None:
    """Refuse a run that is to find phones where nothing can.

    Raises
    ------
    BrainAlignError
        With exit code 64.
    """
    if config.phonemes.times != "align" or not USERS & set(config.control.steps):
        return
    for stimulus in (s for fit in fits for s in stimuli_of_fit(fit)):
        if stimulus.phones is None and not can_find_phones(stimulus.language):
            raise BrainAlignError(
                _not_found(stimulus),
                where="pocketsphinx (English) or espeak-ng (other languages) is not installed",
                fix=f"{INSTALL}; pip install 'bids-brainalign[simulate]' for espeak-ng",
                exit_code=ExitCode.USAGE,
            )


def _not_found(stimulus: Stimulus) -> str:
    return f"phones of {stimulus.name} ({stimulus.language}) can't be found from its words"


def phone_step(config: Config, stimulus: Stimulus) -> Step:
    """Find the phone times of a stimulus from its words."""
    path = _path(config, stimulus)

    def work() -> list[Path]:
        from bids_brainalign.dataset.pointers import require_content
        from bids_brainalign.features.audio import load_audio

        require_content(stimulus.path, config.paths.bids_dir)
        assert stimulus.words is not None  # noqa: S101 - stimuli_to_align has seen to it
        found = find_phones(
            load_audio(stimulus.path), stimulus.words.table, language=stimulus.language
        )
        content = asdict(found) | {"table": found.table.to_dict("list")}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content)
        return [path]

    return Step(
        name=f"phones {stimulus.name}",
        inputs={"key": phone_key(stimulus), "installed": [has_pocketsphinx(), has_espeak()]},
        modules=("bids_brainalign.phonemes.forced_alignment",),
        work=work,
    )


def with_phones(
    config: Config, fits: Sequence[Fit], aligned: Sequence[Stimulus]
) -> tuple[Fit, ...]:
    """Give stimuli the phones that were found for them.

    Parameters
    ----------
    config : Config
    fits : sequence of Fit
    aligned : sequence of Stimulus
        Stimuli whose `phone_step` has succeeded.

    Returns
    -------
    tuple of Fit
        The same fits. What is made of their stimuli is keyed by the phones' times, as where they
        are annotated.
    """
    found = {s.name: replace(s, phones=_aligned_phones(_path(config, s))) for s in aligned}
    return tuple(
        replace(
            fit,
            presentations=tuple(
                replace(p, stimulus=found.get(p.stimulus.name, p.stimulus))
                for p in fit.presentations
            ),
        )
        for fit in fits
    )


def _aligned_phones(path: Path) -> Annotations:
    times = _read(path)
    return Annotations(times.table.rename(columns={"phone": "label"}), path, method=times.method)


def phone_key(stimulus: Stimulus) -> str:
    """Identity of the phone times of a stimulus."""
    tables = [
        [] if a is None else [a.table["onset"].round(6).tolist(),
                              a.table["duration"].round(6).tolist(), a.table["label"].tolist()]
        for a in (stimulus.words, stimulus.phones)
    ]  # fmt: skip
    return digest_of([stimulus.sha256, stimulus.language, tables])[:24]


def load_phone_times(config: Config, stimulus: Stimulus) -> PhoneTimes:
    """Phone times of one stimulus that has some."""
    if stimulus.phones is None:
        raise ValueError(f"{stimulus.name} has no phones")
    if stimulus.phones.method:
        return _read(stimulus.phones.path)
    written = config.paths.phone_classes is not None
    return annotated_times(stimulus.phones.table, as_written=written)


def phone_methods(fit: Fit) -> dict[str, str]:
    """Name of each stimulus that has phone times → where they come from, for sidecars."""
    return {
        s.name: s.phones.method or ANNOTATED for s in stimuli_of_fit(fit) if s.phones is not None
    }


def _read(path: Path) -> PhoneTimes:
    content = json.loads(path.read_text(encoding="utf-8"))
    table = pd.DataFrame(content["table"]).astype({"onset": float, "duration": float})
    return PhoneTimes(**(content | {"table": table}))


def _path(config: Config, stimulus: Stimulus) -> Path:
    return config.paths.work_dir / "phones" / f"{phone_key(stimulus)}.json"
