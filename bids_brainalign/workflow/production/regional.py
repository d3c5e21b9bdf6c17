"""Scores by region, beside the number of electrodes in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.features.word_embeddings import WordEmbeddings
from bids_brainalign.outputs.reading import SETTINGS
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.regions import (
    LEAST_CHANNELS,
    LEAST_REGIONS,
    RegionScores,
    electrodes_and_scores,
    region_scores,
)
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import STATISTICS
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.rebuilding import RIDGE, plan_folds
from bids_brainalign.workflow.production.reconstruction import settings_of
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.structure_tables import REGIONS
from bids_brainalign.workflow.production.word_vectors import embedding_label
from bids_brainalign.workflow.production_embeddings import preparation_of
from bids_brainalign.workflow.spaces import seed_of


def region_step(
    config: Config,
    speaker: Speaker,
    material: Material,
    name: str,
    embedding: WordEmbeddings,
    *,
    identity: object,
    settings: str,
) -> Step:
    """Score an embedding by the channels of every region; parameters as `reconstruction_step`."""
    path = config.paths.output_dir / speaker.name.file(
        "regions.tsv", analysis=embedding_label(name)
    )

    def work() -> list[Path]:
        seed = seed_of(config, "production", speaker.name.stem, name)
        predictions = map_words(
            embedding.values[0].astype(np.float64),
            material.response,
            plan_folds(config.production, material, over="k-fold", seed=seed),
            Ridge(),
            preparation=preparation_of(embedding, explained=config.production.explained),
        )
        labels = [str(region) for region in material.targets["region"]]
        found = region_scores(material.response, predictions, labels)
        table = pd.DataFrame(
            {
                "embedding": name,
                "layer": embedding.layers[0],
                "mapping": RIDGE,
                "region": list(found.regions),
                "n_channels": found.n_channels,
                **{
                    key: found.statistics[:, place]
                    for place, key in enumerate(STATISTICS)
                    if key in REGIONS
                },
            }
        )
        rng = np.random.default_rng(seed)
        extra = {SETTINGS: settings, **_relation(found, rng)}
        return list(write_tsv(path, table[list(REGIONS)], REGIONS, extra=extra))

    return Step(
        name=f"regions {name} {speaker.name.stem}",
        inputs={
            "identity": [identity, settings],
            "settings": settings_of(config, RIDGE),
            "seed": config.random_seed,
        },
        modules=("bids_brainalign.workflow.production.regional",),
        work=work,
    )


def _relation(found: RegionScores, rng: np.random.Generator) -> dict[str, object]:
    said = []
    if found.too_few:
        said.append(
            f"Fewer than {LEAST_CHANNELS} electrodes, and not scored: {', '.join(found.too_few)}."
        )
    relation = electrodes_and_scores(found, rng=rng)
    if relation is None:
        said.append(
            f"{len(found.regions)} regions are too few to ask whether those with more electrodes "
            f"score higher; {LEAST_REGIONS} are needed."
        )
        return {"Sentences": said}
    about = {"r": round(relation.r, 6), "p": round(relation.p, 6), "n": relation.n}
    return {"Relation": about, "Sentences": said}
