"""himalaya in place of our solver: slower, and written by others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from bids_brainalign.encoding.many_targets import (
    Array32,
    Array64,
    Choice,
    Predictor,
    Rows,
    Some,
    batches_of,
    in_penalties,
)
from bids_brainalign.encoding.penalty_search import Columns
from bids_brainalign.encoding.ridge import Metric
from bids_brainalign.errors import BrainAlignError, ExitCode
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
        if find_spec("himalaya") is None:
            raise BrainAlignError(
                "--solver himalaya needs the package himalaya, which is not installed here.",
                fix="pip install himalaya, or leave --solver out: ours finds the same.",
                exit_code=ExitCode.USAGE,
            )

    def choose(
        self,
        train: Rows,
        inner: Sequence[Split],
        alphas: Array64,
        *,
        metric: Metric,
        only: Columns = None,
    ) -> Choice:
        """Choose the penalty of each target, or of some only, on inner folds of these rows."""
        from himalaya import scoring
        from himalaya.kernel_ridge import KernelRidgeCV
        from himalaya.ridge import RidgeCV

        place = [(np.searchsorted(train, s.train), np.searchsorted(train, s.test)) for s in inner]
        score = scoring.correlation_score if metric == "correlation" else scoring.r2_score
        wide = len(train) <= self.design.shape[1]
        x = self.design[train]
        scores, chosen = [], []
        for some in batches_of(only, self.responses.shape[1]):
            model = (KernelRidgeCV if wide else RidgeCV)(
                alphas=alphas, cv=place, fit_intercept=True,
                solver_params={"score_func": score},
            )  # fmt: skip
            model.fit(x, np.asarray(self.responses[:, some])[train])
            scores.append(np.asarray(model.cv_scores_, dtype=np.float64))
            chosen.append(np.asarray(model.best_alphas_, dtype=np.float64))
        found = np.concatenate(chosen)
        # himalaya turns penalties into its own precision.
        nearest = np.abs(np.log(found[:, None]) - np.log(alphas)).argmin(axis=1)
        return Choice(np.concatenate(scores), alphas[nearest])

    def predictor(self, train: Rows, test: Rows, alpha: Array64) -> Predictor:
        """Fit on the training rows with one penalty per target; predict the test rows."""

        def predict(columns: Some) -> Array32:
            model = self._fitted(train, alpha, columns)
            return np.asarray(model.predict(self.design[test]), dtype=np.float32)

        return predict

    def weights(self, train: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit likewise; give targets and their weights (n_features, n_some), a batch at a time."""
        for some in in_penalties(alpha):
            model = self._fitted(train, alpha, some)
            if hasattr(model, "get_primal_coef"):
                coefficients = model.get_primal_coef(self.design[train])
            else:
                coefficients = model.coef_
            yield some, np.asarray(coefficients, dtype=np.float32)

    def _fitted(self, train: Rows, alpha: Array64, columns: Some) -> Any:
        from himalaya.kernel_ridge import KernelRidge
        from himalaya.ridge import Ridge

        wide = len(train) <= self.design.shape[1]
        model = (KernelRidge if wide else Ridge)(alpha=alpha[columns], fit_intercept=True)
        return model.fit(self.design[train], np.asarray(self.responses[:, columns])[train])
