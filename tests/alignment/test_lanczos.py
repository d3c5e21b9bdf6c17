import numpy as np
import pytest

from bids_brainalign.alignment.lanczos import lanczos_matrix


def huth_lanczos(times, new_times, cutoff, window=3):
    """HuthLab's formula, sample by sample (encoding-model-scaling-laws, interpdata.py:154)."""
    out = np.zeros((len(new_times), len(times)))
    for i, new in enumerate(new_times):
        t = (new - times) * cutoff
        with np.errstate(divide="ignore", invalid="ignore"):
            value = window * np.sin(np.pi * t) * np.sin(np.pi * t / window) / (np.pi**2 * t**2)
        value[t == 0] = 1.0
        value[np.abs(t) > window] = 0.0
        out[i] = value
    return out


def test_equals_the_published_kernel():
    times = np.arange(0, 60, 0.1)
    new = np.arange(1.0, 59, 2.0)
    ours = lanczos_matrix(times, new, cutoff_hz=0.5).toarray()
    np.testing.assert_allclose(ours, huth_lanczos(times, new, 0.5), atol=1e-12)


@pytest.mark.parametrize("frequency", [0.02, 0.1])
def test_passes_slow_signals_and_stops_fast_ones(frequency):
    times = np.arange(0, 400, 0.1)
    new = np.arange(20.0, 380, 1.5)
    weights = lanczos_matrix(times, new, cutoff_hz=1 / 1.5)
    slow = weights @ np.sin(2 * np.pi * frequency * times) / (1.5 / 0.1)
    fast = weights @ np.sin(2 * np.pi * 1.9 * times) / (1.5 / 0.1)
    np.testing.assert_allclose(slow, np.sin(2 * np.pi * frequency * new), atol=0.05)
    assert np.abs(fast).max() < 0.05


def test_support_is_three_lobes():
    weights = lanczos_matrix(np.arange(0, 50, 0.1), np.array([25.0]), cutoff_hz=0.5).toarray()[0]
    reach = np.abs(np.arange(0, 50, 0.1) - 25)[weights != 0]
    assert reach.max() <= 6.0 + 1e-9
