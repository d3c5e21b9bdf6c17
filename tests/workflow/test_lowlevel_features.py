"""The low-level baseline of a run: its parts, its identity and what is said of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.recipes import load_recipe
from bids_brainalign.config.schema import Features
from bids_brainalign.config.toml import merge
from bids_brainalign.dataset.types import Annotations
from bids_brainalign.phonemes.marks import ARTICULATION, PHONES_39
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.extraction import feature_steps
from bids_brainalign.workflow.narrative import lowlevel_parts, sidecar_fields
from bids_brainalign.workflow.spaces import feature_key, list_spaces, stored_features
from tests.workflow.planted import make_fit

FULL = ("envelope", "mel", "words", "phones", "articulation", "phone-histogram")


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    planted = make_fit(tmp_path_factory.mktemp("lowlevel"), "fmri", seconds=(60,) * 3, n_targets=2)
    phones = pd.DataFrame(
        {
            "onset": [1.0, 2.0, 2.5, 3.0, 3.5],
            "duration": 0.1,
            "label": ["AH0", "T", "QX", "IY1", "S"],
        }
    )
    presentations = tuple(
        replace(p, stimulus=replace(p.stimulus, phones=Annotations(phones, p.stimulus.path)))
        for p in planted.fit.presentations
    )
    full = replace(planted.config, features=Features(lowlevel=FULL))
    return planted.config, full, replace(planted.fit, presentations=presentations)


def test_the_fuller_set_has_its_columns_and_says_what_it_lacks(heard):
    _, full, fit = heard
    spaces = list_spaces(full)[:1]
    stimulus = fit.presentations[0].stimulus
    for step in feature_steps(full, spaces[0], [(p.stimulus, 10.0) for p in fit.presentations]):
        step.work()
    stored = stored_features(full, spaces[0], stimulus, "fmri")
    frames = stored.read(0)
    assert frames.shape[1] == 1 + 16 + 1 + 1 + 23 + 39
    at = 19 + len(ARTICULATION)
    assert frames[10, at + PHONES_39.index("AH")] == frames[20, at + PHONES_39.index("T")] == 1
    assert frames[:, at:].sum() == 4
    assert frames[20, 19 + ARTICULATION.index("plosive")] == 1
    sidecar = sidecar_fields(full, assemble(full, fit, spaces), spaces[0])
    assert sidecar["ModelDescription"].startswith(
        "Envelope and mel spectrogram of the audio, and (where they are annotated) onsets of "
        "words and phones; articulation of phones and histogram of 39 phones, counted at their "
        "onsets."
    )
    assert any("1 of 5 phones are not all counted" in s for s in sidecar["Assumptions"])


def test_what_phones_are_is_part_of_the_fuller_set_alone(heard):
    usual, full, fit = heard
    stimulus = fit.presentations[0].stimulus
    table = stimulus.phones.table.assign(label=["AH0", "T", "QX", "IY1", "Z"])
    other = replace(stimulus, phones=Annotations(table, stimulus.path))
    lowlevel = list_spaces(full)[0]

    def key(config, stimulus):
        return feature_key(config, lowlevel, stimulus, 10.0)

    assert key(usual, stimulus) == key(usual, other)
    assert key(full, stimulus) != key(full, other)
    assert key(full, stimulus) != key(usual, stimulus)


def test_parts_can_be_left_out(heard):
    _, full, fit = heard
    plain = replace(full, features=Features(lowlevel=("envelope", "words")))
    lowlevel = list_spaces(plain)[0]
    stimulus = fit.presentations[0].stimulus
    (step,) = feature_steps(plain, lowlevel, [(stimulus, 10.0)])
    step.work()
    frames = stored_features(plain, lowlevel, stimulus, "fmri").read(0)
    assert frames.shape[1] == 2
    assert frames[:, 1].sum() == len(stimulus.words.table)
    assert np.ptp(frames[:, 0]) > 0
    assert lowlevel_parts(plain) == (
        "Envelope of the audio, and (where they are annotated) onsets of words."
    )


def test_the_recipe_for_fmri_has_the_fuller_set_and_others_the_usual_one(tmp_path):
    paths = {"paths": {"bids_dir": tmp_path, "output_dir": tmp_path, "work_dir": tmp_path}}
    given = [{"level": "participant", **paths}]
    assert merge(load_recipe("layerwise-fmri"), *given).features.lowlevel == FULL
    usual = ("envelope", "mel", "words", "phones")
    assert merge(load_recipe("whisper-ecog"), *given).features.lowlevel == usual
