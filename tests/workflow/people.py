"""A small wav2vec2 and participants who heard the same stories: each follows a changed copy of it.

Three of them unless told otherwise: two follow one changed model, one another.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor

from bids_brainalign.config.schema import Features, Ieeg, Resources, Ridge, Tuning
from bids_brainalign.dataset.types import Presentation
from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.models import open_model
from bids_brainalign.workflow.across import run_fits
from bids_brainalign.workflow.extraction import feature_steps, stimuli_of
from bids_brainalign.workflow.fits import Fit, pool_fits
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from bids_brainalign.workflow.spaces import list_spaces
from tests.workflow.planted import make_fit

N_TARGETS = 8
N_PLANTED = 6
DELAY_S = 0.2
FOLLOWS = {"01": 1, "02": 1, "03": 2}
"""Participant → which change of the model the responses follow."""
SETTINGS = Tuning(
    variants=("tuned", "permuted"), input="blocks", source="dense", window_s=2.0, batch_rows=100,
    normalisation="training", epochs=7, patience=0,
    learning_rate=2e-3, head_learning_rate=1e-2,
)  # fmt: skip


def write_model(folder, *, change=0.0, which=1):
    """A small wav2vec2 whose blocks do something; changed: in the weights of its blocks."""
    torch.manual_seed(0)
    model = AutoModel.from_config(
        Wav2Vec2Config(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
            conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
            vocab_size=32,
        )
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".layers." in name and name.endswith("weight") and parameter.ndim == 2:
                parameter.mul_(6.0)
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    if change:
        path = folder / "model.safetensors"
        weights, generator = load_file(path), torch.Generator().manual_seed(which)
        for name, weight in weights.items():
            if ".layers." in name and weight.ndim == 2:
                shape = weight.shape
                low = torch.randn(shape[0], 2, generator=generator) @ torch.randn(
                    2, shape[1], generator=generator
                )
                weights[name] = weight + change * low * weight.norm() / low.norm()
        save_file(weights, path, metadata={"format": "pt"})
    return folder


def responses_of(fit: Fit, config, folder, *, noise_seed, noise=0.5):
    """Six targets follow the last layer of a model 0.2 s later, two follow nothing."""
    model, rng = open_model(folder), np.random.default_rng([noise_seed, 1])
    # The same readout in all brains, as one head is to serve them.
    weights = np.random.default_rng(0).standard_normal((32, N_TARGETS))
    weights[:, N_PLANTED:] = 0
    for presentation in fit.presentations:
        recording = presentation.recording
        path = response_path(config, fit, recording)
        old = load_response(path)
        found = model.extract(load_audio(presentation.stimulus.path), rate_hz=50.0)
        layer = np.asarray(found.layers[-1])
        signal = (layer - layer.mean(axis=0)) / layer.std(axis=0) @ weights / np.sqrt(32)
        times = found.times + presentation.onset_s + DELAY_S
        data = np.stack(
            [np.interp(old.times, times, column, left=0, right=0) for column in signal.T], axis=1
        )
        data = data + noise * rng.standard_normal(data.shape)
        save_response(path, replace(old, data=data.astype(np.float32)))


def cloned(fit: Fit, config, participant: str) -> Fit:
    """The same recordings of another participant, with responses of their own."""
    presentations: list[Presentation] = []
    for p in fit.presentations:
        path = p.recording.path.with_name(f"sub{participant}{p.recording.path.name}")
        path.write_bytes(participant.encode() + p.recording.path.read_bytes())
        recording = replace(p.recording, participant=participant, path=path)
        presentations.append(replace(p, recording=recording))
    (other,) = pool_fits(presentations)
    for mine, theirs in zip(fit.recordings, other.recordings, strict=True):
        response = load_response(response_path(config, fit, mine))
        save_response(response_path(config, other, theirs), response)
    return other


def make_people(
    folder: Path, *, tuning: Tuning = SETTINGS, n_stories=6, seconds=40, follows=None, noise=0.5
):
    """Give configuration, fits and feature spaces; features of the spaces are stored."""
    planted = make_fit(folder, "ieeg", seconds=(seconds,) * n_stories, n_targets=N_TARGETS)
    original = write_model(folder / "original")
    follows = follows or FOLLOWS
    changed = {
        which: write_model(folder / f"changed{which}", change=1.0, which=which)
        for which in set(follows.values())
    }
    config = replace(
        planted.config,
        paths=replace(planted.config.paths, features=()),
        ieeg=Ieeg(lag_min_s=0.16, lag_max_s=0.24),
        ridge=Ridge(alphas=(1e1, 1e3, 1e5)),
        features=Features(models=(("w2v", str(original)),), untrained=False),
        tuning=tuning,
        control=replace(planted.config.control, steps=("encoding",)),
        nulls=replace(planted.config.nulls, n_draws=100),
        resources=Resources(nprocs=1, omp_nthreads=1),
    )
    fits = []
    for number, (participant, which) in enumerate(follows.items()):
        first = participant == planted.fit.participant
        fit = planted.fit if first else cloned(planted.fit, planted.config, participant)
        responses_of(fit, config, changed[which], noise_seed=10 + number, noise=noise)
        fits.append(fit)
    spaces = list_spaces(config)
    for space in spaces:
        for step in feature_steps(config, space, stimuli_of(config, fits)):
            step.work()
    config.paths.output_dir.mkdir(exist_ok=True)
    return config, fits, spaces


def run(config, fits, spaces) -> dict[str, str]:
    """Run as the program does; names of steps with what became of them."""
    units = run_fits(config, fits, spaces, "run")
    return {unit.name: f"{unit.status} {unit.message or ''}".strip() for unit in units}
