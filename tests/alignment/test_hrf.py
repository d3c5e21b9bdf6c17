"""Features through a canonical response, against nilearn's own regressors."""

import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor
from scipy.ndimage import gaussian_filter1d

from bids_brainalign.alignment.clock import Placement, onto_slow_clock
from bids_brainalign.alignment.hrf import HRF_S, canonical_hrf, hrf_matrix

RATE_HZ, TR_S = 10.0, 2.0
CUTOFF_HZ = 1 / TR_S


def feature(seconds, seed=0):
    """Noise smoothed over 0.3 s, as features of speech are."""
    rng = np.random.default_rng(seed)
    return gaussian_filter1d(rng.normal(size=round(seconds * RATE_HZ)), 3).astype(np.float32)


def nilearns(values, onset_s, times_s, hrf):
    """Each frame is an event as long as itself, centred at the frame's time, with its value."""
    starts = onset_s + (np.arange(len(values)) - 0.5) / RATE_HZ
    events = np.vstack([starts, np.full(len(values), 1 / RATE_HZ), values])
    regressor, _ = compute_regressor(events, hrf, times_s, oversampling=100, min_onset=-4)
    return regressor[:, 0]


@pytest.mark.parametrize("hrf", ["glover", "spm"])
def test_regressors_are_nilearns(hrf):
    values, onset_s, times_s = feature(180), 11.3, TR_S * np.arange(130)
    frame_s = np.arange(len(values)) / RATE_HZ
    weights = hrf_matrix(frame_s + onset_s, times_s, cutoff_hz=CUTOFF_HZ, hrf=hrf)
    ours = weights @ values / (TR_S * RATE_HZ)  # gain of a kernel that is not normalised
    theirs = nilearns(values, onset_s, times_s, hrf)
    assert np.abs(ours[times_s < onset_s - 6]).max() == 0
    # The low-pass takes little off the response, which has no power near 0.5 Hz; nilearn's grid
    # does not hold the frames' borders.
    assert np.abs(ours - theirs).max() < 0.05 * theirs.std()
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9998
    plain = np.corrcoef(values[:: round(TR_S * RATE_HZ)], theirs[6:96])[0, 1]
    assert plain < 0.5  # that it is the response which makes them alike


def test_the_response_goes_on_after_the_sound_and_sums_over_stimuli():
    times_s = TR_S * np.arange(60)
    frames = np.ones((200, 1), dtype=np.float32)
    frame_s = np.arange(200) / RATE_HZ
    first = Placement(10.0, 20.0, ((0.0, 20.0),))
    second = Placement(32.0, 20.0, ((0.0, 20.0),))

    def placed(placement):
        return onto_slow_clock(
            frames, frame_s, times_s, placement, cutoff_hz=CUTOFF_HZ, hrf="glover"
        )[:, 0]

    alone = placed(first)
    assert alone[times_s == 34][0] > 0.3 * alone.max()
    onsets = np.array([10.0, 32.0]) - 0.05
    block, _ = compute_regressor(
        (onsets, np.full(2, 20.0), np.ones(2)), "glover", times_s, oversampling=40
    )
    both = (alone + placed(second)) / (TR_S * RATE_HZ)
    np.testing.assert_allclose(both, block[:, 0], atol=0.03 * block.max())


def test_parts_that_were_not_played_do_not_count():
    times_s = TR_S * np.arange(60)
    frame_s = np.arange(400) / RATE_HZ
    frames = feature(40)[:, None]
    silent = frames.copy()
    silent[frame_s > 15.0] = 0
    cut, whole = (
        onto_slow_clock(
            values, frame_s, times_s, Placement(5.0, 40.0, segments),
            cutoff_hz=CUTOFF_HZ, hrf="spm",
        )
        for values, segments in ((frames, ((0.0, 15.0),)), (silent, ((0.0, 40.0),)))
    )  # fmt: skip
    np.testing.assert_allclose(cut, whole, atol=1e-4)


def test_canonical_responses_sum_to_one_and_peak_where_they_should():
    for hrf, peak_s in (("glover", 5.0), ("spm", 5.0)):
        response = canonical_hrf(hrf, step_s=0.02)
        assert len(response) == round(HRF_S / 0.02)
        assert response.sum() == pytest.approx(1.0)
        assert abs(0.02 * response.argmax() - peak_s) < 0.5
        assert response.min() < 0  # undershoot
