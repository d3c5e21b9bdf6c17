"""Learning rate over training, as a factor of its highest value."""

from __future__ import annotations

import math
from typing import Literal

ScheduleName = Literal["linear", "constant"]


def rate_factor(
    name: ScheduleName, update: int, *, n_updates: int, warmup_share: float = 0.1
) -> float:
    """Give the factor on the learning rate of one update.

    Parameters
    ----------
    name : {"linear", "constant"}
        ``linear``: rises over the warm-up, falls after it; both per update, never 0, so that no
        update is lost. ``constant``: 1.
    update : int
        Updates done before this one.
    n_updates : int
        Updates of the whole training.
    warmup_share : float
        Share of the updates with a rising rate.

    References
    ----------
    10 % warm-up and linear decay: Moussa, Klakow & Toneva (2025, ICLR). Their code stepped per
    epoch, from a rate of 0 in the whole first one.

    Examples
    --------
    >>> [rate_factor("linear", k, n_updates=10, warmup_share=0.2) for k in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.125]
    """
    if name == "constant":
        return 1.0
    warmup = math.ceil(warmup_share * n_updates)
    if update < warmup:
        return (update + 1) / warmup
    return (n_updates - update) / (n_updates - warmup)
