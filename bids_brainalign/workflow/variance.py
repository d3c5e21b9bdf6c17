"""Variance that a model and the low-level features explain alone and together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.workflow.inference import corrected
from bids_brainalign.workflow.tables import SCORE_COLUMNS, ScoreBlock

Array64 = NDArray[np.float64]

VARIANCE_COLUMNS: dict[str, str] = {
    "target": SCORE_COLUMNS["target"],
    "hemisphere": SCORE_COLUMNS["hemisphere"],
    "region": SCORE_COLUMNS["region"],
    "model": SCORE_COLUMNS["model"],
    "n_samples": SCORE_COLUMNS["n_samples"],
    "explained_model": "Squared held-out r of the model, layer chosen on the inner folds; "
    "negative where r is; of parcels, the mean over voxels",
    "explained_lowlevel": "The same of the low-level features",
    "explained_joint": "The same of both together (two-band ridge)",
    "unique_model": "explained_joint minus explained_lowlevel; may be negative",
    "unique_lowlevel": "explained_joint minus explained_model",
    "shared": "explained_model plus explained_lowlevel minus explained_joint",
    "p_unique_model": "One-sided p that the model adds to the low-level features: joint r minus "
    "low-level r against the same circular shifts of both predictions (p_delta of scores.tsv)",
    "q_unique_model": "Benjamini-Hochberg q of p_unique_model over targets",
    "p_unique_lowlevel": "One-sided p that low-level features add to the model: joint r minus r "
    "of the model against the same shifts",
    "q_unique_lowlevel": "Benjamini-Hochberg q of p_unique_lowlevel over targets",
    "n_null": SCORE_COLUMNS["n_null"],
}


@dataclass(frozen=True)
class Explained:
    """Squared held-out correlations with their signs; (n_targets,) each."""

    model: Array64
    lowlevel: Array64
    joint: Array64

    @property
    def unique_model(self) -> Array64:
        """What the model adds to the low-level features; may be negative."""
        return self.joint - self.lowlevel

    @property
    def unique_lowlevel(self) -> Array64:
        """What the low-level features add to the model."""
        return self.joint - self.model

    @property
    def shared(self) -> Array64:
        """What either explains."""
        return self.model + self.lowlevel - self.joint

    def of_parcels(self, parcels: NDArray[np.bool_]) -> Explained:
        """Means over the voxels of each parcel.

        Parameters
        ----------
        parcels : ndarray of bool, shape (n_parcels, n_targets)
            The mean of squares is not the square of the mean: a parcel's variance is that of its
            voxels.
        """
        weights = (parcels / parcels.sum(axis=1, keepdims=True)).T
        each = (np.nan_to_num(part) @ weights for part in (self.model, self.lowlevel, self.joint))
        return Explained(*each)


def explained(block: ScoreBlock, lowlevel: ScoreBlock) -> Explained | None:
    """Variance explained by a model, by the low-level features and by both.

    Parameters
    ----------
    block, lowlevel : ScoreBlock
        The model's and the baseline's, on the same folds.

    Returns
    -------
    Explained or None
        None without a joint fit.
    """
    if block.delta_lowlevel is None or block.delta_model is None:
        return None
    low_r = lowlevel.result.selected_r
    joint_r = low_r + block.delta_lowlevel.value
    return Explained(*(r * np.abs(r) for r in (block.result.selected_r, low_r, joint_r)))


def variance_table(
    block: ScoreBlock, parts: Explained, targets: pd.DataFrame, *, n_samples: int
) -> pd.DataFrame | None:
    """One row per target; None without a joint fit.

    Parameters
    ----------
    block : ScoreBlock
        The model's, of the same targets.
    parts : Explained
    targets : DataFrame
        ``name, hemisphere, region``.
    n_samples : int
        Held-out samples of all folds.

    Notes
    -----
    The parts are commonality analysis (de Heer et al. 2017, J Neurosci 37(27), "Variance
    partitioning"). Explained variance is the squared held-out correlation with its sign, and not
    out-of-sample R²: penalties are chosen by correlation, which leaves the size of predictions
    open, so that R² of the three fits would differ by their shrinkage. Tests are on differences of
    r against the same shifts of both predictions.
    """
    if block.delta_lowlevel is None or block.delta_model is None:
        return None
    table = pd.DataFrame(
        {
            "target": targets["name"].to_numpy(dtype=object),
            "hemisphere": targets["hemisphere"].to_numpy(dtype=object),
            "region": targets["region"].to_numpy(dtype=object),
            "model": block.model,
            "n_samples": n_samples,
            "explained_model": parts.model,
            "explained_lowlevel": parts.lowlevel,
            "explained_joint": parts.joint,
            "unique_model": parts.unique_model,
            "unique_lowlevel": parts.unique_lowlevel,
            "shared": parts.shared,
            "p_unique_model": block.delta_lowlevel.p,
            "q_unique_model": corrected(block.delta_lowlevel.p),
            "p_unique_lowlevel": block.delta_model.p,
            "q_unique_lowlevel": corrected(block.delta_model.p),
            "n_null": block.n_null or np.nan,
        }
    )
    return table[list(VARIANCE_COLUMNS)]
