"""Fit one network to one fold: AdamW, mean squared error, early stopping on unseen rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bids_brainalign.encoding.recurrent.architecture import Network

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Rows = NDArray[np.int64]

PREDICT_ROWS = 2048
"""Rows predicted at once …"""
PREDICT_VALUES = 1 << 24
"""… or fewer, where there are so many targets that the predictions would exceed this (64 MB) …"""
LEAST_ROWS = 64
"""… but not fewer than these."""
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
    validation = validation[:: max(1, len(validation) // MOST_VALIDATION_ROWS)]
    best, kept, history = np.inf, -1, []
    best_gain = ones = np.ones(responses.shape[1], dtype=np.float32)
    state: dict[str, Tensor] = {}
    done = training(
        network, windows, responses, fit=fit, recipe=recipe, seed=seed, device=device
    )  # fmt: skip
    for epoch in done:
        sums = compared(network, windows, responses, rows=validation, device=device)
        gain = sums.gain() if shrink else ones
        history.append(float(np.mean(sums.errors(gain))))
        if history[-1] < best:
            best, kept, best_gain = history[-1], epoch, gain
            state = {k: v.detach().clone() for k, v in network.state_dict().items()}
        if epoch - kept >= recipe.patience:
            break
    network.load_state_dict(state)
    return Trained(network, best_gain, kept, tuple(history))


def training(
    network: Network,
    windows: Array32,
    responses: Array32,
    *,
    fit: Rows,
    recipe: Recipe,
    seed: int,
    device: str = "cpu",
) -> Iterator[int]:
    """Train epoch by epoch, and give how many are done: from 0 to ``recipe.epochs``.

    Parameters are those of :func:`train`; responses may be mapped from a file.
    """
    rng = np.random.default_rng(seed)
    network.to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    network.drop.stream = torch.Generator(device).manual_seed(seed)
    yield 0
    for epoch in range(recipe.epochs):
        _one_epoch(network, optimiser, windows, responses, fit, recipe, rng, device)
        yield epoch + 1


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


@dataclass(frozen=True)
class Sums:
    """What is needed of predictions of some rows to say how far they are off at any factor."""

    n: int
    """Rows."""
    power: NDArray[np.floating]
    """(n_targets,) sum of squares of the prediction."""
    shared: NDArray[np.floating]
    """(n_targets,) sum of products of prediction and response."""
    own: Array64
    """(n_targets,) sum of squares of the response."""

    def gain(self) -> Array32:
        """Least-squares factor per target, between 0 and 1."""
        factor = self.shared / np.where(self.power > 0, self.power, 1)
        return np.asarray(np.clip(factor, 0, 1), dtype=np.float32)

    def errors(self, gain: Array32) -> Array64:
        """(n_targets,) mean squared error of the prediction times the factor."""
        g = gain.astype(np.float64)
        return np.asarray((g * g * self.power - 2 * g * self.shared + self.own) / self.n)


def compared(
    network: Network, windows: Array32, responses: Array32, *, rows: Rows, device: str = "cpu"
) -> Sums:
    """Hold predictions of some rows against the responses, a few rows at a time."""
    power, shared, own = np.zeros((3, responses.shape[1]))
    for part, predicted in predictions_of(network, windows, rows=rows, device=device):
        y = responses[part]
        power += np.einsum("tv,tv->v", predicted, predicted)
        shared += np.einsum("tv,tv->v", predicted, y)
        own += np.einsum("tv,tv->v", y, y)
    return Sums(len(rows), power, shared, own)


def predict(network: Network, windows: Array32, *, rows: Rows, device: str = "cpu") -> Array32:
    """Predict the responses of some rows.

    Returns
    -------
    ndarray of shape (len(rows), n_targets), float32
    """
    return np.concatenate(
        [part for _, part in predictions_of(network, windows, rows=rows, device=device)]
    )


def predictions_of(
    network: Network, windows: Array32, *, rows: Rows, device: str = "cpu"
) -> Iterator[tuple[Rows, Array32]]:
    """Predict as :func:`predict`, a few rows at a time; gives them with their predictions."""
    network.eval()
    at_once = max(LEAST_ROWS, min(PREDICT_ROWS, PREDICT_VALUES // network.readout.out_features))
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        with torch.inference_mode():
            predicted = network(torch.from_numpy(windows[part]).to(device)).cpu().numpy()
        yield part, predicted
