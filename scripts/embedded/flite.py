"""Speech of flite's voices, which were built from recordings of people (Debian package ``flite``).

Festival lite by Carnegie Mellon University, under a BSD-like licence; a program of its own, needed
for training only.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio

PAUSE = "pau"
IPA = {
    **{"aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ"},
    **{"b": "b", "ch": "tʃ", "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l", "em": "m"},
    **{"en": "n", "er": "ɚ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "hv": "h", "ih": "ɪ"},
    **{"iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "nx": "n"},
    **{"ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ"},
    **{"uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ"},
}
"""Flite's ARPAbet."""


def speak(
    text: str, *, voice: str, slowness: float, pitch_hz: int
) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """Speak a text with flite.

    Parameters
    ----------
    text : str
    voice : str
        ``slt``, ``rms`` or ``awb``: the phone times that flite prints for its diphone voices
        (``kal``, ``kal16``) are not those of their sound.
    slowness : float
        1 is the voice's own speed, 1.2 slower.
    pitch_hz : int
        Mean of the fundamental frequency.

    Returns
    -------
    wave : ndarray of shape (n_samples,), float32
        16 kHz.
    phones : DataFrame
        ``onset``, ``duration`` (s), ``phone`` (IPA).
    """
    program = shutil.which("flite")
    if program is None:
        raise BrainAlignError(
            "the program flite is not installed",
            fix="install the package flite of your system (apt-get install flite)",
            exit_code=ExitCode.USAGE,
        )
    with tempfile.TemporaryDirectory() as folder:
        source, sound = Path(folder, "text.txt"), Path(folder, "speech.wav")
        source.write_text(text, encoding="ascii")
        settings = (f"duration_stretch={slowness:.2f}", f"int_f0_target_mean={pitch_hz}")
        options = [option for setting in settings for option in ("--setf", setting)]
        done = subprocess.run(  # noqa: S603
            [program, "-voice", voice, *options, "-psdur", "-f", str(source), "-o", str(sound)],
            capture_output=True,
            check=True,
            text=True,
        )
        wave = load_audio(sound)
    return wave, segments(done.stdout, duration_s=len(wave) / 16_000)


def segments(printed: str, *, duration_s: float) -> pd.DataFrame:
    """Read ``phone:end`` lists, one line per sentence, each from 0.

    Sentences end a few ms before their last label, at a whole frame of the synthesiser: the times
    are scaled to the sound.
    """
    ends, names = [0.0], []
    for line in printed.splitlines():
        begin = ends[-1]
        for label in line.split():
            name, end = label.split(":")
            names.append(name)
            ends.append(begin + float(end))
    times = np.array(ends) * duration_s / ends[-1]
    table = pd.DataFrame({"onset": times[:-1], "duration": np.diff(times), "phone": names})
    table = table[table["phone"] != PAUSE].reset_index(drop=True)
    return table.assign(phone=[IPA[name] for name in table["phone"]])
