"""The step that lets Whisper's decoder write down what was decoded, beside its controls."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Presentation
from bids_brainalign.decoding.layerwise import DecodingProblem
from bids_brainalign.decoding.transcription import (
    Part,
    decoded_states,
    in_window,
    onto_frames,
    window_parts,
    word_errors,
)
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.dense import Windowing
from bids_brainalign.features.whisper import FRAME_S
from bids_brainalign.features.whisper_text import WhisperText, can_write
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import Assembly, assemble, feature_space
from bids_brainalign.workflow.decoding_problem import decoding_problem
from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space, windowing_of

logger = logging.getLogger(__name__)
Array32 = NDArray[np.float32]

LEAST_COVERED = 0.5
"""Share of its frames that a part needs from held-out data to be written down."""
STATES = ("predicted", "shuffled", "mean", "true")
COLUMNS: dict[str, str] = {
    "states": "What the decoder was given: predicted (held-out states predicted from the "
    "electrodes), shuffled (those of the other windows of this language: mean over them), mean "
    "(the mean state of the training data) or true (the states themselves: the most that can "
    "come out)",
    "fold": "Outer fold, or all",
    "stimulus": "Stimulus, or all",
    "onset": "Second of the stimulus at which the window's part begins; windows last 30 s, and "
    "what lies outside the part or was not recorded holds states of silence",
    "offset": "Second at which it ends",
    "n_words": "Words said in what was recorded of the part",
    "n_errors": "Words to substitute, leave out and insert between said and written",
    "wer": "Word error rate: n_errors / n_words; above 1 where more is written than was said",
    "said": "Words of the stimulus",
    "written": "What Whisper wrote down",
}


METHOD = (
    "States of the last encoder layer were predicted from the electrodes by ridge regression, as "
    "for decoding, but in all dimensions. The predictions of held-out time stand at their places "
    "in the windows that the states came from, with states of silence around them, and Whisper's "
    "decoder wrote down what it read there (greedily, with the language of the stimulus given). "
    "Words are compared without case and punctuation. The decoder knows the language by itself "
    "and writes fluent sentences from noise, so the text means something only where its errors "
    "are clearly fewer than those of other windows' text."
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
    if all(p.stimulus.words is None for p in fit.presentations):
        logger.warning("transcription %s: skipped, no stimulus has words", fit.name.stem)
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
    part: Part
    said: str
    predicted: Array32
    true: Array32
    mean: Array32


def _transcribe(config: Config, fit: Fit, space: Space, spaces: Sequence[Space]) -> list[Path]:
    assert space.source is not None  # noqa: S101 - models always have a folder
    assembly = assemble(config, fit, spaces)
    writer = WhisperText(space.source, device=device_of(config))
    windows = _windows(config, assembly, space, writer.silence())
    rows = []
    for language in sorted({w.presentation.stimulus.language for w in windows}):
        mine = [w for w in windows if w.presentation.stimulus.language == language]
        rows += _rows(writer, mine, language, batch_size=config.resources.batch_size)
    path = config.paths.output_dir / fit.name.file(
        "transcription.tsv", analysis=analysis_label(space.name)
    )
    table = _with_sums(pd.DataFrame(rows, columns=list(COLUMNS)))
    return list(write_tsv(path, table, COLUMNS, extra={"Method": METHOD}))


def _windows(config: Config, assembly: Assembly, space: Space, silence: Array32) -> list[_Window]:
    """Windows of all folds with words and enough held-out data, at most as many as configured."""
    problem = decoding_problem(config, assembly)
    features = feature_space(config, assembly, space)
    found: list[tuple[int, Presentation, Part]] = []
    for k in range(len(problem.plan.folds)):
        for presentation in assembly.fit.presentations:
            for part, covered in _covered(config, assembly, space, k, presentation):
                if _words_in(presentation, part, covered):
                    found.append((k, presentation, part))
    most = config.decoding.transcribe_windows
    if len(found) > most:
        found = [found[i] for i in np.linspace(0, len(found) - 1, most).round().astype(int)]
    windows: list[_Window] = []
    for k in sorted({fold for fold, _, _ in found}):
        mine = [(p, part) for fold, p, part in found if fold == k]
        windows += _filled(assembly, features, problem, k, mine, silence)
    return windows


def _covered(
    config: Config, assembly: Assembly, space: Space, k: int, presentation: Presentation
) -> Iterator[tuple[Part, NDArray[np.bool_]]]:
    """Parts of a stimulus that fold k holds out, with the frames of the stimulus that it has."""
    windowing = windowing_of(config, space)
    if not isinstance(windowing, Windowing):
        return
    n_frames = _n_frames(presentation)
    at_s = _heard_s(assembly, k)[_held_out(assembly, k, presentation)]
    covered = onto_frames(
        np.zeros((len(at_s), 0), dtype=np.float32), at_s,
        interval_s=assembly.interval_s, frame_s=FRAME_S, n_frames=n_frames,
    )[1]  # fmt: skip
    size = {
        name: round(getattr(windowing, f"{name}_s") / FRAME_S)
        for name in ("window", "hop", "margin")
    }
    for part in window_parts(n_frames, **size):
        if covered[part.start : part.stop].mean() >= LEAST_COVERED:
            yield part, covered


def _n_frames(presentation: Presentation) -> int:
    return max(1, math.ceil(presentation.stimulus.duration_s / FRAME_S - 1e-6))


def _held_out(assembly: Assembly, k: int, presentation: Presentation) -> NDArray[np.int64]:
    """Held-out rows of fold k (counted among them) at which this presentation was heard."""
    samples, rows = assembly.samples, assembly.plan.folds[k].outer.test
    names = [recording.name for recording in assembly.fit.recordings]
    here = samples.run[rows] == names.index(presentation.recording.name)
    clock = samples.time_s[rows] - presentation.onset_s
    return np.flatnonzero(here & (np.abs(clock - samples.stimulus_s[rows]) < 1e-6))


def _heard_s(assembly: Assembly, k: int) -> NDArray[np.float64]:
    """Second of the stimulus at each held-out row of fold k."""
    return assembly.samples.stimulus_s[assembly.plan.folds[k].outer.test]


def _words_in(presentation: Presentation, part: Part, covered: NDArray[np.bool_]) -> str:
    """Words whose middle was recorded within a part."""
    if presentation.stimulus.words is None:
        return ""
    table = presentation.stimulus.words.table
    middle = (table["onset"] + table["duration"] / 2).to_numpy(dtype=np.float64)
    frame = np.clip(np.floor(middle / FRAME_S), 0, len(covered) - 1).astype(np.int64)
    heard = covered[frame] & (frame >= part.start) & (frame < part.stop)
    return " ".join(str(word) for word in table["label"][heard])


def _filled(
    assembly: Assembly,
    features: FeatureSpace,
    problem: DecodingProblem,
    k: int,
    found: Sequence[tuple[Presentation, Part]],
    silence: Array32,
) -> Iterator[_Window]:
    """Windows of one fold with their states."""
    fold = problem.plan.folds[k]
    predicted, true, mean = decoded_states(features, problem, fold)
    for presentation, part in found:
        rows = _held_out(assembly, k, presentation)
        states, covered = [], np.zeros(0, dtype=bool)
        for values in (predicted, true, np.broadcast_to(mean, true.shape)):
            frames, covered = onto_frames(
                values[rows], _heard_s(assembly, k)[rows],
                interval_s=assembly.interval_s, frame_s=FRAME_S, n_frames=_n_frames(presentation),
            )  # fmt: skip
            states.append(in_window(frames, covered, part, silence))
        yield _Window(k, presentation, part, _words_in(presentation, part, covered), *states)


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
        others = [word_errors(said[i], t) for j, t in enumerate(read["predicted"]) if j != i]
        errors["shuffled"] = float(np.mean(others)) if others else math.nan
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


def _with_sums(table: pd.DataFrame) -> pd.DataFrame:
    """Put the sum over windows first, per kind of states."""
    sums = []
    for kind in STATES:
        mine = table[table["states"] == kind]
        words, errors = int(mine["n_words"].sum()), float(mine["n_errors"].sum(skipna=False))
        rate = errors / words if words else math.nan
        sums.append({"states": kind, "fold": "all", "stimulus": "all", "n_words": words,
                     "n_errors": errors, "wer": rate})  # fmt: skip
    return pd.concat([pd.DataFrame(sums, columns=list(COLUMNS)), table], ignore_index=True)
