import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bids_brainalign.features.folders import model_facts
from bids_brainalign.features.whisper import WhisperLayers
from tests.small_whisper import write_small_whisper


@pytest.fixture(scope="module")
def layers(model_folder, long_stories):
    extract = WhisperLayers(model_folder).extract
    runs = [extract(story.wave).layers for story in long_stories]
    return [
        [(run[i] - run[i].mean(0)) / run[i].std(0) for run in runs] for i in range(len(runs[0]))
    ]


def _predictable(source, target):
    """Held-out R² of random projections of one layer from another one, seven frames around it."""

    def around(frames):
        return np.hstack([np.roll(frames, shift, axis=0) for shift in range(-3, 4)])

    weights = np.random.default_rng(0).standard_normal((target[0].shape[1], 20))
    x, y = [around(f) for f in source], [f @ weights for f in target]
    model = Ridge(alpha=100.0).fit(np.vstack(x[:2]), np.vstack(y[:2]))
    residual = y[2] - model.predict(x[2])
    return 1 - residual.var(axis=0).mean() / y[2].var(axis=0).mean()


def test_layers_can_be_told_apart(layers):
    assert len(layers) == 5
    table = np.array([[_predictable(s, t) for t in layers] for s in layers])
    assert np.diag(table).min() > 0.99
    # Later layers are never linear in earlier ones; neighbours share at most three quarters.
    off_diagonal = table[~np.eye(5, dtype=bool)]
    assert off_diagonal.max() < 0.85, table.round(2)
    later_from_earlier = table[np.triu_indices(5, 1)]
    assert later_from_earlier.max() < 0.78, table.round(2)


def test_same_seed_same_weights_and_another_seed_others(tmp_path, model_folder):
    same = write_small_whisper(tmp_path / "same", seed=5) / "model.safetensors"
    other = write_small_whisper(tmp_path / "other", seed=6) / "model.safetensors"
    ours = (model_folder / "model.safetensors").read_bytes()
    assert same.read_bytes() == ours
    assert other.read_bytes() != ours
    assert sorted(p.name for p in same.parent.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]


def test_the_model_says_what_it_is(model_folder):
    assert "random weights" in model_facts(model_folder).note


def test_untrained_twin_is_another_model(model_folder, stories):
    wave = stories[0].wave[: 16_000 * 10]
    ours = WhisperLayers(model_folder).extract(wave).layers[-1]
    twin = WhisperLayers(model_folder, untrained_seed=1).extract(wave).layers[-1]
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours.T, twin.T, strict=True)]
    assert np.abs(correlations).mean() < 0.5
