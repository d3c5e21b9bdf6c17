"""Words and epochs against loops written out."""

import numpy as np

from bids_brainalign.alignment.words import epoch_starts, held_at, window_means, word_means


def test_word_means_are_means_of_the_frames_inside():
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((200, 3)).astype(np.float32)
    times = np.arange(200) * 0.02
    onsets = np.array([2.001, 0.5, 1.0])  # in no order
    offsets = onsets + np.array([0.3, 0.02, 0.4])
    found = word_means(frames, times, onsets, offsets, hold=False)
    for row, on, off in zip(found, onsets, offsets, strict=True):
        inside = (times >= on - 1e-6) & (times <= off + 1e-6)
        np.testing.assert_allclose(row, frames[inside].mean(axis=0), atol=1e-6)


def test_a_word_between_two_frames_gets_the_nearest_or_the_latest():
    frames = np.arange(4, dtype=np.float32)[:, None]
    times = np.arange(4) * 1.0
    onsets, offsets = np.array([1.6, 1.6, -0.5]), np.array([1.9, 1.7, -0.2])
    near = word_means(frames, times, onsets, offsets, hold=False)[:, 0]
    past = word_means(frames, times, onsets, offsets, hold=True)[:, 0]
    np.testing.assert_array_equal(near, [2, 2, 0])
    np.testing.assert_array_equal(past[:2], [1, 1])  # frame 2 has not been heard yet


def test_epochs_are_centred_on_the_lags():
    times = 3.0 + np.arange(500) * 0.02
    data = np.stack([times, times**2], axis=1).astype(np.float32)
    onsets, lags = np.array([7.0, 5.0, 5.1]), np.array([-0.5, 0.0, 0.5])
    starts, n = epoch_starts(times, onsets, lags, window_s=0.2)
    assert n == 10
    means = window_means(data, n)[starts]
    assert means.shape == (3, 3, 2)
    # The mean of a straight line over a window is its value at the window's centre.
    np.testing.assert_allclose(means[..., 0], onsets[:, None] + lags, atol=0.0101)
    assert epoch_starts(times, np.array([3.1]), lags, window_s=0.2)[0].min() < 0


def test_window_means_are_means_of_every_window():
    data = np.random.default_rng(3).standard_normal((40, 70)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(data, 6, axis=0)
    found = window_means(data, 6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, windows.mean(axis=-1), atol=1e-6)


def test_a_held_word_is_found_at_its_onset_and_not_mixed_with_its_neighbours():
    # A word of 5 ms between two others: no frame of a regular clock would lie in it.
    times = np.array([0.0, 0.5, 0.7, 0.705, 0.9])
    frames = np.arange(5, dtype=np.float32)[:, None]
    found = held_at(frames, times, np.array([0.7, 0.5, 0.7050000001]))
    np.testing.assert_array_equal(found[:, 0], [2, 1, 3])
