"""The step that rebuilds a speaker's responses from one embedding by one mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.production import MAPPINGS, draws_of
from bids_brainalign.config.schema import Config
from bids_brainalign.features.word_embeddings import WordEmbeddings
from bids_brainalign.outputs.predictions import write_predictions
from bids_brainalign.outputs.reading import SETTINGS
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.production.mapping import Predictions
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production import tables
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.rebuilding import (
    RIDGE,
    Rebuilt,
    is_continuous,
    not_compared,
    rebuild,
)
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_vectors import embedding_label
from bids_brainalign.workflow.production_embeddings import preparation_of
from bids_brainalign.workflow.spaces import seed_of

REALIGNED = "realigned"


def mapping_label(mapping: str) -> str:
    """End of the BIDS label: nothing for ridge, as for encoding models.

    Examples
    --------
    >>> [mapping_label(name) for name in ("ridge", "multi-task", "elastic-net")]
    ['', 'MultiTask', 'ElasticNet']
    """
    return "" if mapping == RIDGE else mapping.title().replace("-", "")


def reconstruction_step(
    config: Config,
    speaker: Speaker,
    material: Material,
    name: str,
    embedding: WordEmbeddings,
    mapping: str,
    *,
    identity: object,
    settings: str,
    notes: Sequence[str] = (),
    lag_s: float | None = None,
) -> Step:
    """Rebuild responses, and write what came of it.

    Parameters
    ----------
    config : Config
    speaker : Speaker
    material : Material
        Of the words that all embeddings know.
    name : str
        Of the embedding.
    embedding : WordEmbeddings
        One layer, of the same words.
    mapping : str
    identity : object
        What material and embedding depend on, as JSON can hold it.
    settings : str
        Digest of what all results of the speaker depend on, for the sidecars.
    notes : sequence of str
        Which words were left out, and how they were read.
    lag_s : float, optional
        The material is realigned by this lag: only its scores are written.
    """
    label = f"{embedding_label(name)}{mapping_label(mapping)}"
    if lag_s is not None:
        label += REALIGNED.title()

    def work() -> list[Path]:
        x = embedding.values[0].astype(np.float64)
        seed = seed_of(config, "production", speaker.name.stem)
        preparation = preparation_of(embedding, explained=config.production.explained)
        rebuilt = rebuild(
            config.production, material, x, mapping, preparation=preparation, seed=seed
        )
        about = {"embedding": name, "layer": _layer(embedding), "mapping": mapping}
        extra = {
            SETTINGS: settings,
            **_sidecar(config, about, rebuilt, material, embedding, lag_s),
            "Notes": [
                *material.notes,
                *notes,
                *_taken_as(config, material),
                *not_compared(material),
            ],
        }
        return _write(config, speaker, label, about, rebuilt, material, extra, lag_s)

    where = f" shifted by {1000 * lag_s:.0f} ms" if lag_s is not None else ""
    return Step(
        name=f"reconstruction {name} {mapping} {speaker.name.stem}{where}",
        inputs={
            "identity": identity,
            "label": label,
            "lag": lag_s,
            "settings": [settings, settings_of(config, mapping)],
            "seed": config.random_seed,
        },
        modules=("bids_brainalign.workflow.production.reconstruction",),
        work=work,
    )


def common_settings(config: Config) -> dict[str, object]:
    """Collect what scores of a speaker depend on, whichever mapping and embedding they are of.

    Draws of all mappings are among them, also of those that don't run: with one more mapping, the
    results of the others stay what they are.
    """
    own = ("speech", "layer", "explained", "folds", "n_folds", "n_inner", "random_draws")
    every = asdict(config.production)
    draws = {mapping: draws_of(config.production, mapping) for mapping in MAPPINGS}
    return {**{key: every[key] for key in own}, "draws": draws, "seed": config.random_seed}


def settings_of(config: Config, mapping: str) -> dict[str, object]:
    """Collect the settings that one mapping depends on."""
    own = ("speech", "explained", "folds", "n_folds", "n_inner", "random_draws", "penalties")
    every = asdict(config.production)
    return {**{key: every[key] for key in own}, "draws": draws_of(config.production, mapping)}


def _layer(embedding: WordEmbeddings) -> str:
    return embedding.layers[0]


def _write(
    config: Config,
    speaker: Speaker,
    label: str,
    about: dict[str, str],
    rebuilt: Rebuilt,
    material: Material,
    extra: dict[str, object],
    lag_s: float | None,
) -> list[Path]:
    output = config.paths.output_dir
    window = tables.RESPONSE if lag_s is None else REALIGNED
    written: list[Path] = []

    def put(suffix: str, table: pd.DataFrame, columns: dict[str, tables.Column]) -> None:
        path = output / speaker.name.file(f"{suffix}.tsv", analysis=label)
        written.extend(write_tsv(path, table, columns, extra=extra))

    put("reconstruction", tables.score_table(about, rebuilt, material, window=window),
        tables.SCORES)  # fmt: skip
    if lag_s is not None:
        return written
    put("wordscores", tables.word_table(about, rebuilt, material), tables.WORDS)
    put("channelscores", tables.channel_table(about, rebuilt, material), tables.CHANNELS)
    put("r2bins", tables.bin_table(about, rebuilt, material), tables.BINS)
    if rebuilt.twins:
        put("plainpredictors", tables.twin_table(about, rebuilt), tables.TWINS)
    if rebuilt.grid:
        put("penalties", tables.penalty_table(about, rebuilt), tables.PENALTIES)
    path = output / speaker.name.file("wordpredictions.h5", analysis=label)
    written.append(_predictions(path, rebuilt.predictions["k-fold"], material))
    return written


def _predictions(path: Path, found: Predictions, material: Material) -> Path:
    fold = np.zeros(len(material.words), dtype=np.int64)
    for number, one in enumerate(found.folds.folds):
        fold[one.outer.test] = number
    with np.errstate(invalid="ignore", divide="ignore"):
        said = (found.model - found.train_mean) / found.train_sd
        true = (material.response - found.train_mean) / found.train_sd
    words = material.words
    samples = pd.DataFrame(
        {
            "time": words["onset"].to_numpy(dtype=float),
            "fold": fold,
            "run": words["recording"].to_numpy(),
            "word": words["word"].to_numpy(),
        }
    )
    return write_predictions(
        path,
        predicted=np.nan_to_num(said, nan=np.nan, posinf=np.nan, neginf=np.nan).astype(np.float32),
        response=np.nan_to_num(true, nan=np.nan, posinf=np.nan, neginf=np.nan).astype(np.float32),
        samples=samples,
        targets=[str(name) for name in material.targets["name"]],
        description="k-fold predictions of the mean high gamma of each word and its response, "
        "about the mean of the training words and in their SDs; NaN for channels left out",
    )


def _sidecar(
    config: Config,
    about: dict[str, str],
    rebuilt: Rebuilt,
    material: Material,
    embedding: WordEmbeddings,
    lag_s: float | None,
) -> dict[str, object]:
    """Collect what the tables say of themselves."""
    found: dict[str, object] = {
        "Embedding": about["embedding"],
        "Layer": about["layer"],
        "Mapping": about["mapping"],
        "EmbeddingDescription": embedding.description,
        "Method": method_sentence(config, rebuilt, material, embedding, about["mapping"]),
        "NumberOfWords": len(material.words),
        "NumberOfDimensions": int(embedding.values[0].shape[1]),
    }
    if rebuilt.verdict is not None:
        found["Answer"] = rebuilt.verdict.answer
        found["Verdict"] = rebuilt.verdict.text
    if lag_s is not None:
        found["ShiftSeconds"] = round(lag_s, 6)
    return found


def _taken_as(config: Config, material: Material) -> list[str]:
    """Say what speech it is, and what words that come again do to the scores."""
    n_different = material.words["word"].astype(str).str.casefold().nunique()
    if not is_continuous(config.production, material):
        return ["Taken as words one by one (speech in [production] changes it)."]
    said = "Taken as continuous speech (speech in [production] changes it)."
    if n_different == len(material.words):
        return [said]
    return [
        said,
        f"{len(material.words)} words, {n_different} different: words of held-out stretches come "
        "in training, too, so that any vectors that tell words apart score above 0. Shuffles and "
        "random vectors keep which words are the same: what they reach is chance.",
    ]


def method_sentence(
    config: Config, rebuilt: Rebuilt, material: Material, embedding: WordEmbeddings, mapping: str
) -> str:
    """Say how it was done."""
    p = config.production
    start_s, stop_s = material.window_s
    folds = rebuilt.predictions["k-fold"].folds
    kind = (
        "stretches of time, with gaps as long as windows and filters"
        if is_continuous(p, material)
        else "words dealt at random, repetitions of a word together"
    )
    how = {
        "ridge": "by ridge regression with one penalty for all channels",
        "multi-task": "by an elastic net in which a dimension counts for all channels or none",
        "elastic-net": "by an elastic net per channel",
    }[mapping]
    draws = rebuilt.nulls[0]
    coarse = (
        ""
        if mapping == RIDGE
        else " Shuffles, and the fit that they are compared with, search 3 × 5 penalties; whether "
        "there is evidence is told by ridge, whose nulls can be had in any number."
    )
    audio = embedding.of_audio or any(part.of_audio for part in embedding.parts)
    components = (
        f" Components of audio keep {p.explained:.0%} of the variance of the training words."
        if audio
        else ""
    )
    return (
        f"Mean high gamma ({config.ieeg.high_gamma}) from {start_s:g} to {stop_s:g} s after the "
        f"onset of each word was predicted from its embedding {how}; embeddings and responses "
        f"were standardised by training words.{components} {len(folds.folds)} outer folds: "
        f"{kind}; penalties were chosen on {p.n_inner} inner folds that exclude the held-out "
        f"group. Null: {len(draws.draws)} shuffles of the words, each fitted anew, penalties "
        f"included.{coarse}"
    )
