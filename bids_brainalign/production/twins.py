"""Plain predictors of the same responses: place in the recording, duration, loudness, phones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.mapping import Predictions, map_words
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import corrected, word_errors
from bids_brainalign.statistics.tails import p_values

Array64 = NDArray[np.float64]


def trial_index(n_words: int, *, degree: int = 3) -> Array64:
    """Legendre polynomials of the place in the recording: (n_words, degree), a slow drift."""
    place = np.linspace(-1, 1, n_words)
    return np.asarray(np.polynomial.legendre.legvander(place, degree)[:, 1:])


@dataclass(frozen=True)
class Twin:
    """A plain predictor on the same words and folds, beside the model."""

    name: str
    statistics: Array64
    """(5,) of the plain predictor."""
    gain: float
    """Mean squared error of the plain predictor less that of the model, in training variances."""
    p_gain: float
    """One-sided, of a gain as large by flipping the signs of words at random."""
    least_p: float = 0.0
    """Smallest p that so many words, or stretches of speech, can give."""


def twin(
    name: str,
    covariates: Array64,
    responses: Array64,
    predictions: Predictions,
    *,
    n_draws: int = 2000,
    rng: np.random.Generator,
) -> Twin:
    """Ask whether the model beats a plain predictor: place in the recording, duration, loudness.

    Parameters
    ----------
    name : str
    covariates : ndarray of shape (n_words,) or (n_words, n_covariates)
        Mapped by ridge on the folds of the model, so that it gets the same chances.
    responses : ndarray of shape (n_words, n_channels)
    predictions : Predictions
        Of the model.
    n_draws : int
        Of signs; repetitions of a word are flipped together, and so are all words of a stretch
        of continuous speech, whose errors resemble each other.
    rng : Generator

    Returns
    -------
    Twin
        Where the covariates are the same for all words, of the train mean.

    Raises
    ------
    BrainAlignError
        If a word lacks a covariate.
    """
    plain = _plain(name, covariates, responses, predictions)
    difference = word_errors(responses, plain) - word_errors(responses, predictions)
    label = _together(predictions)
    sums = np.bincount(label, weights=difference)
    signs = rng.integers(0, 2, size=(n_draws, len(sums))) * 2.0 - 1.0
    gain = float(difference.mean())
    draws = (signs @ sums) / len(difference)
    equal = 1e-12 * np.abs(sums).sum()  # a draw may be the data themselves, but for rounding
    p = float(p_values(np.array([gain - equal]), draws[:, None], tail_fit=False)[0])
    return Twin(name, corrected(responses, plain).summary(), gain, p, 0.5 ** len(sums))


def _together(predictions: Predictions) -> NDArray[np.int64]:
    """Words whose signs are flipped together: (n_words,)."""
    folds = predictions.folds
    if folds.cut == "dealt":
        _, label = np.unique(folds.content, return_inverse=True)
        return label
    label = np.empty(folds.n_words, dtype=np.int64)
    for number, fold in enumerate(folds.folds):
        label[fold.outer.test] = number
    return label


def _plain(
    name: str, covariates: Array64, responses: Array64, predictions: Predictions
) -> Predictions:
    table = np.asarray(covariates, dtype=np.float64).reshape(len(responses), -1)
    lacking = int((~np.isfinite(table)).any(axis=1).sum())
    if lacking:
        raise BrainAlignError(
            f"{lacking} of {len(table)} words have no value of {name}.",
            fix=f"Fill it in, or leave {name} out of the comparisons.",
        )
    if not (np.ptp(table, axis=0) > 0).any():
        return replace(predictions, model=predictions.train_mean)
    return map_words(table, responses, predictions.folds, Ridge())
