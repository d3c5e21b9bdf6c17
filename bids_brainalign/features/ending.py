"""A model run in windows that end at the frame: what was heard up to then, and nothing after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import IO

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.features.dense import EncoderLayers, Forward
from bids_brainalign.features.layer_rows import LayerRows
from bids_brainalign.features.progress import Progress

_STAMP_TOLERANCE_S = 1e-9


@dataclass(frozen=True)
class EndingWindows:
    """Windows of equal length whose ends are equally spaced; each gives one frame, its last."""

    window_s: float
    stride_s: float
    """Between the ends of two windows, and so between frames."""
    causal: bool
    """Frames are held until the next one (nothing comes early), and a first frame of silence
    stands at second 0. Otherwise as published: frames may be interpolated, so that a moment
    between two frames hears up to one stride ahead."""

    def count(self, duration_s: float) -> int:
        """Windows over a stimulus."""
        return int(duration_s / self.stride_s + _STAMP_TOLERANCE_S) + self.causal


def run_ending_windows(
    wave: NDArray[np.float32],
    forward: Forward,
    *,
    last_frame: Callable[[int], int],
    shortest: int,
    windows: EndingWindows,
    sample_rate_hz: int,
    batch_size: int,
    lead_in: bool,
    scratch: IO[bytes] | None = None,
) -> EncoderLayers:
    """Take the last valid frame of every window.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,), float32
    forward : callable
        Clips of equal length → per layer (n_clips, n_frames, n_dims).
    last_frame : callable
        Samples of a clip → index of its last frame that is no padding.
    shortest : int
        Samples that a clip must have.
    windows : EndingWindows
    sample_rate_hz : int
    batch_size : int
        Windows per forward pass.
    lead_in : bool
        Put silence before the stimulus, so that its first windows are as long as all others;
        otherwise they are shorter.
    scratch : binary file, optional
        For layers too large for memory, see ``layer_rows.LayerRows``.

    Returns
    -------
    EncoderLayers
        Frame k ends with sample ``times[k] * sample_rate_hz`` (excluded) and has heard none after
        it.
    """
    duration_s = len(wave) / sample_rate_hz
    first = 0 if windows.causal else 1
    numbers = np.arange(first, first + windows.count(duration_s), dtype=np.float64)
    times = numbers * windows.stride_s
    ends = np.round(times * sample_rate_hz).astype(np.int64)
    length = round(windows.window_s * sample_rate_hz)
    rows, done = LayerRows(len(ends), scratch), 0
    progress = Progress("windows", len(ends))
    for clips in _batches(wave, ends, length, batch_size, shortest=shortest, lead_in=lead_in):
        states = forward(clips)
        at = last_frame(len(clips[0]))
        rows.write(done, [state[:, at] for state in states])
        done += len(clips)
        progress.advance(len(clips))
        del states  # before the next pass makes its own
    heard = min(windows.window_s, duration_s)
    return EncoderLayers(
        rows.layers(),
        times,
        heard + windows.stride_s,  # a frame stands until the next one
        0.0 if windows.causal else windows.stride_s,
    )


def _batches(
    wave: NDArray[np.float32],
    ends: NDArray[np.int64],
    length: int,
    batch_size: int,
    *,
    shortest: int,
    lead_in: bool,
) -> Iterator[Sequence[NDArray[np.float32]]]:
    """Clips in the order of their ends; those of one batch are equally long."""
    silence = np.zeros(length if lead_in else shortest, dtype=np.float32)
    padded = np.concatenate([silence, wave])

    def starts() -> Iterator[tuple[int, int]]:
        for end in ends:
            wanted = length if lead_in else min(length, max(int(end), shortest))
            yield int(end) + len(silence) - wanted, wanted

    for wanted, group in groupby(starts(), key=lambda pair: pair[1]):
        begun = [start for start, _ in group]
        for i in range(0, len(begun), batch_size):
            yield [padded[a : a + wanted] for a in begun[i : i + batch_size]]
