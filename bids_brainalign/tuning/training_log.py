"""The log of training: a TSV with a row per update, whole after any interruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.store.atomic import write_text


@dataclass(frozen=True)
class LogRow:
    """One update."""

    epoch: int
    """Passes over the data, from 1."""
    update: int
    """Updates since the start of training, from 1."""
    loss: float
    """Mean over rows, before the update."""
    gradient_norm: float
    """Of all parameters together, before clipping."""
    learning_rates: Sequence[float]
    """Per group of parameters."""


class TrainingLog:
    """Appends rows, and forgets those that a resumed training will do again.

    Seconds are not in it: interrupted and uninterrupted training write the same file.

    Parameters
    ----------
    path : Path
    groups : sequence of str
        Names of the groups of parameters.
    n_updates : int
        Updates that are done; rows after them are removed.
    """

    def __init__(self, path: Path, groups: Sequence[str], *, n_updates: int) -> None:
        self._path = path
        header = "\t".join(
            ["epoch", "update", "loss", "gradient_norm", *(f"learning_rate_{g}" for g in groups)]
        )
        write_text(path, "".join(f"{line}\n" for line in [header, *_kept(path, n_updates)]))

    def append(self, row: LogRow) -> None:
        """Add one row; it is in the file when this returns."""
        values = [row.loss, row.gradient_norm, *row.learning_rates]
        cells = [str(row.epoch), str(row.update), *(f"{value:.9g}" for value in values)]
        with self._path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write("\t".join(cells) + "\n")


def _kept(path: Path, n_updates: int) -> list[str]:
    """Give the rows of updates 1 … n; a row that was cut off in writing is not among them."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[1:-1]
    rows = [line for line in lines if line.count("\t") >= 2]
    return [row for row in rows if int(row.split("\t")[1]) <= n_updates]
