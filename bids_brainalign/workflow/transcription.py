"""The step that lets Whisper's decoder write down what was decoded, beside its controls."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Presentation
from bids_brainalign.decoding.transcription import (
    decoded_states,
    in_window,
    onto_frames,
    windows_within,
    word_errors,
)
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import SAMPLE_RATE_HZ, load_audio
from bids_brainalign.features.whisper import FRAME_S
from bids_brainalign.features.whisper_text import WhisperText, can_write
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import Assembly, assemble
from bids_brainalign.workflow.decoding_problem import decoding_problem
from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space

logger = logging.getLogger(__name__)
Array32 = NDArray[np.float32]

LEAST_S = 10.0
"""Shorter windows of held-out data are not written down."""
LIKE_LENGTH = 0.1
"""Windows whose lengths differ by at most this share of them are compared with each other."""
BRIDGE_S = 0.5
"""Longer gaps in held-out data begin a new window."""
STATES = ("predicted", "shuffled", "mean", "true")
COLUMNS: dict[str, str] = {
    "states": "What the decoder was given: predicted (held-out states predicted from the "
    "electrodes), shuffled (those of other windows as long and of this language: their mean), "
    "mean (the training data's mean state at each place of the window) or true (what the encoder "
    "makes of the audio itself: the most that can come out)",
    "fold": "Outer fold, or all (of the windows that have others as long)",
    "stimulus": "Stimulus, or all",
    "onset": "Second of the stimulus at which the window begins",
    "offset": "Second at which it ends: after the encoder's window (30 s), or where held-out data "
    "end; states of silence follow",
    "n_words": "Words whose middle lies in the window",
    "n_errors": "Words to substitute, leave out and insert between said and written",
    "wer": "Word error rate: n_errors / n_words; above 1 where more is written than was said",
    "said": "Words of the stimulus",
    "written": "What Whisper wrote down",
}


METHOD = (
    "Held-out time is cut into windows as long as the encoder's, beginning where held-out data "
    "begin, since the decoder needs a window's beginning. States of the last encoder layer, less "
    "the training data's mean at their place in the window (which the electrodes can't know), "
    "were predicted from the electrodes by ridge regression, as for decoding, but in all "
    "dimensions. Whisper's decoder wrote down what it read in prediction and mean together "
    "(greedily, with the language of the stimulus given). Words are compared without case and "
    "punctuation. The decoder knows the language by itself and writes fluent sentences from "
    "noise, so the text means something only where its errors are clearly fewer than those of "
    "other windows' text."
)


def require_writer(config: Config, spaces: Sequence[Space]) -> None:
    """Refuse ``--transcribe`` where no model of the run can write.

    Raises
    ------
    BrainAlignError
        With exit code 64.
    """
    if not config.decoding.transcribe or any(_writes(space) for space in spaces):
        return
    names = [space.name for space in spaces if space.kind == "model"]
    raise BrainAlignError(
        "--transcribe needs a Whisper with its tokenizer, and no model of this run is one.",
        where=f"models: {', '.join(names) or 'none'}; looked for tokenizer.json, or vocab.json "
        "and merges.txt, beside config.json (features in dense mode)",
        fix="give a whole Whisper folder with --models NAME=FOLDER (brainalign fetch makes one), "
        "or leave --transcribe out",
        exit_code=ExitCode.USAGE,
    )


def transcription_steps(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space]
) -> Iterator[Step]:
    """Write down what was decoded with one model; no step where that can't be.

    Parameters
    ----------
    config : Config
    fit : Fit
        Of electrodes.
    space : Space
    spaces : sequence of Space
        All feature spaces of the run (the folds depend on their context).
    """
    if not config.decoding.transcribe or not _writes(space):
        return
    inputs = dict(encoding_step(config, fit, space, None, spaces).inputs)
    inputs["decoding"] = asdict(config.decoding)
    inputs["words"] = [
        [p.stimulus.language, *([] if p.stimulus.words is None else _said(p))]
        for p in fit.presentations
    ]
    yield Step(
        name=f"transcription {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs=inputs,
        modules=("bids_brainalign.workflow.transcription",),
        work=lambda: _transcribe(config, fit, space, spaces),
    )


def _writes(space: Space) -> bool:
    if space.kind != "model" or space.mode != "dense" or space.source is None:
        return False
    return can_write(space.source)


def _said(presentation: Presentation) -> list[list[object]]:
    assert presentation.stimulus.words is not None  # noqa: S101 - asked for where there are some
    table = presentation.stimulus.words.table
    return [[round(float(o), 6), str(w)] for o, w in table[["onset", "label"]].to_numpy()]


@dataclass(frozen=True)
class _Window:
    """One window of one held-out presentation."""

    fold: int
    presentation: Presentation
    part: slice
    """Frames of the stimulus."""
    said: str
    predicted: Array32
    true: Array32
    mean: Array32


def _transcribe(config: Config, fit: Fit, space: Space, spaces: Sequence[Space]) -> list[Path]:
    assert space.source is not None  # noqa: S101 - models always have a folder
    assembly = assemble(config, fit, spaces)
    writer = WhisperText(space.source, device=device_of(config))
    windows = _windows(config, assembly, writer)
    rows: list[dict[str, object]] = []
    notes = [
        f"Stimuli in {language!r} were left out: {writer.folder.name} can't write it."
        for language in sorted({p.stimulus.language for p in fit.presentations})
        if not writer.can_write_in(language)
    ]
    for language in sorted({w.presentation.stimulus.language for w in windows}):
        mine = [w for w in windows if w.presentation.stimulus.language == language]
        rows += _rows(writer, mine, language, batch_size=config.resources.batch_size)
    path = config.paths.output_dir / fit.name.file(
        "transcription.tsv", analysis=analysis_label(space.name)
    )
    table = _with_sums(pd.DataFrame(rows, columns=list(COLUMNS)))
    return list(write_tsv(path, table, COLUMNS, extra={"Method": METHOD, "Notes": notes}))


def _windows(config: Config, assembly: Assembly, writer: WhisperText) -> list[_Window]:
    """Windows of all folds with words and enough held-out data, at most as many as configured."""
    problem = decoding_problem(config, assembly)
    found: list[tuple[int, Presentation, slice]] = []
    for k in range(len(problem.plan.folds)):
        for presentation in assembly.fit.presentations:
            if not writer.can_write_in(presentation.stimulus.language):
                continue
            covered = _onto_stimulus(assembly, k, presentation)[1]
            for part in windows_within(
                covered,
                window=writer.window_frames,
                least=round(LEAST_S / FRAME_S),
                bridge=round(BRIDGE_S / FRAME_S),
            ):
                if _words_in(presentation, part):
                    found.append((k, presentation, part))
    most = config.decoding.transcribe_windows
    if len(found) > most:
        found = [found[i] for i in np.linspace(0, len(found) - 1, most).round().astype(int)]
    if not found:
        return []
    waves = {p.stimulus.name: load_audio(p.stimulus.path) for p in assembly.fit.presentations}
    states, place = _sampled_states(assembly, writer, waves)
    silence = writer.silence()
    windows: list[_Window] = []
    for k in sorted({fold for fold, _, _ in found}):
        predicted, means = decoded_states(
            states, place, writer.window_frames, problem, problem.plan.folds[k]
        )
        for _, presentation, part in (one for one in found if one[0] == k):
            frames, covered = _onto_stimulus(assembly, k, presentation, predicted)
            whole = np.ones(len(covered), dtype=bool)
            wave = waves[presentation.stimulus.name]
            windows.append(
                _Window(
                    k,
                    presentation,
                    part,
                    _words_in(presentation, part),
                    in_window(frames, covered, part, means=means, silence=silence),
                    writer.states([wave[_samples(part.start) : _samples(part.stop)]])[0],
                    in_window(0 * frames, whole, part, means=means, silence=silence),
                )
            )
    return windows


def _samples(frame: int) -> int:
    return round(frame * FRAME_S * SAMPLE_RATE_HZ)


def _sampled_states(
    assembly: Assembly, writer: WhisperText, waves: Mapping[str, Array32]
) -> tuple[Array32, NDArray[np.int64]]:
    """State of every used sample in windows side by side, and its place in its window.

    Features of the encoding come from windows that overlap and are blended; a decoder that is to
    read whole windows needs states of whole windows.
    """
    samples = assembly.samples
    place = np.zeros(len(samples.run), dtype=np.int64)
    states: Array32 | None = None
    for index, name in enumerate(sorted(waves)):
        wave = waves[name]
        starts = range(0, len(wave), writer.window_samples)
        found = writer.states([wave[s : s + writer.window_samples] for s in starts])
        frames = found.reshape(-1, found.shape[-1])
        if states is None:
            states = np.zeros((len(place), frames.shape[1]), dtype=np.float32)
        rows = np.flatnonzero(samples.stimulus == index)
        at = np.clip(samples.stimulus_s[rows] / FRAME_S, 0, len(frames) - 1)
        left = np.minimum(at.astype(np.int64), len(frames) - 2)
        share = (at - left).astype(np.float32)[:, None]
        states[rows] = frames[left] * (1 - share) + frames[left + 1] * share
        place[rows] = np.minimum(np.round(at).astype(np.int64), len(frames) - 1)
    if states is None:
        raise ValueError("no stimulus")
    return states, place % writer.window_frames


def _onto_stimulus(
    assembly: Assembly, k: int, presentation: Presentation, values: Array32 | None = None
) -> tuple[Array32, NDArray[np.bool_]]:
    """Put values of fold k's held-out rows onto the frames of a stimulus, and say which it has.

    Without values only the second is of use.
    """
    samples, rows = assembly.samples, assembly.plan.folds[k].outer.test
    names = [recording.name for recording in assembly.fit.recordings]
    here = samples.run[rows] == names.index(presentation.recording.name)
    clock = samples.time_s[rows] - presentation.onset_s
    mine = np.flatnonzero(here & (np.abs(clock - samples.stimulus_s[rows]) < 1e-6))
    if values is None:
        values = np.zeros((len(rows), 0), dtype=np.float32)
    return onto_frames(
        values[mine],
        samples.stimulus_s[rows][mine],
        interval_s=assembly.interval_s,
        frame_s=FRAME_S,
        n_frames=max(1, math.ceil(presentation.stimulus.duration_s / FRAME_S - 1e-6)),
    )


def _words_in(presentation: Presentation, part: slice) -> str:
    """Words whose middle lies within a window."""
    if presentation.stimulus.words is None:
        return ""
    table = presentation.stimulus.words.table
    middle = (table["onset"] + table["duration"] / 2).to_numpy(dtype=np.float64) / FRAME_S
    heard = (middle >= part.start) & (middle < part.stop)
    return " ".join(str(word) for word in table["label"][heard])


def _rows(
    writer: WhisperText, windows: Sequence[_Window], language: str, *, batch_size: int
) -> list[dict[str, object]]:
    """One row per window and kind of states."""
    said = [writer.words(w.said, language=language) for w in windows]
    written = {
        kind: writer.write(
            np.stack([getattr(w, kind) for w in windows]), language=language, batch_size=batch_size
        )
        for kind in ("predicted", "mean", "true")
    }
    read = {
        kind: [writer.words(text, language=language) for text in texts]
        for kind, texts in written.items()
    }
    rows: list[dict[str, object]] = []
    for i, window in enumerate(windows):
        errors: dict[str, float] = {k: word_errors(said[i], read[k][i]) for k in read}
        errors["shuffled"] = _errors_of_others(windows, i, said[i], read["predicted"])
        rows += [
            {
                "states": kind,
                "fold": str(window.fold + 1),
                "stimulus": window.presentation.stimulus.name,
                "onset": window.part.start * FRAME_S,
                "offset": window.part.stop * FRAME_S,
                "n_words": len(said[i]),
                "n_errors": errors[kind],
                "wer": errors[kind] / len(said[i]) if said[i] else math.nan,
                "said": " ".join(said[i]),
                "written": written[kind][i] if kind in written else None,
            }
            for kind in STATES
        ]
    return rows


def _errors_of_others(
    windows: Sequence[_Window], i: int, said: Sequence[str], read: Sequence[Sequence[str]]
) -> float:
    """Mean errors of texts written for other places of about the same length; NaN without any.

    A longer window holds more text, and every word too many is an error: it would make a poor
    control look worse than the prediction.
    """
    mine = windows[i]
    length = mine.part.stop - mine.part.start
    others = [
        word_errors(said, text)
        for other, text in zip(windows, read, strict=True)
        if abs((other.part.stop - other.part.start) - length) <= LIKE_LENGTH * length
        and not _same_place(mine, other)
    ]
    return float(np.mean(others)) if others else math.nan


def _same_place(a: _Window, b: _Window) -> bool:
    """Whether two windows share sound: the same one, or the stimulus heard again."""
    if a.presentation.stimulus.name != b.presentation.stimulus.name:
        return False
    return bool(a.part.start < b.part.stop and b.part.start < a.part.stop)


def _with_sums(table: pd.DataFrame) -> pd.DataFrame:
    """Put the sum over windows first, per kind of states.

    Over windows with a shuffled control, the same for every kind; over all, if none has one.
    """
    place = table["fold"] + " " + table["stimulus"] + " " + table["onset"].astype(str)
    shuffled = table["states"] == "shuffled"
    controlled = set(place[shuffled & table["n_errors"].notna()])
    among = table[place.isin(controlled)] if controlled else table
    sums = []
    for kind in STATES:
        mine = among[among["states"] == kind]
        words, errors = int(mine["n_words"].sum()), float(mine["n_errors"].sum(skipna=False))
        rate = errors / words if words else math.nan
        sums.append({"states": kind, "fold": "all", "stimulus": "all", "n_words": words,
                     "n_errors": errors, "wer": rate})  # fmt: skip
    return pd.concat([pd.DataFrame(sums, columns=list(COLUMNS)), table], ignore_index=True)
