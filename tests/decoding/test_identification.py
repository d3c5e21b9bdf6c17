"""Scores of identification against their plain definitions, and nulls against drawn series."""

import numpy as np
import pytest

from bids_brainalign.decoding.identification import (
    SCORES,
    null_scores,
    observed_scores,
    top1_chance,
)
from bids_brainalign.decoding.segments import cut_segments
from bids_brainalign.statistics.nulls import draw_folds


def fold(n_steps, *, segment_s=1.0, apart_s=1.0):
    run = np.zeros(n_steps, dtype=np.int64)
    return cut_segments(
        run, np.arange(n_steps) * 0.1, interval_s=0.1, segment_s=segment_s, step_s=0.1,
        apart_s=apart_s, most=100,
    )  # fmt: skip


def by_definition(true, predicted, segments):
    """Every score with loops, as the papers state them."""
    t = [true[s : s + segments.length].ravel() for s in segments.starts]
    p = [predicted[s : s + segments.length].ravel() for s in segments.starts]
    n = len(t)

    def cosine(i, j):
        return t[i] @ p[j] / np.linalg.norm(t[i]) / np.linalg.norm(p[j])

    pairs, ranks, first = [], [], []
    for j in range(n):
        others = [i for i in range(n) if segments.comparable[i, j]]
        ranks.append(np.mean([cosine(j, j) > cosine(i, j) for i in others]))
        first.append(ranks[-1] == 1)
        pairs += [
            cosine(i, i) + cosine(j, j) > cosine(i, j) + cosine(j, i) for i in others if i < j
        ]
    r = [np.corrcoef(true[:, d], predicted[:, d])[0, 1] for d in range(true.shape[1])]
    pattern = np.mean([cosine(i, i) for i in range(n)])
    return [np.mean(r), pattern, np.mean(pairs), np.mean(ranks), np.mean(first)]


def series(seed, n_steps, dims=3, noise=2.0):
    rng = np.random.default_rng(seed)
    true = rng.standard_normal((n_steps, dims)).astype("f4")
    return true, (true + noise * rng.standard_normal((n_steps, dims))).astype("f4")


@pytest.mark.parametrize("apart_s", [0.0, 2.5])
def test_scores_equal_their_definitions(apart_s):
    segments = fold(143, apart_s=apart_s)
    true, predicted = series(0, 143, noise=6.0)
    expected = by_definition(true, predicted, segments)
    found = observed_scores(true, predicted, segments)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert 0.5 < found[2] < 1  # neither trivial nor perfect: every branch counts


@pytest.mark.parametrize(("n_steps", "kind"), [(240, "shift"), (90, "phase"), (91, "phase")])
def test_nulls_equal_scores_of_drawn_series(n_steps, kind):
    segments = fold(n_steps)
    true, predicted = series(1, n_steps)
    (draws,) = draw_folds([n_steps], 4.0, n_draws=7, min_offset=12, rng=np.random.default_rng(2))
    assert draws.kind == kind
    null = null_scores(true, predicted, segments, draws)
    assert null.shape == (len(SCORES), draws.n_draws)
    for d in range(draws.n_draws):
        if kind == "shift":
            drawn = np.roll(predicted, draws.offsets[d], axis=0)
        else:
            half = n_steps // 2
            turn = draws.phase_basis[d, :half] + 1j * draws.phase_basis[d, half:]
            spectrum = np.fft.rfft(predicted, axis=0)
            spectrum[1:] *= turn[:, None]
            drawn = np.fft.irfft(spectrum, n_steps, axis=0)
        np.testing.assert_allclose(
            null[:, d], observed_scores(true, drawn.astype("f4"), segments), atol=2e-5
        )


def test_perfect_and_constant_predictions():
    segments = fold(200)
    true, _ = series(3, 200)
    perfect = observed_scores(true, true, segments)
    np.testing.assert_allclose(perfect, 1, atol=1e-6)
    # A decoder that says nothing is at chance, not at 0 or 1.
    nothing = observed_scores(true, np.zeros_like(true), segments)
    np.testing.assert_allclose(nothing, [0, 0, 0.5, 0.5, 0])


def test_top1_chance_counts_only_what_may_be_confused():
    assert top1_chance(fold(200, apart_s=0.0)) == pytest.approx(1 / 20)
    assert top1_chance(fold(200, apart_s=3.0)) > 1 / 20
