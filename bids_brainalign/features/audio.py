"""Reading audio as the speech models want it."""

from __future__ import annotations

from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bids_brainalign.errors import BrainAlignError

SAMPLE_RATE_HZ = 16_000
"""Rate of every speech model served here."""


def audio_duration_s(path: Path) -> float:
    """Length of an audio file, from its header.

    Raises
    ------
    BrainAlignError
        The file can't be decoded (65).
    """
    try:
        return float(soundfile.info(path).duration)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise BrainAlignError(
            f"{path.name} can't be read as audio: {error}",
            where=str(path),
            fix="convert it to WAV or FLAC (TIMIT's compressed SPHERE files need sph2pipe)",
        ) from error


def load_audio(path: Path) -> NDArray[np.float32]:
    """Read an audio file as mono at 16 kHz; channels are averaged.

    Parameters
    ----------
    path : Path
        WAV, FLAC, OGG or MP3.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Amplitude in [-1, 1].

    Raises
    ------
    BrainAlignError
        The file can't be decoded or holds no sound (exit code 65).
    """
    try:
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise BrainAlignError(
            f"{path.name} can't be read as audio: {error}",
            where=str(path),
            fix="convert it to WAV or FLAC, or download it again",
        ) from error
    mono = wave.mean(axis=1)
    if mono.size == 0 or not np.isfinite(mono).all():
        raise BrainAlignError(
            f"{path.name} is empty or has invalid samples",
            where=str(path),
            fix="download it again, or leave its recordings out",
        )
    if rate != SAMPLE_RATE_HZ:
        common = gcd(int(rate), SAMPLE_RATE_HZ)
        mono = resample_poly(mono, SAMPLE_RATE_HZ // common, int(rate) // common)
    return np.ascontiguousarray(mono, dtype=np.float32)
