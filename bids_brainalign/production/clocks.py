"""What a lag between voice and brain may be called: the clocks', a cortex's, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bids_brainalign.production.lags import Lag
from bids_brainalign.production.synchrony import Synchrony

LIMIT_S = 0.025
ALPHA = 0.05

Answer = Literal["together", "apart", "within", "beyond", "undecided", "no link"]


@dataclass(frozen=True)
class Reading:
    """Numbers for a sentence on synchrony.

    ======== ========== ==========================================================================
    answer   source     meaning
    ======== ========== ==========================================================================
    together leak       Sound that leaks into channels, and takes no time to do so, arrives within
                        25 ms: the clocks agree, and other lags are the cortex's.
    apart    leak       … beyond 25 ms: the clocks differ by that much.
    within   loudness   No leak, so no word on the clocks alone. High gamma follows the loudness
                        with a lag within 25 ms.
    beyond   loudness   … with a lag beyond 25 ms. Clocks that are apart, or physiology: areas
                        that move the mouth come before the sound (negative lags), areas that hear
                        it after (positive).
    undecided either    The interval reaches to both sides of 25 ms.
    no link  none       Nothing follows the sound: nothing can be said.
    ======== ========== ==========================================================================
    """

    answer: Answer
    source: Literal["leak", "loudness", "none"]
    lag_s: float
    low_s: float
    high_s: float
    """Lag of the source with its 95 % interval; NaN without a link."""
    flag: bool
    """Beyond 25 ms (``apart`` or ``beyond``): worth a look, and a fit with the lag taken out."""
    cortex_s: float
    """Lag of the high gamma by the clock of the leak; NaN unless both are known."""
    n_before: int
    n_beside: int
    n_after: int
    """Channels that follow the loudness (p over all lags and channels at most .05) and are more
    than 25 ms before it, within, and after. Clocks shift all of them alike: channels on both
    sides speak for physiology."""


def read_lags(found: Synchrony, leak: Lag | None) -> Reading:
    """Say what the lags of a recording can mean.

    Parameters
    ----------
    found : Synchrony
        Of channels without a leak, if there are others: a leak has the lag of the clocks.
    leak : Lag, optional
        Of the sound that leaks into channels, where there is any.

    Returns
    -------
    Reading
    """
    channels = found.channels
    lags = channels.lag_s[channels.p_max <= ALPHA]
    counts = {
        "n_before": int((lags < -LIMIT_S).sum()),
        "n_beside": int((np.abs(lags) <= LIMIT_S).sum()),
        "n_after": int((lags > LIMIT_S).sum()),
    }
    linked = found.lag.p <= ALPHA
    nan = float("nan")
    if leak is not None and leak.p <= ALPHA:
        answer = _answer(leak, "together", "apart")
        cortex = found.lag.lag_s - leak.lag_s if linked else nan
        ends = leak.lag_s, leak.low_s, leak.high_s
        return Reading(answer, "leak", *ends, answer == "apart", cortex, **counts)
    if linked:
        answer = _answer(found.lag, "within", "beyond")
        ends = found.lag.lag_s, found.lag.low_s, found.lag.high_s
        return Reading(answer, "loudness", *ends, answer == "beyond", nan, **counts)
    return Reading("no link", "none", nan, nan, nan, False, nan, **counts)


def _answer(lag: Lag, inside: Answer, outside: Answer) -> Answer:
    if -LIMIT_S <= lag.low_s and lag.high_s <= LIMIT_S:
        return inside
    return outside if lag.low_s > LIMIT_S or lag.high_s < -LIMIT_S else "undecided"
