"""The lag between sound and high gamma is told by which comes first."""

from __future__ import annotations

import numpy as np
import pytest

from bids_brainalign.production.clocks import Reading
from bids_brainalign.production.lags import Lag
from bids_brainalign.production.synchrony import ChannelLags, Synchrony
from bids_brainalign.workflow.production.sound_checks import sentence


@pytest.mark.parametrize(
    ("lag_s", "expected"),
    [
        (-0.085, "run: high gamma comes 85 ms before the loudness of the sound (95 % interval of "
                 "its lag -95 to -75 ms)"),
        (0.085, "run: high gamma comes 85 ms after the loudness of the sound (95 % interval of "
                "its lag +75 to +95 ms)"),
        (0.0, "run: high gamma comes with the loudness of the sound (95 % interval of its lag "
              "-10 to +10 ms)"),
    ],
)  # fmt: skip
def test_high_gamma_comes_before_or_after_the_loudness(lag_s: float, expected: str) -> None:
    lag = Lag(lag_s, lag_s - 0.01, lag_s + 0.01, 0.001, 0, 1.0, at_edge=False)
    nothing = np.zeros(0)
    found = Synchrony(lag, nothing, nothing, ChannelLags(*[nothing] * 4))
    reading = Reading("beyond" if lag_s else "within", "loudness", lag_s, lag_s - 0.01,
                      lag_s + 0.01, bool(lag_s), np.nan, 0, 0, 0)  # fmt: skip
    said = sentence("run", found, reading)
    assert expected in said
    assert "follows" not in said
