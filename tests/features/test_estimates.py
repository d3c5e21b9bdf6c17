"""Sizes and times told before the work."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel, HubertConfig

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features import waveform
from bids_brainalign.features.estimates import estimate, in_words, operations_per_second
from bids_brainalign.features.folders import model_facts


@pytest.fixture(scope="module")
def hubert(tmp_path_factory):
    """HuBERT-base's shape with three blocks."""
    path = tmp_path_factory.mktemp("hubert")
    torch.manual_seed(0)
    model = AutoModel.from_config(HubertConfig(num_hidden_layers=3))
    model.save_pretrained(path)
    return path, model.eval()


def test_facts_equal_the_model(hubert):
    path, model = hubert
    facts = model_facts(path)
    assert (facts.family, facts.n_layers, facts.n_dims) == ("HuBERT", 4, 768)
    assert facts.n_parameters == sum(p.numel() for p in model.parameters())
    assert not facts.is_whisper


def test_operations_are_those_of_a_forward_pass(hubert):
    path, model = hubert
    told = estimate(model_facts(path), waveform.WINDOWING, durations_s=[20.0], rate_hz=50)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 20 * 16_000))
    # Told to a person before the work: the order has to be right.
    assert 0.4 < told.operations / counter.get_total_flops() < 1.6


def test_size_is_that_of_the_file(hubert, tmp_path):
    from bids_brainalign.store.features import FeatureStore

    told = estimate(model_facts(hubert[0]), waveform.WINDOWING, durations_s=[6.0], rate_hz=10)
    layers = [np.random.default_rng(0).standard_normal((60, 768)) for _ in range(4)]
    path = FeatureStore(tmp_path).save(
        "k", layers=layers, names=list("0123"), times=np.arange(60.0),
        context_past_s=1, context_future_s=1,
    )  # fmt: skip
    assert told.n_bytes == pytest.approx(path.stat().st_size, rel=0.01)


def test_long_stories_cost_their_windows(hubert):
    facts = model_facts(hubert[0])

    def operations(seconds):
        return estimate(
            facts, waveform.WINDOWING, durations_s=[seconds], rate_hz=50
        ).operations  # fmt: skip

    assert operations(600) == pytest.approx(59 * operations(20))


def test_speed_is_measured_and_words_are_readable():
    assert operations_per_second("cpu") > 1e8
    assert in_words(5e5, 0.2) == "0.5 MB, about 1 s"
    assert in_words(2.34e9, 300) == "2.3 GB, about 5 min"
    assert in_words(1e6, 9000) == "1.0 MB, about 2.5 h"


def test_a_folder_that_describes_no_encoder_is_refused(tmp_path: Path):
    with pytest.raises(BrainAlignError, match="can't be loaded as a speech model") as caught:
        model_facts(tmp_path)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vits"}))
    with pytest.raises(BrainAlignError, match="no number of layers"):
        model_facts(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(BrainAlignError, match="holds no object"):
        model_facts(tmp_path)
