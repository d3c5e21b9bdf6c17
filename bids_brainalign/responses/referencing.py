"""Re-referencing of intracranial recordings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode

REFERENCES = ("none", "car")


def reference_signal(data: NDArray[np.floating], kind: str) -> NDArray[np.float64]:
    """Compute what a reference subtracts from every channel.

    Parameters
    ----------
    data : ndarray of shape (n_channels, n_times)
        Good neural channels only: a broken one would be put into all others.
    kind : str
        ``none``, or ``car``: the mean over channels. It puts about ``1 / n_channels`` of every
        electrode's signal into the others.

    Returns
    -------
    ndarray of shape (n_times,), float64
        Zeros for ``none``.

    Raises
    ------
    BrainAlignError
        64: unknown reference. 65: a common average of fewer than two channels.
    """
    if kind == "none":
        return np.zeros(data.shape[-1])
    if kind != "car":
        raise BrainAlignError(
            f"There is no reference '{kind}'.",
            fix=f"--reference {' or '.join(REFERENCES)}",
            exit_code=ExitCode.USAGE,
        )
    if len(data) < 2:
        raise BrainAlignError(
            "A common average reference needs at least two good channels; there is one.",
            fix="--reference none",
        )
    # Summed in double precision, also for float32 data of hundreds of channels.
    return np.asarray(data.mean(axis=0, dtype=np.float64))
