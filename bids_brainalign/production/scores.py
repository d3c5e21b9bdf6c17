"""Scores of rebuilt responses to words: as published, beside the train mean, and corrected.

Channels differ in their means by far more than words do. A predictor that ignores the word, the
mean over the training words, therefore reaches correlations across channels of .9 and more, and
an elastic net shrunk to it does, too. What is left once that mean is gone is about words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.folds import Rows, WordFolds
from bids_brainalign.production.mapping import Predictions
from bids_brainalign.statistics.correlation import correlation, r2_out_of_sample

Array64 = NDArray[np.float64]

R2_EDGES = (-np.inf, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Bins of R² across channels; the last holds its upper edge."""
STATISTICS = ("pattern_r", "skill", "two_vs_two", "rank", "channel_r")
CHANCE = (0.0, 0.0, 0.5, 0.5, 0.0)
_ROUNDING = 1e-9
"""In training SDs: predictions nearer to the train mean say nothing."""
_LEAST_IN_FOLD = 3


@dataclass(frozen=True)
class AcrossChannels:
    """The published scores. Rows: the model, then the train-mean predictor on the same folds."""

    pcc: Array64
    """(2, n_words) Pearson correlation across channels."""
    r2: Array64
    """(2, n_words) 1 − SSE/SST across channels, about the word's mean over channels."""
    share: Array64
    """(2, n_bins) share of words whose R² falls between :data:`R2_EDGES`."""

    def table(self) -> list[dict[str, float]]:
        """One row per word; no column of the model comes without that of the train mean."""
        columns = {
            "pcc": self.pcc[0],
            "pcc_train_mean": self.pcc[1],
            "r2": self.r2[0],
            "r2_train_mean": self.r2[1],
        }
        return [
            {name: float(values[word]) for name, values in columns.items()}
            for word in range(self.pcc.shape[1])
        ]

    def bins(self) -> list[dict[str, float]]:
        """One row per bin of R²."""
        return [
            {
                "r2_from": float(R2_EDGES[b]),
                "r2_to": float(R2_EDGES[b + 1]),
                "share": float(self.share[0, b]),
                "share_train_mean": float(self.share[1, b]),
            }
            for b in range(self.share.shape[1])
        ]


@dataclass(frozen=True)
class Corrected:
    """Scores that are at chance for a predictor that ignores the word."""

    pattern_r: Array64
    """(n_words,) Pearson correlation across channels, about the training mean, in training SDs."""
    skill: Array64
    """(n_channels,) 1 − SSE/SSE of the train mean; NaN for channels that were left out."""
    two_vs_two: float
    """Share of pairs of words told apart (chance .5)."""
    rank: Array64
    """(n_words,) share of other words whose response is less like the prediction (chance .5)."""
    channel_r: Array64 | None
    """(n_channels,) of :func:`channel_correlation`; None where a fold holds out one word."""
    sd_observed: Array64
    """(n_words,) SD across channels of the response, about the training mean, in training SDs."""
    sd_predicted: Array64
    """(n_words,) … and of its prediction: how far it is shrunk."""

    def summary(self) -> Array64:
        """Means over words, median skill, mean r over channels, as `STATISTICS`: (5,)."""
        r = np.nan if self.channel_r is None else np.nanmean(self.channel_r)
        return np.array(
            [self.pattern_r.mean(), np.nanmedian(self.skill), self.two_vs_two, self.rank.mean(), r]
        )

    def sd_over_words(self) -> dict[str, float]:
        """Scatter of the scores between words."""
        return {
            "pattern_r": float(self.pattern_r.std(ddof=1)),
            "rank": float(self.rank.std(ddof=1)),
        }


def across_channels(responses: Array64, predictions: Predictions) -> AcrossChannels:
    """Score each word across channels as published, with the train mean beside it.

    Parameters
    ----------
    responses : ndarray of shape (n_words, n_channels)
    predictions : Predictions

    Returns
    -------
    AcrossChannels

    Raises
    ------
    BrainAlignError
        With fewer than 3 usable channels.

    References
    ----------
    arXiv 2505.14074.
    """
    use = _used(predictions)
    y = np.asarray(responses, dtype=np.float64)[:, use]
    both = np.stack([predictions.model[:, use], predictions.train_mean[:, use]])
    pcc = np.stack([word_correlation(y, each) for each in both])
    about = y - y.mean(axis=1, keepdims=True)
    total = (about**2).sum(axis=1)
    error = ((y - both) ** 2).sum(axis=2)
    r2 = 1 - error / np.where(total > 0, total, np.nan)
    share = np.stack([np.histogram(r[np.isfinite(r)], R2_EDGES)[0] / len(r) for r in r2])
    return AcrossChannels(pcc, np.asarray(r2), share)


def corrected(responses: Array64, predictions: Predictions) -> Corrected:
    """Score against what the train mean predicts.

    Parameters
    ----------
    responses : ndarray of shape (n_words, n_channels)
    predictions : Predictions

    Returns
    -------
    Corrected

    References
    ----------
    2-vs-2: Mitchell et al. 2008, Science 320:1191. Skill as in
    :func:`~bids_brainalign.statistics.correlation.r2_out_of_sample`.
    """
    use = _used(predictions)
    y = np.asarray(responses, dtype=np.float64)
    true, said = patterns(y, predictions)
    skill = np.full(y.shape[1], np.nan)
    error = ((y - predictions.model)[:, use] ** 2).sum(axis=0)
    baseline = ((y - predictions.train_mean)[:, use] ** 2).sum(axis=0)
    skill[use] = r2_out_of_sample(error[None], baseline[None])
    types = predictions.folds.types
    two_vs_two, rank = identification(true, said, types[:, None] != types)
    return Corrected(
        word_correlation(true, said),
        skill,
        two_vs_two,
        rank,
        channel_correlation(responses, predictions) if _correlated(predictions.folds) else None,
        true.std(axis=1),
        said.std(axis=1),
    )


def channel_correlation(responses: Array64, predictions: Predictions) -> Array64:
    """Correlation over the words of a fold, mean over folds, per channel: (n_channels,).

    Fold by fold, because a training mean falls where the held-out mean rises: over all words even
    predictions that ignore the word correlate with the response, negatively. Folds weigh by their
    words less one. The mean is of r itself: Fisher's z of three or four words has no mean.

    Raises
    ------
    BrainAlignError
        Where folds hold out single words: the train mean is then (S − y)/(n − 1), so that r is
        −1 for a predictor that knows nothing and near it for any shrunk one.
    """
    tests = _correlated(predictions.folds)
    if not tests:
        raise BrainAlignError(
            "A correlation over words means nothing where one word is left out at a time: the "
            "mean of the others has r = −1 with every channel.",
            fix="Use 10-fold predictions, or look at the skill.",
        )
    use = _used(predictions)
    y = np.asarray(responses, dtype=np.float64)[:, use]
    _, _, said = _about_training(y, predictions, use)
    found = np.stack([_fold_correlation(y[test], said[test]) for test in tests])
    r = np.full(len(use), np.nan)
    r[use] = np.average(found, axis=0, weights=[len(test) - 1 for test in tests])
    return r


def _correlated(folds: WordFolds) -> list[Rows]:
    """Words of the folds over which responses can be correlated; none of single words."""
    if folds.leaves_one_out:
        return []
    return [f.outer.test for f in folds.folds if len(f.outer.test) >= _LEAST_IN_FOLD]


def patterns(responses: Array64, predictions: Predictions) -> tuple[Array64, Array64]:
    """Responses and predictions about the training mean, in training SDs, of usable channels.

    Returns
    -------
    true, said : ndarray of shape (n_words, n_usable)
        ``said`` is exactly 0 where the prediction is the training mean.
    """
    use = _used(predictions)
    y = np.asarray(responses, dtype=np.float64)[:, use]
    mean, sd, said = _about_training(y, predictions, use)
    return np.asarray((y - mean) / sd), said


def word_errors(responses: Array64, predictions: Predictions) -> Array64:
    """Mean squared error over channels, in training SDs, of each word: (n_words,)."""
    true, said = patterns(responses, predictions)
    return np.asarray(((true - said) ** 2).mean(axis=1))


def identification(
    true: Array64, said: Array64, comparable: NDArray[np.bool_]
) -> tuple[float, Array64]:
    """Tell words apart by the cosine of response and prediction; ties count one half.

    Parameters
    ----------
    true, said : ndarray of shape (n_words, n_channels)
        About the training mean.
    comparable : ndarray of shape (n_words, n_words), bool
        Pairs of different words.

    Returns
    -------
    two_vs_two : float
        Share of pairs with s(i,i) + s(j,j) > s(i,j) + s(j,i).
    rank : ndarray of shape (n_words,)
        Share of comparable words whose response is less like the prediction than the right one.
    """
    similarity = _unit(said) @ _unit(true).T  # (predicted, true)
    similarity[np.abs(similarity) < _ROUNDING] = 0.0
    right = np.diag(similarity)
    i, j = np.nonzero(np.triu(comparable, 1))
    gain = right[i] + right[j] - similarity[i, j] - similarity[j, i]
    two_vs_two = float((np.sign(gain).mean() + 1) / 2)
    won = np.where(comparable, np.sign(right[:, None] - similarity), 0.0)
    rank = (won.sum(axis=1) / comparable.sum(axis=1) + 1) / 2
    return two_vs_two, np.asarray(rank)


def spearman(a: Array64, b: Array64) -> float:
    """Correlation of ranks."""
    return float(correlation(rankdata(a)[:, None], rankdata(b)[:, None])[0])


def _about_training(
    y: Array64, predictions: Predictions, use: NDArray[np.bool_]
) -> tuple[Array64, Array64, Array64]:
    """Training mean and SD, and predictions about and in them; where the SD is 0, its unit is."""
    mean, sd = predictions.train_mean[:, use], predictions.train_sd[:, use]
    sd = np.where(sd > 0, sd, np.where(np.abs(y - mean) > 0, np.abs(y - mean), 1.0))
    said = (predictions.model[:, use] - mean) / sd
    said[np.abs(said) < _ROUNDING] = 0.0
    return mean, sd, said


def _fold_correlation(true: Array64, said: Array64) -> Array64:
    """Correlation per channel; 0 where either side is the same for all words."""
    said = np.where(np.ptp(said, axis=0) > _ROUNDING, said, 0.0)
    return np.nan_to_num(correlation(true, said))


def _used(predictions: Predictions) -> NDArray[np.bool_]:
    """Channels that were predicted."""
    use = np.isfinite(predictions.model).all(axis=0)
    if use.sum() < 3:
        raise BrainAlignError(
            f"{use.sum()} usable channels are too few for scores across channels; 3 are needed.",
            fix="Leave this participant out, or select more channels.",
        )
    return np.asarray(use)


def word_correlation(true: Array64, said: Array64) -> Array64:
    """Pearson correlation over the last axis, channels; 0 where the prediction doesn't vary."""
    r = correlation(true, said, axis=-1)
    return np.where(np.isnan(r) & (np.ptp(true, axis=-1) > 0), 0.0, r)


def _unit(x: Array64) -> Array64:
    """Rows of length one; rows of zeros stay."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, np.inf))
