"""Networks in the work folder: a file each, so that a stopped run goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.store.atomic import atomic_path

if TYPE_CHECKING:
    from bids_brainalign.encoding.recurrent.seed_fit import SeedFit

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """One network that is asked for."""

    encoder: str
    layer: int
    k: int
    """Outer fold."""
    seed: int
    with_linear: bool
    """Whether the network is added to the ridge."""
    responses: Array32 | None = None
    """(n_samples, n_targets) other ones than the recorded, named by ``variant`` (for nulls)."""
    variant: str = ""

    @property
    def names(self) -> list[object]:
        """What tells it from others of the same study."""
        return [self.encoder, self.layer, self.k, self.seed, self.with_linear, self.variant]


@dataclass(frozen=True)
class KeptFit:
    """What is kept of one network."""

    prediction: Array32
    """(n_test, n_targets)."""
    best_epoch: int
    gain: Array32
    validation_mse: Array64
    weights: dict[str, Array32]
    """Of the network, by the name of the parameter."""


def keep_fit(path: Path, fitted: SeedFit) -> None:
    """Write a network.

    Predictions are standardised and kept in half precision (1 / 2000 of their size): with all
    layers of a model they are the most of the work folder.
    """
    state = fitted.network.state_dict().items()
    keep_arrays(
        path,
        prediction=fitted.prediction.astype(np.float16),
        best_epoch=np.asarray(fitted.best_epoch),
        gain=fitted.gain,
        validation_mse=np.asarray(fitted.validation_mse),
        **{f"w:{name}": value.cpu().numpy() for name, value in state},
    )


def is_kept(path: Path) -> bool:
    """Whether a file of `keep_arrays` is there and has its end (a full disk may cut copies)."""
    return is_zipfile(path)


def kept_fit(path: Path) -> KeptFit:
    """Read a network."""
    with np.load(path) as kept:
        return KeptFit(
            prediction=kept["prediction"].astype(np.float32),
            best_epoch=int(kept["best_epoch"]),
            gain=kept["gain"],
            validation_mse=kept["validation_mse"],
            weights={n.removeprefix("w:"): kept[n] for n in kept.files if n.startswith("w:")},
        )


def keep_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write arrays to a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
