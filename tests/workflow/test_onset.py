"""Assumed onsets, end to end from stored responses to the sentence in the report."""

from dataclasses import replace

import numpy as np
import pytest

from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.lowlevel import lowlevel_features
from bids_brainalign.responses.types import Response
from bids_brainalign.workflow.fits import pool_fits
from bids_brainalign.workflow.onset import assumed_recordings, onset_sentences, onset_step
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from tests.workflow.planted import make_fit

TRUE_ONSET_S = 8.0


def assumed_fit(folder, modality, *, delay_s, gain=1.0, seconds=240.0):
    """One recording in which the sound starts at 8 s, but 0 s was assumed."""
    planted = make_fit(folder, modality, seconds=(seconds,), n_targets=8)
    (p,) = planted.fit.presentations
    source = load_response(response_path(planted.config, planted.fit, p.recording))
    rate = 50.0 if modality == "ieeg" else 10.0
    frames, times, _ = lowlevel_features(
        load_audio(p.stimulus.path), None, rate_hz=rate, n_mels=16
    )
    if modality == "fmri":  # as slow as blood
        width = int(4 * rate)
        frames = np.apply_along_axis(np.convolve, 0, frames, np.ones(width) / width, "same")
    clock = source.times - TRUE_ONSET_S - delay_s
    heard = np.interp(clock, times, frames[:, 0], left=np.nan, right=np.nan)
    heard = np.nan_to_num((heard - np.nanmean(heard)) / np.nanstd(heard))
    rng = np.random.default_rng(1)
    data = rng.standard_normal((len(source.times), 8))
    data[:, :2] += gain * heard[:, None]
    wrong = replace(p, onset_s=0.0, rule="task name, assumed onset 0", onset_assumed=True)
    fit = pool_fits([wrong])[0]
    response = Response(
        data.astype(np.float32), source.times, source.targets, source.censored,
        source.support_s, source.notes, source.volume,
    )  # fmt: skip
    save_response(response_path(planted.config, fit, p.recording), response)
    return planted, fit


def sentence(planted, fit):
    lowlevel = next(s for s in planted.spaces if s.kind == "lowlevel")
    onset_step(planted.config, fit, lowlevel).work()
    (said,) = onset_sentences(planted.config, fit)
    return said


@pytest.mark.parametrize(("modality", "delay_s"), [("ieeg", 0.15), ("fmri", 5.0)])
def test_a_wrong_onset_is_a_loud_warning_that_tells_the_right_one(tmp_path, modality, delay_s):
    seconds = 300.0 if modality == "ieeg" else 900.0
    said = sentence(*assumed_fit(tmp_path, modality, delay_s=delay_s, gain=2.0, seconds=seconds))
    assert said.startswith("WARNING: ")
    assert "--stimuli-map" in said
    likely = float(said.split("probably started at about ")[1].split(" s")[0])
    assert likely == pytest.approx(TRUE_ONSET_S, abs=2.0 if modality == "fmri" else 0.2)


def test_a_right_onset_is_confirmed(tmp_path):
    said = sentence(*assumed_fit(tmp_path, "ieeg", delay_s=0.15 - TRUE_ONSET_S))
    assert "The responses follow the sound as they should (lag 0.1" in said
    assert "0 s was assumed (task name, assumed onset 0)" in said


def test_unrelated_responses_leave_it_open(tmp_path):
    said = sentence(*assumed_fit(tmp_path, "ieeg", delay_s=0.15, gain=0.0))
    assert "neither confirm nor contradict" in said


def test_before_the_check_the_assumption_is_said(tmp_path):
    planted, fit = assumed_fit(tmp_path, "ieeg", delay_s=0.15)
    assert onset_sentences(planted.config, fit)[0].endswith("and not checked.")


def test_known_onsets_are_not_checked(tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(60,))
    assert assumed_recordings(planted.fit) == []
    assert onset_sentences(planted.config, planted.fit) == []
