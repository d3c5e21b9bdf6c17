"""A model run over a long stimulus in overlapping windows, one sequence of frames per layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.features.windows import blend_weights, block_mean, window_starts

Forward = Callable[[Sequence[NDArray[np.float32]]], Sequence[NDArray[np.float32]]]
"""Clips → per layer (n_clips, n_frames, n_dims)."""


@dataclass(frozen=True)
class EncoderLayers:
    """All layers over one stimulus."""

    layers: tuple[NDArray[np.float32], ...]
    """L + 1 arrays of shape (n_frames, n_dims); 0 = input of the first block."""
    times: NDArray[np.float64]
    """(n_frames,) s on the stimulus clock."""
    context_past_s: float
    context_future_s: float


@dataclass(frozen=True)
class FrameGrid:
    """Where a model's frames lie in the audio."""

    stride: int
    """Samples from one frame to the next."""
    receptive: int
    """Samples that one frame hears before the transformer; at least this much is needed."""
    first_centre: float
    """Sample at which frame 0 is centred."""

    def n_frames(self, n_samples: int) -> int:
        """Frames of a clip."""
        return max(0, (n_samples - self.receptive) // self.stride + 1)

    def n_samples(self, n_frames: int) -> int:
        """Give the samples that make exactly this many frames."""
        return (n_frames - 1) * self.stride + self.receptive


@dataclass(frozen=True)
class Windowing:
    """How a long stimulus is cut; all in s."""

    window_s: float
    hop_s: float
    margin_s: float
    """Audio kept on both sides of every used frame."""
    blend_s: float
    """Cross-fade between neighbouring windows."""

    def count(self, duration_s: float) -> int:
        """Windows over a stimulus."""
        return 1 + max(0, math.ceil((duration_s - self.window_s) / self.hop_s))


def run_windows(
    wave: NDArray[np.float32],
    forward: Forward,
    *,
    grid: FrameGrid,
    n_frames: int,
    windowing: Windowing,
    sample_rate_hz: int,
    rate_hz: float,
    batch_size: int,
) -> EncoderLayers:
    """Run a model over a stimulus in overlapping windows and blend them.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,), float32
    forward : callable
        Clips of equal length (only a stimulus shorter than the window is shorter) → per layer
        (n_clips, at least n_frames of the clip, n_dims).
    grid : FrameGrid
    n_frames : int
        Frames of the whole stimulus: what lies beyond is padding and never read.
    windowing : Windowing
    sample_rate_hz : int
    rate_hz : float
        Rate of the frames returned: the model's, or a divisor of it (means of neighbours).
    batch_size : int
        Windows per forward pass.
    """
    frame_s = grid.stride / sample_rate_hz
    window = round(windowing.window_s / frame_s)
    starts = window_starts(n_frames, window=window, hop=round(windowing.hop_s / frame_s))
    weights = blend_weights(
        starts,
        n_frames=n_frames,
        window=window,
        margin=round(windowing.margin_s / frame_s),
        blend=round(windowing.blend_s / frame_s),
    )
    sums: list[NDArray[np.float32]] = []
    for first in range(0, len(starts), batch_size):
        chosen = range(first, min(first + batch_size, len(starts)))
        offsets = [int(starts[i]) * grid.stride for i in chosen]
        states = forward([wave[a : a + grid.n_samples(window)] for a in offsets])
        if not sums:
            sums = [np.zeros((n_frames, s.shape[-1]), dtype=np.float32) for s in states]
        for row, i in enumerate(chosen):
            start, stop = int(starts[i]), min(int(starts[i]) + window, n_frames)
            share = weights[i, : stop - start, None]
            for total, state in zip(sums, states, strict=True):
                total[start:stop] += state[row, : stop - start] * share
    times = (np.arange(n_frames) * grid.stride + grid.first_centre) / sample_rate_hz
    means = [block_mean(s, times, factor=round(1 / (frame_s * rate_hz))) for s in sums]
    # The first frame of the stimulus has no margin: it hears its whole window.
    heard = min(windowing.window_s, n_frames * frame_s)
    return EncoderLayers(tuple(m[0] for m in means), means[0][1], heard, heard)
