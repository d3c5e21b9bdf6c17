"""What to do when the accelerator's memory is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bids_brainalign.errors import BrainAlignError, ExitCode


@contextmanager
def memory_advice(*, batches_per_update: int, precision: str) -> Iterator[None]:
    """Turn an out-of-memory error of the device into advice.

    Parameters
    ----------
    batches_per_update : int
        As training is set.
    precision : str
        As training is set.

    Raises
    ------
    BrainAlignError
        With exit code 75: the same command with other settings, or on another device, may work.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        advice = [
            "use smaller batches and more of them per update (now "
            f"{batches_per_update}): the update stays the same",
            "switch on gradient checkpointing",
        ]
        if precision == "fp32":
            advice.append("use bf16 precision")
        raise BrainAlignError(
            "the device ran out of memory while tuning",
            where=str(error).partition("\n")[0],
            fix="; ".join(advice) + ". What is done so far is kept; training goes on from there "
            "unless settings change its numbers",
            exit_code=ExitCode.TEMPORARY,
        ) from error
