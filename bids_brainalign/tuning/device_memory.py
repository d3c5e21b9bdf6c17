"""What to do when the accelerator's memory is full."""

from __future__ import annotations

from contextlib import AbstractContextManager

from bids_brainalign.encoding.device_memory import advice_when_full


def memory_advice(*, batches_per_update: int, precision: str) -> AbstractContextManager[None]:
    """Turn an out-of-memory error of the device into advice, with exit code 75.

    Parameters
    ----------
    batches_per_update : int
        As training is set.
    precision : str
        As training is set.
    """
    advice = [
        "use smaller batches and more of them per update (now "
        f"{batches_per_update}): the update stays the same",
        "switch on gradient checkpointing",
    ]
    if precision == "fp32":
        advice.append("use bf16 precision")
    return advice_when_full(
        "while tuning",
        advice,
        after=". What is done so far is kept; training goes on from there unless settings change "
        "its numbers",
    )
