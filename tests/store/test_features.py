import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.store import tensor_file
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


@pytest.mark.parametrize("offset", [0.0, 2.6, 1e3])
@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e4])
def test_blocks_choose_precision_as_the_whole_layer_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: float, scale: float
) -> None:
    drift = np.linspace(0, 3, 50)[:, None]  # blocks have means of their own
    layer = (scale * (RNG.standard_normal((50, 4)) + drift + offset)).astype(np.float32)
    with np.errstate(over="ignore"):
        error = np.sqrt(np.mean((layer.astype(np.float16).astype(np.float64) - layer) ** 2))
    half = np.abs(layer).max() < 6e4 and error <= 1e-3 * layer.std(dtype=np.float64)
    stored = []
    for block in (1_000_000, 20):
        monkeypatch.setattr(tensor_file, "BLOCK_VALUES", block)
        path = _save(FeatureStore(tmp_path / str(block)), [layer])
        with safe_open(path, framework="numpy") as file:
            stored.append(file.get_tensor("layer-00"))
        assert stored[-1].dtype == (np.float16 if half else np.float32)
    np.testing.assert_array_equal(stored[0], stored[1])
    np.testing.assert_array_equal(stored[0], layer.astype(stored[0].dtype))


def test_exact_features_are_float32_whatever_they_hold(tmp_path: Path) -> None:
    """The choice by values is one by the whole layer: its end would change its beginning."""
    store = FeatureStore(tmp_path)
    first = RNG.standard_normal((50, 4)).astype(np.float32)
    later = first.copy()
    later[40:] *= 1e5  # beyond float16
    for layer in (first, later):
        kept = store.load(_save(store, [layer], exact=True)).read(0)
        np.testing.assert_array_equal(kept, layer)
    chosen = [store.load(_save(store, [layer])).read(0)[:40] for layer in (first, later)]
    assert np.abs(chosen[0] - chosen[1]).max() > 1e-5


def test_layers_are_taken_one_at_a_time(tmp_path: Path) -> None:
    """Whoever makes layers when asked for has one in memory."""
    alive: set[int] = set()

    class Watched(np.ndarray):
        def __del__(self) -> None:
            alive.discard(id(self))

    class Layers(list):
        def __getitem__(self, index: int) -> np.ndarray:
            assert not alive
            layer = np.full((50, 2), index, np.float32).view(Watched)
            alive.add(id(layer))
            return layer

    store = FeatureStore(tmp_path)
    stored = store.load(_save(store, Layers([None] * 4)))
    assert [stored.read(i)[0, 0] for i in range(4)] == [0, 1, 2, 3]


def test_scratch_space_is_gone_afterwards(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features")

    def fill(*, failing: bool) -> None:
        with store.scratch() as scratch:
            scratch.write(b"frames")
            if failing:
                raise ValueError("no room")

    fill(failing=False)
    with pytest.raises(ValueError, match="no room"):
        fill(failing=True)
    assert list((tmp_path / "features").iterdir()) == []


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
