"""The phone classes that the embedded model learns: broad English IPA and silence."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FRAME_S = 0.02
SILENCE = 0
NO_CLASS = 255
"""espeak-ng says some names as their language does (ɬ, y): such frames are left out."""
MERGED = {
    "i": "i iː",
    "ɪ": "ɪ ᵻ iə ɪə ɪɹ",
    "ɛ": "ɛ e ɛɹ ɛə eə",
    "æ": "æ a a: aa",
    "ɑ": "ɑ ɑː ɒ ɑːɹ ɑə aː",
    "ɔ": "ɔ ɔː ɔːɹ ɔə oə",
    "ʊ": "ʊ ʊə ʊɹ ʉɹ",
    "u": "u uː ʉ ʉː",
    "ʌ": "ʌ",
    "ə": "ə ɐ",
    "ɚ": "ɚ ɜ ɜː əɹ ʌɹ",
    "eɪ": "eɪ ei eː",
    "aɪ": "aɪ aɪə aɪɚ",
    "ɔɪ": "ɔɪ oɪ",
    "aʊ": "aʊ æʊ ʌʉ",
    "oʊ": "oʊ o oː əʊ əu ʌʊ",
    "p": "p",
    "b": "b",
    "t": "t t̪ ʔ",
    "d": "d ɾ",
    "k": "k x",
    "ɡ": "ɡ",
    "tʃ": "tʃ",
    "dʒ": "dʒ",
    "f": "f",
    "v": "v",
    "θ": "θ",
    "ð": "ð",
    "s": "s",
    "z": "z",
    "ʃ": "ʃ",
    "ʒ": "ʒ",
    "h": "h",
    "m": "m",
    "n": "n n̩",
    "ŋ": "ŋ",
    "l": "l əl",
    "ɹ": "ɹ r",
    "j": "j ʲ",
    "w": "w ʍ",
}
"""Class → the names that espeak-ng's English voices use for it."""
CLASSES = ("silence", *MERGED)
INDEX = {
    name: 1 + number for number, names in enumerate(MERGED.values()) for name in names.split()
}


def class_of(phone: str) -> int:
    """Number of a phone's class; ``NO_CLASS`` where it isn't one of English."""
    return INDEX.get(phone, NO_CLASS)


def frame_classes(phones: pd.DataFrame, *, n_frames: int) -> NDArray[np.int64]:
    """Which class sounds at the centre of each 20 ms frame (frame i: 0.02·i s).

    Parameters
    ----------
    phones : DataFrame
        ``onset``, ``duration`` (s), ``phone``.

    Returns
    -------
    ndarray of int, shape (n_frames,)
        0 where no phone sounds, ``NO_CLASS`` where it has no class.
    """
    labels = np.full(n_frames, SILENCE, dtype=np.int64)
    for onset, duration, phone in zip(
        phones["onset"], phones["duration"], phones["phone"], strict=True
    ):
        first, stop = np.ceil(np.array([onset, onset + duration]) / FRAME_S).astype(int)
        labels[max(first, 0) : max(min(stop, n_frames), 0)] = class_of(phone)
    return labels
