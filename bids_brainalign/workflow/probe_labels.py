"""What each probe predicts, from the annotations of the speech."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.probes.cepstra import FRAME_RATE_HZ, log_mel, mfcc
from bids_brainalign.probes.draws import exchanged_blocks, exchanged_rows, shifted_rows
from bids_brainalign.probes.linear import Labelled
from bids_brainalign.probes.splits import OUT, TEST, TRAIN, VALIDATION, split_clips
from bids_brainalign.probes.tallies import Kind
from bids_brainalign.workflow.probe_features import Pooled, WindowMeans
from bids_brainalign.workflow.probe_material import LONG_S, Material, Rows, tables_of
from bids_brainalign.workflow.spaces import seed_of

SPEAKERS_FOR_BLOCKS = 10
"""With as many test speakers, they are what the bootstrap draws."""
_MIN_CLIPS = 3
"""Training clips of each class of whole clips."""
_MIN_NEW_WORDS = 20
_LEAST_SHIFT_S = 2.0
_CLIPS_PER_SPEAKER = 4
"""With as many on average, labels of clips are exchanged within speakers."""


@dataclass(frozen=True)
class Probe:
    """One probe on one material, ready for any model."""

    name: str
    data: str
    unit: str
    labelled: Labelled
    draws: NDArray[np.int64]
    rows: NDArray[np.int64]
    """Rows among those stored of all units."""
    columns: tuple[str, ...]
    """What is predicted: classes, phones; numbered for numbers."""


@dataclass(frozen=True)
class Skipped:
    """A probe that the data don't offer."""

    name: str
    data: str
    reason: str


UNIT = {
    "mfcc": "frame",
    "mel": "frame",
    "phones": "segment",
    "words": "word",
    "vectors": "word",
}
"""What a row is; of all other probes whole clips."""


def unit_of(probe: str, material: Material) -> str:
    """Kind of row of a probe; words without times are whole clips."""
    if probe == "words" and not any(clip.words is not None for clip in material.clips):
        return "clip"
    return UNIT.get(probe, "clip")


def offers(probe: str, material: Material) -> str | None:
    """Why a material doesn't offer a probe; None if it does."""
    if probe in {"mfcc", "mel"}:
        return None
    if probe == "phones":
        timed = any(table is not None for table in tables_of(material, "phones"))
        return None if timed else "its phones have no times"
    if probe in {"words", "vectors"}:
        if any(table is not None for table in tables_of(material, "words")):
            return None
        named = probe == "words" and any(clip.label("word") for clip in material.clips)
        return None if named else "its words have no times"
    named = any(clip.label(probe) for clip in material.clips)
    return None if named else f"its clips have no {probe}"


@dataclass
class _Draft:
    """Rows and labels on the way to a probe."""

    y: NDArray[np.floating]
    kind: Kind
    keep: NDArray[np.bool_]
    """(n_rows of the unit,); y has the rows that are kept."""
    columns: tuple[str, ...]
    part: NDArray[np.int64]
    """(n_rows of the unit,)."""


def build_probe(
    config: Config,
    name: str,
    material: Material,
    pooled: Pooled,
    *,
    gap_s: float,
    vectors: Callable[[str], NDArray[np.float32] | None] | None = None,
) -> Probe | Skipped:
    """Label the rows of a probe and draw its nulls.

    Parameters
    ----------
    config : Config
    name : str
        One of ``config.checks.PROBES``.
    material : Material
    pooled : Pooled
        Rows of all units.
    gap_s : float
        Left out after borders where the time of a story is parted.
    vectors : callable, optional
        Word → its vector, for ``vectors``.
    """
    reason = offers(name, material)
    if reason is not None:
        return Skipped(name, material.name, reason)
    unit = unit_of(name, material)
    rows = pooled.rows[unit]
    part = _parts(config, name, material, rows, gap_s)
    if isinstance(part, str):
        return Skipped(name, material.name, part)
    draft = _draft(config, name, material, rows, part, vectors)
    if isinstance(draft, str):
        return Skipped(name, material.name, draft)
    kept = rows.some(draft.keep)
    part = part[draft.keep]
    if any((part == p).sum() < 2 for p in (TRAIN, VALIDATION, TEST)):
        return Skipped(name, material.name, "too few rows are left in some part")
    labelled = Labelled(draft.y, draft.kind, part, _blocks(config, material, kept, part))
    rng = np.random.default_rng(seed_of(config, "probe", name, material.name))
    draws = _draws(config, name, material, unit, kept, labelled, rng)
    at = np.arange(pooled.of(unit).start, pooled.of(unit).stop)[draft.keep]
    return Probe(name, material.name, unit, labelled, draws, at, draft.columns)


def _parts(
    config: Config, name: str, material: Material, rows: Rows, gap_s: float
) -> NDArray[np.int64] | str:
    """Part of each row; speakers can't be told from others where they are in one part alone."""
    if name != "speaker":
        return material.part_of(rows, gap_s=gap_s)
    clips = material.clips
    if any(clip.speaker is None or clip.sentence is None for clip in clips):
        return (
            "speakers are told apart by other sentences than those of training: these are unknown"
        )
    rng = np.random.default_rng(seed_of(config, "speaker", material.name))
    sentences = [clip.sentence for clip in clips]
    if len(set(sentences)) < 3:
        return "there are fewer than three sentences"
    parts = split_clips([None] * len(clips), sentences, official=[None] * len(clips), rng=rng)
    return parts.part[rows.clip]


def _draft(
    config: Config,
    name: str,
    material: Material,
    rows: Rows,
    part: NDArray[np.int64],
    vectors: Callable[[str], NDArray[np.float32] | None] | None,
) -> _Draft | str:
    if name in {"mfcc", "mel"}:
        return _sound(name, material, rows, part)
    if name == "phones":
        return _phones(config, material, rows, part)
    if name == "vectors":
        assert vectors is not None  # noqa: S101 - the configuration asks for a file
        return _vectors(rows, part, vectors)
    said = rows.label
    least = config.probes.min_tokens
    if unit_of(name, material) == "clip":
        kind = "word" if name == "words" else name
        labels = [material.clips[i].label(kind) for i in rows.clip.tolist()]
        said = np.array(["" if one is None else one for one in labels], dtype=object)
        least = least if name == "words" else _MIN_CLIPS
    return _classes(said, part, least)


def _sound(name: str, material: Material, rows: Rows, part: NDArray[np.int64]) -> _Draft:
    """Mean log-mel energies or MFCCs of each row's stretch."""
    from bids_brainalign.features.audio import load_audio

    y = np.zeros((len(rows), 0), dtype=np.float32)
    for index in np.unique(rows.clip).tolist():
        frames = log_mel(load_audio(material.clips[index].path))
        found = frames if name == "mel" else mfcc(frames)
        mine = np.flatnonzero(rows.clip == index)
        if not y.shape[1]:
            y = np.zeros((len(rows), found.shape[1]), dtype=np.float32)
        means = WindowMeans(found, np.arange(len(found)) / FRAME_RATE_HZ)
        y[mine] = means.of(rows.start[mine], rows.stop[mine])
    keep = part != OUT
    return _Draft(y[keep], "numbers", keep, tuple(map(str, range(y.shape[1]))), part)


def _phones(
    config: Config, material: Material, rows: Rows, part: NDArray[np.int64]
) -> _Draft | str:
    """Which phones have their middle in each segment; segments without speech are left out."""
    tables = tables_of(material, "phones")
    names = sorted({str(p) for t in tables if t is not None for p in t["label"]})
    y = np.zeros((len(rows), len(names)))
    place = {name: i for i, name in enumerate(names)}
    for index, table in enumerate(tables):
        mine = np.flatnonzero(rows.clip == index)
        if table is None or not len(mine):
            continue
        middle = (table["onset"] + table["duration"] / 2).to_numpy(dtype=np.float64)
        at = np.searchsorted(rows.start[mine], middle, side="right") - 1
        inside = (at >= 0) & (middle < rows.stop[mine][np.maximum(at, 0)])
        columns = np.array([place[str(p)] for p in table["label"]], dtype=np.int64)
        y[mine[at[inside]], columns[inside]] = 1
    keep = (part != OUT) & (y.sum(axis=1) > 0)
    y, part = y[keep], part[keep]
    counts = np.stack([y[part == p].sum(axis=0) for p in (TRAIN, VALIDATION, TEST)])
    held = (counts[0] >= config.probes.min_tokens) & (counts[1:] >= 1).all(axis=0)
    if held.sum() < 2:
        return "fewer than two phones come often enough"
    columns_kept = tuple(name for name, one in zip(names, held, strict=True) if one)
    return _Draft(y[:, held], "labels", keep, columns_kept, part)


def _classes(said: NDArray[np.object_], part: NDArray[np.int64], least: int) -> _Draft | str:
    """Classes with enough rows in every part."""
    names = []
    for name in sorted(set(said.tolist()) - {""}):
        counts = [int(((said == name) & (part == p)).sum()) for p in (TRAIN, VALIDATION, TEST)]
        if counts[0] >= least and min(counts[1:]) >= 1:
            names.append(name)
    if len(names) < 2:
        return f"fewer than two of its classes have {least} rows in training and one in each part"
    keep = (part != OUT) & np.isin(said, names)
    y = (said[keep][:, None] == np.array(names, dtype=object)).astype(np.float64)
    return _Draft(y, "classes", keep, tuple(names), part)


def _vectors(
    rows: Rows, part: NDArray[np.int64], vectors: Callable[[str], NDArray[np.float32] | None]
) -> _Draft | str:
    known = {word: vectors(word) for word in sorted(set(rows.label.tolist()))}
    found = np.array([known[word] is not None for word in rows.label.tolist()], dtype=bool)
    if not found.any():
        return "the table holds none of its words"
    # A word that training has, too, is told by its sound: only others are tested.
    trained = set(rows.label[(part == TRAIN) & found].tolist())
    new = np.array([word not in trained for word in rows.label.tolist()], dtype=bool)
    checked = set(rows.label[(part == VALIDATION) & found].tolist())
    fresh = new & np.array([word not in checked for word in rows.label.tolist()], dtype=bool)
    keep = found & ((part == TRAIN) | ((part == VALIDATION) & new) | ((part == TEST) & fresh))
    if min(((part == p) & keep).sum() for p in (VALIDATION, TEST)) < _MIN_NEW_WORDS:
        return (
            f"fewer than {_MIN_NEW_WORDS} words of the validation or test speech are new: words "
            "that training has are told by their sound and are not tested"
        )
    y = np.stack([v for word in rows.label[keep] if (v := known[word]) is not None])
    return _Draft(y, "numbers", keep, tuple(map(str, range(y.shape[1]))), part)


def _blocks(
    config: Config, material: Material, rows: Rows, part: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Speakers where the test has many, else stretches of clips."""
    speakers = np.array([str(material.clips[i].speaker) for i in rows.clip.tolist()])
    tested = set(speakers[part == TEST].tolist())
    if len(tested) >= SPEAKERS_FOR_BLOCKS:
        return np.asarray(np.unique(speakers, return_inverse=True)[1])
    pieces = (rows.start // config.probes.block_s).astype(np.int64)
    return np.asarray(
        np.unique(np.stack([rows.clip, pieces], axis=1), axis=0, return_inverse=True)[1]
    ).ravel()


def _draws(
    config: Config,
    name: str,
    material: Material,
    unit: str,
    rows: Rows,
    labelled: Labelled,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Shift labels along time; exchange those of whole clips, within speakers where possible."""
    n_draws, part = config.probes.n_null, labelled.part
    if unit != "clip":
        long = np.array(material.durations)[rows.clip] >= LONG_S
        stretch = _numbered(part, np.where(long, rows.clip, -1))
        step = {"frame": config.probes.frame_step_s, "segment": config.probes.segment_s}
        least = max(1, round(_LEAST_SHIFT_S / step.get(unit, 0.4)))
        return shifted_rows(stretch, least=least, n_draws=n_draws, rng=rng)
    clips = [material.clips[i] for i in rows.clip.tolist()]
    speaker = np.unique([str(clip.speaker) for clip in clips], return_inverse=True)[1]
    if name == "speaker":
        sentence = np.unique([str(clip.sentence) for clip in clips], return_inverse=True)[1]
        return exchanged_blocks(_numbered(speaker, sentence), part, n_draws=n_draws, rng=rng)
    several = len(clips) >= _CLIPS_PER_SPEAKER * len(np.unique(speaker))
    group = _numbered(part, speaker) if several else part
    return exchanged_rows(group, n_draws=n_draws, rng=rng)


def _numbered(*keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each distinct combination a number."""
    pairs = np.stack(keys, axis=1)
    return np.asarray(np.unique(pairs, axis=0, return_inverse=True)[1], dtype=np.int64).ravel()
