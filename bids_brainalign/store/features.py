"""The feature store: one safetensors file per stimulus, model and mode; one tensor per layer."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.tensor_file import Tensor, blocks, write_tensors

_FLOAT16_LIMIT = 6e4  # float16 ends at 65,504
_FLOAT16_ERROR = 1e-3


@dataclass(frozen=True)
class StoredFeatures:
    """Features on disk, read layer by layer; fields as in ``features.types.LayerFeatures``."""

    times: NDArray[np.float64]
    """(n_frames,) s on the stimulus clock."""
    layers: tuple[str, ...]
    """Names in order."""
    read: Callable[[int], NDArray[np.float32]]
    """``read(layer_index)`` gives (n_frames, n_dims)."""
    context_past_s: float
    """How much audio before a frame it may have heard."""
    context_future_s: float
    """How much audio after a frame it may have heard."""
    notes: tuple[str, ...] = ()
    """What the report should say of them."""


class FeatureStore:
    """Features of stimuli, shared by participants and jobs.

    Parameters
    ----------
    root : Path
        Folder of the files.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path_for(self, key: str) -> Path:
        """Where the features of `key` lie, or would lie."""
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", key).strip("-.")[:150]
        return self._root / f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.safetensors"

    @contextmanager
    def scratch(self) -> Iterator[IO[bytes]]:
        """Open room on the store's disk for features under way.

        Yields
        ------
        binary file
            Without a name: it is gone when it is closed, and when the process is killed.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._root, prefix=".scratch-") as stream:
            yield stream

    def save(
        self,
        key: str,
        *,
        layers: Sequence[NDArray[np.floating]],
        names: Sequence[str],
        times: NDArray[np.floating],
        context_past_s: float,
        context_future_s: float,
        notes: Sequence[str] = (),
        exact: bool = False,
    ) -> Path:
        """Write the features of one stimulus.

        Parameters
        ----------
        key : str
            Stimulus, model and mode, e.g. ``story1 whisper-base dense 50Hz``.
        layers : sequence of array of shape (n_frames, n_dims)
            One per layer, taken one at a time; kept as float16 where that changes nothing of
            weight, else as float32.
        names : sequence of str
            Names of the layers.
        times : array of shape (n_frames,)
            Times of the frames in s on the stimulus clock.
        context_past_s, context_future_s : float
            How much audio before and after a frame it may have heard, in s.
        notes : sequence of str
            What the report should say of them.
        exact : bool
            Keep float32 whatever the layers hold. The choice by a layer's values is one by the
            whole stimulus: what comes later in it would change what was stored of earlier frames.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        BrainAlignError
            Some values are not finite (65).
        """
        if len(layers) != len(names):
            raise ValueError(f"{key}: {len(layers)} layers, but {len(names)} names")
        tensors = [
            _tensor(layers, i, len(times), what=f"{key}, layer {name}", exact=exact)
            for i, name in enumerate(names)
        ]
        metadata = {
            "layers": json.dumps(list(names)),
            "dtype": json.dumps([tensor.dtype.name for tensor in tensors]),
            "context_past_s": repr(float(context_past_s)),
            "context_future_s": repr(float(context_future_s)),
            "notes": json.dumps(list(notes)),
        }
        clock = np.asarray(times, dtype=np.float64)
        tensors.append(Tensor("times", clock.dtype, clock.shape, lambda: clock))
        path = self.path_for(key)
        with atomic_path(path) as temporary:
            write_tensors(temporary, tensors, metadata)
        return path

    def load(self, path: Path) -> StoredFeatures:
        """Open the features of one stimulus; a layer is read when asked for.

        Raises
        ------
        BrainAlignError
            If the file is absent (66) or not one that `save` wrote (65).
        """
        if not path.is_file():
            raise BrainAlignError(
                f"Features are not extracted yet: {path.name} is not in {path.parent}.",
                fix="let the step features run too (--steps), into the same work folder (-w)",
                exit_code=ExitCode.MISSING_INPUT,
            )
        try:
            with safe_open(path, framework="numpy") as stored:
                metadata = stored.metadata()
                return StoredFeatures(
                    times=stored.get_tensor("times"),
                    layers=tuple(json.loads(metadata["layers"])),
                    read=_Reader(path),
                    context_past_s=float(metadata["context_past_s"]),
                    context_future_s=float(metadata["context_future_s"]),
                    notes=tuple(json.loads(metadata.get("notes", "[]"))),
                )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BrainAlignError(
                f"{path} is not a readable feature file ({error}).",
                fix="delete it and run again: its step makes it anew",
                exit_code=ExitCode.DATA_ERROR,
            ) from error


@dataclass(frozen=True)
class _Reader:
    """Reads one layer; a class, not a closure, so that it travels to worker processes."""

    path: Path

    def __call__(self, layer: int) -> NDArray[np.float32]:
        with safe_open(self.path, framework="numpy") as stored:
            tensor: NDArray[np.floating] = stored.get_tensor(_tensor_name(layer))
        return tensor.astype(np.float32, copy=False)


def _tensor_name(layer: int) -> str:
    return f"layer-{layer:02d}"


def _tensor(
    layers: Sequence[NDArray[np.floating]], index: int, n_frames: int, *, what: str, exact: bool
) -> Tensor:
    """Look through one layer, and say how it is stored."""
    layer = layers[index]
    if layer.ndim != 2 or layer.shape[0] != n_frames:
        raise ValueError(f"{what}: shape {layer.shape} for {n_frames} frames")
    dtype = np.dtype("float16" if _fits_float16(layer, what) and not exact else "float32")
    return Tensor(_tensor_name(index), dtype, layer.shape, partial(layers.__getitem__, index))


def _fits_float16(layer: NDArray[np.floating], what: str) -> bool:
    """Whether the root mean square error would stay below 1e-3 of the layer's SD.

    Raises
    ------
    BrainAlignError
        Some values are not finite (65).
    """
    spread, error = _Spread(), 0.0
    fits = layer.size > 0
    for block in blocks(layer):
        full = block.astype(np.float32, copy=False)
        if not np.isfinite(full).all():
            raise BrainAlignError(
                f"Features {what}: some values are not finite.",
                fix="check the model's weights, or the files given with --features",
                exit_code=ExitCode.DATA_ERROR,
            )
        fits = fits and bool(np.abs(full).max() < _FLOAT16_LIMIT)
        if fits:
            wide = full.astype(np.float64)
            spread.add(wide)
            error += float(((full.astype(np.float16) - wide) ** 2).sum())
    return fits and np.sqrt(error / layer.size) <= _FLOAT16_ERROR * spread.sd


class _Spread:
    """Standard deviation of what comes in blocks.

    References
    ----------
    Chan, Golub & LeVeque 1983, The American Statistician 37:242, eq. 2.1.
    """

    def __init__(self) -> None:
        self._n, self._mean, self._squares = 0, 0.0, 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Take a block into account."""
        mean, n = float(values.mean()), values.size
        step, total = mean - self._mean, self._n + n
        self._squares += float(((values - mean) ** 2).sum()) + step**2 * self._n * n / total
        self._mean += step * n / total
        self._n = total

    @property
    def sd(self) -> float:
        """Of all values so far, around their mean."""
        return float(np.sqrt(self._squares / self._n))
