"""Phone times from words with times: forced alignment within each word, offline."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.phonemes.pronunciation import (
    Pronunciation,
    espeak_pronunciations,
    from_arpabet,
    has_espeak,
    plain_word,
)
from bids_brainalign.phonemes.times import PhoneTimes

FRAME_S = 0.01
"""Of pocketsphinx's acoustic model."""
PADDING_S = (0.1, 0.25)
"""Audio given on both sides of a word; the wider one, with both neighbours, where the narrow one
gives no alignment. The given word times are kept: phones never leave their word."""
ALIGNED, SPLIT = "aligned", "split"
INSTALL = "pip install 'bids-brainalign[align]'"

Times = list[tuple[float, float]]


def has_pocketsphinx() -> bool:
    """Whether pocketsphinx is installed."""
    return importlib.util.find_spec("pocketsphinx") is not None


def can_find_phones(language: str) -> bool:
    """Whether this machine can find phones of words in a language."""
    return has_espeak() or (language.partition("-")[0] == "en" and has_pocketsphinx())


def find_phones(wave: NDArray[np.float32], words: pd.DataFrame, *, language: str) -> PhoneTimes:
    """Find the phones of every word.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,), float32
        16 kHz.
    words : DataFrame
        ``onset``, ``duration`` (s), ``label``.
    language : str
        BCP-47. English words are looked up in CMU's dictionary, then in espeak-ng; others in
        espeak-ng alone and aligned by the English phones most alike.

    Returns
    -------
    PhoneTimes
    """
    english = language.partition("-")[0].lower() == "en"
    labels = [plain_word(str(label)) for label in words["label"]]
    decoder = _Decoder() if has_pocketsphinx() else None
    said = _pronunciations(labels, language, decoder if english else None)
    onset = words["onset"].to_numpy(dtype=float)
    stop = onset + words["duration"].to_numpy(dtype=float)
    rows: list[tuple[float, float, str, str]] = []
    counts = {ALIGNED: 0, SPLIT: 0}
    for index, label in enumerate(labels):
        if label not in said or stop[index] <= onset[index]:
            continue
        phones = said[label].ipa
        times = None
        if decoder is not None:
            times = _align(decoder, wave, index, labels, said, onset, stop)
        source = SPLIT if times is None else ALIGNED
        counts[source] += 1
        spans = times or split_evenly(onset[index], stop[index], len(phones))
        rows += [(a, b - a, p, source) for (a, b), p in zip(spans, phones, strict=True)]
    table = pd.DataFrame(rows, columns=["onset", "duration", "phone", "source"])
    return PhoneTimes(
        table.sort_values("onset", kind="stable", ignore_index=True).round(4),
        _method(english=english, aligned=decoder is not None),
        counts[ALIGNED],
        counts[SPLIT],
        len(labels) - sum(counts.values()),
    )


def split_evenly(start: float, stop: float, count: int) -> Times:
    """Give every phone of a word the same share of its time.

    Examples
    --------
    >>> split_evenly(1.0, 2.0, 2)
    [(1.0, 1.5), (1.5, 2.0)]
    """
    edges = np.linspace(start, stop, count + 1).tolist()
    return list(pairwise(edges))


def _method(*, english: bool, aligned: bool) -> str:
    if not aligned:
        return "even split of the word (pronunciations of espeak-ng), approximate"
    if english:
        return "forced alignment (pocketsphinx, CMU dictionary)"
    return (
        "cross-language alignment (pronunciations of espeak-ng, nearest English phones in "
        "pocketsphinx), approximate"
    )


def pronunciations(labels: Sequence[str], *, language: str) -> dict[str, Pronunciation]:
    """Look up how words are said, without any sound.

    Parameters
    ----------
    labels : sequence of str
        As of :func:`~bids_brainalign.phonemes.pronunciation.plain_word`.
    language : str
        BCP-47.

    Returns
    -------
    dict
        Only words that can be said; empty where nothing installed speaks the language.
    """
    english = language.partition("-")[0].lower() == "en"
    return _pronunciations(
        labels, language, _Decoder() if english and has_pocketsphinx() else None
    )


def _pronunciations(
    labels: Sequence[str], language: str, dictionary: _Decoder | None
) -> dict[str, Pronunciation]:
    distinct = [label for label in dict.fromkeys(labels) if label]
    found: dict[str, Pronunciation] = {}
    if dictionary is not None:
        found = {w: p for w in distinct if (p := dictionary.look_up(w)) is not None}
    missing = [word for word in distinct if word not in found]
    if missing and has_espeak():
        voice = "en-us" if language.lower() == "en" else language
        found |= espeak_pronunciations(missing, voice)
    return found


def _align(
    decoder: _Decoder,
    wave: NDArray[np.float32],
    index: int,
    labels: Sequence[str],
    said: Mapping[str, Pronunciation],
    onset: NDArray[np.float64],
    stop: NDArray[np.float64],
) -> Times | None:
    """Align one word's phones, alone and then between its neighbours; None if neither works."""
    alone = decoder.align(
        wave, [said[labels[index]]], onset[index] - PADDING_S[0], stop[index] + PADDING_S[0]
    )
    place = 0
    if alone is None:
        first, last = index, index
        while first > 0 and first > index - 1 and labels[first - 1] in said:
            first -= 1
        while last + 1 < len(labels) and last < index + 1 and labels[last + 1] in said:
            last += 1
        if last == first or stop[last] - onset[first] > 5:
            return None
        alone = decoder.align(
            wave,
            [said[label] for label in labels[first : last + 1]],
            onset[first] - PADDING_S[1],
            stop[last] + PADDING_S[1],
        )
        place = index - first
    if alone is None:
        return None
    starts = np.array(alone[place])
    inside = (starts > onset[index]) & (starts < stop[index])
    if len(starts) > 1 and not inside[1:].all():
        return None  # the alignment contradicts the word's time
    edges = [float(onset[index]), *starts[1:].tolist(), float(stop[index])]
    return list(pairwise(edges))


class _Decoder:
    """pocketsphinx with its English model; words are entered as they come."""

    def __init__(self) -> None:
        import pocketsphinx  # type: ignore[import-untyped]

        # Without a language model; wide beams, as the words are known.
        self._decoder: Any = pocketsphinx.Decoder(lm=None, loglevel="FATAL", beam=1e-80)
        self._names: dict[tuple[str, ...], str] = {}

    def look_up(self, word: str) -> Pronunciation | None:
        """First pronunciation in CMU's dictionary."""
        found = self._decoder.lookup_word(word)
        return from_arpabet(found.split()) if found else None

    def align(
        self, wave: NDArray[np.float32], words: Sequence[Pronunciation], start: float, stop: float
    ) -> list[list[float]] | None:
        """Start of every phone of every word, s; None if there is no alignment."""
        first = max(round(start * SAMPLE_RATE_HZ), 0)
        part = wave[first : max(round(stop * SAMPLE_RATE_HZ), first)]
        pcm = np.clip(np.round(part * 32768.0), -32768, 32767).astype(np.int16).tobytes()
        names = [self._name(word.arpabet) for word in words]
        try:
            self._decoder.set_align_text(" ".join(names))
            self._run(pcm)
            if self._decoder.hyp() is None:
                return None
            self._decoder.set_alignment()
            self._run(pcm)
            # Entries die with the iteration: they are read in it.
            entries = [
                (entry.name, [first / SAMPLE_RATE_HZ + phone.start * FRAME_S for phone in entry])
                for entry in self._decoder.get_alignment() or ()
                if entry.name in names
            ]
        except RuntimeError:
            return None
        if [name for name, _ in entries] != names:
            return None
        found = [starts for _, starts in entries]
        fits = [len(f) == len(w.arpabet) for f, w in zip(found, words, strict=True)]
        return found if all(fits) else None

    def _run(self, pcm: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()

    def _name(self, phones: tuple[str, ...]) -> str:
        if phones not in self._names:
            name = f"said{len(self._names)}"
            self._decoder.add_word(name, " ".join(phones), False)
            self._names[phones] = name
        return self._names[phones]
