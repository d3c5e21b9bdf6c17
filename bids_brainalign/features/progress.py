"""How far a long extraction is, said from time to time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

EVERY_S = 60.0
"""Shorter extractions say nothing."""


class Progress:
    """Counts what is done of a total, and says now and then how much longer it takes.

    Parameters
    ----------
    what : str
        What is counted, in the plural.
    total : int
    every_s : float
        Between two messages.
    clock : callable
        Gives seconds.
    """

    def __init__(
        self,
        what: str,
        total: int,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._every_s, self._clock = what, total, every_s, clock
        self._done = 0
        self._start = self._said = clock()

    def advance(self, n: int) -> None:
        """Count `n` more as done."""
        self._done += n
        now = self._clock()
        if now - self._said < self._every_s or not 0 < self._done < self._total:
            return
        self._said = now
        left_s = (now - self._start) / self._done * (self._total - self._done)
        logger.info(
            "%s of %s %s, about %.0f min to go",
            f"{self._done:,}",
            f"{self._total:,}",
            self._what,
            max(1.0, left_s / 60),
        )
