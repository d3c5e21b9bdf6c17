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
        seed = seed_of(config, "production", speaker.name.stem)
        predictions = map_words(
            embedding.values[0].astype(np.float64),
            material.response,
            plan_folds(config.production, material, over="k-fold", seed=seed),
            Ridge(),
            preparation=preparation_of(embedding, explained=config.production.explained),
        )
        found = region_scores(
            material.response,
            predictions,
            [str(region) for region in material.targets["region"]],
            rng=np.random.default_rng(seed),
        )
        place = STATISTICS.index(found.statistic)
        rows = [
            {
                "embedding": name,
                "layer": embedding.layers[0],
                "mapping": RIDGE,
                "region": one.region,
                "n_channels": one.n_electrodes,
                **dict(zip(STATISTICS, one.statistics, strict=True)),
                "pattern_r_matched": one.matched[place],
            }
            for one in found.regions
        ]
        table = pd.DataFrame(rows, columns=[*REGIONS])
        extra = {SETTINGS: settings, **_relation(found)}
        return list(write_tsv(path, table, REGIONS, extra=extra))

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


def _relation(found: RegionScores) -> dict[str, object]:
    said = []
    if found.left_out:
        few = ", ".join(f"{name} ({count})" for name, count in found.left_out.items())
        said.append(f"Fewer than {LEAST_CHANNELS} electrodes, and not scored: {few}.")
    about = found.by_number
    if not found.regions:
        return {"Sentences": said}
    if about is None:
        said.append(
            f"Whether regions with more electrodes score higher can't be told from "
            f"{len(found.regions)} regions; {LEAST_REGIONS} with different numbers are needed."
        )
        return {"Sentences": said}
    if found.by_number_matched is not None:
        equal = found.by_number_matched
        said.append(
            "With as many electrodes of each region as the smallest has, the relation is "
            f"{equal.r:.2f} (p = {equal.p:.3g}): what of it is not a matter of their number."
        )
    relation = {"r": round(about.r, 6), "p": round(about.p, 6), "n": about.n}
    return {"Relation": relation, "Sentences": said}
