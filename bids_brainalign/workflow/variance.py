"""Variance that a model and the low-level features explain alone and together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.workflow.inference import corrected
from bids_brainalign.workflow.tables import SCORE_COLUMNS, ScoreBlock

VARIANCE_COLUMNS: dict[str, str] = {
    "target": SCORE_COLUMNS["target"],
    "hemisphere": SCORE_COLUMNS["hemisphere"],
    "region": SCORE_COLUMNS["region"],
    "model": SCORE_COLUMNS["model"],
    "n_samples": SCORE_COLUMNS["n_samples"],
    "explained_model": "Squared held-out r of the model, layer chosen on the inner folds; "
    "negative where r is",
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


def variance_table(
    block: ScoreBlock, lowlevel: ScoreBlock, targets: pd.DataFrame, *, n_samples: int
) -> pd.DataFrame | None:
    """One row per target; None without a joint fit.

    Parameters
    ----------
    block, lowlevel : ScoreBlock
        The model's and the baseline's, on the same folds.
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
    low_r = lowlevel.result.selected_r
    model, low, joint = (
        r * np.abs(r) for r in (block.result.selected_r, low_r, low_r + block.delta_lowlevel.value)
    )
    table = pd.DataFrame(
        {
            "target": targets["name"].to_numpy(dtype=object),
            "hemisphere": targets["hemisphere"].to_numpy(dtype=object),
            "region": targets["region"].to_numpy(dtype=object),
            "model": block.model,
            "n_samples": n_samples,
            "explained_model": model,
            "explained_lowlevel": low,
            "explained_joint": joint,
            "unique_model": joint - low,
            "unique_lowlevel": joint - model,
            "shared": model + low - joint,
            "p_unique_model": block.delta_lowlevel.p,
            "q_unique_model": corrected(block.delta_lowlevel.p),
            "p_unique_lowlevel": block.delta_model.p,
            "q_unique_lowlevel": corrected(block.delta_model.p),
            "n_null": block.n_null or np.nan,
        }
    )
    return table[list(VARIANCE_COLUMNS)]
