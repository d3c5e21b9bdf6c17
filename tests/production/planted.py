"""Words whose embeddings explain a known share of the responses of channels of unequal scale."""

import numpy as np

from bids_brainalign.production.folds import word_folds
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.ridge import Ridge


def planted(share, seed, *, n_words=100, n_channels=127, n_dims=50, scale_sd=0.95, word_sd=0.3):
    """Log-normal responses, 5 informative dimensions, as in the research note's table."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_words, n_dims))
    weights = rng.standard_normal((5, n_channels)) / np.sqrt(5)
    noise = rng.standard_normal((n_words, n_channels))
    z = np.sqrt(share) * x[:, :5] @ weights + np.sqrt(1 - share) * noise
    return x, np.exp(scale_sd * rng.standard_normal(n_channels) + word_sd * z)


def folds_of(n_words, **options):
    return word_folds(np.arange(n_words), **options)


def train_mean_only(responses, folds):
    """Predictions of a predictor that ignores the word: all weights are 0."""
    x = np.random.default_rng(0).standard_normal((len(responses), 2))
    return map_words(x, responses, folds, Ridge(penalties=(1e30,)))


def running(seed, *, n_words=150, n_channels=20, n_dims=10, drift=0.9, window_s=1.0):
    """Continuous speech that channels know nothing of: starts, drifting embeddings, responses.

    Power without memory, averaged over a second after each start: neighbours share most of it.
    """
    rng = np.random.default_rng(seed)
    starts = np.cumsum(rng.uniform(0.25, 0.5, n_words))
    power = rng.standard_normal((int((starts[-1] + 2 * window_s) * 50), n_channels))
    summed = np.cumsum(power, axis=0)
    first, length = (starts * 50).astype(int), round(window_s * 50)
    x = rng.standard_normal((n_words, n_dims))
    for word in range(1, n_words):
        x[word] = drift * x[word - 1] + np.sqrt(1 - drift**2) * x[word]
    return starts, x, (summed[first + length] - summed[first]) / length
