"""Embeddings of the words of a speaker: which there are, and the steps that make them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.estimates import duration_in_words, operations_per_second
from bids_brainalign.features.word_embeddings import (
    EmbeddedPart,
    WordEmbeddings,
    concatenate,
    known_to_all,
)
from bids_brainalign.features.word_reading import Context
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.production.folds import LEAST_WORDS
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.digest import digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_sounds import SpeakerSound
from bids_brainalign.workflow.production_embeddings import (
    embeds_words,
    word_embeddings,
    word_work,
)
from bids_brainalign.workflow.spaces import Space, twin_seed

RUNNING: Context = "running"
ALONE: Context = "alone"
CONTEXTS: tuple[Context, ...] = (ALONE, RUNNING)


@dataclass(frozen=True)
class Source:
    """One embedding of single models; combinations are made of several."""

    name: str
    """NAME, ``NAME:running``, ``NAME:untrained``."""
    space: Space
    context: Context
    """``alone`` or ``running``; of language models."""


def sources_of(config: Config, spaces: Sequence[Space]) -> tuple[Source, ...]:
    """List the embeddings of single models that a run makes."""
    found = []
    for space in spaces:
        if not embeds_words(space):
            continue
        reads = space.reads_text and space.kind in {"model", "untrained"}
        asked = config.production.text_context if reads else (ALONE,)
        for context in (one for one in CONTEXTS if one in asked):
            name = f"{space.name}:{RUNNING}" if context == RUNNING else space.name
            found.append(Source(name, space, context))
    return tuple(found)


def embedding_label(name: str) -> str:
    """BIDS label of an embedding.

    Examples
    --------
    >>> embedding_label("gpt2:running")
    'gpt2Running'
    >>> embedding_label("fasttext+wav2vec2")
    'fasttextAndWav2vec2'
    """
    first, *others = (analysis_label(part) for part in name.split("+"))
    return first + "".join(f"And{other[:1].upper()}{other[1:]}" for other in others)


def embedding_step(
    config: Config, speaker: Speaker, source: Source, words: pd.DataFrame, sound: SpeakerSound
) -> Step:
    """Make one embedding of the words of a speaker that can be used."""
    path = embedding_path(config, speaker, source, words, sound)

    def work() -> list[Path]:
        found = word_embeddings(
            config,
            source.space,
            _on_one_clock(words, sound),
            language=config.language,
            wave=sound.wave,
            context=source.context,
        )
        return [save_embedding(path, found)]

    return Step(
        name=f"embedding {source.name} {speaker.name.stem}",
        inputs={"path": path.name},
        modules=("bids_brainalign.workflow.production_embeddings",),
        work=work,
    )


def announce_embedding(
    config: Config, source: Source, words: pd.DataFrame, sound: SpeakerSound
) -> str | None:
    """Say how long a model will take; None for tables of vectors."""
    work = word_work(config, source.space, _on_one_clock(words, sound), context=source.context)
    if not work.n_passes:
        return None
    seconds = work.operations / operations_per_second(device_of(config))
    what = "texts read" if source.space.reads_text else "words heard"
    return f"{source.name}: {work.n_passes} {what}, about {duration_in_words(seconds)}"


def embedding_path(
    config: Config, speaker: Speaker, source: Source, words: pd.DataFrame, sound: SpeakerSound
) -> Path:
    """Where :func:`embedding_step` leaves it."""
    space, features = source.space, config.features
    heard = not space.reads_text and space.kind in {"model", "untrained"}
    key = digest_of(
        [
            [space.kind, space.digest, source.context, config.language],
            words[["word", "content_group", "recording"]].to_numpy().tolist(),
            _on_one_clock(words, sound)[["onset_s", "offset_s"]].round(6).to_numpy().tolist()
            if heard
            else None,
            sound.digest if heard else None,
            [features.text_context_words, features.text_pooling, config.resources.precision],
            twin_seed(config, space) if space.kind == "untrained" else None,
            _own_digest(config, space),
        ]
    )
    label = embedding_label(source.name)
    folder = config.paths.work_dir / "production"
    return folder / f"{speaker.name.stem}_{label}_{key[:16]}.npz"


def _on_one_clock(words: pd.DataFrame, sound: SpeakerSound) -> pd.DataFrame:
    """Give times of words in the joined sound; passages end with their recording.

    Words that no sound was recorded of have no times, and others end with the part of their
    recording: there, another recording may be heard.
    """
    run = words["run"].to_numpy(dtype=np.int64)
    before_s, stop_s = np.array(sound.offsets_s)[run], np.array(sound.stops_s)[run]
    first_s, last_s = sound.heard_s[run].T
    onset, offset = (words[name].to_numpy(dtype=float) for name in ("onset", "offset"))
    recorded = (onset < last_s) & (offset > first_s)
    return pd.DataFrame(
        {
            "word": words["word"].to_numpy(),
            "onset_s": np.where(recorded, onset + before_s, np.nan),
            "offset_s": np.where(recorded, np.minimum(offset + before_s, stop_s), np.nan),
            "content_group": words["recording"].astype(str) + " " + words["content_group"],
        }
    )


def _own_digest(config: Config, space: Space) -> object:
    """Files of the user's own embedding."""
    from bids_brainalign.store.digest import file_digest

    if space.kind != "own" or space.source is None:
        return None
    memo = config.paths.work_dir / "digests"
    return [[p.name, file_digest(p, memo)] for p in sorted(space.source.glob("words.*"))]


@dataclass(frozen=True)
class Chosen:
    """All embeddings of a speaker at their layers, with the words that all of them know."""

    by_name: dict[str, WordEmbeddings]
    """One layer each; single ones and combinations."""
    shared: np.ndarray[tuple[int], np.dtype[np.bool_]]
    lost: str
    """Sentence on the words that are left out; empty where there are none."""

    def notes_of(self, name: str) -> list[str]:
        """Say what is special about the words of one embedding, and about those of all."""
        return [*self.by_name[name].notes, *([self.lost] if self.lost else [])]


def choose_words(
    found: dict[str, WordEmbeddings], combine: Sequence[str], layer: str, words: pd.DataFrame
) -> tuple[Chosen, dict[str, BrainAlignError]]:
    """Take one layer of each, and the words that all know.

    Parameters
    ----------
    found : dict
        NAME → embedding with all its layers.
    combine : sequence of str
        ``A+B``; left out, with an error, where a part is not there.
    layer : str
        As in the configuration.
    words : DataFrame

    Returns
    -------
    chosen : Chosen
    refused : dict
        NAME → why; these don't cost the others any words.
    """
    by_name, refused = {}, {}
    for name, one in found.items():
        different = words["word"][one.known].str.casefold().nunique()
        if different < LEAST_WORDS:
            refused[name] = BrainAlignError(
                f"{name} has vectors of {different} different words of this participant; "
                f"{LEAST_WORDS} are needed.",
                where=" ".join(one.notes),
                fix="is it of another language? Give another file or model",
            )
            continue
        by_name[name] = one.at(layer_of(one, layer, name))
    for name in combine:
        parts = name.split("+")
        lacking = [part for part in parts if part not in by_name]
        if lacking:
            refused[name] = BrainAlignError(
                f"{name} can't be put together: there is no {' and no '.join(lacking)}.",
                fix="see the errors of its parts",
            )
            continue
        by_name[name] = concatenate([by_name[part] for part in parts], parts)
    shared = known_to_all(list(by_name.values())) if by_name else np.zeros(len(words), dtype=bool)
    return Chosen(by_name, shared, _lost(shared, words) if by_name else ""), refused


def _lost(shared: np.ndarray[tuple[int], np.dtype[np.bool_]], words: pd.DataFrame) -> str:
    lost = words["word"][~shared].unique()
    if not len(lost):
        return ""
    return (
        f"{int((~shared).sum())} of {len(shared)} words lack a vector somewhere and were left out "
        f"for all embeddings: {', '.join(map(str, lost))}."
    )


def layer_of(embedding: WordEmbeddings, wanted: str, name: str) -> str:
    """Name of the layer that the configuration asks for.

    Raises
    ------
    BrainAlignError
        The model has no such layer (64).
    """
    layers = embedding.layers
    if len(layers) == 1:
        return layers[0]
    if wanted in {"penultimate", "last"}:
        return layers[-1 if wanted == "last" else -2]
    if wanted not in layers:
        raise BrainAlignError(
            f"{name} has no layer {wanted}.",
            where=f"it has {layers[0]} to {layers[-1]}",
            fix='set layer in [production]: a number, "last" or "penultimate"',
            exit_code=ExitCode.USAGE,
        )
    return wanted


def save_embedding(path: Path, found: WordEmbeddings) -> Path:
    """Store as NPZ (no pickle)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "layers": found.layers,
        "notes": found.notes,
        "description": found.description,
        "of_audio": found.of_audio,
        "parts": [asdict(part) for part in found.parts],
    }
    arrays: dict[str, Any] = {f"layer{i}": values for i, values in enumerate(found.values)}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, known=found.known, about=np.array(json.dumps(about)), **arrays)
    return path


def load_embedding(path: Path) -> WordEmbeddings:
    """Read what :func:`embedding_step` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        layers = tuple(about["layers"])
        return WordEmbeddings(
            layers=layers,
            values=tuple(stored[f"layer{i}"] for i in range(len(layers))),
            known=stored["known"],
            notes=tuple(about["notes"]),
            description=about["description"],
            of_audio=about["of_audio"],
            parts=tuple(EmbeddedPart(**part) for part in about["parts"]),
        )
