"""Scores of held-out predictions."""

import numpy as np

from bids_brainalign.encoding.scoring import HeldOut


def made(lengths, *, min_samples=20):
    rng = np.random.default_rng(4)
    y = [rng.standard_normal((n, 3)).astype(np.float32) for n in lengths]
    yhat = [part + rng.standard_normal(part.shape).astype(np.float32) for part in y]
    held_out = HeldOut(y, [np.zeros(3)] * len(y), (), min_samples=min_samples, mutual_share=0.0)
    r = [[np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T, strict=True)]
         for p, q in zip(y, yhat, strict=True)]  # fmt: skip
    return held_out.score(yhat), np.array(r), y, yhat


def test_halves_are_weighted_means_of_odd_and_even_folds():
    scores, r, _, _ = made([40, 60, 120, 60, 10])
    odd = np.tanh((40 * np.arctanh(r[0]) + 120 * np.arctanh(r[2])) / 160)
    even = np.tanh((np.arctanh(r[1]) + np.arctanh(r[3])) / 2)
    np.testing.assert_allclose(scores.halves, [odd, even], rtol=1e-5)


def test_halves_of_a_single_fold_are_those_of_its_time():
    scores, _, (y,), (yhat,) = made([81])
    expected = [
        [np.corrcoef(y[part, i], yhat[part, i])[0, 1] for i in range(3)]
        for part in (slice(40), slice(40, None))
    ]
    np.testing.assert_allclose(scores.halves, expected, rtol=1e-5)
