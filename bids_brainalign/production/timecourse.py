"""Which layer is mapped when: every layer of a model to the responses in every bin of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.folds import Rows, WordFolds
from bids_brainalign.production.inputs import Preparation, check_words, usable_channels
from bids_brainalign.production.lags import share_reached
from bids_brainalign.production.mapping import PLAIN, Predictions, train_moments
from bids_brainalign.production.nulls import drawn_orders, shifted_orders
from bids_brainalign.production.peak_lags import PeakLag, Slope, peak_lags
from bids_brainalign.production.ridge import Grams, Ridge, RidgePlan, word_grams
from bids_brainalign.production.scores import identification, patterns, word_correlation

Array64 = NDArray[np.float64]

ALPHA = 0.05
LEAST_BINS = 3
SHUFFLES, SHIFTS = "shuffles of the words", "shifts of the trials"
GROUPS, LEAST_GROUPS = 10, 4
"""Of words, for the jackknife."""


@dataclass(frozen=True)
class LayerLagMap:
    """Scores of every layer and bin, and where each layer peaks."""

    lags_s: Array64
    """(n_bins,) middles of the bins after the start of the word."""
    pattern_r: Array64
    """(n_layers, n_bins) mean over words of the mean-removed pattern correlation."""
    two_vs_two: Array64
    """(n_layers, n_bins) share of pairs of words told apart; chance .5."""
    p: Array64
    """(n_layers, n_bins) of pattern_r, by shuffled words, and by shifted trials if asked for,
    against the highest of the layer's bins."""
    p_max: Array64
    """(n_layers, n_bins) … of all layers' bins."""
    null_mean: Array64
    """(n_layers, n_bins) mean of pattern_r over shuffles."""
    n_draws: dict[str, int]
    """Shuffles of the words, and shifts of the trials where there are any."""
    peaks: tuple[PeakLag, ...]
    """Of each layer."""
    slope: Slope | None
    """Of peak lag over layers; None with fewer than 3 layers that have a significant bin."""


def layer_lag_map(
    layers: Sequence[Array64],
    responses: Array64,
    folds: WordFolds,
    lags_s: Array64,
    *,
    n_draws: int,
    rng: np.random.Generator,
    how: Ridge | None = None,
    preparation: Preparation = PLAIN,
    least_shift: int | None = None,
) -> LayerLagMap:
    """Map every layer to the responses in every bin, by ridge on the same folds.

    Draws are the same for all layers and bins, so that their maxima are true joint draws.

    Parameters
    ----------
    layers : sequence of ndarray of shape (n_words, n_dims)
    responses : ndarray of shape (n_words, n_bins, n_channels)
        Channels with a NaN, or without variance in some bin, are left out of all bins.
    folds : WordFolds
    lags_s : ndarray of shape (n_bins,)
        Middles of the bins, evenly spaced.
    n_draws : int
        Shuffles of the words, and shifts at most.
    rng : Generator
    how : Ridge, optional
        A shared penalty is chosen for each bin on its own.
    preparation : Preparation
    least_shift : int, optional
        Also shift trials circularly, by this many words at least; p is the larger of both. For
        continuous speech: layers that hear context drift from word to word, and responses of
        neighbours overlap, which shuffles end (of maps of 48 words without a link, 19 % had
        p_max < .05 by them, and 7 % by shifts); and shifts end that a word that comes again has
        its embedding again, so that any vectors pass that tell words apart.

    Returns
    -------
    LayerLagMap

    Raises
    ------
    BrainAlignError
        If words, bins or channels don't fit, or too few are left.
    """
    y, lags = _checked(layers, responses, folds, lags_s)
    how = how or Ridge()
    xs = [np.asarray(layer, dtype=np.float64) for layer in layers]
    targets = _targets(y, folds)
    ways = {SHUFFLES: drawn_orders(folds, n_draws=n_draws, rng=rng)}
    if least_shift is not None:
        ways[SHIFTS] = shifted_orders(folds, n_draws=n_draws, rng=rng, least=least_shift)
    plans: Iterable[RidgePlan] = (RidgePlan(x, folds, how, preparation=preparation) for x in xs)
    if any(of_responses for _, of_responses in ways.values()):
        plans = list(plans)  # else one at a time: in long recordings each fills the memory
    scores, pairs = _observed(plans, targets)

    def drawn(order: Rows, of_responses: bool) -> Array64:
        if of_responses:
            return _means(plans, _targets(y[order], folds))
        moved = (RidgePlan(x[order], folds, how, preparation=preparation) for x in xs)
        return _means(moved, targets)

    nulls = {
        what: np.stack([drawn(order, of_responses) for order in orders])
        for what, (orders, of_responses) in ways.items()
    }
    observed = scores.mean(axis=2)
    p = _larger_p(observed, [null.max(axis=2, keepdims=True) for null in nulls.values()])
    p_max = _larger_p(observed, [null.max(axis=(1, 2), keepdims=True) for null in nulls.values()])
    rests = [(rows, folds.without(rows)) for rows in _groups(folds)]
    enough = len(rests) >= LEAST_GROUPS and all(_whole(rest) for _, rest in rests)
    without = (
        np.stack([_left_out(xs, y, rest, how, preparation, rows) for rows, rest in rests])
        if enough
        else None
    )
    found, slope = peak_lags(observed, without, lags, p.min(axis=1) <= ALPHA)
    n_draws_of = {what: len(null) for what, null in nulls.items()}
    mean = nulls[SHUFFLES].mean(axis=0)
    return LayerLagMap(lags, observed, pairs, p, p_max, mean, n_draws_of, found, slope)


def _larger_p(observed: Array64, nulls: Sequence[Array64]) -> Array64:
    return np.asarray(np.max([share_reached(observed, null) for null in nulls], axis=0))


def _checked(
    layers: Sequence[Array64], responses: Array64, folds: WordFolds, lags_s: Array64
) -> tuple[Array64, Array64]:
    """Responses of usable channels as (n_words, n_bins, n_channels), and lags."""
    y, lags = np.asarray(responses, dtype=np.float64), np.asarray(lags_s, dtype=np.float64)
    if y.ndim != 3 or y.shape[1] != len(lags) or len(lags) < LEAST_BINS:
        raise BrainAlignError(
            f"{len(lags)} lags and responses of shape {y.shape} make no time course.",
            fix=f"Give words × bins × channels, with {LEAST_BINS} bins at least.",
        )
    if not layers:
        raise BrainAlignError("There is no layer to map.")
    steps = np.diff(lags)
    if not np.allclose(steps, steps[0]):
        raise BrainAlignError("Bins of a time course must be evenly spaced.")
    for layer in layers:
        check_words(np.asarray(layer), y.reshape(len(y), -1), folds.n_words)
    use = np.all([usable_channels(y[:, place]) for place in range(len(lags))], axis=0)
    if use.sum() < 3:
        raise BrainAlignError(
            f"{use.sum()} channels can be used in all bins; 3 are needed for a pattern.",
            fix="Leave this participant out, or select more channels.",
        )
    return y[:, :, use], lags


def _groups(folds: WordFolds) -> list[Rows]:
    """Words that are left out together for intervals: those of ten folds, or of as many parts."""
    tests = [fold.outer.test for fold in folds.folds]
    parts = np.array_split(np.arange(len(tests)), min(GROUPS, len(tests)))
    return [np.concatenate([tests[k] for k in part]) for part in parts]


def _whole(rest: WordFolds) -> bool:
    """Whether every fold still trains, and chooses its penalties."""
    return all(fold.inner and len(fold.outer.train) for fold in rest.folds)


def _left_out(
    layers: Sequence[Array64],
    responses: Array64,
    rest: WordFolds,
    how: Ridge,
    preparation: Preparation,
    rows: Rows,
) -> Array64:
    """Mean pattern r (n_layers, n_bins) of fits without some words, on the folds of the rest."""
    y = np.delete(responses, rows, axis=0)
    plans = (
        RidgePlan(np.delete(x, rows, axis=0), rest, how, preparation=preparation) for x in layers
    )
    return _means(plans, _targets(y, rest))


@dataclass(frozen=True)
class _Targets:
    """Responses of all bins side by side, with what all layers need to know of them."""

    y: Array64
    """(n_words, n_bins * n_channels)."""
    n_bins: int
    mean: Array64
    sd: Array64
    """(n_words, n_bins * n_channels) of the training words of each word."""
    folds: WordFolds

    @cached_property
    def grams(self) -> Grams:
        """Products of words in each bin, for the choice of shared penalties."""
        return word_grams(self.y, self.folds, n_sets=self.n_bins)


def _targets(responses: Array64, folds: WordFolds) -> _Targets:
    n_words, n_bins, _ = responses.shape
    y = responses.reshape(n_words, -1)
    return _Targets(y, n_bins, *train_moments(y, folds), folds)


def _patterns(plan: RidgePlan, targets: _Targets) -> tuple[Array64, Array64]:
    """Responses and predictions about the training mean: (n_bins, n_words, n_channels) each."""
    model, _ = plan.predict(targets.y, n_sets=targets.n_bins, grams=lambda: targets.grams)
    nothing = np.zeros((len(plan.folds.folds), model.shape[1]))
    predictions = Predictions(
        model, targets.mean, targets.sd, plan.folds, nothing, nothing, nothing
    )
    true, said = patterns(targets.y, predictions)
    shape = (len(model), targets.n_bins, -1)
    return true.reshape(shape).swapaxes(0, 1), said.reshape(shape).swapaxes(0, 1)


def _observed(plans: Iterable[RidgePlan], targets: _Targets) -> tuple[Array64, Array64]:
    """Pattern r (n_layers, n_bins, n_words) and 2-vs-2 (n_layers, n_bins)."""
    scores, pairs = [], []
    for plan in plans:
        types = plan.folds.types
        true, said = _patterns(plan, targets)
        scores.append(word_correlation(true, said))
        apart = types[:, None] != types
        pairs.append([identification(*both, apart)[0] for both in zip(true, said, strict=True)])
    return np.stack(scores), np.array(pairs)


def _means(plans: Iterable[RidgePlan], targets: _Targets) -> Array64:
    """Mean pattern r over words: (n_layers, n_bins)."""
    return np.stack([word_correlation(*_patterns(p, targets)).mean(axis=1) for p in plans])
