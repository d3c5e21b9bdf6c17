"""What the models will cost is said before the work; a full disk is refused before it too."""

import re
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from bids_brainalign.config.schema import Resources
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.decoder_folder import decoder_facts
from bids_brainalign.features.dense import Windowing
from bids_brainalign.features.estimates import estimate, estimate_decoder
from bids_brainalign.features.folders import model_facts
from bids_brainalign.workflow.costs import announce
from bids_brainalign.workflow.spaces import feature_key, list_spaces
from tests.features.test_whisper_decoder import write_reading_whisper
from tests.small_whisper import write_small_whisper
from tests.workflow.test_spaces import RATE_HZ, make_config, spoken

Usage = namedtuple("Usage", "total used free")
STORY = Stimulus("story", Path("story.wav"), 600.0, "0" * 64)


@pytest.fixture
def config(tmp_path):
    return make_config(tmp_path, write_small_whisper(tmp_path / "small", seed=0))


def test_a_sentence_per_model_that_is_still_to_run(config):
    spaces = list_spaces(config)
    lines = announce(config, spaces, [(STORY, RATE_HZ)])
    assert [line.split(" layers")[0] for line in lines] == ["small: 5", "small:untrained: 5"]
    assert all("10.0 min of audio" in line for line in lines)
    stored = config.paths.work_dir / "features"
    key = feature_key(config, spaces[1], STORY, RATE_HZ)
    stored.mkdir(parents=True)
    from bids_brainalign.store.features import FeatureStore

    path = FeatureStore(stored).path_for(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert len(announce(config, spaces, [(STORY, RATE_HZ)])) == 1


def test_features_that_do_not_fit_on_the_disk_are_refused(config, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(BrainAlignError, match=r"features would take .* GB free") as caught:
        announce(config, list_spaces(config), [(STORY, RATE_HZ)])
    assert caught.value.exit_code == ExitCode.IO_ERROR
    assert "--work-dir" in caught.value.fix


def test_memory_is_told_and_too_little_of_it_is_warned_of(config):
    def told(mem_gb, batch_size=1):
        resources = Resources(mem_gb=mem_gb, batch_size=batch_size)
        spaces = list_spaces(config)[:2]
        return announce(replace(config, resources=resources), spaces, [(STORY, RATE_HZ)])[0]

    assert re.search(r", up to \d\.\d GB of memory$", told(100.0))
    assert "but there are 0.5 GB: the run may be killed" in told(0.5)
    assert "--batch-size" in told(0.5)
    # 1000 windows of 1500 frames × 5 layers × 64 numbers of 4 bytes: 1.9 GB.
    assert "but there are 2.0 GB" in told(2.0, batch_size=1000)
    assert "but there are" not in told(2.0)


def test_room_for_features_under_way_is_counted(config, monkeypatch):
    """Beyond 1 GB, all layers lie on the disk once more, as float32."""
    spaces = list_spaces(config)[:2]
    hours = replace(STORY, duration_s=6 * 3600.0)
    stored = 6 * 3600 * 50 * 5 * 64 * 2
    for free, fits in ((3.1 * stored, True), (2.9 * stored, False)):
        usage = Usage(10**12, 0, int(free))
        monkeypatch.setattr(shutil, "disk_usage", lambda path, usage=usage: usage)
        if fits:
            announce(config, spaces, [(hours, RATE_HZ)])
        else:
            with pytest.raises(BrainAlignError, match=r"would take .* GB free"):
                announce(config, spaces, [(hours, RATE_HZ)])


def test_a_decoder_counts_words_and_needs_its_encoder(tmp_path):
    folder = write_reading_whisper(tmp_path / "reader")
    config = make_config(tmp_path, folder, decoder=True, untrained=False)
    told = replace(STORY, words=spoken().words)
    lines = announce(config, list_spaces(config), [(told, RATE_HZ)])
    assert lines[1].startswith("small:decoder: 3 layers of 16 numbers for 1 words over 10.0 min")
    # Without words there is nothing to read.
    assert len(announce(config, list_spaces(config), [(STORY, RATE_HZ)])) == 1


def test_a_decoder_costs_its_encoder_and_more(tmp_path):
    folder = write_reading_whisper(tmp_path / "reader")
    facts, windowing = model_facts(folder), Windowing(30.0, 18.0, 5.0, 2.0)
    heard = estimate(facts, windowing, durations_s=[60.0], rate_hz=50)
    read = estimate_decoder(facts, decoder_facts(folder), windowing, told=[(60.0, 150)])
    assert read.operations > heard.operations
    assert read.n_bytes == 2 * 150 * 3 * 16 * 2


def test_sliding_windows_and_their_time_are_told_before_the_work(tmp_path):
    folder = write_small_whisper(tmp_path / "small", seed=0)
    config = make_config(
        tmp_path, folder, mode=("sliding",), sliding_window_s=4.0, causal_stride_s=0.25,
        untrained=False,
    )  # fmt: skip
    (line,) = announce(config, list_spaces(config)[1:], [(STORY, RATE_HZ)])
    assert line.startswith("small:sliding: 5 layers")
    assert "(2,400 windows of 4 s, one every 0.25 s)" in line
    assert re.search(r"MB, about \d+(\.\d)? (s|min|h) ", line)
