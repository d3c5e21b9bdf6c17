import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_brainalign.features.windows import blend_weights, block_mean, window_starts


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9000))
def test_every_frame_is_covered_and_keeps_its_margin(n_frames):
    window, hop, margin, blend = 1500, 900, 250, 100
    starts = window_starts(n_frames, window=window, hop=hop)
    weights = blend_weights(starts, n_frames=n_frames, window=window, margin=margin, blend=blend)
    total = np.zeros(n_frames)
    for start, weight in zip(starts, weights, strict=True):
        inside = min(window, n_frames - start)
        total[start : start + inside] += weight[:inside]
        used = np.flatnonzero(weight)
        if start > 0:
            assert used[0] >= margin
        if start + window < n_frames:
            assert used[-1] <= window - margin
        assert not weight[inside:].any()
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_last_window_hears_real_audio_rather_than_padding():
    starts = window_starts(4000, window=1500, hop=900)
    assert starts[-1] == 2500


def test_gaps_between_windows_are_refused():
    starts = np.array([0, 1400])
    with pytest.raises(ValueError, match="uncovered"):
        blend_weights(starts, n_frames=2900, window=1500, margin=250, blend=0)


def test_block_mean_keeps_a_short_last_block():
    frames = np.arange(12, dtype=np.float32)[:, None]
    np.testing.assert_allclose(block_mean(frames, factor=5)[:, 0], [2, 7, 10.5])
    np.testing.assert_allclose(block_mean(np.arange(12.0), factor=5), [2, 7, 10.5])
