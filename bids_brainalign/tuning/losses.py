"""What tuning makes small: errors and correlations of predicted and measured responses."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from bids_brainalign.errors import BrainAlignError, ExitCode

Loss = Callable[[Tensor, Tensor], Tensor]
"""Prediction and truth, both (n_rows, n_targets) → scalar."""
TEMPERATURE = 0.1
"""Of the contrastive loss: correlations are divided by it before the softmax. Ours, fixed (CLIP
learns its own, from 0.07 on)."""
_FLAT = 1e-12
"""Sums of squares below this share of the largest are rounding errors of a constant."""


def mse(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error over rows and targets (brain-tuning: Moussa et al. 2025)."""
    return functional.mse_loss(wide(prediction), wide(truth))


def spatial(prediction: Tensor, truth: Tensor) -> Tensor:
    """Correlate across targets in every row: −1/T Σ_t corr_v(R_t, R̂_t).

    BrainWavLM's loss (Vattikonda et al. 2025).
    """
    return -correlation(wide(prediction), wide(truth), dim=1).mean()


def temporal(prediction: Tensor, truth: Tensor) -> Tensor:
    """Correlate over the rows of a batch in every target, mean over targets, negated.

    It needs long batches: over few rows correlations are noise. A batch of one row gives 0 and no
    gradient.
    """
    return -correlation(wide(prediction), wide(truth), dim=0).mean()


def cosine(prediction: Tensor, truth: Tensor) -> Tensor:
    """Give 1 − cosine across targets, mean over rows: as `spatial`, but means count."""
    return 1.0 - _cosines(wide(prediction), wide(truth), dim=1).mean()


def contrastive(prediction: Tensor, truth: Tensor) -> Tensor:
    """Tell each row's response from those of the other rows of the batch, and the reverse.

    Symmetric cross-entropy of the correlations across targets between every predicted and every
    measured row, divided by `TEMPERATURE` (Radford et al. 2021, CLIP, fig. 3). Neighbouring rows
    are alike in responses as slow as BOLD, so it can't reach 0.
    """
    scores = _unit(centred(wide(prediction))) @ _unit(centred(wide(truth))).T / TEMPERATURE
    own = torch.arange(len(scores), device=scores.device)
    both = functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)
    return both / 2


LOSSES: dict[str, Loss] = {
    "mse": mse,
    "spatial": spatial,
    "temporal": temporal,
    "cosine": cosine,
    "contrastive": contrastive,
}
_TERM = re.compile(r"(?:(?P<weight>[0-9.eE-]+)\*)?(?P<name>[a-z]+)")


def parse_loss(text: str) -> Loss:
    """Make a loss from its name, or from weighted names: ``mse+0.5*cosine``.

    Parameters
    ----------
    text : str
        Names of `LOSSES`, joined by ``+``, each with an optional weight before ``*``.

    Raises
    ------
    BrainAlignError
        An unknown name, or a weight that is no positive number (64).
    """
    terms = [_term(part, text) for part in text.replace(" ", "").split("+")]

    def combined(prediction: Tensor, truth: Tensor) -> Tensor:
        return torch.stack([weight * loss(prediction, truth) for weight, loss in terms]).sum()

    return combined


def correlation(prediction: Tensor, truth: Tensor, *, dim: int) -> Tensor:
    """Pearson correlation along one dimension, safe to differentiate.

    Parameters
    ----------
    prediction, truth : Tensor of shape (n_rows, n_targets)
    dim : int
        What is correlated over: 0 rows, 1 targets.

    Returns
    -------
    Tensor
        One correlation per index of the other dimension. 0, with gradient 0, where either side is
        constant: there is none, and its gradient would be infinite.
    """
    return _cosines(centred(prediction, dim=dim), centred(truth, dim=dim), dim=dim)


def centred(values: Tensor, *, dim: int = 1) -> Tensor:
    """Take the mean along a dimension away; what remains of a constant is set to exactly 0."""
    rest = values - values.mean(dim=dim, keepdim=True)
    squares = values.square().sum(dim=dim, keepdim=True)
    return torch.where(rest.square().sum(dim=dim, keepdim=True) > _FLAT * squares, rest, 0.0)


def wide(values: Tensor) -> Tensor:
    """Give at least float32: sums of squares over 10⁵ voxels don't fit bf16."""
    return values if values.dtype == torch.float64 else values.float()


def _cosines(first: Tensor, second: Tensor, *, dim: int) -> Tensor:
    return (_unit(first, dim=dim) * _unit(second, dim=dim)).sum(dim=dim)


def _unit(values: Tensor, *, dim: int = 1) -> Tensor:
    """Scale to length 1; zeros stay zeros and get no gradient."""
    squares = values.square().sum(dim=dim, keepdim=True)
    is_zero = squares == 0
    # The square root's gradient at 0 is infinite, and infinity times 0 is not a number.
    return torch.where(is_zero, 0.0, values * torch.where(is_zero, 1.0, squares).rsqrt())


def _term(part: str, text: str) -> tuple[float, Loss]:
    match = _TERM.fullmatch(part)
    name = match["name"] if match else part
    if match is None or name not in LOSSES:
        raise BrainAlignError(
            f"the loss {text!r} has the unknown part {part!r}",
            where="losses: " + ", ".join(LOSSES),
            fix="write one of them, or a sum such as mse+0.5*cosine",
            exit_code=ExitCode.USAGE,
        )
    try:
        weight = float(match["weight"] or 1)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise BrainAlignError(
            f"the loss {text!r} gives {name} the weight {match['weight']}",
            fix="weights are positive numbers: mse+0.5*cosine",
            exit_code=ExitCode.USAGE,
        )
    return weight, LOSSES[name]
