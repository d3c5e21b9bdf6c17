"""The feature store: one safetensors file per stimulus, model and mode; one tensor per layer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.store.atomic import atomic_path

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

    def save(
        self,
        key: str,
        *,
        layers: Sequence[NDArray[np.floating]],
        names: Sequence[str],
        times: NDArray[np.floating],
        context_past_s: float,
        context_future_s: float,
    ) -> Path:
        """Write the features of one stimulus.

        Parameters
        ----------
        key : str
            Stimulus, model and mode, e.g. ``story1 whisper-base dense 50Hz``.
        layers : sequence of array of shape (n_frames, n_dims)
            One per layer; kept as float16 where that changes nothing of weight, else as float32.
        names : sequence of str
            Names of the layers.
        times : array of shape (n_frames,)
            Times of the frames in s on the stimulus clock.
        context_past_s, context_future_s : float
            How much audio before and after a frame it may have heard, in s.

        Returns
        -------
        Path
            The file.
        """
        _check(key, layers, names, times)
        tensors = {_tensor_name(i): _compact(layer) for i, layer in enumerate(layers)}
        dtypes = [str(tensor.dtype) for tensor in tensors.values()]
        metadata = {
            "layers": json.dumps(list(names)),
            "dtype": json.dumps(dtypes),
            "context_past_s": repr(float(context_past_s)),
            "context_future_s": repr(float(context_future_s)),
        }
        path = self.path_for(key)
        with atomic_path(path) as temporary:
            save_file(
                {"times": np.ascontiguousarray(times, np.float64), **tensors},
                temporary,
                metadata=metadata,
            )
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


def _compact(layer: NDArray[np.floating]) -> NDArray[np.floating]:
    """Halve the size where the root mean square error stays below 1e-3 of the layer's SD."""
    full = np.ascontiguousarray(layer, dtype=np.float32)
    if full.size == 0 or np.abs(full).max() >= _FLOAT16_LIMIT:
        return full
    half = full.astype(np.float16)
    error = float(np.sqrt(np.mean((half.astype(np.float64) - full) ** 2)))
    spread = float(full.std(dtype=np.float64))
    return half if error <= _FLOAT16_ERROR * spread else full


def _check(
    key: str,
    layers: Sequence[NDArray[np.floating]],
    names: Sequence[str],
    times: NDArray[np.floating],
) -> None:
    if len(layers) != len(names):
        raise ValueError(f"{key}: {len(layers)} layers, but {len(names)} names")
    for name, layer in zip(names, layers, strict=True):
        if layer.ndim != 2 or layer.shape[0] != len(times):
            raise ValueError(f"{key}, layer {name}: shape {layer.shape} for {len(times)} frames")
        if not np.isfinite(layer).all():
            raise BrainAlignError(
                f"Features {key}, layer {name}: some values are not finite.",
                fix="check the model's weights, or the files given with --features",
                exit_code=ExitCode.DATA_ERROR,
            )
