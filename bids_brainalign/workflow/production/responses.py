"""The step that averages a speaker's high gamma around the words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.ieeg import open_amplitudes
from bids_brainalign.responses.word_windows import (
    Windows,
    WordResponses,
    bins_between,
    read_word_responses,
)
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.localisation import anatomy_inputs, located
from bids_brainalign.workflow.production.material import Material, load_material, save_material
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.responses import input_files

Array64 = NDArray[np.float64]


def responses_step(
    config: Config, speaker: Speaker, words: pd.DataFrame, *, lag_s: float = 0.0
) -> Step:
    """Average high gamma after onsets, before cues and in bins; keep its course for the checks.

    Parameters
    ----------
    config : Config
    speaker : Speaker
    words : DataFrame
        Table of words; rows that are not ``used`` have no responses.
    lag_s : float
        Added to all onsets and cues, for ``--realign``.
    """
    path = material_path(config, speaker, words, lag_s=lag_s)

    def work() -> list[Path]:
        read = [
            _read(config, recording, words[words["recording"] == recording.name], lag_s=lag_s)
            for recording in speaker.recordings
        ]
        written = [save_material(path, _material(config, speaker, words, read))]
        for recording, one in zip(speaker.recordings, read, strict=True):
            written.append(save_course(course_path(path, recording), one))
        return written

    shifted = f" shifted by {1000 * lag_s:.0f} ms" if lag_s else ""
    return Step(
        name=f"word responses {speaker.name.stem}{shifted}",
        inputs={"path": path.name},
        modules=("bids_brainalign.workflow.production.responses",),
        work=work,
    )


def material_path(
    config: Config, speaker: Speaker, words: pd.DataFrame, *, lag_s: float = 0.0
) -> Path:
    """Where :func:`responses_step` leaves the responses."""
    memo, p = config.paths.work_dir / "digests", config.production
    ieeg = asdict(config.ieeg)
    key = digest_of(
        [
            [
                [f.name, file_digest(f, memo)]
                for recording in speaker.recordings
                for f in input_files(recording)
            ],
            [{k: str(v) for k, v in r.metadata.items()} for r in speaker.recordings],
            words.to_csv(index=False),
            [p.window_s, p.baseline_s, p.bin_s, p.course_s, round(lag_s, 6)],
            [ieeg[name] for name in ("reference", "high_gamma", "band_hz")],
            anatomy_inputs(config, Fit(speaker.name, speaker.recordings, ())),
        ]
    )
    return config.paths.work_dir / "production" / f"{speaker.name.stem}_{key[:16]}.npz"


def course_path(material: Path, recording: Recording) -> Path:
    """High gamma over the whole recording, beside the responses to its words."""
    return material.with_name(f"{material.stem}_{recording.name}_course.npz")


@dataclass(frozen=True)
class Course:
    """High gamma of one recording."""

    values: NDArray[np.float32]
    """(n_times, n_channels)."""
    times_s: Array64
    """(n_times,)."""
    names: tuple[str, ...]
    """Of its channels, all and in the order that this recording has them."""

    def without(self, names: Collection[str]) -> Course:
        """Leave channels out."""
        kept = [name not in names for name in self.names]
        left = tuple(name for name in self.names if name not in names)
        return Course(self.values[:, kept], self.times_s, left)


def load_course(path: Path) -> Course:
    """Read what :func:`responses_step` left at :func:`course_path`."""
    with np.load(path, allow_pickle=False) as stored:
        return Course(stored["course"], stored["times"], tuple(map(str, stored["names"])))


def complete(material: Material, *, before_cue: bool = True) -> Material:
    """Keep words with responses after the onset and before the cue.

    Parameters
    ----------
    material : Material
    before_cue : bool
        Whether responses before the cue are needed.

    Raises
    ------
    BrainAlignError
        None is left (65).
    """
    rows: NDArray[np.bool_] = np.asarray(np.isfinite(material.response).any(axis=1))
    if before_cue:
        rows &= np.isfinite(material.baseline).any(axis=1)
    if not rows.any():
        raise BrainAlignError(
            "No word has a response: all windows lie outside the recording or in bad stretches.",
            fix="look at the onsets in events.tsv and at BAD marks, or set window_s"
            f"{' and baseline_s' if before_cue else ''} in [production]",
        )
    if rows.all():
        return material
    lost = material.words["word"][~rows]
    where = "after their onset or before their cue" if before_cue else "after their onset"
    note = (
        f"{len(lost)} words have no response {where} within the recording, or it is in a bad "
        f"stretch: {', '.join(map(str, lost))}."
    )
    kept = material.of(rows)
    return replace(kept, notes=(*kept.notes, note))


def _read(
    config: Config, recording: Recording, words: pd.DataFrame, *, lag_s: float
) -> WordResponses:
    require_content(recording.path, config.paths.bids_dir)
    p, used = config.production, words[words["used"]]
    onset = used["onset"].to_numpy(dtype=np.float64) + lag_s
    cue = used["cue"].to_numpy(dtype=np.float64) + lag_s
    centres = bins_between(p.course_s[0], p.course_s[1], p.bin_s)
    edges = (onset[:, np.newaxis] + centres - p.bin_s / 2).ravel()
    sets = (
        Windows(onset + p.window_s[0], onset + p.window_s[1]),
        Windows(cue + p.baseline_s[0], cue + p.baseline_s[1]),
        Windows(edges, edges + p.bin_s),
    )
    ieeg = config.ieeg
    opened = open_amplitudes(
        recording, reference=ieeg.reference, high_gamma=ieeg.high_gamma, band_hz=ieeg.band_hz
    )
    return read_word_responses(opened, sets)


def _material(
    config: Config, speaker: Speaker, words: pd.DataFrame, read: Sequence[WordResponses]
) -> Material:
    """Join the recordings, on the channels that all of them have."""
    names = [list(one.targets["name"]) for one in read]
    common = [name for name in names[0] if all(name in mine for mine in names[1:])]
    if not common:
        raise BrainAlignError(
            f"The recordings of {speaker.name.stem} have no channel in common.",
            where=", ".join(r.name for r in speaker.recordings),
            fix="give the same channels the same names, or run one recording at a time "
            "(--run-label)",
        )
    picks = [[mine.index(name) for name in common] for mine in names]
    targets = read[0].targets.iloc[picks[0]].reset_index(drop=True)
    fit = Fit(speaker.name, speaker.recordings, ())
    placed, place_notes = located(config, fit, targets)
    p = config.production
    centres = bins_between(p.course_s[0], p.course_s[1], p.bin_s)
    used = words[words["used"]]
    order = {recording.name: number for number, recording in enumerate(speaker.recordings)}
    used = used.assign(run=used["recording"].map(order), row=used.index)
    # Words stand by recording, and in the order of time within each, as the tables read do.
    used = used.sort_values(["run", "row"], kind="stable").reset_index(drop=True)
    parts = [
        [means[:, pick] for means in one.means] for one, pick in zip(read, picks, strict=True)
    ]
    response, baseline, bins = (np.concatenate(column) for column in zip(*parts, strict=True))
    lost = sorted({name for mine in names for name in mine} - set(common))
    notes = list(dict.fromkeys(note for one in read for note in one.notes))
    if lost:
        notes.append(f"Not in all recordings, and left out: {', '.join(lost)}.")
    return Material(
        words=used,
        response=response,
        baseline=baseline,
        bins=bins.reshape(len(used), len(centres), len(common)),
        bin_s=centres,
        targets=placed,
        support_s=max(one.support_s for one in read),
        window_s=(p.window_s[0], p.window_s[1]),
        notes=(*notes, *place_notes),
    )


def save_course(path: Path, read: WordResponses) -> Path:
    """Store high gamma as NPZ (no pickle)."""
    names = np.array([str(name) for name in read.targets["name"]])
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, course=read.course, times=read.course_s, names=names)
    return path


__all__ = [
    "Course",
    "complete",
    "course_path",
    "load_course",
    "load_material",
    "material_path",
    "responses_step",
    "save_course",
]
