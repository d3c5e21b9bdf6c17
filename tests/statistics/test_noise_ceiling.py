"""Ceilings against closed forms, planted signals, and noise without any."""

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.noise_ceiling import (
    draw_repeats,
    has_ceiling,
    noise_ceiling,
    powers,
    q_of,
    select_by_ceiling,
    signed_ceiling,
)

DECORRELATION = 6.0


def ar1(rng, shape, phi):
    """(n_repeats, n_times, n_targets) of variance 1."""
    noise = rng.standard_normal((shape[0], shape[1] + 100, shape[2])) * np.sqrt(1 - phi**2)
    return lfilter([1.0], [1.0, -phi], noise, axis=1)[:, 100:]


def listener(rng, *, n_repeats, n_times, n_targets, share, phi=0.6):
    signal = ar1(rng, (1, n_times, n_targets), phi)
    noise = ar1(rng, (n_repeats, n_times, n_targets), 0.4)
    return np.sqrt(share) * signal + np.sqrt(1 - share) * noise


def drawn(repeats, rng, *, lengths=None, n_draws=300):
    lengths = [repeats.shape[1]] if lengths is None else lengths
    return draw_repeats(lengths, len(repeats), DECORRELATION, n_draws=n_draws, rng=rng)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_powers_are_mean_covariances(rng):
    x = listener(rng, n_repeats=4, n_times=80, n_targets=3, share=0.5) + 7.0
    found = powers(x)
    for v in range(3):
        matrix = np.cov(x[:, :, v])
        apart = matrix[~np.eye(4, dtype=bool)]
        assert found.signal[v] == pytest.approx(apart.mean(), abs=1e-12)
        assert found.total[v] == pytest.approx(np.diag(matrix).mean(), abs=1e-12)


def test_ceiling_of_the_mean_is_the_published_formula(rng):
    """Schoppe et al. 2016 on z-scored repeats, as the code of the brain-tuning papers has it."""
    x = listener(rng, n_repeats=5, n_times=200, n_targets=20, share=0.4)
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, ddof=1, keepdims=True)
    mean = x.mean(axis=0)
    tp, variance = 1.0, mean.var(axis=0, ddof=1)
    sp = (5 * variance - tp) / 4
    published = (1 + (1 / 5) * (tp / sp - 1)) ** -0.5
    found = powers(x)
    ours = signed_ceiling(found.signal, found.total, n_averaged=5)
    np.testing.assert_allclose(ours, published, atol=1e-12)
    np.testing.assert_allclose(ours, np.sqrt(sp / variance), atol=1e-12)
    single = signed_ceiling(found.signal, found.total, n_averaged=1)
    np.testing.assert_allclose(single, np.sqrt(sp / tp), atol=1e-12)


@pytest.mark.parametrize("n_averaged", [1, 8])
def test_a_perfect_model_reaches_the_ceiling(rng, n_averaged):
    signal = ar1(rng, (1, 20000, 1), 0.6)
    x = np.sqrt(0.3) * signal + np.sqrt(0.7) * ar1(rng, (8, 20000, 1), 0.4)
    found = powers(x)
    best = [np.corrcoef(signal[0, :, 0], y)[0, 1] for y in x[:, :, 0]]
    if n_averaged == 8:
        best = [np.corrcoef(signal[0, :, 0], x.mean(axis=0)[:, 0])[0, 1]]
    ceiling = signed_ceiling(found.signal, found.total, n_averaged=n_averaged)
    assert ceiling[0] == pytest.approx(np.mean(best), abs=0.01)


def test_segments_are_centred_each(rng):
    """A change of mean between folds is no signal."""
    x = ar1(rng, (3, 120, 200), 0.3)
    stepped = x.copy()
    stepped[:, 60:] += 5.0
    plain = powers(x, lengths=[60, 60])
    np.testing.assert_allclose(powers(stepped, lengths=[60, 60]).signal, plain.signal, atol=1e-10)
    assert powers(stepped).signal.mean() > 5.0


@pytest.mark.parametrize(
    ("n_repeats", "share", "n_averaged"), [(2, 0.3, 1), (5, 0.3, 5), (10, 0.1, 10), (10, 0.5, 1)]
)
def test_planted_ceiling_lies_within_its_interval(rng, n_repeats, share, n_averaged):
    """Measured over 600 targets: 91 to 95 %."""
    x = listener(rng, n_repeats=n_repeats, n_times=251, n_targets=400, share=share)
    found = noise_ceiling(x, drawn(x, rng, n_draws=20), n_averaged=n_averaged)
    planted = np.sqrt(share / (share + (1 - share) / n_averaged))
    low, high = found.interval()
    assert 0.89 <= np.mean((low <= planted) & (planted <= high)) <= 0.985
    assert found.signed.mean() == pytest.approx(planted, abs=0.02)
    assert has_ceiling(q_of(found.p())).mean() > 0.9


def test_noise_of_voxels_has_no_ceiling(rng):
    """AR(1) .6, five presentations: about a tenth pass .4 alone; the test keeps 5 %."""
    x = ar1(rng, (5, 251, 2000), 0.6)
    found = noise_ceiling(x, drawn(x, rng, n_draws=500), n_averaged=5)
    ceiling, p = found.ceiling(), found.p()
    assert 0.05 < np.mean(ceiling > 0.4) < 0.15
    assert 0.03 < np.mean(p < 0.05) < 0.07
    assert select_by_ceiling(ceiling, q_of(p)).sum() <= 2
    # Chance is on both sides of 0: the mean over a parcel is near none.
    assert abs(found.signed.mean()) < 0.05 < np.nanmean(ceiling) - 0.1


def test_selection_needs_size_and_significance():
    ceiling = np.array([0.9, 0.9, 0.3, np.nan, 0.9])
    q = np.array([0.01, 0.2, 0.01, 0.01, np.nan])
    assert select_by_ceiling(ceiling, q).tolist() == [True, False, False, False, False]
    assert select_by_ceiling(ceiling, q, threshold=0.2).tolist() == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_constant_targets_have_none(rng):
    x = np.concatenate([np.ones((3, 100, 1)), ar1(rng, (3, 100, 1), 0.3)], axis=2)
    found = noise_ceiling(x, drawn(x, rng), n_averaged=1)
    assert np.isnan(found.signed[0])
    assert np.isnan(found.p()[0])
    assert np.isfinite(found.p()[1])


def test_opposite_presentations_are_undefined(rng):
    one = ar1(rng, (1, 200, 1), 0.5)
    x = np.concatenate([one, -one + 0.1 * ar1(rng, (1, 200, 1), 0.5)])
    found = noise_ceiling(x, drawn(x, rng), n_averaged=2)
    assert np.isnan(found.ceiling())
    assert found.p() > 0.5


def test_few_blocks_give_no_interval(rng):
    x = listener(rng, n_repeats=3, n_times=60, n_targets=4, share=0.5)
    low, high = noise_ceiling(x, drawn(x, rng), n_averaged=1).interval()
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_one_presentation_is_refused(rng):
    with pytest.raises(BrainAlignError, match="two or more presentations"):
        powers(ar1(rng, (1, 50, 2), 0.3))


def test_the_interval_is_a_jackknife_over_blocks_on_fishers_scale(rng):
    x = listener(rng, n_repeats=4, n_times=400, n_targets=3, share=0.5)
    draws = drawn(x, rng, lengths=[150, 250])
    found = noise_ceiling(x, draws, n_averaged=1)
    about = np.concatenate([part - part.mean(axis=1, keepdims=True)
                            for part in (x[:, :150], x[:, 150:])], axis=1)  # fmt: skip

    def intraclass(rows):
        together = (about[:, rows].sum(axis=0) ** 2).sum(axis=0)
        apart = (about[:, rows] ** 2).sum(axis=(0, 1))
        return (together - apart) / (3 * apart)  # SP / TP of four presentations

    def fisher(rho):
        return 0.5 * np.log((1 + 3 * rho) / (1 - rho))

    n = draws.block.max() + 1
    assert n >= 20
    assert len(np.unique(draws.block[:150])) + len(np.unique(draws.block[150:])) == n
    assert np.bincount(draws.block).min() >= 18  # three decorrelation times
    rho = [intraclass(draws.block != block) for block in range(n)]
    np.testing.assert_allclose(found.signed, np.sqrt(intraclass(draws.block >= 0)))
    np.testing.assert_allclose(found.left_out, np.sqrt(rho))
    z = fisher(np.array(rho))
    error = np.sqrt((n - 1) / n * ((z - z.mean(axis=0)) ** 2).sum(axis=0))
    for end, side in zip(found.interval(), (-1, 1), strict=True):
        moved = fisher(found.signed**2) + side * stats.t.ppf(0.975, n - 1) * error
        odds = np.exp(2 * moved)
        np.testing.assert_allclose(end, np.sqrt((odds - 1) / (odds + 3)))


def test_nothing_is_chosen_at_the_limits():
    ceiling, q = np.array([0.3, 0.31, 0.31, np.nan]), np.array([0.01, 0.05, 0.049, 0.01])
    chosen = select_by_ceiling(ceiling, q, threshold=0.3, alpha=0.05)
    assert chosen.tolist() == [False, False, True, False]
