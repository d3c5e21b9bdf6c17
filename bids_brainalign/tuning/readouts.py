"""From frames of a backbone to predicted responses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.stories import Batch

Normalisation = Literal["none", "training", "block"]
Head = Literal["trained", "pinned"]


@dataclass(frozen=True)
class Readout:
    """How frames become predictions."""

    n_delays: int = 1
    """Delayed copies of the features that a prediction reads, as many as the batches'
    ``delays`` have columns."""
    bottleneck: int = 0
    """Units between features and targets, without a non-linearity; 0: none. BrainWavLM has 100
    (Vattikonda et al. 2025, code)."""
    normalisation: Normalisation = "none"
    """Of every feature, before the delays. ``training``: by mean and SD over the training stories
    under the backbone as it began (`TunedModel.set_normalisation`), the same for every batch.
    ``block``: by those of the batch's own rows in training and by their running means at
    evaluation, as published for BrainWavLM; ten rows estimate them badly, and evaluation then
    differs from training."""
    head: Head = "trained"
    """``pinned``: weights are given once (`TunedModel.pin`) and never trained."""

    def __post_init__(self) -> None:
        if self.head == "pinned" and self.bottleneck:
            raise BrainAlignError(
                "a pinned readout is one matrix: it has no bottleneck",
                fix="set bottleneck = 0, or train the readout",
                exit_code=ExitCode.USAGE,
            )
        if self.n_delays < 1 or self.bottleneck < 0:
            raise BrainAlignError(
                f"a readout with {self.n_delays} delays and a bottleneck of {self.bottleneck}",
                fix="at least one delay; a bottleneck of 0 (none) or more",
                exit_code=ExitCode.USAGE,
            )


class TunedModel(nn.Module):
    """A backbone with a readout: a batch in, predictions out.

    Where a batch has no mixing, row k is the mean over the valid frames of clip k (brain-tuning:
    Moussa et al. 2025). Otherwise rows are mixtures of frames (Lanczos), and each prediction reads
    the rows that its delays point at; −1 is a row of zeros, which is the mean where features are
    normalised.

    Parameters
    ----------
    backbone : Backbone
    n_targets : int
    readout : Readout
    seed : int
        Of the readout's first weights (Xavier, biases 0); torch's own random stream is left as it
        was.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, backbone: Backbone, *, n_targets: int, readout: Readout | None = None, seed: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.readout = readout = readout or Readout()
        n_dims = backbone.n_dims
        self.n_features = n_dims * readout.n_delays
        self.n_targets = n_targets
        # Not a number until the statistics are known: a checkpoint restores that state, too.
        unknown = torch.nan if readout.normalisation == "training" else 0.0
        self.register_buffer("mean", torch.full((n_dims,), unknown))
        self.register_buffer("scale", torch.ones(n_dims))
        self.block_norm = (
            nn.BatchNorm1d(n_dims, affine=False) if readout.normalisation == "block" else None
        )
        self.head: nn.Module = (
            PinnedHead(self.n_features, n_targets)
            if readout.head == "pinned"
            else _trained_head(self.n_features, n_targets, readout.bottleneck, seed=seed)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Predict the responses of a batch, (n_rows, n_targets)."""
        prediction: Tensor = self.head(self.features(batch))
        return prediction

    def features(self, batch: Batch) -> Tensor:
        """Give what the readout reads, (n_rows, n_features): delays one after the other."""
        n_delays = 1 if batch.delays is None else batch.delays.shape[1]
        if n_delays != self.readout.n_delays:
            raise BrainAlignError(
                f"the readout was made for {self.readout.n_delays} delayed copies of the "
                f"features, a batch has {n_delays}",
                fix="make both from the same settings",
                exit_code=ExitCode.INTERNAL,
            )
        rows = self._normalised(self.mixed(batch))
        if batch.delays is None:
            return rows
        # Index −1 is the last row: that of zeros.
        padded = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
        return padded[batch.delays].flatten(1)

    def mixed(self, batch: Batch) -> Tensor:
        """Give one row of features per clip, or per mixture of frames, (n_mixed_rows, n_dims)."""
        hidden, valid = self.backbone(batch.clips, batch.n_valid, front=batch.front)
        # Sums over frames in full precision; sparse products don't exist in others.
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.float()
            if batch.mixing is None:
                # Frames after the end of a clip are 0.
                return torch.as_tensor(hidden.sum(dim=1) / valid.sum(dim=1, keepdim=True))
            return torch.as_tensor(torch.sparse.mm(batch.mixing, hidden.flatten(0, 1)))

    def fit_normalisation(self, batches: Iterable[Batch]) -> None:
        """Take mean and SD of every feature over batches: those of the training stories.

        Under the backbone as it is at the time: call it before training. Batches may overlap, rows
        that come twice count twice.
        """
        sums = torch.zeros(2, self.backbone.n_dims, dtype=torch.float64, device=self.mean.device)
        n_rows = 0
        was_training = self.training
        self.eval()
        with torch.no_grad():
            for batch in batches:
                rows = self.mixed(batch).double()
                sums += torch.stack([rows.sum(dim=0), rows.square().sum(dim=0)])
                n_rows += len(rows)
        self.train(was_training)
        mean = sums[0] / max(n_rows, 1)
        variance = sums[1] / max(n_rows, 1) - mean.square()
        self.set_normalisation(mean.cpu().numpy(), variance.clamp(min=0).sqrt().cpu().numpy())

    def set_normalisation(self, mean: NDArray[np.floating], sd: NDArray[np.floating]) -> None:
        """Fix what features are normalised by, each (n_dims,).

        Features without variance are only centred.
        """
        kept = np.where(sd > 1e-6 * max(float(np.max(sd)), 1e-30), sd, 1.0)
        self.mean.copy_(torch.as_tensor(mean))
        self.scale.copy_(torch.as_tensor(kept))

    def pin(self, weights: NDArray[np.floating], intercept: NDArray[np.floating]) -> None:
        """Set the weights of a pinned readout.

        Parameters
        ----------
        weights : ndarray of shape (n_features, n_targets)
            Of a ridge from `features` under the backbone as it began to the responses.
        intercept : ndarray of shape (n_targets,)

        Raises
        ------
        BrainAlignError
            The readout is trained, or shapes differ (70).
        """
        wanted = (self.n_features, self.n_targets)
        if not isinstance(self.head, PinnedHead) or weights.shape != wanted:
            raise BrainAlignError(
                f"a {self.readout.head} readout of {wanted} can't be pinned at weights of "
                f"{weights.shape}",
                fix='make it with head = "pinned", and fit the ridge on its features',
                exit_code=ExitCode.INTERNAL,
            )
        self.head.weights.copy_(torch.as_tensor(weights))
        self.head.intercept.copy_(torch.as_tensor(intercept))

    def _normalised(self, rows: Tensor) -> Tensor:
        norm = self.block_norm
        if norm is not None:
            # One row has no variance: it is normalised by the running statistics.
            own = self.training and len(rows) > 1
            return nn.functional.batch_norm(
                rows, norm.running_mean, norm.running_var, training=own
            )
        if self.readout.normalisation == "none":
            return rows
        if bool(self.mean[0].isnan()):
            raise _unset("normalisation", "fit_normalisation")
        return (rows - self.mean) / self.scale


class PinnedHead(nn.Module):
    """A linear map that is given once and never trained.

    With a head that is trained along, the backbone can lower the loss by making up for a poor head
    (model card of ``RAntonello/whisper-large-v3-braintuned``).
    """

    weights: Tensor
    intercept: Tensor

    def __init__(self, n_features: int, n_targets: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((n_features, n_targets), torch.nan))
        self.register_buffer("intercept", torch.zeros(n_targets))

    def forward(self, features: Tensor) -> Tensor:
        """Predict, (n_rows, n_targets)."""
        if bool(self.weights[0, 0].isnan()):
            raise _unset("weights", "pin")
        return features @ self.weights + self.intercept


def features_and_responses(
    model: TunedModel, batches: Iterable[Batch]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give what the readout reads and what it should predict, for a ridge.

    Parameters
    ----------
    model : TunedModel
    batches : iterable of Batch
        On the device of the model.

    Returns
    -------
    features : ndarray of shape (n_rows, n_features)
    responses : ndarray of shape (n_rows, n_targets)
    """
    was_training = model.training
    model.eval()
    found, truth = [], []
    with torch.no_grad():
        for batch in batches:
            found.append(model.features(batch).float().cpu().numpy())
            truth.append(batch.responses.cpu().numpy())
    model.train(was_training)
    return np.concatenate(found), np.concatenate(truth)


def linear(n_in: int, n_out: int) -> nn.Linear:
    """Make a layer with Xavier weights and biases 0 (BrainWavLM's code)."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _trained_head(n_in: int, n_out: int, bottleneck: int, *, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if bottleneck:
            return nn.Sequential(linear(n_in, bottleneck), linear(bottleneck, n_out))
        return linear(n_in, n_out)


def _unset(what: str, method: str) -> BrainAlignError:
    return BrainAlignError(
        f"the {what} of the readout are not set",
        fix=f"call {method} before training",
        exit_code=ExitCode.INTERNAL,
    )
