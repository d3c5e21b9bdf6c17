"""Vectors of words, a few of whose dimensions are planted in the responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.simulate.random_streams import stream

N_DIMS, N_INFORMATIVE = 50, 5
DECIMALS = 5


@dataclass(frozen=True)
class WordVectors:
    """One row per word."""

    words: tuple[str, ...]
    values: NDArray[np.float64]
    """(n_words, n_dims), Gaussian of SD 1, with as many decimals as are written."""
    informative: tuple[int, ...]
    """Dimensions that responses depend on, numbered from 0; empty for unrelated vectors."""

    def of(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Informative dimensions of some words: (n_words, n_informative)."""
        rows = [self.words.index(word) for word in words]
        return np.asarray(self.values[np.ix_(rows, self.informative)])

    def write(self, path: Path) -> None:
        """Write in the text form of GloVe: a word and its numbers per line."""
        lines = [
            " ".join([word, *(f"{value:.{DECIMALS}f}" for value in row)])
            for word, row in zip(self.words, self.values, strict=True)
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_vectors(words: Sequence[str], *, seed: int, related: bool) -> WordVectors:
    """Draw vectors; those of the unrelated have nothing to do with the responses."""
    rng = stream(seed, "production", "vectors", related)
    values = np.round(rng.standard_normal((len(words), N_DIMS)), DECIMALS)
    chosen = sorted(rng.choice(N_DIMS, N_INFORMATIVE, replace=False).tolist())
    return WordVectors(tuple(words), values, tuple(chosen) if related else ())


def planted_scores(
    vectors: NDArray[np.float64],
    content: NDArray[np.int64],
    n_channels: int,
    *,
    share: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw what each trial does to each channel: a linear map of the word's vector, and noise.

    Parameters
    ----------
    vectors : ndarray of shape (n_words, n_informative)
    content : ndarray of shape (n_trials,)
        Row of ``vectors`` of each trial.
    n_channels : int
    share : float
        Of the map in the variance.
    rng : Generator

    Returns
    -------
    scores : ndarray of shape (n_trials, n_channels)
        √share · signal + √(1 − share) · noise; the signal has mean 0 and SD 1 over words.
    weights : ndarray of shape (n_informative, n_channels)
        The signal is ``vectors @ weights`` less its mean over words.
    """
    weights = rng.standard_normal((vectors.shape[1], n_channels))
    weights /= np.maximum((vectors @ weights).std(axis=0), 1e-12)
    signal = vectors @ weights
    signal -= signal.mean(axis=0)
    noise = rng.standard_normal((len(content), n_channels))
    return np.sqrt(share) * signal[content] + np.sqrt(1 - share) * noise, weights
