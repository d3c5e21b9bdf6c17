import tempfile

import numpy as np
import pytest

from bids_brainalign.features import layer_rows
from bids_brainalign.features.layer_rows import LayerRows, LazyLayers


@pytest.mark.parametrize("limit", [0, 10**9])
def test_rows_come_back_where_they_were_put_and_others_are_zero(monkeypatch, limit):
    monkeypatch.setattr(layer_rows, "IN_MEMORY_BYTES", limit)
    wanted = [np.zeros((6, width), np.float32) for width in (2, 3)]
    with tempfile.TemporaryFile() as scratch:
        rows = LayerRows(6, scratch)
        for first, n in ((4, 1), (0, 2), (3, 0)):
            part = [np.full((n, w.shape[1]), first + i + 1.0) for i, w in enumerate(wanted)]
            rows.write(first, part)
            for whole, some in zip(wanted, part, strict=True):
                whole[first : first + n] = some
        layers = rows.layers()
        assert [layer.dtype for layer in layers] == [np.float32] * 2
        for found, expected in zip(layers, wanted, strict=True):
            np.testing.assert_array_equal(found, expected)
        assert isinstance(layers[1], np.memmap) == (limit == 0)


def test_layers_that_nothing_was_written_to(monkeypatch):
    assert len(LayerRows(6, None).layers()) == 0
    (layer,) = LayerRows(6, None, widths=[2]).layers()
    np.testing.assert_array_equal(layer, np.zeros((6, 2)))


def test_lazy_layers_are_read_when_asked_for():
    asked = []

    def read(layer):
        asked.append(layer)
        return np.full((1, 1), layer, np.float32)

    layers = LazyLayers(5, read)
    assert len(layers) == 5
    assert not asked
    assert layers[-1] == 4
    assert [float(layer[0, 0]) for layer in layers[1:4:2]] == [1, 3]
    assert asked == [4, 1, 3]
    with pytest.raises(IndexError):
        layers[5]
