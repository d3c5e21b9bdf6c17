"""A model run over a long stimulus in overlapping windows, one sequence of frames per layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.features.layer_rows import LayerRows
from bids_brainalign.features.progress import Progress
from bids_brainalign.features.windows import blend_weights, block_mean, window_starts

Forward = Callable[[Sequence[NDArray[np.float32]]], Sequence[NDArray[np.float32]]]
"""Clips → per layer (n_clips, n_frames, n_dims)."""


@dataclass(frozen=True)
class EncoderLayers:
    """All layers over one stimulus."""

    layers: Sequence[NDArray[np.float32]]
    """L + 1 arrays of shape (n_frames, n_dims); 0 = input of the first block. Long stimuli have
    theirs in a scratch file: take one at a time."""
    times: NDArray[np.float64]
    """(n_frames,) s on the stimulus clock."""
    context_past_s: float
    context_future_s: float
    notes: tuple[str, ...] = ()
    """What the report should say of these features."""


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
    scratch: IO[bytes] | None = None,
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
    scratch : binary file, optional
        For layers too large for memory, see ``layer_rows.LayerRows``.
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
    factor = round(1 / (frame_s * rate_hz))
    rows = LayerRows(math.ceil(n_frames / factor), scratch)
    blend = _Blend(rows, factor=factor, n_open=window + factor)
    progress = Progress("windows", len(starts))
    ends = [*starts[1:].tolist(), n_frames]  # of the frames that no later window adds to
    for first in range(0, len(starts), batch_size):
        chosen = range(first, min(first + batch_size, len(starts)))
        offsets = [int(starts[i]) * grid.stride for i in chosen]
        states = forward([wave[a : a + grid.n_samples(window)] for a in offsets])
        for row, i in enumerate(chosen):
            start, stop = int(starts[i]), min(int(starts[i]) + window, n_frames)
            inside = [state[row, : stop - start] for state in states]
            blend.add(start, inside, share=weights[i, : stop - start])
            blend.finish(ends[i], is_last=i == len(starts) - 1)
        progress.advance(len(chosen))
        del states, inside  # before the next pass makes its own
    times = (np.arange(n_frames) * grid.stride + grid.first_centre) / sample_rate_hz
    # The first frame of the stimulus has no margin: it hears its whole window.
    heard = min(windowing.window_s, n_frames * frame_s)
    return EncoderLayers(rows.layers(), block_mean(times, factor=factor), heard, heard)


class _Blend:
    """Weighted sums over windows, held only as long as a window may still add to them.

    Parameters
    ----------
    rows : LayerRows
        Takes finished frames, reduced to their rate.
    factor : int
        Model frames per row.
    n_open : int
        Frames that are open at once, at most.
    """

    def __init__(self, rows: LayerRows, *, factor: int, n_open: int) -> None:
        self._rows, self._factor, self._n_open = rows, factor, n_open
        self._begin = 0
        self._sums: list[NDArray[np.float32]] = []  # (n_open, n_dims) from frame _begin on

    def add(
        self, start: int, states: Sequence[NDArray[np.float32]], *, share: NDArray[np.float32]
    ) -> None:
        """Add a window from frame `start` on: states (n, n_dims) per layer, share (n,)."""
        if not self._sums:
            shapes = [(self._n_open, state.shape[1]) for state in states]
            self._sums = [np.zeros(shape, dtype=np.float32) for shape in shapes]
        at = slice(start - self._begin, start - self._begin + len(share))
        for total, state in zip(self._sums, states, strict=True):
            total[at] += state * share[:, None]

    def finish(self, end: int, *, is_last: bool) -> None:
        """Hand on the frames before `end`, but for an unfinished run of them that makes a row."""
        n = end - self._begin
        if not is_last:
            n -= n % self._factor
        means = [block_mean(total[:n], factor=self._factor) for total in self._sums]
        self._rows.write(self._begin // self._factor, means)
        for total in self._sums:
            total[: self._n_open - n] = total[n:]
            total[self._n_open - n :] = 0
        self._begin += n
