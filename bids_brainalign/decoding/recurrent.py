"""A small bidirectional GRU over the responses that follow each sample, to the embedding."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.statistics.folds import Split

Array32 = NDArray[np.float32]

BATCH = 256
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
PATIENCE = 6
"""Epochs without a better validation error before training stops."""
_FIRST_WEIGHTS = Lock()
"""They come from torch's one random stream: networks trained side by side are made in turn."""


@dataclass(frozen=True)
class Training:
    """How a network is trained."""

    hidden: int
    """Units per direction."""
    epochs: int
    """At most."""
    seed: int
    device: str = "cpu"


class _Decoder(torch.nn.Module):
    def __init__(self, n_electrodes: int, n_dims: int, hidden: int) -> None:
        super().__init__()
        self.reduce = torch.nn.Sequential(
            torch.nn.Linear(n_electrodes, hidden), torch.nn.LayerNorm(hidden)
        )
        self.gru = torch.nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.readout = torch.nn.Linear(2 * hidden, n_dims)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """(n, n_lags, n_electrodes) to (n, n_dims)."""
        _, last = self.gru(self.reduce(windows))
        out: torch.Tensor = self.readout(torch.cat([last[0], last[1]], dim=1))
        return out


def fit_recurrent(
    windows: Array32,
    embedding: Array32,
    split: Split,
    test: NDArray[np.int64],
    *,
    training: Training,
) -> Array32:
    """Train on one part, stop by another, predict a third.

    Parameters
    ----------
    windows : ndarray of shape (n_samples, n_lags, n_electrodes), float32
        The responses that ridge sees too.
    embedding : ndarray of shape (n_samples, n_dims), float32
    split : Split
        An inner fold: its test rows, already a gap away from its training rows, stop training.
    test : ndarray of int
        Held-out rows.
    training : Training

    Returns
    -------
    ndarray of shape (n_test, n_dims), float32
        Prediction at the epoch with the smallest validation error; the training mean counts as
        epoch 0, so a network that learns nothing predicts nothing.
    """
    device = torch.device(training.device)
    mean = embedding[split.train].mean(axis=0)
    scale = float((embedding[split.train] - mean).std()) or 1.0
    target = torch.from_numpy((embedding - mean) / np.float32(scale))
    source = torch.from_numpy(windows)
    shuffle = torch.Generator().manual_seed(training.seed)
    with _FIRST_WEIGHTS, torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        model = _Decoder(windows.shape[2], embedding.shape[1], training.hidden).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    train = torch.from_numpy(split.train)
    best = float((target[split.test] ** 2).mean())
    state: dict[str, Any] | None = None
    waited = 0
    for _ in range(training.epochs):
        model.train()
        for rows in torch.split(train[torch.randperm(len(train), generator=shuffle)], BATCH):
            loss = torch.nn.functional.mse_loss(
                model(source[rows].to(device)), target[rows].to(device)
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        error = float(((_predict(model, source, split.test) - target[split.test]) ** 2).mean())
        if error < best:
            best, waited = error, 0
            state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        else:
            waited += 1
            if waited >= PATIENCE:
                break
    if state is None:
        return np.broadcast_to(mean, (len(test), len(mean))).astype(np.float32)
    model.load_state_dict(state)
    prediction: Array32 = _predict(model, source, test).numpy() * np.float32(scale) + mean
    return prediction


def _predict(model: _Decoder, source: torch.Tensor, rows: NDArray[np.int64]) -> torch.Tensor:
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        parts = [
            model(source[part].to(device)).cpu()
            for part in torch.split(torch.from_numpy(rows), 4096)
        ]
    return torch.cat(parts)
