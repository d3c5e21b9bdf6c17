"""Electrodes that follow one class of phones each: grouped by place, or scattered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.phonemes.articulation import categories_of
from bids_brainalign.simulate.planted import Signals
from bids_brainalign.simulate.stories import Story

Arrangement = Literal["grouped", "scattered"]
ARRANGEMENTS: tuple[Arrangement, ...] = ("grouped", "scattered")
TUNINGS: dict[str, tuple[str, ...]] = {
    "vowels": ("vowel",),
    "plosives": ("plosive", "affricate"),
    "fricatives": ("fricative",),
    "sonorants": ("nasal", "approximant"),
}
"""Name → categories that drive the electrode: the groups of Mesgarani et al. 2014, Fig. 3."""
LAG_S = 0.15


def tunings_of(
    sizes: Sequence[int], arrangement: Arrangement, rng: np.random.Generator
) -> list[list[str]]:
    """Give every electrode of the planted devices a class of phones.

    Parameters
    ----------
    sizes : sequence of int
        Electrodes of each device.
    arrangement : str
        ``grouped``: a device has one class; ``scattered``: the same electrodes in random order.
    rng : Generator

    Returns
    -------
    list of list of str
        Per device, per electrode.
    """
    names = list(TUNINGS)
    flat = [names[i % len(names)] for i, size in enumerate(sizes) for _ in range(size)]
    if arrangement == "scattered":
        flat = [flat[i] for i in rng.permutation(len(flat))]
    edges = np.cumsum([0, *sizes])
    return [flat[a:b] for a, b in pairwise(edges)]


def tuned_signals(
    stories: Sequence[Story], n_frames: Sequence[int], tunings: Sequence[str], *, rate_hz: float
) -> Signals:
    """Impulses at the onsets of each electrode's phones.

    Parameters
    ----------
    stories : sequence of Story
        With phones.
    n_frames : sequence of int
        Of each story.
    tunings : sequence of str
        Class of every electrode.
    rate_hz : float

    Returns
    -------
    list of ndarray, each (n_frames, n_electrodes)
    """
    out = []
    for story, n in zip(stories, n_frames, strict=True):
        if story.phones is None:
            raise BrainAlignError(
                f"the story {story.name} has no phones to plant",
                fix="use synthetic speech, or put <stem>_phones.tsv beside the recordings",
                exit_code=ExitCode.USAGE,
            )
        columns = {name: _impulses(story.phones, name, n, rate_hz) for name in TUNINGS}
        out.append(np.stack([columns[name] for name in tunings], axis=1))
    return out


def _impulses(phones: pd.DataFrame, name: str, n: int, rate_hz: float) -> NDArray[np.float64]:
    wanted = set(TUNINGS[name])
    mine = [bool(wanted & set(categories_of(str(phone)))) for phone in phones["phone"]]
    rows = np.round(phones["onset"].to_numpy(dtype=float)[mine] * rate_hz).astype(int)
    return np.bincount(rows[rows < n], minlength=n).astype(np.float64)
