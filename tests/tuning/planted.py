"""Responses that come from a known small change of a backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.losses import mse
from bids_brainalign.tuning.readouts import TunedModel, features_and_responses
from bids_brainalign.tuning.stories import Batch

N_CLIPS = 768
N_TARGETS = 24
SECONDS = 0.15
CHANGE = Adaptation(kind="lora", rank=2, alpha=2, dropout=0)
BATCH = 64
LR = 3e-3


def coloured_clips(n_clips: int, *, seed: int) -> torch.Tensor:
    """Noise through one random resonance and then another: a random CNN tells them apart."""
    rng = np.random.default_rng(seed)
    clips = np.zeros((n_clips, round(16_000 * SECONDS)), dtype=np.float32)
    for clip in clips:
        for half in np.array_split(np.arange(len(clip)), 2):
            radius, angle = rng.uniform(0.6, 0.98), rng.uniform(0.02, 0.98) * np.pi
            poles = [1, -2 * radius * np.cos(angle), radius**2]
            clip[half] = lfilter([1.0], poles, rng.standard_normal(len(half)))
        clip /= clip.std()
    return torch.from_numpy(clips)


def changed_backbone(folder: Path, *, layer: int, size: float) -> Backbone:
    """The backbone with a change of rank 2 in query, key and value of the blocks that are read."""
    backbone = adapt(Backbone(folder, layer=layer), CHANGE, seed=99)
    generator = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    return backbone


def planted_batches(
    folder: Path, *, layer: int, size: float, noise: float, seed: int
) -> tuple[list[Batch], list[Batch]]:
    """Training and held-out batches whose responses the changed backbone's features give."""
    clips = coloured_clips(N_CLIPS, seed=seed)
    n_valid = torch.full((len(clips),), clips.shape[1])
    with torch.no_grad():
        changed, _ = changed_backbone(folder, layer=layer, size=size)(clips, n_valid)
        plain, _ = Backbone(folder, layer=layer)(clips, n_valid)
    x, x_new = (standardised(frames.mean(dim=1).numpy()) for frames in (plain, changed))
    new = x_new - x @ np.linalg.lstsq(x, x_new)[0]
    rng = np.random.default_rng(seed + 1)
    parts = [part @ rng.standard_normal((part.shape[1], N_TARGETS)) for part in (x, new)]
    responses = sum(standardised(part) for part in parts)
    responses = responses + noise * rng.standard_normal(responses.shape)
    truth = torch.from_numpy(standardised(responses)).float()
    batches = [
        Batch(c, n, None, None, r, story=0)
        for c, n, r in zip(
            clips.split(BATCH), n_valid.split(BATCH), truth.split(BATCH), strict=True
        )
    ]
    half = len(batches) // 2
    return batches[:half], batches[half:]


def train(model: TunedModel, batches: list[Batch], *, steps: int) -> None:
    """Plain Adam on the mean squared error."""
    model.fit_normalisation(batches)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=LR)
    model.train()
    for step in range(steps):
        batch = batches[step % len(batches)]
        optimiser.zero_grad()
        mse(model(batch), batch.responses).backward()
        optimiser.step()


def held_out_r(model: TunedModel, training: list[Batch], held_out: list[Batch]) -> float:
    """Mean correlation over targets of a ridge from the readout's features."""
    x, y = features_and_responses(model, training)
    x_new, y_new = features_and_responses(model, held_out)
    mean, sd = x.mean(axis=0), x.std(axis=0) + 1e-9
    x, x_new = (x - mean) / sd, (x_new - mean) / sd
    penalty = 0.03 * len(x) * np.eye(x.shape[1])
    predicted = x_new @ np.linalg.solve(x.T @ x + penalty, x.T @ (y - y.mean(axis=0)))
    pairs = zip(predicted.T, y_new.T, strict=True)
    return float(np.mean([np.corrcoef(p, t)[0, 1] for p, t in pairs]))


def standardised(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return (values - values.mean(axis=0)) / values.std(axis=0)
