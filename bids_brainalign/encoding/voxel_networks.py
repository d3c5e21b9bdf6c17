"""A small network beside the ridge of voxels: one hidden layer that all of them share.

The networks of :mod:`~bids_brainalign.encoding.recurrent` hold all responses of some hundred
electrodes in memory, and stop by a block of the training rows. With tens of thousands of voxels
responses stay in files, and what can be chosen is chosen as ridge chooses its penalty: by the
inner folds. There networks are trained for every weight decay, and their errors on the rows that
they have not seen, summed over the inner folds, say which decay, how many epochs, and how much of
the network's output each voxel takes. A network with these is then trained on all training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.recurrent.architecture import Network, Shape, build
from bids_brainalign.encoding.recurrent.training import Recipe, Sums, compared, training
from bids_brainalign.encoding.voxelwise import LayerRidge, Voxelwise
from bids_brainalign.statistics.folds import Split

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Readout:
    """Size and schedule of the network."""

    hidden: int
    dropout: float
    recipe: Recipe
    """Its weight decay is replaced by those tried."""
    weight_decays: tuple[float, ...]
    shrink: bool
    """Whether voxels take a part of the output, from 0 to 1; else they take all of it."""
    device: str = "cpu"


@dataclass(frozen=True)
class Curve:
    """One network on the rows that it has not seen, after every epoch from 0 on."""

    sums: tuple[Sums, ...]


@dataclass(frozen=True)
class Chosen:
    """What the inner folds chose."""

    weight_decay: float
    epochs: int
    """0: no network helps; what it is added to stands."""
    gain: Array32
    """(n_targets,) part of the network's output that each target takes."""
    mse: tuple[float, ...]
    """Per epoch, with this decay: mean squared error on the inner folds, over all targets."""


def what_ridge_leaves(voxels: Voxelwise, ridge: LayerRidge, k: int) -> Array32:
    """Responses less the prediction of a ridge that was fitted without their inner fold.

    A ridge explains more of the rows it was fitted on than of new ones; see
    :func:`~bids_brainalign.encoding.recurrent.linear_path.linear_path`, which does the same for
    electrodes.

    Returns
    -------
    ndarray of shape (n_samples, n_targets), float32
        In a file of the scratch folder; 0 in rows that no inner fold holds out.
    """
    residual = voxels.scratch_array(voxels.responses.shape)
    for split in voxels.folds[k].inner:
        for some, prediction in ridge.system.predict(split.train, split.test, ridge.alpha):
            left = np.asarray(voxels.responses[:, some])[split.test] - prediction
            residual[np.ix_(split.test, np.arange(voxels.n_targets)[some])] = left
    return residual


def held_out_rows(inner: Sequence[Split]) -> Rows:
    """Rows that some inner fold holds out."""
    return np.unique(np.concatenate([split.test for split in inner]))


def inner_curve(
    windows: Array32,
    responses: Array32,
    split: Split,
    known: Rows,
    *,
    readout: Readout,
    weight_decay: float,
    seed: int,
) -> Curve:
    """Train a network on the training part of one inner fold and watch it on the other.

    Parameters
    ----------
    windows : ndarray of shape (n_samples, n_delays, n_dims)
        The ridge's design, delay by delay.
    responses : ndarray of shape (n_samples, n_targets)
        What is to be learnt; may be mapped from a file.
    split : Split
    known : ndarray of int
        Rows whose response is known.
    readout : Readout
    weight_decay : float
    seed : int
        Of the first weights, the order of rows and of dropout.
    """
    fit = np.intersect1d(split.train, known, assume_unique=True)
    network = _network(windows, responses, readout, seed)
    recipe = replace(readout.recipe, weight_decay=weight_decay)
    sums: list[Sums] = []
    errors: list[float] = []
    for epoch in training(
        network, windows, responses, fit=fit, recipe=recipe, seed=seed, device=readout.device
    ):
        sums.append(
            _kept(
                compared(network, windows, responses, rows=split.test, device=readout.device), sums
            )
        )
        gain = sums[-1].gain() if readout.shrink else _all_of(sums[-1])
        errors.append(float(sums[-1].errors(gain).mean()))
        if epoch - int(np.argmin(errors)) >= recipe.patience:
            break
    return Curve(tuple(sums))


def choose(
    curves: Sequence[Sequence[Curve]], weight_decays: Sequence[float], *, shrink: bool
) -> Chosen:
    """Choose weight decay, epochs and each target's part by all inner folds.

    Parameters
    ----------
    curves : sequence of sequence of Curve
        Per weight decay and inner fold.
    weight_decays : sequence of float
    shrink : bool
        Let targets take a part of the output, see :func:`part_of`.

    Returns
    -------
    Chosen
    """
    best: Chosen | None = None
    for folds, decay in zip(curves, weight_decays, strict=True):
        # Networks stop at different epochs; only those that all have reached can be compared.
        n_epochs = min(len(curve.sums) for curve in folds)
        epochs = [[curve.sums[epoch] for curve in folds] for epoch in range(n_epochs)]
        mse = tuple(_error(sums, shrink=shrink) for sums in epochs)
        epoch = int(np.argmin(mse))
        if best is None or mse[epoch] < best.mse[best.epochs]:
            part = part_of(epochs[epoch]) if shrink else _all_of(epochs[epoch][0])
            best = Chosen(decay, epoch, part, mse)
    if best is None:
        raise ValueError("no weight decay to choose from")
    return best


def trained_network(
    windows: Array32,
    responses: Array32,
    rows: Rows,
    *,
    readout: Readout,
    chosen: Chosen,
    seed: int,
) -> Network:
    """Train a network with what was chosen on all of these rows."""
    network = _network(windows, responses, readout, seed)
    recipe = replace(
        readout.recipe, weight_decay=chosen.weight_decay, epochs=chosen.epochs
    )  # fmt: skip
    for _ in training(
        network, windows, responses, fit=rows, recipe=recipe, seed=seed, device=readout.device
    ):
        pass
    return network


def _error(sums: Sequence[Sums], *, shrink: bool) -> float:
    """Mean squared error over inner folds and targets; parts are those of the other folds."""
    total = 0.0
    for index, mine in enumerate(sums):
        others = [*sums[:index], *sums[index + 1 :]]
        part = part_of(others or sums) if shrink else _all_of(mine)
        total += mine.n * float(mine.errors(part).mean())
    return total / sum(one.n for one in sums)


def part_of(sums: Sequence[Sums]) -> Array32:
    """Part of the network's output that each target takes.

    The least-squares factor over all folds, where the factor of the other folds lowers the error
    of each fold in sum; else 0. A factor fitted to the same rows lowers it always, so that
    targets that the network says nothing about would get its noise.

    Parameters
    ----------
    sums : sequence of Sums
        Per inner fold.

    Returns
    -------
    ndarray of shape (n_targets,)
    """
    whole = _added(sums).gain()
    if len(sums) == 1:
        return whole
    lowered = np.zeros(len(whole))
    for index, mine in enumerate(sums):
        others = _added([*sums[:index], *sums[index + 1 :]]).gain()
        lowered += mine.own - mine.n * mine.errors(others)
    return np.where(lowered > 0, whole, np.float32(0))


def _kept(new: Sums, before: Sequence[Sums]) -> Sums:
    """Half the size, and what doesn't change from epoch to epoch once: there may be a hundred."""
    own = before[0].own if before else new.own
    return Sums(new.n, new.power.astype(np.float32), new.shared.astype(np.float32), own)


def _added(sums: Sequence[Sums]) -> Sums:
    return Sums(
        sum(one.n for one in sums),
        np.sum([one.power for one in sums], axis=0),
        np.sum([one.shared for one in sums], axis=0),
        np.sum([one.own for one in sums], axis=0),
    )


def _all_of(sums: Sums) -> Array32:
    return np.ones(len(sums.own), dtype=np.float32)


def _network(windows: Array32, responses: Array32, readout: Readout, seed: int) -> Network:
    shape = Shape(
        n_lags=windows.shape[1],
        n_dims=windows.shape[2],
        n_targets=responses.shape[1],
        hidden=readout.hidden,
        n_queries=1,
        dropout=readout.dropout,
        mlp_width=readout.hidden,
    )
    return build("mlp", shape, seed=seed)
