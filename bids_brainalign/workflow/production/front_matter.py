"""What an output folder of speech production says of itself."""

from __future__ import annotations

from collections.abc import Sequence

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.citation import write_citation
from bids_brainalign.outputs.description import write_dataset_description, write_descriptions
from bids_brainalign.workflow.production.reconstruction import mapping_label
from bids_brainalign.workflow.production.speakers import LABEL
from bids_brainalign.workflow.production.word_vectors import Source, embedding_label


def write_production_matter(config: Config, sources: Sequence[Source]) -> None:
    """Write dataset_description.json, descriptions.tsv, README and the citation text."""
    output, p = config.paths.output_dir, config.production
    write_dataset_description(output, config.paths.bids_dir)
    names = [*(source.name for source in sources), *p.combine]
    labels = {LABEL: "words that were spoken, and checks of their recordings"}
    for name in names:
        for mapping in p.mappings:
            label = f"{embedding_label(name)}{mapping_label(mapping)}"
            labels[label] = what = f"responses to words rebuilt from {name} by {mapping}"
            if p.realign:
                labels[f"{label}Realigned"] = f"{what}, shifted by the lag of the sound"
    write_descriptions(output, labels)
    write_citation(
        output / "logs",
        modalities=["ieeg"],
        models=names,
        settings={
            "reference": config.ieeg.reference,
            "high_gamma": config.ieeg.high_gamma,
            "production": {
                "window_s": p.window_s,
                "onset": p.onset,
                "mappings": p.mappings,
                "draws": p.ridge_draws,
            },
        },
    )
