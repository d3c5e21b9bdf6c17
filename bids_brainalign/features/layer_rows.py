"""Rows of all layers while a model runs: in memory while they are few, else in a scratch file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, overload

import numpy as np
from numpy.typing import NDArray

IN_MEMORY_BYTES = 1_000_000_000
"""Beyond this, all layers of a stimulus together go to the scratch file. Whisper large has 15 GB
of float32 for 30 min at 50 Hz."""
_ITEM = np.dtype(np.float32).itemsize

Array = NDArray[np.float32]


@dataclass(frozen=True)
class LazyLayers(Sequence[Array]):
    """Layers that are made when asked for, so that one at a time takes memory."""

    n_layers: int
    read: Callable[[int], Array]
    """``read(layer_index)`` gives (n_rows, n_dims)."""

    def __len__(self) -> int:
        return self.n_layers

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> LazyLayers: ...
    def __getitem__(self, index: int | slice) -> Array | LazyLayers:
        chosen = range(self.n_layers)[index]
        if isinstance(chosen, int):
            return self.read(chosen)
        return LazyLayers(len(chosen), lambda i: self.read(chosen[i]))


class LayerRows:
    """Room for the rows of all layers; those never written are zero.

    Parameters
    ----------
    n_rows : int
        Rows of every layer.
    scratch : binary file, optional
        Open for reading and writing, and used by nothing else; takes layers that come to more
        than ``IN_MEMORY_BYTES``. Without it all stay in memory.
    widths : sequence of int, optional
        Dimensions of the layers; otherwise those of the first rows written.
    """

    def __init__(
        self, n_rows: int, scratch: IO[bytes] | None, *, widths: Sequence[int] = ()
    ) -> None:
        self._n_rows, self._scratch = n_rows, scratch
        self._widths: list[int] = []
        self._starts: list[int] = []
        self._arrays: list[Array] | None = None
        if widths:
            self._make_room(list(widths))

    def write(self, first: int, rows: Sequence[Array]) -> None:
        """Put rows of every layer from row `first` on.

        Parameters
        ----------
        first : int
        rows : sequence of ndarray of shape (k, n_dims)
            One per layer; widths may differ between layers, not between calls.
        """
        if not self._widths:
            self._make_room([part.shape[1] for part in rows])
        if self._arrays is not None:
            for array, part in zip(self._arrays, rows, strict=True):
                array[first : first + len(part)] = part
            return
        assert self._scratch is not None  # noqa: S101 - the other place for rows
        for start, width, part in zip(self._starts, self._widths, rows, strict=True):
            self._scratch.seek(start + first * width * _ITEM)
            self._scratch.write(np.ascontiguousarray(part, dtype=np.float32).data)

    def layers(self) -> Sequence[Array]:
        """All layers, of shape (n_rows, n_dims), readable while the scratch file is open."""
        if self._arrays is not None or not self._widths:
            return tuple(self._arrays or ())
        assert self._scratch is not None  # noqa: S101 - the other place for rows
        self._scratch.flush()
        return LazyLayers(len(self._widths), self._mapped)

    def _make_room(self, widths: list[int]) -> None:
        sizes = [self._n_rows * width * _ITEM for width in widths]
        self._widths = widths
        self._starts = [0, *accumulate(sizes)][:-1]
        if self._scratch is None or sum(sizes) <= IN_MEMORY_BYTES:
            self._arrays = [np.zeros((self._n_rows, w), dtype=np.float32) for w in widths]
        else:
            self._scratch.truncate(sum(sizes))

    def _mapped(self, layer: int) -> Array:
        assert self._scratch is not None  # noqa: S101 - only layers in the file are mapped
        shape = (self._n_rows, self._widths[layer])
        return np.memmap(
            self._scratch, np.float32, mode="r", offset=self._starts[layer], shape=shape
        )
