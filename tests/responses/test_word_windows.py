"""Means of amplitudes around words, against plain loops over frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.responses.high_gamma import Amplitude
from bids_brainalign.responses.ieeg import OpenAmplitudes
from bids_brainalign.responses.word_windows import (
    COURSE_HZ,
    Windows,
    bins_between,
    read_word_responses,
)

RATE_HZ, FIRST_S, N_FRAMES = 99.61, 0.024, 3000


def opened(
    data: np.ndarray, *, bad: tuple[tuple[float, float], ...] = (), rate_hz: float = RATE_HZ
) -> OpenAmplitudes:
    def parts() -> Iterator[Amplitude]:
        for start in range(0, len(data), 2):
            yield Amplitude(data[start : start + 2], rate_hz, FIRST_S)

    names = [f"A{i}" for i in range(len(data))]
    return OpenAmplitudes(parts(), pd.DataFrame({"name": names}), bad, 0.1, ("said",))


@pytest.fixture
def data() -> np.ndarray:
    return np.random.default_rng(3).random((5, N_FRAMES))


def test_windows_are_means_of_the_frames_with_their_centre_inside(data: np.ndarray) -> None:
    times = FIRST_S + np.arange(N_FRAMES) / RATE_HZ
    start = np.array([0.5, 3.217, 11.0, 20.004])
    stop = start + np.array([1.0, 0.05, 0.5, 2.0])

    (found,) = read_word_responses(opened(data), [Windows(start, stop)]).means

    for word in range(len(start)):
        inside = (times >= start[word]) & (times < stop[word])
        assert np.allclose(found[word], data[:, inside].mean(axis=1), rtol=1e-10)


def test_windows_beyond_the_recording_or_in_bad_stretches_have_no_mean(data: np.ndarray) -> None:
    start = np.array([-0.5, 5.0, 10.0, 29.8])
    found = read_word_responses(
        opened(data, bad=((10.9, 11.2),)), [Windows(start, start + 1.0)]
    ).means[0]
    assert np.isnan(found).all(axis=1).tolist() == [True, False, True, True]


def test_course_keeps_the_sum_and_the_clock() -> None:
    n_times = 20_000
    wave = np.zeros((1, n_times))
    wave[0, 10_240] = 1.0  # at 10 s of 1024 Hz
    read = read_word_responses(opened(wave, rate_hz=1024.0), [])
    peak = int(read.course[:, 0].argmax())
    assert abs(read.course_s[peak] - (FIRST_S + 10.0)) <= 0.5 / COURSE_HZ + 1e-9
    assert np.allclose(np.diff(read.course_s), 1 / COURSE_HZ)
    assert read.targets["name"].tolist() == ["A0"]
    assert read.notes == ("said",)


def test_bins_fill_the_stretch_and_no_more() -> None:
    assert len(bins_between(-0.5, 1.5, 0.05)) == 40
    assert bins_between(0.0, 0.12, 0.05).round(4).tolist() == [0.025, 0.075]
