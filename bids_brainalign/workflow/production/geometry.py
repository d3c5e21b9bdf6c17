"""Whether embeddings and responses have one geometry, and whether that goes with the scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.features.word_embeddings import WordEmbeddings
from bids_brainalign.outputs.reading import SETTINGS, is_outdated, read_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.production.sensitivity import relation, shared_geometry
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.rebuilding import least_shift, word_types
from bids_brainalign.workflow.production.speakers import LABEL, Speaker
from bids_brainalign.workflow.production.structure_tables import GEOMETRY
from bids_brainalign.workflow.production.word_vectors import embedding_label
from bids_brainalign.workflow.production_embeddings import preparation_of
from bids_brainalign.workflow.spaces import seed_of

LEAST_EMBEDDINGS = 4
N_DRAWS = 1999


def geometry_step(
    config: Config,
    speaker: Speaker,
    material: Material,
    embeddings: Mapping[str, WordEmbeddings],
    *,
    identity: object,
    settings: str,
) -> Step:
    """Compare the geometry of every embedding with that of the responses.

    Parameters
    ----------
    config : Config
    speaker : Speaker
    material : Material
    embeddings : mapping
        NAME → one layer, of the words of the material.
    identity : object
        What they depend on.
    settings : str
        Digest of what all results of the speaker depend on; other tables of the speaker with
        another one are of an earlier run.
    """
    path = config.paths.output_dir / speaker.name.file("geometry.tsv", analysis=LABEL)
    scores = {name: _score(config, speaker, name, settings) for name in embeddings}

    def work() -> list[Path]:
        rng = np.random.default_rng(seed_of(config, "geometry", speaker.name.stem))
        rows = np.arange(len(material.words))
        explained = config.production.explained
        # Side by side, the louder part would decide: parts come to one weight, as in the mapping.
        values = [
            preparation_of(one, explained=explained).apply(one.values[0].astype(np.float64), rows)
            for one in embeddings.values()
        ]
        types, said = word_types(material), []
        n_types = len(np.unique(types))
        if n_types < len(types):
            said = [f"Means of {n_types} different words were compared."]
        found = shared_geometry(
            values,
            material.response,
            types=types,
            least_shift=least_shift(len(types), material),
            n_draws=N_DRAWS,
            rng=rng,
        )
        table = pd.DataFrame(
            {
                "embedding": list(embeddings),
                "layer": [one.layers[0] for one in embeddings.values()],
                "cka": found.value[:, 0],
                "p": found.p[:, 0],
                "pattern_r": [np.nan if s is None else s for s in scores.values()],
            }
        )
        extra = {SETTINGS: settings, **_relation(table, rng, said)}
        return list(write_tsv(path, table[list(GEOMETRY)], GEOMETRY, extra=extra))

    return Step(
        name=f"geometry {speaker.name.stem}",
        inputs={
            "identity": identity,
            "settings": settings,
            "scores": scores,
            "speech": config.production.speech,
            "explained": config.production.explained,
            "seed": config.random_seed,
        },
        modules=("bids_brainalign.workflow.production.geometry",),
        work=work,
    )


def _relation(table: pd.DataFrame, rng: np.random.Generator, said: list[str]) -> dict[str, object]:
    known = table.dropna(subset=["cka", "pattern_r"])
    if len(known) < LEAST_EMBEDDINGS:
        return {
            "Sentences": [
                *said,
                f"{len(known)} embeddings are too few to ask whether those with a more similar "
                f"geometry score higher; {LEAST_EMBEDDINGS} are needed.",
            ]
        }
    found = relation(known["cka"].to_numpy(), known["pattern_r"].to_numpy(), rng=rng)
    rounded = {"r": round(found.r, 6), "p": round(found.p, 6), "n": found.n}
    return {"Sentences": said, "Relation": rounded}


def _score(config: Config, speaker: Speaker, name: str, settings: str) -> float | None:
    """Mean-removed pattern correlation by ridge, from its table; None where that failed.

    A table of other settings is of an earlier run.
    """
    label = embedding_label(name)
    path = config.paths.output_dir / speaker.name.file("reconstruction.tsv", analysis=label)
    table = read_table(path)
    if table is None or is_outdated(path, {settings}):
        return None
    rows = table[
        (table["score"] == "pattern_r")
        & (table["folds"] == "k-fold")
        & (table["window"] == "after the onset")
    ]
    return float(rows["value"].iloc[0]) if len(rows) else None
