"""himalaya in place of our solver: slower, and written by others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bids_brainalign.encoding.many_targets import Array64, FittedBatch
from bids_brainalign.encoding.ridge import Metric
from bids_brainalign.encoding.target_batches import Array32, Columns, Rows, Some, batches_of
from bids_brainalign.statistics.folds import Split


class HimalayaTargets:
    """One design and all responses, fitted by himalaya's solvers.

    Its scores are plain means over inner folds, ours are weighted by their samples: with folds of
    unequal length a penalty may differ.

    References
    ----------
    Dupré la Tour, Eickenberg, Nunez-Elizalde & Gallant 2022, NeuroImage 264:119728.
    """

    def __init__(self, design: Array32, responses: Array32) -> None:
        self.design, self.responses = design, responses

    def fit(
        self,
        train: Rows,
        test: Rows,
        inner: Sequence[Split],
        alphas: Array64,
        *,
        metric: Metric,
        only: Columns = None,
    ) -> Iterator[FittedBatch]:
        """Choose the penalty of each target, or of some only; fit and predict."""
        for columns in batches_of(only, self.responses.shape[1]):
            if inner:
                score, alpha = self._chosen(train, inner, alphas, metric, columns)
            else:
                n_columns = self.responses[:1, columns].shape[1]
                score, alpha = np.full(n_columns, np.nan), np.full(n_columns, alphas[0])
            model = self._fitted(train, alpha, columns)
            prediction = np.asarray(model.predict(self.design[test]), dtype=np.float32)
            yield FittedBatch(columns, score, alpha, prediction)

    def predict(self, train: Rows, test: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit with given penalties; give targets and predictions, a batch at a time."""
        for some in batches_of(np.flatnonzero(np.isfinite(alpha)), len(alpha)):
            model = self._fitted(train, alpha[some], some)
            yield some, np.asarray(model.predict(self.design[test]), dtype=np.float32)

    def weights(self, train: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit with given penalties; give targets and their weights, a batch at a time."""
        for some in batches_of(np.flatnonzero(np.isfinite(alpha)), len(alpha)):
            model = self._fitted(train, alpha[some], some)
            if hasattr(model, "get_primal_coef"):
                coefficients = model.get_primal_coef(self.design[train])
            else:
                coefficients = model.coef_
            yield some, np.asarray(coefficients, dtype=np.float32)

    def _chosen(
        self, train: Rows, inner: Sequence[Split], alphas: Array64, metric: Metric, columns: Some
    ) -> tuple[Array64, Array64]:
        """Scores and penalties, (n_columns,) each."""
        from himalaya import scoring
        from himalaya.kernel_ridge import KernelRidgeCV
        from himalaya.ridge import RidgeCV

        place = [(np.searchsorted(train, s.train), np.searchsorted(train, s.test)) for s in inner]
        score = scoring.correlation_score if metric == "correlation" else scoring.r2_score
        wide = len(train) <= self.design.shape[1]
        model = (KernelRidgeCV if wide else RidgeCV)(
            alphas=alphas, cv=place, fit_intercept=True, solver_params={"score_func": score}
        )
        model.fit(self.design[train], np.asarray(self.responses[:, columns])[train])
        # himalaya turns penalties into its own precision.
        found = np.asarray(model.best_alphas_, dtype=np.float64)
        nearest = np.abs(np.log(found[:, None]) - np.log(alphas)).argmin(axis=1)
        return np.asarray(model.cv_scores_, dtype=np.float64), alphas[nearest]

    def _fitted(self, train: Rows, alpha: Array64, columns: Some) -> Any:
        from himalaya.kernel_ridge import KernelRidge
        from himalaya.ridge import Ridge

        wide = len(train) <= self.design.shape[1]
        model = (KernelRidge if wide else Ridge)(alpha=alpha, fit_intercept=True)
        return model.fit(self.design[train], np.asarray(self.responses[:, columns])[train])
