"""What stands beside the scores of a speaker: time course, regions, geometry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bids_brainalign.config.schema import Config
from bids_brainalign.features.word_embeddings import WordEmbeddings, of_words
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.courses import course_step
from bids_brainalign.workflow.production.geometry import geometry_step
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.regional import region_step
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_vectors import Chosen


def steps(
    config: Config,
    speaker: Speaker,
    material: Material,
    chosen: Chosen,
    every_layer: Mapping[str, WordEmbeddings],
    *,
    identity: object,
    settings: str,
) -> Iterator[Step]:
    """Give the steps, each when the one before has run.

    Parameters
    ----------
    config : Config
    speaker : Speaker
    material : Material
        Of the shared words.
    chosen : Chosen
    every_layer : mapping
        NAME → single embedding with all its layers, of all words.
    identity : object
        What they depend on.
    settings : str
        Digest of what all results of the speaker depend on.
    """
    one_layer = {name: of_words(one, chosen.shared) for name, one in chosen.by_name.items()}
    for name, layers in every_layer.items():
        yield course_step(
            config, speaker, material, name, of_words(layers, chosen.shared),
            identity=identity, settings=settings,
        )  # fmt: skip
        yield region_step(
            config, speaker, material, name, one_layer[name], identity=identity, settings=settings
        )
    yield geometry_step(config, speaker, material, one_layer, identity=identity, settings=settings)
