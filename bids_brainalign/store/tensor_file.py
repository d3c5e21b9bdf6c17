"""Safetensors files written block by block, so that tensors need not lie in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

BLOCK_VALUES = 1_000_000
"""Numbers that are looked at, converted and written at once."""
_NAMES = {"float16": "F16", "float32": "F32", "float64": "F64"}
_ALIGNMENT = 8


@dataclass(frozen=True)
class Tensor:
    """One entry of a file."""

    name: str
    dtype: np.dtype[np.floating]
    """As stored: float16, float32 or float64."""
    shape: tuple[int, ...]
    read: Callable[[], NDArray[np.floating]]
    """Gives the values; called when their turn has come."""

    @property
    def n_bytes(self) -> int:
        """In the file."""
        return math.prod(self.shape) * self.dtype.itemsize


def blocks(values: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    """Cut an array along its first axis."""
    per_row = max(1, math.prod(values.shape[1:]))
    step = max(1, BLOCK_VALUES // per_row)
    for first in range(0, len(values), step):
        yield values[first : first + step]


def write_tensors(path: Path, tensors: Sequence[Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file that `safetensors` opens.

    Parameters
    ----------
    path : Path
    tensors : sequence of Tensor
        Names are unique; those of wider numbers come first in the file, for alignment.
    metadata : mapping of str to str

    References
    ----------
    The format: 8 bytes for the length of the header, the header in JSON, the tensors back to back
    (https://github.com/huggingface/safetensors#format).
    """
    ordered = sorted(tensors, key=lambda tensor: (-tensor.dtype.itemsize, tensor.name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    stop = 0
    for tensor in ordered:
        start, stop = stop, stop + tensor.n_bytes
        header[tensor.name] = {
            "dtype": _NAMES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [start, stop],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for tensor in ordered:
            _write_values(stream, tensor)


def _write_values(stream: IO[bytes], tensor: Tensor) -> None:
    """Write one tensor; a function of its own, so that none is alive when the next is read."""
    little = tensor.dtype.newbyteorder("<")
    for block in blocks(tensor.read()):
        stream.write(np.ascontiguousarray(block, dtype=little).data)
