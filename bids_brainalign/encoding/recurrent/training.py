"""Fit one network to one fold: AdamW, mean squared error, early stopping on unseen rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bids_brainalign.encoding.recurrent.architecture import Network

Array32 = NDArray[np.float32]
Rows = NDArray[np.int64]

PREDICT_ROWS = 2048
"""Rows predicted at once."""
MOST_VALIDATION_ROWS = 4096
"""A longer validation block is thinned evenly: at 50 Hz neighbours say nearly the same."""


@dataclass(frozen=True)
class Recipe:
    """How networks are trained."""

    epochs: int
    rows_per_epoch: int
    """Rows drawn per epoch: neighbouring responses say nearly the same, so that a pass over a
    part of them is a fair look at the validation block."""
    batch_rows: int
    learning_rate: float
    weight_decay: float
    patience: int
    """Epochs without a better validation error before training stops."""


@dataclass(frozen=True)
class Trained:
    """A network with the weights of its best epoch."""

    network: Network
    gain: Array32
    """(n_targets,) factor on the prediction: 1, or what the validation rows ask for."""
    best_epoch: int
    """0 = before training: nothing was learnt that helps on unseen rows."""
    validation_mse: tuple[float, ...]
    """Per epoch, from 0; in units of the responses' training variance."""


def train(
    network: Network,
    windows: Array32,
    responses: Array32,
    *,
    fit: Rows,
    validation: Rows,
    recipe: Recipe,
    seed: int,
    shrink: bool = False,
    device: str = "cpu",
) -> Trained:
    """Train until the validation error stops falling, and go back to the best epoch.

    Parameters
    ----------
    network : Network
    windows : ndarray of shape (n_samples, n_lags, n_dims)
    responses : ndarray of shape (n_samples, n_targets)
        Standardised by the training rows.
    fit, validation : ndarray of int
        Rows to learn from and rows to stop by; both of the outer fold's training part.
    recipe : Recipe
    seed : int
        Of the order of rows and of dropout.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    Trained
    """
    rng = np.random.default_rng(seed)
    validation = validation[:: max(1, len(validation) // MOST_VALIDATION_ROWS)]
    network.to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    best, kept, history = np.inf, -1, []
    best_gain = ones = np.ones(responses.shape[1], dtype=np.float32)
    state: dict[str, Tensor] = {}
    network.drop.stream = torch.Generator(device).manual_seed(seed)
    for epoch in range(recipe.epochs + 1):
        if epoch:
            _one_epoch(network, optimiser, windows, responses, fit, recipe, rng, device)
        predicted = predict(network, windows, rows=validation, device=device)
        gain = _gain(predicted, responses[validation]) if shrink else ones
        history.append(float(np.mean((gain * predicted - responses[validation]) ** 2)))
        if history[-1] < best:
            best, kept, best_gain = history[-1], epoch, gain
            state = {k: v.detach().clone() for k, v in network.state_dict().items()}
        if epoch - kept >= recipe.patience:
            break
    network.load_state_dict(state)
    return Trained(network, best_gain, kept, tuple(history))


def _one_epoch(
    network: Network,
    optimiser: torch.optim.Optimizer,
    windows: Array32,
    responses: Array32,
    fit: Rows,
    recipe: Recipe,
    rng: np.random.Generator,
    device: str,
) -> None:
    network.train()
    order = rng.permutation(fit)[: recipe.rows_per_epoch]
    for start in range(0, len(order), recipe.batch_rows):
        rows = np.sort(order[start : start + recipe.batch_rows])
        predicted = network(torch.from_numpy(windows[rows]).to(device))
        loss = torch.nn.functional.mse_loss(
            predicted, torch.from_numpy(responses[rows]).to(device)
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()


def _gain(predicted: Array32, responses: Array32) -> Array32:
    """Least-squares factor per target, between 0 and 1."""
    power = np.einsum("tv,tv->v", predicted, predicted)
    shared = np.einsum("tv,tv->v", predicted, responses)
    return np.asarray(np.clip(shared / np.where(power > 0, power, 1), 0, 1), dtype=np.float32)


def predict(network: Network, windows: Array32, *, rows: Rows, device: str = "cpu") -> Array32:
    """Predict the responses of some rows.

    Returns
    -------
    ndarray of shape (len(rows), n_targets), float32
    """
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), PREDICT_ROWS):
            part = torch.from_numpy(windows[rows[start : start + PREDICT_ROWS]]).to(device)
            parts.append(network(part).cpu().numpy())
    return np.concatenate(parts)
