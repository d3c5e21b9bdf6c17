"""What a trained network looks at: attention, and what occlusion says of it.

After a recurrent layer every state mixes all times, so that attention weights alone are no
attribution. Occlusion takes the frames at one lag away and looks at the held-out prediction.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.encoding.recurrent.architecture import Network
from bids_brainalign.encoding.recurrent.training import PREDICT_ROWS, predict
from bids_brainalign.statistics.correlation import correlation
from bids_brainalign.statistics.nulls import FoldNull

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Rows = NDArray[np.int64]


def attention_weights(
    network: Network, windows: Array32, *, rows: Rows, device: str = "cpu"
) -> tuple[Array32, Array32]:
    """Attention at every row, and what each query contributes to every prediction.

    Returns
    -------
    weights : ndarray of shape (n_rows, n_queries, n_lags)
    parts : ndarray of shape (n_rows, n_queries, n_targets)
        They sum to the prediction, but for a constant.
    """
    network.eval()
    weights, parts = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), PREDICT_ROWS):
            part = torch.from_numpy(windows[rows[start : start + PREDICT_ROWS]]).to(device)
            context, attention = network.context(part)
            if attention is None:
                raise ValueError(f"a network of kind {network.kind} has no attention")
            n_queries = attention.shape[1]
            readout = network.readout.weight.reshape(-1, n_queries, context.shape[1] // n_queries)
            split = context.reshape(len(context), n_queries, -1)
            parts.append(torch.einsum("bkw,ekw->bke", split, readout).cpu().numpy())
            weights.append(attention.cpu().numpy())
    return np.concatenate(weights), np.concatenate(parts)


def attention_profile(weights: Array32, parts: Array32) -> Array64:
    """Mean attention per lag of each electrode.

    Electrodes share the queries and weigh them in the readout. The share of query k in electrode
    e is the covariance of its part with the prediction over the prediction's variance; negative
    shares count as none.

    Parameters
    ----------
    weights, parts
        From :func:`attention_weights`.

    Returns
    -------
    ndarray of shape (n_targets, n_lags)
        Sums to 1 over lags.
    """
    centred = parts - parts.mean(axis=0)
    share = np.einsum("bke,be->ke", centred, centred.sum(axis=1), dtype=np.float64)
    share = np.maximum(share, 0)
    total = share.sum(axis=0)
    even = np.full_like(share, 1 / len(share))
    share = np.where(total > 0, share / np.where(total > 0, total, 1), even)
    return np.asarray(share.T @ weights.mean(axis=0, dtype=np.float64))


def occlusion_profile(
    network: Network,
    windows: Array32,
    responses: Array32,
    *,
    rows: Rows,
    null: FoldNull | None = None,
    device: str = "cpu",
) -> tuple[Array64, Array32 | None]:
    """Loss of held-out r when the frames at one lag are replaced by their mean.

    Parameters
    ----------
    windows : ndarray of shape (n_samples, n_lags, n_dims)
        Standardised, so that the mean is 0.
    responses : ndarray of shape (n_samples, n_targets)
    rows : ndarray of int
        Held-out rows.
    null : FoldNull, optional
        Draws of the held-out responses, for the null of the loss.

    Returns
    -------
    profile : ndarray of shape (n_targets, n_lags)
        r of the whole window minus r without the lag.
    drawn : ndarray of shape (n_lags, n_draws, n_targets) or None
        The same for responses shifted against the predictions.
    """
    held = responses[rows]
    whole = predict(network, windows, rows=rows, device=device)
    full, full_null = _r(held, whole), None if null is None else _drawn(null, whole)
    profile = np.zeros((responses.shape[1], windows.shape[1]))
    drawn = []
    part = windows[rows]
    everything = np.arange(len(rows))
    for lag in range(windows.shape[1]):
        kept = part[:, lag].copy()
        part[:, lag] = 0
        lost = predict(network, part, rows=everything, device=device)
        part[:, lag] = kept
        profile[:, lag] = full - _r(held, lost)
        if null is not None and full_null is not None:
            drawn.append(full_null - _drawn(null, lost))
    return profile, np.stack(drawn) if drawn else None


def _drawn(null: FoldNull, predicted: Array32) -> Array32:
    return np.nan_to_num(null.null(predicted), nan=0.0)


def faithfulness(
    network: Network,
    windows: Array32,
    responses: Array32,
    weights: Array32,
    *,
    rows: Rows,
    n_lags: int,
    rng: np.random.Generator,
    n_random: int = 10,
    device: str = "cpu",
) -> tuple[Array64, Array64]:
    """Loss of r without the most attended lags of every row, against random ones.

    Parameters
    ----------
    weights : ndarray of shape (n_rows, n_queries, n_lags)
        Attention at ``rows``.
    n_lags : int
        Lags taken away in every row.
    rng : Generator
        Draws the random lags.

    Returns
    -------
    top : ndarray of shape (n_targets,)
    random : ndarray of shape (n_random, n_targets)
    """
    held = responses[rows]
    full = _r(held, predict(network, windows, rows=rows, device=device))
    mean = weights.mean(axis=1)  # (n_rows, n_lags)

    def without(chosen: NDArray[np.int64]) -> Array64:
        part = windows[rows]
        part[np.arange(len(rows))[:, None], chosen] = 0
        lost = predict(network, part, rows=np.arange(len(rows)), device=device)
        return full - _r(held, lost)

    top = without(np.argsort(-mean, axis=1)[:, :n_lags])
    drawn = [
        without(np.argsort(rng.random(mean.shape), axis=1)[:, :n_lags]) for _ in range(n_random)
    ]
    return top, np.stack(drawn)


def ridge_occlusion(
    design: Array32, weights: Array32, responses: Array32, *, rows: Rows, n_lags: int
) -> Array64:
    """Loss of r of a ridge without one lag: the linear counterpart of :func:`occlusion_profile`.

    Parameters
    ----------
    design : ndarray of shape (n_samples, n_lags * n_dims)
    weights : ndarray of shape (n_lags * n_dims, n_targets)
    """
    per_lag = weights.reshape(n_lags, -1, weights.shape[1])
    part = design[rows].reshape(len(rows), n_lags, -1)
    pieces = [part[:, lag] @ per_lag[lag] for lag in range(n_lags)]
    total = np.sum(pieces, axis=0)
    full = _r(responses[rows], total)
    return np.stack([full - _r(responses[rows], total - piece) for piece in pieces], axis=1)


def peak_lag(profile: Array64, lags_s: Array64) -> tuple[Array64, NDArray[np.bool_]]:
    """Lag of the peak of each profile, refined by its neighbours.

    Parameters
    ----------
    profile : ndarray of shape (n_targets, n_lags)
    lags_s : ndarray of shape (n_lags,)

    Returns
    -------
    lag_s : ndarray of shape (n_targets,)
        Centre of mass of the peak and the lag on either side, above the profile's median. (The
        centre of the whole profile is drawn to the middle of the window by any even floor.)
    at_edge : ndarray of bool
        The peak is the first or last lag: the true one may lie outside of the window.
    """
    top = profile.argmax(axis=1)
    at = np.clip(top[:, None] + np.array([-1, 0, 1]), 0, profile.shape[1] - 1)
    height = np.take_along_axis(profile, at, axis=1)
    height = np.maximum(height - np.median(profile, axis=1, keepdims=True), 0)
    edge = (top == 0) | (top == profile.shape[1] - 1)
    height[edge] = [0.0, 1.0, 0.0]  # clipped neighbours would count twice
    height[height.sum(axis=1) == 0] = [0.0, 1.0, 0.0]
    refined = (height * lags_s[at]).sum(axis=1) / height.sum(axis=1)
    return np.asarray(refined), edge


def injected(
    windows: Array32,
    noise: Array32,
    *,
    lag: int,
    rng: np.random.Generator,
) -> Array32:
    """Responses that follow the features at one lag, as loud as the noise added to them.

    Parameters
    ----------
    windows : ndarray of shape (n_samples, n_lags, n_dims)
    noise : ndarray of shape (n_samples, n_targets)
        Unit variance, without relation to the features.
    lag : int
        Index of the lag.

    Returns
    -------
    ndarray of shape (n_samples, n_targets), float32
        Unit variance; every target has random weights of its own.
    """
    frames = windows[:, lag]
    signal = frames @ rng.standard_normal((frames.shape[1], noise.shape[1])).astype(np.float32)
    signal = (signal - signal.mean(axis=0)) / np.maximum(signal.std(axis=0), 1e-6)
    return np.asarray((signal + noise) / np.sqrt(2), dtype=np.float32)


def _r(responses: Array32, predicted: Array32) -> Array64:
    """Correlation per target; 0 for a constant prediction."""
    return np.nan_to_num(correlation(responses, predicted), nan=0.0)
