from pathlib import Path
from types import SimpleNamespace

import pytest

from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.stories import synthetic_stories
from tests.small_whisper import write_small_whisper

SEED = 5


@pytest.fixture(scope="package")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_whisper(tmp_path_factory.mktemp("model"), seed=SEED)


@pytest.fixture(scope="package")
def stories():
    return synthetic_stories(3, duration_s=40.0, seed=SEED)


@pytest.fixture(scope="package")
def long_stories():
    return synthetic_stories(3, duration_s=100.0, seed=SEED, first=3)


def simulate(out_dir, model_folder, stories, long_stories, *, null):
    truth = simulate_dataset(
        out_dir,
        model="small-whisper",
        model_folder=model_folder,
        ieeg_stories=stories,
        fmri_stories=long_stories,
        n_participants=1,
        layers=(1, 3),
        seed=SEED,
        null=null,
    )
    return SimpleNamespace(truth=truth, bids=out_dir / "bids", folder=out_dir)


@pytest.fixture(scope="package")
def planted(tmp_path_factory, model_folder, stories, long_stories):
    out_dir = tmp_path_factory.mktemp("planted")
    return simulate(out_dir, model_folder, stories, long_stories, null=False)


@pytest.fixture(scope="package")
def unlinked(tmp_path_factory, model_folder, stories, long_stories):
    out_dir = tmp_path_factory.mktemp("null")
    return simulate(out_dir, model_folder, stories, long_stories, null=True)
