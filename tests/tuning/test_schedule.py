"""The schedule against the one of transformers, shifted so that no rate is 0."""

from __future__ import annotations

import pytest
import torch
from transformers import get_linear_schedule_with_warmup

from bids_brainalign.tuning.schedule import rate_factor


@pytest.mark.parametrize(("n_updates", "share"), [(1, 0.1), (7, 0.1), (100, 0.1), (50, 0.0)])
def test_linear_rises_and_falls_and_is_never_zero(n_updates: int, share: float) -> None:
    factors = [
        rate_factor("linear", k, n_updates=n_updates, warmup_share=share) for k in range(n_updates)
    ]
    assert max(factors) == 1.0
    assert min(factors) > 0
    peak = factors.index(1.0)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


def test_linear_is_that_of_transformers_one_update_on() -> None:
    """In its warm-up: theirs begins at 0. After it both fall to 0 at the end."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = get_linear_schedule_with_warmup(optimiser, 10, 100)
    rates = []
    for _ in range(100):
        rates.append(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()
    ours = [rate_factor("linear", k, n_updates=100, warmup_share=0.1) for k in range(100)]
    assert ours[:10] == pytest.approx(rates[1:11])
    assert ours[10:] == pytest.approx(rates[10:])


def test_constant() -> None:
    assert {rate_factor("constant", k, n_updates=9) for k in range(9)} == {1.0}
