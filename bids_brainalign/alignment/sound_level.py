"""Level of a sound over time, read in pieces (pure arrays)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.012
"""Length of a Hann frame: two periods of a low voice at its half width, less than a stop's
burst and aspiration."""
HOP_S = 0.002
BAND_HZ = (100.0, 8000.0)
"""Voices and fricatives, without hum at the line frequency; slow sounds end at 0.45 of their
rate."""
TOP = 0.45
FRAMES_AT_ONCE = 5_000


@dataclass(frozen=True)
class SoundLevel:
    """Power of a sound in frames of 12 ms every 2 ms."""

    power: NDArray[np.float64]
    """(n_frames,) mean square within the band; full scale is 1."""
    start_s: float
    """Middle of the first frame."""
    bandwidth_hz: float
    """Of the band that was measured."""

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Middles of the frames, (n_frames,)."""
        return np.asarray(self.start_s + HOP_S * np.arange(len(self.power)))


def sound_level(
    pieces: Iterable[NDArray[np.floating]], rate_hz: float, *, start_s: float = 0.0
) -> SoundLevel:
    """Measure the power of a sound between 100 and 8000 Hz.

    Each frame's spectrum is summed over the band: no filter runs ahead of or behind the sound.

    Parameters
    ----------
    pieces : iterable of ndarray
        The sound, one piece after the other.
    rate_hz : float
    start_s : float
        Of its first sample.

    Returns
    -------
    SoundLevel
        Without frames if the sound is shorter than one.
    """
    length = max(4, round(FRAME_S * rate_hz))
    window = np.hanning(length + 2)[1:-1]
    frequencies = np.fft.rfftfreq(length, 1 / rate_hz)
    inside = (frequencies >= BAND_HZ[0]) & (frequencies <= min(BAND_HZ[1], TOP * rate_hz))
    weight = np.where(inside, 2.0, 0.0) / (length * (window**2).sum())
    found: list[NDArray[np.float64]] = []
    n_frames = n_passed = 0
    held = np.zeros(0, dtype=np.float32)
    for piece in pieces:
        held = np.concatenate([held, np.asarray(piece, dtype=np.float32)])
        # Starts are rounded from exact times, so that frames never drift.
        n_ready = int((n_passed + len(held) - length) / (HOP_S * rate_hz)) + 1
        while n_frames < n_ready:
            count = min(FRAMES_AT_ONCE, n_ready - n_frames)
            starts = np.round((n_frames + np.arange(count)) * HOP_S * rate_hz).astype(int)
            starts = starts[starts + length <= n_passed + len(held)]
            if not len(starts):
                break
            rows = held[(starts - n_passed)[:, None] + np.arange(length)] * window
            found.append(np.square(np.abs(np.fft.rfft(rows, axis=1))) @ weight)
            n_frames += len(starts)
        done = round(n_frames * HOP_S * rate_hz) - n_passed
        held, n_passed = held[max(done, 0) :], n_passed + max(done, 0)
    power = np.concatenate(found) if found else np.zeros(0)
    bandwidth_hz = float(inside.sum() * rate_hz / length)
    return SoundLevel(power, start_s + (length - 1) / 2 / rate_hz, bandwidth_hz)
