"""What is written in blocks is what safetensors itself writes."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bids_brainalign.store import tensor_file
from bids_brainalign.store.tensor_file import Tensor, blocks, write_tensors


def contents(path):
    """Header and data of a file, as the format describes them."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert length % 8 == 0
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def test_file_is_that_of_safetensors(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_file, "BLOCK_VALUES", 10)
    rng = np.random.default_rng(0)
    arrays = {
        "times": np.arange(11.0),
        "layer-00": rng.standard_normal((11, 4)).astype(np.float16),
        "layer-01": rng.standard_normal((11, 30)).astype(np.float32),
        "layer-02": rng.standard_normal((4, 11)).T.astype(np.float16),
        "layer-03": np.zeros((0, 4), np.float32),
    }
    metadata = {"layers": '["é"]', "a": "b"}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, tmp_path / "theirs", metadata=metadata)
    tensors = [
        Tensor(name, array.dtype, array.shape, lambda array=array: array)
        for name, array in arrays.items()
    ]
    write_tensors(tmp_path / "ours", tensors, metadata)
    assert contents(tmp_path / "ours") == contents(tmp_path / "theirs")
    for name, found in load_file(tmp_path / "ours").items():
        assert found.dtype == arrays[name].dtype
        np.testing.assert_array_equal(found, arrays[name])


@pytest.mark.parametrize("shape", [(25,), (25, 3), (25, 40), (0, 3), (25, 0)])
def test_blocks_are_the_array_in_order(monkeypatch, shape):
    monkeypatch.setattr(tensor_file, "BLOCK_VALUES", 10)
    values = np.random.default_rng(0).standard_normal(shape)
    parts = list(blocks(values))
    assert all(part.size <= max(10, values[:1].size) for part in parts)
    np.testing.assert_array_equal(np.concatenate([values[:0], *parts]), values)
