"""Scores across channels are shown beside those of the train mean, or not at all.

Channels differ in their means by far more than words do, so that a predictor that ignores the
word reaches correlations across channels of .9 and more. All that the pages print or draw of
``pcc`` and ``r2`` comes through this module.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.reports.summary import number

HIDDEN = "not shown"
"""In place of a score whose twin is missing."""
WHY_HIDDEN = (
    "Not shown: scores across channels without that of the mean over the training words beside "
    "them, as they can't be read alone."
)


def with_twin(table: pd.DataFrame | None, score: str, twin: str) -> pd.DataFrame:
    """Take a score across channels with its twin.

    Parameters
    ----------
    table : DataFrame or None
    score, twin : str
        Columns; either may be absent.

    Returns
    -------
    DataFrame
        ``value, train_mean`` of the rows that have both, on the index of the table.
    """
    if table is None or not {score, twin} <= set(table.columns):
        return pd.DataFrame({"value": [], "train_mean": []}, dtype=float)
    both = pd.DataFrame(
        {
            "value": pd.to_numeric(table[score], errors="coerce"),
            "train_mean": pd.to_numeric(table[twin], errors="coerce"),
        }
    )
    return both.replace([np.inf, -np.inf], np.nan).dropna()


def published(rows: pd.DataFrame, score: str) -> tuple[float, float] | None:
    """Give a published score and that of the train mean; None if one of them is missing.

    Parameters
    ----------
    rows : DataFrame
        Scores of one fit by name, as :meth:`~.results.Rebuilt.rows` gives them.
    score : str
        ``pcc`` or ``r2``.
    """
    both = with_twin(rows, "value", "train_mean")
    if score not in both.index:
        return None
    return float(both.loc[[score], "value"].iloc[0]), float(
        both.loc[[score], "train_mean"].iloc[0]
    )


def twin_cells(pair: tuple[float, float] | None) -> tuple[str, str]:
    """Cells of a score and its twin.

    Examples
    --------
    >>> twin_cells((0.9352, 0.9331)), twin_cells(None)
    (('0.935', '0.933'), ('not shown', 'n/a'))
    """
    return (HIDDEN, "n/a") if pair is None else (number(pair[0]), number(pair[1]))
