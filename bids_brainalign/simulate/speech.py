"""Synthetic speech with known word times (optional: needs espeak-ng)."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bids_brainalign.errors import BrainAlignError, ExitCode

SAMPLE_RATE_HZ = 16_000
PUNCTUATION = ".,;:!?\"'"


def synthesise(
    text: str, *, voice: str = "en-us", speed: int = 160
) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """Speak a text and tell when each word sounded.

    Parameters
    ----------
    text : str
        ASCII, in the voice's language.
    voice : str
        espeak-ng voice, with its variant: ``en-us``, ``en-gb+f3``.
    speed : int
        Words per minute.

    Returns
    -------
    wave : ndarray of shape (n_samples,), float32
        16 kHz, on the 16-bit grid: writing it as PCM-16 loses nothing.
    words : DataFrame
        ``onset``, ``duration`` (s), ``word``; from espeak-ng's word events. A word ends where the
        next one, or the pause after its clause, begins.

    Raises
    ------
    BrainAlignError
        espeak-ng isn't installed (exit code 64) or refuses the voice (65).
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise BrainAlignError(
            "synthetic speech needs espeak-ng, which is not installed",
            fix="pip install 'bids-brainalign[simulate]', or give recordings: --audio WAV …",
            exit_code=ExitCode.USAGE,
        )
    request = json.dumps({"text": text, "voice": voice, "speed": speed})
    done = subprocess.run(
        [sys.executable, "-m", "bids_brainalign.simulate.espeak_worker"],
        input=request.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise BrainAlignError(
            f"espeak-ng can't speak with voice {voice}: {done.stderr.decode().strip()[-300:]}",
            fix="choose one of espeak-ng's voices, or give recordings: --audio WAV …",
        )
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as spoken:
        pcm, rate_hz, events = spoken["pcm"], int(spoken["rate_hz"]), spoken["events"]
    common = np.gcd(rate_hz, SAMPLE_RATE_HZ)
    wave = resample_poly(pcm / 32768.0, SAMPLE_RATE_HZ // common, rate_hz // common)
    return on_pcm16_grid(wave), _word_table(text, events, rate_hz, n_samples=len(pcm))


def on_pcm16_grid(wave: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round to the values that a 16-bit file can hold, clipping at full scale."""
    return (to_pcm16(wave) / 32768.0).astype(np.float32)


def to_pcm16(wave: NDArray[np.floating]) -> NDArray[np.int16]:
    """Turn samples in [−1, 1) into 16-bit integers."""
    return np.clip(np.round(wave * 32768.0), -32768, 32767).astype(np.int16)


def _word_table(
    text: str, events: NDArray[np.int64], rate_hz: int, *, n_samples: int
) -> pd.DataFrame:
    onsets = events[:, 0] / rate_hz
    ends = np.append(onsets[1:], n_samples / rate_hz)
    rows = []
    for (_, position, length), onset, end in zip(events, onsets, ends, strict=True):
        word = text[position : position + length].strip(PUNCTUATION).lower()
        if length and word and end > onset:
            rows.append((round(onset, 4), round(end - onset, 4), word))
    return pd.DataFrame(rows, columns=["onset", "duration", "word"])
