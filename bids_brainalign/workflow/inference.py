"""A model against the baseline and its untrained twin, for one block of targets and for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.layerwise import (
    FeatureSpace,
    LayerwiseFit,
    Problem,
    encode_jointly,
    encode_layers,
)
from bids_brainalign.encoding.scoring import HeldOut
from bids_brainalign.encoding.weights import TargetWeights, target_weights
from bids_brainalign.statistics.layer_curves import curve_range
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.statistics.tails import p_values

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass
class SpaceResult:
    """One feature space on many targets; arrays end in the target axis."""

    layer_r: Array64
    """(n_layers, n_targets)."""
    layer_r2: Array64
    layer_p: Array64
    selected_r: Array64
    """(n_targets,)."""
    selected_r2: Array64
    selected_r_fold: Array64
    """(n_folds, n_targets)."""
    chosen: NDArray[np.int64]
    """(n_folds, n_targets)."""
    r_max: Array64
    p: Array64
    """(n_targets,) of the maximum over layers."""
    null_quantiles: Array64
    """(4, n_targets): .5, .95, .99 quantiles and maximum of the max-over-layers null."""
    half_r: Array64
    """(2, n_layers, n_targets) r from two halves of the held-out data, see :class:`Scores`."""
    flat_p: Array64
    """(n_targets,) p that the curve over layers is flat: of its range."""


@dataclass
class Contrast:
    """A difference of two scores of the same targets."""

    value: Array64
    p: Array64


@dataclass
class BlockResult:
    """Everything about one block of targets."""

    lowlevel: SpaceResult
    model: SpaceResult | None
    untrained: SpaceResult | None
    delta_lowlevel: Contrast | None
    delta_untrained: Contrast | None
    delta_model: Contrast | None
    """Joint model against the model: what the low-level features add."""
    maxima: dict[str, Array64]
    """Space → (n_draws,) maximum over layers and targets of the null."""
    predictions: tuple[Array32, ...]
    """Per fold, of the model's (or else the baseline's) selected layer."""
    inner: Array64
    """(n_layers, n_folds) score on the inner folds, of the same, mean over targets."""
    held_out: HeldOut | None
    """None where the block is only summed up."""
    weights: TargetWeights | None
    """Of the model (or else the baseline), where they were asked for."""
    parcel_nulls: dict[str, Array32]
    """Name → (n_draws, n_parcels) or (n_layers, n_draws, n_parcels) sums over targets."""


def infer_block(
    problem: Problem,
    lowlevel: FeatureSpace,
    model: FeatureSpace | None,
    untrained: FeatureSpace | None,
    *,
    with_weights: bool = False,
) -> BlockResult:
    """Fit baseline, model, twin and joint model on identical folds with identical null draws."""
    held_out = problem.held_out()
    spaces = {"lowlevel": lowlevel, "model": model, "untrained": untrained}
    fits = {
        name: encode_layers(space, problem, held_out)
        for name, space in spaces.items()
        if space is not None
    }
    joint = None
    if model is not None:
        joint = encode_jointly(model, lowlevel, fits["model"].chosen, problem, held_out)
    main = fits.get("model", fits["lowlevel"])
    weights = target_weights(model or lowlevel, problem, main) if with_weights else None
    return compare(problem, held_out, fits, joint, weights=weights)


def compare(
    problem: Problem,
    held_out: HeldOut,
    fits: dict[str, LayerwiseFit],
    joint: Sequence[Array32] | None,
    *,
    weights: TargetWeights | None = None,
) -> BlockResult:
    """Hold a model's fits against each other, for one block of targets.

    Parameters
    ----------
    problem, held_out
        Of these targets.
    fits : dict of str to LayerwiseFit
        ``lowlevel``, and ``model`` and ``untrained`` where there are any.
    joint : sequence of ndarray of shape (n_test, n_targets), optional
        Per fold, predictions of model and low-level features together.
    weights : TargetWeights, optional
    """
    base, main = fits["lowlevel"], fits.get("model", fits["lowlevel"])
    parcel_nulls: dict[str, Array32] = {
        name: fit.parcel_null for name, fit in fits.items() if fit.parcel_null is not None
    }
    contrasts: dict[str, Contrast] = {}

    def contrast(name: str, r: Array64, null: Array32 | None, reference: LayerwiseFit) -> None:
        contrasts[name], difference = _contrast(
            r, reference.selected.r, null, reference.null_selected
        )
        if problem.parcels is not None and difference is not None:
            parcel_nulls[name] = difference @ problem.parcels.T.astype(np.float32)

    if joint is not None:
        joint_r = held_out.score(joint).r
        joint_null = held_out.null(joint) if held_out.has_null else None
        contrast("delta_lowlevel", joint_r, joint_null, base)
        contrast("delta_model", joint_r, joint_null, main)
    if "model" in fits and "untrained" in fits:
        contrast("delta_untrained", main.selected.r, main.null_selected, fits["untrained"])
    return BlockResult(
        lowlevel=_space_result(base),
        model=_space_result(fits["model"]) if "model" in fits else None,
        untrained=_space_result(fits["untrained"]) if "untrained" in fits else None,
        delta_lowlevel=contrasts.get("delta_lowlevel"),
        delta_untrained=contrasts.get("delta_untrained"),
        delta_model=contrasts.get("delta_model"),
        maxima={
            name: fit.null_max.max(axis=1).astype(np.float64)
            for name, fit in fits.items()
            if fit.null_max is not None
        },
        predictions=main.predictions,
        inner=main.inner,
        held_out=held_out,
        weights=weights,
        parcel_nulls=parcel_nulls,
    )


def _space_result(fit: LayerwiseFit) -> SpaceResult:
    n_targets = fit.chosen.shape[1]
    layer_r = np.stack([s.r for s in fit.layer_scores])
    p, flat_p = np.full((2, n_targets), np.nan)
    quantiles = np.full((4, n_targets), np.nan)
    if fit.null_max is not None:
        p = p_values(fit.r_max, fit.null_max)
        quantiles = np.quantile(fit.null_max, [0.5, 0.95, 0.99, 1.0], axis=0)
    if fit.null_range is not None:
        flat_p = p_values(np.asarray(curve_range(layer_r)), fit.null_range)
    return SpaceResult(
        layer_r=layer_r,
        layer_r2=np.stack([s.r2 for s in fit.layer_scores]),
        layer_p=fit.layer_p,
        selected_r=fit.selected.r,
        selected_r2=fit.selected.r2,
        selected_r_fold=fit.selected.r_fold,
        chosen=fit.chosen,
        r_max=fit.r_max,
        p=p,
        null_quantiles=quantiles,
        half_r=np.stack([s.halves for s in fit.layer_scores], axis=1),
        flat_p=flat_p,
    )


def _contrast(
    r: Array64, reference: Array64, null: Array32 | None, null_reference: Array32 | None
) -> tuple[Contrast, Array32 | None]:
    value = r - reference
    if null is None or null_reference is None:
        return Contrast(value, np.full(len(value), np.nan)), None
    difference = null - null_reference
    return Contrast(value, p_values(value, difference)), difference


def concatenate(parts: list[SpaceResult]) -> SpaceResult:
    """Join blocks of targets."""
    joined = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts], axis=-1)
        for f in fields(SpaceResult)
    }
    return SpaceResult(**joined)


def layer_mode(chosen: NDArray[np.int64], n_layers: int) -> tuple[NDArray[np.int64], Array64]:
    """Most frequent layer over folds, and the share of folds that chose it.

    Parameters
    ----------
    chosen : ndarray of int, shape (n_folds, n_targets)
    n_layers : int

    Returns
    -------
    mode : ndarray of int, shape (n_targets,)
    agreement : ndarray of shape (n_targets,)
    """
    counts = np.stack([(chosen == layer).sum(axis=0) for layer in range(n_layers)])
    mode = counts.argmax(axis=0)
    return mode, counts.max(axis=0) / len(chosen)


def corrected(p: Array64) -> Array64:
    """Benjamini–Hochberg q over targets; NaN stays NaN."""
    return np.asarray(benjamini_hochberg(p), dtype=np.float64)


def p_over_targets(r_max: Array64, maxima: Array64 | None) -> Array64:
    """P of each target against the maximum over all targets."""
    if maxima is None:
        return np.full(len(r_max), np.nan)
    return p_values(r_max, np.broadcast_to(maxima[:, None], (len(maxima), len(r_max))))
