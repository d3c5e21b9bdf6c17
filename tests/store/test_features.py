import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.store.features import FeatureStore

RNG = np.random.default_rng(0)
TIMES = np.arange(50) * 0.02 + 0.01


def _save(store: FeatureStore, layers: list[np.ndarray], **changes: object) -> Path:
    arguments: dict = {
        "layers": layers,
        "names": [str(i) for i in range(len(layers))],
        "times": TIMES,
        "context_past_s": 30.0,
        "context_future_s": 24.99,
    }
    return store.save("story/1 whisper-base dense", **(arguments | changes))


def test_round_trip(tmp_path: Path) -> None:
    layers = [RNG.standard_normal((50, 7)), RNG.standard_normal((50, 3))]
    store = FeatureStore(tmp_path)
    path = _save(store, layers)
    assert path == store.path_for("story/1 whisper-base dense")
    stored = store.load(path)
    assert stored.layers == ("0", "1")
    assert (stored.context_past_s, stored.context_future_s) == (30.0, 24.99)
    np.testing.assert_array_equal(stored.times, TIMES)
    for i, layer in enumerate(layers):
        assert stored.read(i).dtype == np.float32
        np.testing.assert_allclose(stored.read(i), layer, atol=3e-3)


@pytest.mark.parametrize(
    ("layer", "dtype"),
    [
        (RNG.standard_normal((50, 4)), "F16"),
        (RNG.standard_normal((50, 4)) * 5e4, "F32"),  # beyond float16
        (RNG.standard_normal((50, 4)) + 100, "F32"),  # 3 decimal digits are not enough
        (RNG.standard_normal((50, 4)) * 1e-9, "F32"),  # would become zero
        (np.zeros((50, 4)), "F16"),
    ],
)
def test_half_precision_only_where_harmless(tmp_path: Path, layer: np.ndarray, dtype: str) -> None:
    store = FeatureStore(tmp_path)
    path = _save(store, [layer])
    with safe_open(path, framework="numpy") as stored:
        assert stored.get_slice("layer-00").get_dtype() == dtype
    spread = max(float(layer.std()), 1e-30)
    error = np.sqrt(np.mean((store.load(path).read(0) - layer) ** 2))
    assert error / spread < 1e-3


def test_keys_that_look_alike_have_their_own_files(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    keys = ["a/b", "a b", "a-b", "../a-b", "a-b" * 200]
    paths = {store.path_for(key) for key in keys}
    assert len(paths) == len(keys)
    assert {path.parent for path in paths} == {tmp_path}


def test_reader_travels_to_workers(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    stored = store.load(_save(store, [np.ones((50, 2))]))
    travelled = pickle.loads(pickle.dumps(stored))  # noqa: S301 (our own bytes)
    np.testing.assert_array_equal(travelled.read(0), np.ones((50, 2)))


def test_not_finite_is_refused(tmp_path: Path) -> None:
    layer = np.ones((50, 2))
    layer[3, 1] = np.nan
    with pytest.raises(BrainAlignError, match="layer 0: some values are not finite"):
        _save(FeatureStore(tmp_path), [layer])


def test_shapes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="for 50 frames"):
        _save(FeatureStore(tmp_path), [np.ones((49, 2))])
    with pytest.raises(ValueError, match="1 layers, but 2 names"):
        _save(FeatureStore(tmp_path), [np.ones((50, 2))], names=["0", "1"])


@pytest.mark.parametrize("content", [b"", b"not safetensors" * 10])
def test_unreadable_file_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(BrainAlignError, match="not a readable feature file") as caught:
        FeatureStore(tmp_path).load(path)
    assert "delete it" in str(caught.value)
