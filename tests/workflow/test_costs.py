"""What the models will cost is said before the work; a full disk is refused before it too."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.costs import announce
from bids_brainalign.workflow.spaces import feature_key, list_spaces
from tests.small_whisper import write_small_whisper
from tests.workflow.test_spaces import RATE_HZ, make_config

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
