"""Stored features are found again exactly when the same thing would be computed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Config, Features, Paths, Resources
from bids_brainalign.dataset.types import Annotations, Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.spaces import feature_key, list_spaces, usable_spaces
from tests.features.test_whisper_decoder import write_reading_whisper
from tests.small_whisper import write_small_whisper

RATE_HZ = 50.0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_whisper(tmp_path_factory.mktemp("spaces") / "small", seed=0)


def make_config(folder, model=None, *, features=(), **settings):
    models = () if model is None else (("small", str(model)),)
    return Config(
        level="participant",
        paths=Paths(folder, folder / "out", folder / "work", features=features),
        features=Features(models=models, **settings),
    )


def stimulus(**changes):
    return replace(Stimulus("story", Path("story.wav"), 60.0, "0" * 64), **changes)


def keys(config, sound=None):
    return {
        space.name: feature_key(config, space, sound or stimulus(), RATE_HZ)
        for space in list_spaces(config)
    }


def test_the_name_of_a_model_does_not_matter_but_its_weights_do(model, tmp_path):
    other = write_small_whisper(tmp_path / "other", seed=1)
    first = keys(make_config(tmp_path, model))
    second = keys(make_config(tmp_path, other))
    assert first["small"] != second["small"]
    # The twin's weights are drawn; only architecture and preprocessing are the model's.
    assert first["small:untrained"] == second["small:untrained"]
    assert first["lowlevel"] == second["lowlevel"]


def test_a_twin_hears_through_its_models_preprocessor(model, tmp_path):
    changed = write_small_whisper(tmp_path / "changed", seed=0)
    settings = changed / "preprocessor_config.json"
    settings.write_text(settings.read_text().replace("{", '{"note": 1, ', 1))
    before, after = keys(make_config(tmp_path, model)), keys(make_config(tmp_path, changed))
    assert before["small:untrained"] != after["small:untrained"]


@pytest.mark.parametrize("setting", ["hop_s", "margin_s", "blend_s"])
def test_windows_of_whisper_make_other_features(model, tmp_path, setting):
    before = keys(make_config(tmp_path, model))
    after = keys(make_config(tmp_path, model, **{setting: 1.0}))
    assert before["small"] != after["small"]
    assert before["lowlevel"] == after["lowlevel"]


def test_options_of_the_other_family_change_nothing(model, tmp_path):
    before = keys(make_config(tmp_path, model))
    after = keys(make_config(tmp_path, model, waveform_window_s=10.0, waveform_hop_s=5.0))
    assert before == after


def test_precision_is_part_of_a_models_features(model, tmp_path):
    config = make_config(tmp_path, model)
    rough = replace(config, resources=Resources(precision="bf16"))
    assert keys(config)["small"] != keys(rough)["small"]
    assert keys(config)["lowlevel"] == keys(rough)["lowlevel"]


def test_annotations_change_the_baseline_alone(model, tmp_path):
    words = pd.DataFrame({"onset": [0.5], "duration": [0.2], "label": ["word"]})
    config = make_config(tmp_path, model)
    with_words = stimulus(words=Annotations(words, Path("story_words.tsv")))
    assert keys(config)["lowlevel"] != keys(config, with_words)["lowlevel"]
    assert keys(config)["small"] == keys(config, with_words)["small"]


def test_own_times_are_part_of_own_features(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    np.save(own / "story.npy", np.zeros((10, 2)))
    np.save(own / "story_times.npy", np.arange(10) / 10)
    config = make_config(tmp_path, features=(("mine", own),))
    before = keys(config)["mine"]
    np.save(own / "story_times.npy", np.arange(10) / 5)
    assert keys(config)["mine"] != before


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return write_reading_whisper(tmp_path_factory.mktemp("reader") / "model")


def spoken(label="word", **changes):
    table = pd.DataFrame({"onset": [0.5], "duration": [0.2], "label": [label]})
    return stimulus(words=Annotations(table, Path("story_words.tsv")), **changes)


def test_a_decoder_is_a_space_of_its_own_with_its_twin(reader, tmp_path):
    spaces = list_spaces(make_config(tmp_path, reader, decoder=True))
    names = ["lowlevel", "small", "small:untrained", "small:decoder", "small:decoder:untrained"]
    assert [space.name for space in spaces] == names
    assert [space.name for space in list_spaces(make_config(tmp_path, reader))] == names[:3]


def test_words_and_language_are_part_of_a_decoders_features(reader, tmp_path):
    config = make_config(tmp_path, reader, decoder=True)
    first = keys(config, spoken())
    for changed in (spoken("world"), spoken(language="nl")):
        other = keys(config, changed)
        assert first["small:decoder"] != other["small:decoder"]
        assert first["small:decoder:untrained"] != other["small:decoder:untrained"]
        assert first["small"] == other["small"]


def test_a_decoder_is_left_out_where_a_stimulus_has_no_words(reader, tmp_path):
    spaces = list_spaces(make_config(tmp_path, reader, decoder=True))
    assert usable_spaces(spaces, [spoken(), spoken()]) == spaces
    assert usable_spaces(spaces, [spoken(), stimulus()]) == spaces[:3]


def test_a_decoder_is_refused_where_no_model_can_have_one(model, tmp_path):
    with pytest.raises(BrainAlignError, match="No model of this run has a decoder") as caught:
        list_spaces(make_config(tmp_path, decoder=True))  # the shipped model
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(BrainAlignError, match=r"no tokenizer\.json") as caught:
        list_spaces(make_config(tmp_path, model, decoder=True))
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
