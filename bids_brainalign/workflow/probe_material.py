"""The speech that probes run on: the dataset's stimuli, and the user's folders of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.speech_folders.clip import Clip
from bids_brainalign.dataset.speech_folders.recognise import read_speech_folder
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.probes.splits import OUT, Parts, check_disjoint, split_clips, within_stories
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.phone_times import load_phone_times
from bids_brainalign.workflow.spaces import rate_of, seed_of
from bids_brainalign.workflow.story_roles import TEST, shared_roles

STIMULI = "stimuli"
"""Name of the dataset's own stimuli among the data of probes."""
FOLDER_RATE_HZ = 50.0
LONG_S = 60.0
"""Labels of a clip this long are shifted within it; of shorter ones, over the clips of a part."""
WITHIN = (
    "there are fewer than three stories, so the time of each is parted (first 60 % for training, "
    "then 20 % for validation, then 20 % for the test, with a gap after each border)"
)


AS_TUNED = "training, validation and test stories are those of the tuning"


@dataclass(frozen=True)
class Material:
    """Clips of one set of data, and how they are parted."""

    name: str
    """``stimuli``, or NAME of ``--probe-data``."""
    kind: str
    """What it is, for tables."""
    clips: tuple[Clip, ...]
    durations: tuple[float, ...]
    """Of the clips, s."""
    parts: Parts | None
    """None where the time of each clip is parted."""
    identity: object
    """What the clips are, for keys of steps."""
    notes: tuple[str, ...] = ()
    stimuli: tuple[Stimulus, ...] = ()
    """Of the dataset's own material, in the order of the clips: their features are stored."""
    rates_hz: tuple[float, ...] = ()
    """Frames per second that are stored of them."""

    @property
    def rule(self) -> str:
        """How it is parted."""
        return WITHIN if self.parts is None else self.parts.rule

    def part_of(self, rows: Rows, *, gap_s: float) -> NDArray[np.int64]:
        """Part of every row; nothing is shared between parts."""
        if self.parts is not None:
            part = self.parts.part[rows.clip]
            check_disjoint(
                self.parts.part,
                [clip.speaker for clip in self.clips],
                [clip.sentence for clip in self.clips],
            )
            return part
        durations = np.array(self.durations)[rows.clip]
        return within_stories(np.stack([rows.start, rows.stop], axis=1), durations, gap_s=gap_s)


@dataclass(frozen=True)
class Rows:
    """Windows of time over which features are averaged, in the order of clips and time."""

    clip: NDArray[np.int64]
    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    """s on the clip's clock."""
    label: NDArray[np.object_]
    """What is said there, of rows that are words; else empty."""

    def __len__(self) -> int:
        return len(self.clip)

    def some(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> Rows:
        """Keep these rows."""
        return Rows(self.clip[chosen], self.start[chosen], self.stop[chosen], self.label[chosen])


def own_material(config: Config, fits: Sequence[Fit]) -> Material:
    """Stimuli of the run; those of one content group stay in one part."""
    found: dict[str, tuple[Stimulus, str]] = {}
    rates: dict[str, float] = {}
    for modality, p in ((fit.modality, p) for fit in fits for p in fit.presentations):
        found.setdefault(p.stimulus.name, (p.stimulus, p.content_group))
        rate = rate_of(config, modality)
        rates[p.stimulus.name] = max(rate, rates.get(p.stimulus.name, 0.0))
    stimuli = [found[name] for name in sorted(found)]
    clips = tuple(_of_stimulus(config, stimulus, group) for stimulus, group in stimuli)
    groups = [clip.sentence for clip in clips]
    parts = None
    if len(set(groups)) >= 3:
        rng = np.random.default_rng(seed_of(config, "probes", STIMULI))
        role = shared_roles(config, fits)
        official = [role.get(clip.name) for clip in clips]
        parts = split_clips([None] * len(clips), groups, official=official, rng=rng)
        if role:
            parts = replace(parts, rule=f"{AS_TUNED} (test: {_held(role)})")
    annotated = [
        [None if t is None else t.round(6).to_numpy().tolist() for t in (clip.words, clip.phones)]
        for clip in clips
    ]
    return Material(
        STIMULI,
        "stimuli of the dataset",
        clips,
        tuple(stimulus.duration_s for stimulus, _ in stimuli),
        parts,
        [[s.sha256, group, a] for (s, group), a in zip(stimuli, annotated, strict=True)],
        stimuli=tuple(stimulus for stimulus, _ in stimuli),
        rates_hz=tuple(rates[stimulus.name] for stimulus, _ in stimuli),
    )


def _held(role: Mapping[str, str]) -> str:
    return ", ".join(sorted(name for name, part in role.items() if part == TEST))


def _of_stimulus(config: Config, stimulus: Stimulus, group: str) -> Clip:
    columns = ["onset", "duration", "label"]
    phones = None
    if stimulus.phones is not None:
        times = load_phone_times(config, stimulus)
        phones = times.table.rename(columns={"phone": "label"})[columns]
    words = None if stimulus.words is None else stimulus.words.table[columns]
    return Clip(stimulus.name, stimulus.path, sentence=group, words=words, phones=phones)


def folder_material(config: Config, name: str, folder: Path) -> Material:
    """Clips of a folder of speech; at most ``probes.max_clips`` of them, from all parts."""
    from bids_brainalign.features.audio import audio_duration_s

    found = read_speech_folder(name, folder)
    clips = found.clips
    rng = np.random.default_rng(seed_of(config, "probes", name))
    parts = split_clips(
        [clip.speaker for clip in clips],
        [clip.sentence for clip in clips],
        official=[clip.part for clip in clips],
        rng=rng,
    )
    used = np.flatnonzero(parts.part != OUT)
    chosen = used[thinned(len(used), config.probes.max_clips)]
    kept = tuple(clips[i] for i in chosen.tolist())
    notes = found.notes
    if len(chosen) < len(used):
        notes = (*notes, f"{len(chosen)} of {len(used)} clips are used, evenly thinned.")
    stats = [clip.path.stat() for clip in kept]
    durations = [audio_duration_s(clip.path) for clip in kept]
    return Material(
        name,
        found.kind,
        kept,
        tuple(float(d) for d in durations),
        Parts(parts.part[chosen], parts.rule),
        [
            [str(clip.path.relative_to(folder)), stat.st_size, stat.st_mtime_ns,
             clip.speaker, clip.sentence, clip.labels, int(part)]
            for clip, stat, part in zip(kept, stats, parts.part[chosen], strict=True)
        ],
        notes,
    )  # fmt: skip


def thinned(n: int, most: int) -> NDArray[np.int64]:
    """Evenly spread positions, at most this many."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def rows_of(config: Config, material: Material, unit: str) -> Rows:
    """Windows of one kind.

    Parameters
    ----------
    config : Config
    material : Material
    unit : {"frame", "segment", "word", "clip"}
        Short and long stretches end to end; words; whole clips.
    """
    probes = config.probes
    clip, start, stop, label = [], [], [], []
    for index, (one, duration) in enumerate(zip(material.clips, material.durations, strict=True)):
        a, b, said = _windows(one, duration, unit, probes.frame_step_s, probes.segment_s)
        clip.append(np.full(len(a), index, dtype=np.int64))
        start.append(a)
        stop.append(b)
        label.append(said)
    rows = Rows(
        np.concatenate(clip), np.concatenate(start), np.concatenate(stop), np.concatenate(label)
    )
    return rows.some(thinned(len(rows), probes.max_rows)) if len(rows) else rows


def _windows(
    clip: Clip, duration_s: float, unit: str, step_s: float, segment_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.object_]]:
    if unit == "clip":
        return np.array([0.0]), np.array([duration_s]), _empty(1)
    if unit == "word":
        if clip.words is None:
            return np.empty(0), np.empty(0), _empty(0)
        table = clip.words.sort_values("onset", kind="stable")
        onset = table["onset"].to_numpy(dtype=np.float64)
        said = np.array([str(word).strip().casefold() for word in table["label"]], dtype=object)
        inside = onset < duration_s
        stop = onset + table["duration"].to_numpy(dtype=np.float64)
        return onset[inside], stop[inside], said[inside]
    step = step_s if unit == "frame" else segment_s
    start = np.arange(int(duration_s / step), dtype=np.float64) * step
    return start, start + step, _empty(len(start))


def _empty(n: int) -> NDArray[np.object_]:
    return np.full(n, "", dtype=object)


def tables_of(material: Material, kind: str) -> list[pd.DataFrame | None]:
    """Words or phones of every clip."""
    return [clip.words if kind == "words" else clip.phones for clip in material.clips]
