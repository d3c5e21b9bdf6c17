"""A stimulus turned into numbers over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LayerFeatures:
    """Features of one stimulus in one feature space, read layer by layer."""

    times: NDArray[np.float64]
    """(n_frames,) s on the stimulus clock."""
    layers: tuple[str, ...]
    """Names in order: ``"0"`` … ``"L"`` for a model, one name for a plain feature."""
    read: Callable[[int], NDArray[np.float32]]
    """``read(layer_index)`` gives (n_frames, n_dims)."""
    context_past_s: float
    """How much audio before a frame it may have heard."""
    context_future_s: float
    """How much audio after a frame it may have heard."""
