"""Files that tell what an output folder holds and how to cite it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import variants_of
from bids_brainalign.outputs.citation import write_citation
from bids_brainalign.outputs.description import write_dataset_description, write_descriptions
from bids_brainalign.outputs.names import analysis_label, pair_label
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.phone_times import stimuli_to_align
from bids_brainalign.workflow.probes import probe_labels
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.tuned_spaces import tuned_models
from bids_brainalign.workflow.tuning_steps import tuned_space

_MODES = {
    "dense": "",
    "sliding": ", a window per frame",
    "causal": ", windows that end at the frame",
    "decoder": ", of its decoder per word",
    "text": " per word",
}


def write_front_matter(config: Config, fits: Sequence[Fit], spaces: Sequence[Space]) -> None:
    """Write dataset_description.json, descriptions.tsv, README and the citation text."""
    write_dataset_description(config.paths.output_dir, config.paths.bids_dir)
    _write_labels(config, fits, spaces)
    _write_citation(config, fits, spaces)


def _write_labels(config: Config, fits: Sequence[Fit], spaces: Sequence[Space]) -> None:
    labels = {
        "onset": "responses averaged around onsets of stimuli, words, speech and phones",
        "repeats": "noise ceilings from repeated presentations",
        "responses": "inter-subject correlation of responses",
        "silence": "responses to speech against responses to silence",
        "sound": "lag between sound and responses at both ends of each recording",
        "phones": "responses to phones and classes of phones",
    }
    for space in spaces:
        what = {
            "lowlevel": f"low-level features: {', '.join(config.features.lowlevel)}",
            "model": f"layers of {space.model}{_MODES[space.mode]}",
            "untrained": f"layers of {space.model} with random weights{_MODES[space.mode]}",
            "static": f"vectors of words from {space.model}",
            "own": f"the user's features {space.name}",
        }[space.kind]
        labels[analysis_label(space.name)] = what
    if config.ridge.partition_models:
        compared = [s.name for s in spaces if s.kind in {"model", "static", "own"}]
        for first, second in combinations(compared, 2):
            labels[pair_label(first, second)] = f"variance of {first} and {second}, and shared"
    labels |= probe_labels(config, spaces) | _tuned_labels(config, fits, spaces)
    write_descriptions(config.paths.output_dir, labels)


def _tuned_labels(config: Config, fits: Sequence[Fit], spaces: Sequence[Space]) -> dict[str, str]:
    """Labels of models that this run tunes, and of their probes."""
    if not config.tuning.variants:
        return {}
    original, labels = tuned_space(config, spaces), {}
    for variant in variants_of(config.tuning):
        name = f"{original.name}:{variant.name}"
        labels[analysis_label(name)] = f"layers of {original.name}, {variant.name}"
    if config.probes.kinds:
        for model in tuned_models(config, fits, original.name):
            what = f"layers of {original.name}, {model.variant}, on {model.who}"
            labels[analysis_label(model.name)] = what
            labels[pair_label(model.name, original.name)] = f"{model.name} against {original.name}"
    return labels


def _eeg_signal(config: Config) -> str:
    eeg = config.eeg
    if eeg.high_gamma:
        return f"high gamma ({eeg.high_gamma}, reference: {eeg.reference}), mostly of muscles"
    low, high = eeg.band_hz
    return f"the potential of {low:g} to {high:g} Hz (reference: {eeg.reference})"


def _write_citation(config: Config, fits: Sequence[Fit], spaces: Sequence[Space]) -> None:
    write_citation(
        config.paths.output_dir / "logs",
        modalities=sorted({fit.modality for fit in fits}),
        models=list(dict.fromkeys(s.model for s in spaces if s.kind in {"model", "static"})),
        settings={
            "reference": config.ieeg.reference,
            "high_gamma": config.ieeg.high_gamma,
            "band_hz": config.ieeg.band_hz,
            "eeg_signal": _eeg_signal(config),
            "lag_min_s": config.ieeg.lag_min_s,
            "lag_max_s": config.ieeg.lag_max_s,
            "hrf": config.fmri.hrf,
            "delay_min_s": config.fmri.delay_min_s,
            "delay_max_s": config.fmri.delay_max_s,
            "alphas": config.ridge.alphas,
            "n_null": config.nulls.n_draws,
            "untrained": config.features.untrained,
            "n_components": config.ieeg.n_components,
            "aligned_phones": bool(stimuli_to_align(config, fits)),
            "own_features": [s.name for s in spaces if s.kind == "own"],
        },
    )
