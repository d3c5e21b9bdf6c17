"""Random numbers that depend on what they are for, not on when they are drawn."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *key: object) -> np.random.Generator:
    """Give the generator of one unit of work.

    Parameters
    ----------
    seed : int
        Master seed.
    *key
        What the numbers are for, e.g. ``"ecog", "01", "noise"``; its ``str`` counts.

    Examples
    --------
    >>> bool(stream(1, "a").random() == stream(1, "a").random())
    True
    """
    digest = hashlib.sha256("\x1f".join([str(seed), *map(str, key)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
