"""Ridge's matrices as tensors on a device (CUDA)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.encoding import target_batches
from bids_brainalign.encoding.arrays import Array32, Array64, Arrays, Matrix
from bids_brainalign.encoding.device_memory import advice_when_full

TOGETHER = 2
"""Batches at once: one is read or brought back while the other is computed."""
MOST_TARGETS = 8192
"""Of a batch: more would make products no faster, and fill the computer's own memory."""
FEWEST_TARGETS = 32
_SHARE = 0.7
"""Of the free memory is filled: cuBLAS and cuSOLVER want some, and the allocator leaves gaps."""


class TorchArrays(Arrays):
    """Tensors on one device.

    Products are float32: TensorFloat-32, which keeps 10 bits of a number, is switched off for the
    process. Decompositions are float64 there too: data-centre GPUs are fast at it, and float32
    would cost digits at small penalties.

    Parameters
    ----------
    device : str
        As torch names it.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        torch.set_float32_matmul_precision("highest")

    def put(self, values: Array32) -> Matrix:
        """Copy to the device."""
        # torch warns of arrays that can't be written, as those mapped from a file.
        writable = np.require(values, requirements=["C", "W"])
        return cast(Matrix, torch.from_numpy(writable).to(self.device))

    def get(self, matrix: Matrix) -> NDArray[Any]:
        """Copy from the device."""
        return _tensor(matrix).cpu().numpy()

    def double(self, matrix: Matrix) -> Matrix:
        """Copy in float64."""
        return cast(Matrix, _tensor(matrix).double())

    def single(self, matrix: Matrix) -> Matrix:
        """Copy in float32."""
        return cast(Matrix, _tensor(matrix).float())

    def joined(self, parts: Sequence[Matrix], axis: int = 0) -> Matrix:
        """Concatenate."""
        return cast(Matrix, torch.cat([_tensor(part) for part in parts], dim=axis))

    def columns(self, matrix: Matrix, columns: NDArray[np.int64]) -> Matrix:
        """Take some entries of the last axis."""
        index = torch.from_numpy(columns).to(self.device)
        return cast(Matrix, _tensor(matrix).index_select(-1, index))

    def sums(self, matrix: Matrix) -> Matrix:
        """Sum over the first axis."""
        return cast(Matrix, _tensor(matrix).sum(dim=0, dtype=torch.float64))

    def dots(self, a: Matrix, b: Matrix) -> Matrix:
        """Products of every column of one with that of the other."""
        return cast(Matrix, (_tensor(a) * _tensor(b)).sum(dim=0))

    def combined(self, weights: Array64, parts: Sequence[Matrix]) -> Array64:
        """Weighted sums in float64, brought back."""
        stacked = torch.stack([_tensor(part) for part in parts]).double()
        there = torch.from_numpy(np.ascontiguousarray(weights)).to(self.device)
        return cast(Array64, (there @ stacked).cpu().numpy())

    def coarse(self, matrix: Matrix) -> Matrix:
        """Copy in bf16."""
        return cast(Matrix, _tensor(matrix).bfloat16())

    def coarse_product(self, a: Matrix, b: Matrix) -> Matrix:
        """Multiply two matrices in bf16."""
        return cast(Matrix, _tensor(a @ b).float())

    def decomposed(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """Eigenvalues and eigenvectors, found in float64 on the device."""
        values, vectors = torch.linalg.eigh(_tensor(matrix))
        return (
            cast(Matrix, values.clamp_min(0).float()),
            cast(Matrix, vectors.float().contiguous()),
        )

    def n_together(self, n_threads: int) -> int:
        """Two, however many threads there are."""
        return TOGETHER

    def batch_size(self, floats_per_target: float, *, reserved: float = 0.0) -> int:
        """As many as the free memory of a GPU holds, within bounds."""
        if self.device.type != "cuda":
            return target_batches.BATCH
        share = _SHARE * self._free_bytes() - 4 * reserved
        n = int(share / (4 * floats_per_target * TOGETHER))
        return min(max(n, FEWEST_TARGETS), MOST_TARGETS)

    def at_work(self) -> AbstractContextManager[None]:
        """Turn a full memory of the device into advice, with the exit code for trying again."""
        return advice_when_full(
            "in ridge of voxels",
            [
                "end other programs on the device",
                "fewer processes (--nprocs 1)",
                "or --device cpu",
            ],
        )

    def _free_bytes(self) -> int:
        """Give what nothing holds, with what torch's allocator holds for nobody."""
        free, _ = torch.cuda.mem_get_info(self.device)
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(free + kept)


def _tensor(matrix: Matrix) -> torch.Tensor:
    return cast(torch.Tensor, matrix)
