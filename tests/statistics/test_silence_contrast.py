"""Speech against silence: planted differences, and honesty on slow null data."""

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from bids_brainalign.statistics.silence_contrast import Run, silence_contrast

PHI = 0.9
REMEMBERS = 22
"""Samples until AR(.9) is correlated with itself by less than .1."""


def slow(rng, shape):
    return lfilter([1.0], [1.0, -PHI], rng.standard_normal(shape), axis=0)


def labels(rng, n):
    """Speech of some seconds at 50 Hz, and pauses."""
    speech, silence = np.zeros((2, n), dtype=bool)
    at = 0
    while at < n:
        spoken, pause = int(rng.gamma(2, 75)), int(25 + rng.exponential(30))
        speech[at : at + spoken] = True
        silence[at + spoken + 20 : at + spoken + pause] = True
        at += spoken + pause
    return speech, silence


def make_run(rng, n=6000, n_targets=6, gain=0.0):
    speech, silence = labels(rng, n)
    data = slow(rng, (n, n_targets))
    data /= data.std(axis=0)
    data[:, 0] += gain * speech
    return Run(data, speech, silence, rng.random(n) > 0.02)


def contrast(runs, rng, n_draws=500):
    return silence_contrast(runs, decorrelation_samples=REMEMBERS, n_draws=n_draws, rng=rng)


def test_d_is_cohens_d_of_the_samples():
    rng = np.random.default_rng(0)
    run = make_run(rng, gain=0.6)
    a, b = run.data[run.speech & run.valid], run.data[run.silence & run.valid]
    pooled = ((len(a) - 1) * a.var(0, ddof=1) + (len(b) - 1) * b.var(0, ddof=1)) / (
        len(a) + len(b) - 2
    )
    found = contrast([run], rng)
    np.testing.assert_allclose(found.d, (a.mean(0) - b.mean(0)) / np.sqrt(pooled), rtol=1e-6)
    assert (found.n_speech, found.n_silence) == (len(a), len(b))


@pytest.mark.parametrize("gain", [0.6, -0.6])
def test_a_planted_difference_is_found_with_its_sign(gain):
    rng = np.random.default_rng(1)
    found = contrast([make_run(rng, gain=gain), make_run(rng, gain=gain)], rng)
    assert np.sign(found.d[0]) == np.sign(gain)
    assert found.q[0] < 0.01
    assert found.p[0] == found.p.min()
    assert found.reason == ""


def test_the_mean_of_a_run_changes_nothing():
    rng = np.random.default_rng(2)
    runs = [make_run(rng), make_run(rng)]
    raised = [runs[0], Run(runs[1].data + 100.0, *(getattr(runs[1], f) for f in
                                                 ("speech", "silence", "valid")))]  # fmt: skip
    d = contrast(runs, np.random.default_rng(0)).d
    np.testing.assert_allclose(contrast(raised, np.random.default_rng(0)).d, d, atol=1e-6)


def test_null_runs_keep_five_per_cent_where_a_t_test_does_not():
    p, naive = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        run = make_run(rng, n_targets=10)
        p.append(contrast([run], rng, n_draws=300).p)
        naive.append(stats.ttest_ind(run.data[run.speech], run.data[run.silence]).pvalue)
    p = np.concatenate(p)
    # 600 targets; those of a run share their labels, so the margin is wider than binomial.
    assert 0.02 < np.mean(p < 0.05) < 0.085
    assert np.mean(np.concatenate(naive) < 0.05) > 0.3


def test_invalid_samples_say_nothing():
    rng = np.random.default_rng(4)
    run = make_run(rng)
    spoilt = run.data.copy()
    spoilt[~run.valid] = 1e6
    other = Run(spoilt, run.speech, run.silence, run.valid)
    np.testing.assert_allclose(
        contrast([other], np.random.default_rng(0)).d,
        contrast([run], np.random.default_rng(0)).d,
        atol=1e-6,
    )


def test_too_little_silence_gives_a_reason():
    rng = np.random.default_rng(5)
    run = make_run(rng)
    none = Run(run.data, run.speech, np.zeros_like(run.silence), run.valid)
    once = np.zeros_like(run.silence)
    once[1000:1400] = True
    for silence in (none.silence, once):
        found = contrast([Run(run.data, run.speech & ~silence, silence, run.valid)], rng)
        assert np.isnan(found.d).all()
        assert np.isnan(found.q).all()
        assert found.reason.startswith("too little silence")


def test_short_recordings_have_a_difference_but_no_p():
    rng = np.random.default_rng(6)
    run = make_run(rng, n=6000)
    found = silence_contrast([run], decorrelation_samples=200, n_draws=100, rng=rng)
    assert np.isfinite(found.d).all()
    assert np.isnan(found.p).all()
    assert "50 decorrelation times" in found.reason


def test_flat_channels_are_left_out():
    rng = np.random.default_rng(7)
    run = make_run(rng)
    run.data[:, 2] = 3.7
    found = contrast([run], rng)
    assert np.isnan(found.d[2])
    assert np.isnan(found.p[2])
    assert np.isfinite(np.delete(found.p, 2)).all()
