"""Stored features: the same from memory and from the scratch file, and causal to the last bit."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from safetensors import safe_open

from bids_brainalign.dataset.types import Annotations, Stimulus
from bids_brainalign.features import layer_rows
from bids_brainalign.features.whisper import WhisperLayers
from bids_brainalign.store.digest import digest_of
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.workflow.attempt import step_cache
from bids_brainalign.workflow.extraction import feature_steps
from bids_brainalign.workflow.spaces import feature_key, list_spaces, windowing_of
from tests.features.test_whisper_decoder import write_reading_whisper
from tests.workflow.test_spaces import make_config

RATE = 16_000
RATE_HZ = 10.0
ALL_MODES = {"mode": ("dense", "sliding", "causal"), "decoder": True, "causal_stride_s": 2.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_reading_whisper(tmp_path_factory.mktemp("extraction") / "small")


def sound(folder: Path, wave: np.ndarray, name: str = "story") -> Stimulus:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.wav"
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    words = pd.DataFrame(
        {"onset": [0.5, 1.5], "duration": [0.4, 0.4], "label": ["so", "it"]},
    )
    return Stimulus(
        name, path, len(wave) / RATE, name.ljust(64, "0"),
        words=Annotations(words, folder / "words.tsv"), language="en",
    )  # fmt: skip


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(RATE * seconds))).astype(np.float32)


def extracted(config, stimulus) -> dict[str, Path]:
    """Files of every feature space."""
    found = {}
    for space in list_spaces(config):
        (step,) = feature_steps(config, space, [(stimulus, RATE_HZ)])
        (path,) = step.work()
        found[space.name] = path
    return found


def tensors(path: Path) -> dict[str, np.ndarray]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def test_scratch_space_changes_nothing_that_is_stored(model, tmp_path, monkeypatch):
    story = sound(tmp_path, noise(40))
    stored = {}
    for limit in (layer_rows.IN_MEMORY_BYTES, 0):
        monkeypatch.setattr(layer_rows, "IN_MEMORY_BYTES", limit)
        config = make_config(tmp_path / str(limit), model, **ALL_MODES)
        stored[limit] = extracted(config, story)
        folder = config.paths.work_dir / "features"
        assert sorted(folder.iterdir()) == sorted(stored[limit].values())  # no scratch file left
    in_memory, on_disk = stored.values()
    assert {"small", "small:untrained", "small:sliding", "small:causal", "small:decoder"} < set(
        in_memory
    )
    for name, path in in_memory.items():
        one, two = tensors(path), tensors(on_disk[name])
        assert list(one) == list(two)
        for part in one:
            assert one[part].dtype == two[part].dtype
            np.testing.assert_array_equal(one[part], two[part])


def test_a_failure_leaves_nothing_behind(model, tmp_path, monkeypatch):
    monkeypatch.setattr(layer_rows, "IN_MEMORY_BYTES", 0)
    config = make_config(tmp_path, model, untrained=False)
    calls, forward = [], WhisperLayers._forward

    def failing(self, clips):
        calls.append(len(clips))
        if len(calls) == 2:
            raise MemoryError("no room")
        return forward(self, clips)

    monkeypatch.setattr(WhisperLayers, "_forward", failing)
    (step,) = feature_steps(
        config, list_spaces(config)[1], [(sound(tmp_path, noise(70)), RATE_HZ)]
    )
    with pytest.raises(MemoryError):
        step.work()
    assert list((config.paths.work_dir / "features").iterdir()) == []


def test_audio_after_t_changes_no_stored_causal_feature_up_to_t(model, tmp_path, monkeypatch):
    """Also where it makes the layer one that float16 can't hold."""
    changed_s = 5.0
    wave, other = noise(8), noise(8)
    other[int(changed_s * RATE) :] = noise(8, seed=1)[int(changed_s * RATE) :]
    forward = WhisperLayers._forward

    def loud_where_the_other_sound_is(self, clips):
        late = np.array(
            [np.isin(clip[-10:], other).all() and np.any(clip[-10:]) for clip in clips]
        )
        late &= np.array([not np.isin(clip[-10:], wave).all() for clip in clips])
        return [
            state * np.where(late, np.float32(1e6), np.float32(1))[:, None, None]
            for state in forward(self, clips)
        ]

    monkeypatch.setattr(WhisperLayers, "_forward", loud_where_the_other_sound_is)
    config = make_config(
        tmp_path, model, mode=("dense", "causal"), causal_stride_s=0.5, untrained=False
    )
    a, b = (
        extracted(config, sound(tmp_path, w, name)) for w, name in ((wave, "one"), (other, "two"))
    )
    store = FeatureStore(config.paths.work_dir / "features")
    one, two = store.load(a["small:causal"]), store.load(b["small:causal"])
    early = one.times <= changed_s
    for layer in range(len(one.layers)):
        np.testing.assert_allclose(
            one.read(layer)[early], two.read(layer)[early], rtol=0, atol=1e-5
        )
        assert np.abs(two.read(layer)[~early]).max() > 6e4  # beyond float16
        for path in (a["small:causal"], b["small:causal"]):
            assert tensors(path)[f"layer-{layer:02d}"].dtype == np.float32
    assert tensors(a["small"])["layer-01"].dtype == np.float16


def test_causal_features_stored_by_their_values_are_not_taken_for_these(model, tmp_path):
    """How they are stored is part of their identity; that of other modes is as it was."""
    config = make_config(tmp_path, model, mode=("sliding", "causal"), untrained=False)
    story = Stimulus("story", Path("story.wav"), 60.0, "0" * 64)
    for space in list_spaces(config)[1:]:
        options = [asdict(windowing_of(config, space)), config.resources.precision]
        rate_hz = 1 / config.features.causal_stride_s
        before = digest_of([story.sha256, "model", space.digest, None, rate_hz, options])[:24]
        same = feature_key(config, space, story, RATE_HZ) == before
        assert same == (space.mode == "sliding")


def test_sliding_features_are_resumed_stimulus_by_stimulus(model, tmp_path, monkeypatch):
    """What was done before a run ended is not done again."""
    config = make_config(
        tmp_path, model, mode=("sliding",), causal_stride_s=1.0, sliding_window_s=4.0,
        untrained=False,
    )  # fmt: skip
    stories = [(sound(tmp_path, noise(6, seed), f"story{seed}"), RATE_HZ) for seed in (1, 2)]
    forward, heard = WhisperLayers._forward, []

    def counted(self, clips):
        if len(heard) == 8:
            raise KeyboardInterrupt
        heard.append(len(clips))
        return forward(self, clips)

    monkeypatch.setattr(WhisperLayers, "_forward", counted)
    space = list_spaces(config)[1]

    def run() -> list[str]:
        cache = step_cache(config)
        return [cache.run(step)[0] for step in feature_steps(config, space, stories)]

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(heard) == 8  # six windows of the first story, two of the second
    monkeypatch.setattr(WhisperLayers, "_forward", forward)
    assert run() == ["reused", "done"]
    assert run() == ["reused", "reused"]
