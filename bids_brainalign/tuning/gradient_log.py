"""The gradient's norm of every layer, epoch by epoch: sums that are resumed, and their table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.store.atomic import write_text

NORMS_NAME = "gradient_norms.tsv"
HEADER = ("epoch", "layer", "gradient_norm")


@dataclass(frozen=True)
class NormSums:
    """Sums over the updates of one epoch."""

    updates: int = 0
    """Those whose gradient was finite: fp16 leaves out others."""
    sums: tuple[float, ...] = ()
    """Of the norms, per layer."""


def with_update(
    epochs: Sequence[NormSums], epoch: int, norms: Sequence[float]
) -> tuple[NormSums, ...]:
    """Add the norms of one update to the sums of its epoch.

    Parameters
    ----------
    epochs : sequence of NormSums
        Of epochs 0 to `epoch`, or to the one before.
    epoch : int
        From 0.
    norms : sequence of float
        Per layer.
    """
    before = tuple(epochs[:epoch])
    now = epochs[epoch] if len(epochs) > epoch else NormSums(0, (0.0,) * len(norms))
    if not all(map(math.isfinite, norms)):
        return (*before, now)
    sums = tuple(a + b for a, b in zip(now.sums, norms, strict=True))
    return (*before, NormSums(now.updates + 1, sums))


def write_norms(path: Path, layers: Sequence[str], epochs: Sequence[NormSums]) -> None:
    """Write means over updates, a row per epoch (from 1) and layer, whole or not at all."""
    lines = ["\t".join(HEADER)]
    for number, epoch in enumerate(epochs, start=1):
        for layer, total in zip(layers, epoch.sums, strict=True):
            mean = f"{total / epoch.updates:.9g}" if epoch.updates else "n/a"
            lines.append(f"{number}\t{layer}\t{mean}")
    write_text(path, "".join(f"{line}\n" for line in lines))
