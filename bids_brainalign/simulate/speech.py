"""Synthetic speech with known word and phone times (optional: needs espeak-ng)."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bids_brainalign.errors import BrainAlignError, ExitCode

SAMPLE_RATE_HZ = 16_000
PUNCTUATION = ".,;:!?\"'"
STRESS_MARKS = "ˈˌ"
STOPS = ("p", "t", "k", "b", "d", "ɡ", "ʔ")
"""First letters of the phones that begin with a closure (``tʃ`` and ``dʒ`` among them)."""
MAX_CLOSURE_S = 0.15
CLOSURE_DB = -40.0
"""Quieter than this, relative to the whole clip, the mouth is closed."""
CLOSURE_STEP_S = 0.005


class Speech(NamedTuple):
    """What was said, and when."""

    wave: NDArray[np.float32]
    """(n_samples,), 16 kHz, on the 16-bit grid: writing it as PCM-16 loses nothing."""
    words: pd.DataFrame
    """``onset``, ``duration`` (s), ``word``. A word ends where the next one, or the pause after
    its clause, begins."""
    phones: pd.DataFrame
    """``onset``, ``duration`` (s), ``phone`` (IPA without stress marks). A stop begins with its
    closure; pauses between clauses are left out."""


def synthesise(text: str, *, voice: str = "en-us", speed: int = 160, pitch: int = 50) -> Speech:
    """Speak a text and tell when each word and each phone sounded.

    Parameters
    ----------
    text : str
        ASCII, in the voice's language.
    voice : str
        espeak-ng voice, with its variant: ``en-us``, ``en-gb+f3``.
    speed : int
        Words per minute.
    pitch : int
        0 to 100; 50 is the voice's own.

    Returns
    -------
    Speech

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
    request = json.dumps({"text": text, "voice": voice, "speed": speed, "pitch": pitch})
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
        phone_samples, phone_names = spoken["phone_samples"], spoken["phone_names"]
    common = np.gcd(rate_hz, SAMPLE_RATE_HZ)
    wave = resample_poly(pcm / 32768.0, SAMPLE_RATE_HZ // common, rate_hz // common)
    starts = _with_closures(phone_samples, phone_names, pcm, events, rate_hz=rate_hz)
    return Speech(
        on_pcm16_grid(wave),
        _word_table(text, events, phone_samples[phone_names == ""], rate_hz, n_samples=len(pcm)),
        _phone_table(starts, phone_names, rate_hz, n_samples=len(pcm)),
    )


def on_pcm16_grid(wave: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round to the values that a 16-bit file can hold, clipping at full scale."""
    return (to_pcm16(wave) / 32768.0).astype(np.float32)


def to_pcm16(wave: NDArray[np.floating]) -> NDArray[np.int16]:
    """Turn samples in [−1, 1) into 16-bit integers."""
    return np.clip(np.round(wave * 32768.0), -32768, 32767).astype(np.int16)


def _word_table(
    text: str,
    events: NDArray[np.int64],
    pauses: NDArray[np.int64],
    rate_hz: int,
    *,
    n_samples: int,
) -> pd.DataFrame:
    starts = events[:, 0]
    ends = np.append(starts[1:], n_samples)
    pause = np.searchsorted(pauses, starts, side="right")
    ends = np.minimum(ends, np.append(pauses, n_samples)[pause])
    rows = []
    for (_, position, length), onset, end in zip(
        events, starts / rate_hz, ends / rate_hz, strict=True
    ):
        word = text[position : position + length].strip(PUNCTUATION).lower()
        if length and word and end > onset:
            rows.append((round(onset, 4), round(end - onset, 4), word))
    return pd.DataFrame(rows, columns=["onset", "duration", "word"])


def _with_closures(
    samples: NDArray[np.int64],
    names: NDArray[np.str_],
    pcm: NDArray[np.int16],
    events: NDArray[np.int64],
    *,
    rate_hz: int,
) -> NDArray[np.int64]:
    """Where phones begin: espeak-ng reports stops at their burst, after the closure.

    The first phone of a word begins with the word. Inside words the silence before a stop is
    followed back, no further than the phone before it or ``MAX_CLOSURE_S``.
    """
    starts = samples.copy()
    step = round(CLOSURE_STEP_S * rate_hz)
    floor = 10 ** (CLOSURE_DB / 20) * _rms(pcm)
    marks = events[:, 0]  # words' starts and clauses' ends
    previous = -1  # where the last phone, not pause, was reported
    for index, (burst, name) in enumerate(zip(samples, names, strict=True)):
        phone = name.strip(STRESS_MARKS)
        if not phone:
            continue
        mark = int(marks[max(int(np.searchsorted(marks, burst, side="right")) - 1, 0)])
        previous, before = int(burst), previous
        if before < mark <= burst:
            starts[index] = mark
        elif phone.startswith(STOPS):
            start = int(burst)
            earliest = max(starts[index - 1] + step, start - round(MAX_CLOSURE_S * rate_hz))
            while start - step >= earliest and _rms(pcm[start - step : start]) <= floor:
                start -= step
            starts[index] = start
    return starts


def _rms(pcm: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)))


def _phone_table(
    starts: NDArray[np.int64], names: NDArray[np.str_], rate_hz: int, *, n_samples: int
) -> pd.DataFrame:
    edges = np.round(np.append(starts, n_samples) / rate_hz, 4)
    rows = []
    for name, onset, end in zip(names, edges[:-1], edges[1:], strict=True):
        phone = str(name).strip(STRESS_MARKS)
        if phone and end > onset:
            rows.append((onset, round(end - onset, 4), phone))
    return pd.DataFrame(rows, columns=["onset", "duration", "phone"])
