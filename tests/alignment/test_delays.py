import numpy as np
import pytest

from bids_brainalign.alignment.delays import delay_samples, delayed, lag_samples


@pytest.mark.parametrize(
    ("tr", "expected"),
    [(2.0, (1, 2, 3, 4)), (1.5, (1, 2, 3, 4, 5, 6)), (0.8, tuple(range(2, 12)))],
)
def test_delays_are_all_multiples_of_the_tr_within_the_range(tr, expected):
    assert delay_samples(1.0, 9.0, tr_s=tr) == expected


def test_lags_stay_inside_the_window():
    lags = lag_samples(-0.1, 0.6, step_s=0.04, interval_s=0.02)
    assert lags[0] == -5
    assert lags[-1] <= 30
    assert set(np.diff(lags)) == {2}


def test_delayed_copies_equal_a_naive_loop():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 3)).astype(np.float32)
    delays = (-2, 0, 1, 5)
    out = delayed(x, delays)
    for t in range(20):
        for d, delay in enumerate(delays):
            expected = x[t - delay] if 0 <= t - delay < 20 else np.zeros(3)
            np.testing.assert_array_equal(out[t, d * 3 : (d + 1) * 3], expected)


def test_delay_longer_than_the_run_gives_zeros():
    assert not delayed(np.ones((3, 1), np.float32), (7, -7)).any()
