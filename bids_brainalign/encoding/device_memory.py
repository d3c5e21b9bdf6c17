"""What to do when an accelerator's memory is full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from bids_brainalign.errors import BrainAlignError, ExitCode


@contextmanager
def advice_when_full(what: str, advice: Sequence[str], *, after: str = "") -> Iterator[None]:
    """Turn an out-of-memory error of the device into advice.

    Parameters
    ----------
    what : str
        What the device was busy with.
    advice : sequence of str
        What may help.
    after : str
        Said after the advice.

    Raises
    ------
    BrainAlignError
        With exit code 75: the same command with other settings, or on another device, may work.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BrainAlignError(
            f"the device ran out of memory {what}",
            where=str(error).partition("\n")[0],
            fix="; ".join(advice) + after,
            exit_code=ExitCode.TEMPORARY,
        ) from error
