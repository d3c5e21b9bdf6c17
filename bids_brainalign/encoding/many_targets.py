"""Ridge of very many targets (voxels): penalties by cross-validation, predictions, weights.

What costs most with 95,000 targets is predicting all of them on every inner fold at every penalty.
Here that takes a few predictions (:mod:`~bids_brainalign.encoding.penalty_search`), each one
product of matrices; what is made of the responses is summed once over parts of the rows that inner
folds share (:mod:`~bids_brainalign.encoding.spectra`); and all targets are fitted at once, each
with a penalty of its own.

Responses are read a batch of targets at a time and may be mapped from a file. Products with
responses are float32, here or on a device: there as many targets make a batch as its free memory
holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.arrays import Matrix, arrays_on
from bids_brainalign.encoding.penalty_search import SAMPLE, PenaltySearch
from bids_brainalign.encoding.ridge import Metric
from bids_brainalign.encoding.spectra import Dual, Form, Primal, Spectrum
from bids_brainalign.encoding.target_batches import (
    Array32,
    Columns,
    Rows,
    Some,
    batches_of,
    in_threads,
)
from bids_brainalign.statistics.folds import Split

Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class FittedBatch:
    """Some targets, fitted on training rows with the penalties that inner folds chose."""

    columns: Some
    score: Array64
    """(n_columns,) mean over inner folds at the chosen penalty, weighted by samples; NaN without
    inner folds."""
    alpha: Array64
    """(n_columns,)."""
    prediction: Array32
    """(n_test, n_columns)."""


class ManyTargets(Protocol):
    """One design and all responses."""

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
        """Choose the penalty of each target, or of some only; fit and predict.

        Parameters
        ----------
        train, test : ndarray of int
            Rows, rising.
        inner : sequence of Split
            Folds of the training rows; none: the only penalty is taken.
        alphas : ndarray of shape (n_alphas,)
            Rising, above 0.
        metric : {"correlation", "r2"}
            What penalties are chosen by.
        only : ndarray of int, optional
            Targets.
        """

    def predict(self, train: Rows, test: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit with given penalties; give targets and predictions, a batch at a time.

        Targets whose penalty is NaN don't come.
        """

    def weights(self, train: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit with given penalties; give targets and their weights, a batch at a time.

        Weights (n_features, n_some) are those of the features as given. Targets come in any
        order, each once; those whose penalty is NaN don't.
        """


def many_targets(
    design: Array32,
    responses: Array32,
    *,
    n_train: int,
    solver: str = "own",
    n_threads: int = 1,
    device: str = "cpu",
    scoring: str = "fp32",
) -> ManyTargets:
    """Take the cheaper exact form.

    Parameters
    ----------
    design : ndarray of shape (n_samples, n_features), float32
    responses : ndarray of shape (n_samples, n_targets), float32
        May be mapped from a file.
    n_train : int
        Training rows of an outer fold.
    solver : {"own", "himalaya"}
    n_threads : int
        Batches of targets, and folds, that ours fits at once: products are fastest with one
        thread of BLAS for each.
    device : str
        Where ours makes its products: ``cpu`` (numpy), ``cuda`` or ``cuda:n`` (torch, float32
        without TensorFloat-32; decompositions in float64 there, too). himalaya stays on the CPU.
    scoring : {"fp32", "bf16"}
        Precision in which ours looks at all penalties. After bf16 those that may be best are
        scored in float32; predictions and weights are float32 always.

    Returns
    -------
    ManyTargets
        An unpenalised intercept is fitted on every training set.
    """
    if solver == "himalaya":
        from bids_brainalign.encoding.himalaya_targets import HimalayaTargets

        return HimalayaTargets(design, responses)
    form = Dual if n_train <= design.shape[1] else Primal
    arrays = arrays_on(device)
    with arrays.at_work():
        made = form(design, arrays)
        return OwnTargets(made, responses, n_threads=n_threads, coarse=scoring == "bf16")


class OwnTargets:
    """One design, as kernel or as Gram matrix, and all responses."""

    def __init__(
        self, form: Form, responses: Array32, *, n_threads: int = 1, coarse: bool = False
    ) -> None:
        self.form, self.responses, self.arrays = form, responses, form.arrays
        self.n_threads, self.coarse = self.arrays.n_together(n_threads), coarse
        self._solved: Spectrum | None = None

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
        _check_penalties(alphas)
        if not inner and len(alphas) != 1:
            raise ValueError(f"{len(alphas)} penalties to choose from, and no inner folds")
        with self.arrays.at_work(), _torch_on_one_thread() if self.coarse else nullcontext():
            yield from self._fit(train, test, inner, alphas, metric=metric, only=only)

    def _fit(
        self,
        train: Rows,
        test: Rows,
        inner: Sequence[Split],
        alphas: Array64,
        *,
        metric: Metric,
        only: Columns,
    ) -> Iterator[FittedBatch]:
        arrays = self.arrays
        trains = [train, *(split.train for split in inner)]
        self._solved = None  # before the next one is made
        outer, *spectra = self.form.spectra(trains, n_threads=self.n_threads)
        self._solved = outer
        basis = self.form.basis(outer, test)
        n_targets = self.responses.shape[1]
        search = None
        if inner:
            some = np.arange(n_targets) if only is None else only
            sample = some[np.unique(np.linspace(0, len(some) - 1, SAMPLE).astype(int))]
            search = PenaltySearch(
                self.form, spectra, inner, alphas, metric,
                sample=arrays.put(self.responses[:, sample]), n_targets=len(some),
                coarse=self.coarse,
            )  # fmt: skip

        def fitted(columns: Some) -> FittedBatch:
            y = arrays.put(self.responses[:, columns])
            z, *statistics = self.form.statistics(y, trains)
            score = np.full(y.shape[1], np.nan)
            index = np.zeros(y.shape[1], dtype=np.int64)
            if search is not None:
                score, index = search.best(y, statistics)
            prediction = basis @ self._rotated(outer, z, alphas[index])
            prediction += arrays.mean(y, train)
            return FittedBatch(columns, score, alphas[index], arrays.get(prediction))

        used = search.floats_per_target if search is not None else 0.0
        size = arrays.batch_size(
            self._floats(trains, max(used, 2.0 * len(test))),
            reserved=search.floats_of_operators if search is not None else 0.0,
        )
        yield from in_threads(fitted, batches_of(only, n_targets, size), self.n_threads)

    def predict(self, train: Rows, test: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit with given penalties; give targets and predictions, a batch at a time."""
        with self.arrays.at_work():
            spectrum = self._spectrum(train)
            basis = self.form.basis(spectrum, test)

            def predicted(y: Matrix, rotated: Matrix) -> Matrix:
                prediction = basis @ rotated
                prediction += self.arrays.mean(y, train)
                return prediction

            yield from self._with_penalties(spectrum, alpha, predicted, n_results=len(test))

    def weights(self, train: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit with given penalties; give targets and their weights, a batch at a time."""
        with self.arrays.at_work():
            spectrum = self._spectrum(train)
            to_weights = self.form.to_weights(spectrum)
            yield from self._with_penalties(
                spectrum, alpha, lambda y, rotated: to_weights @ rotated, n_results=len(to_weights)
            )

    def _with_penalties(
        self,
        spectrum: Spectrum,
        alpha: Array64,
        finish: Callable[[Matrix, Matrix], Matrix],
        *,
        n_results: int,
    ) -> Iterator[tuple[Some, Array32]]:
        """Give what ``finish`` makes of responses and weights in the eigenvectors."""
        wanted = np.flatnonzero(np.isfinite(alpha))
        _check_penalties(alpha[wanted])

        def fitted(columns: Some) -> tuple[Some, Array32]:
            y = self.arrays.put(self.responses[:, columns])
            (z,) = self.form.statistics(y, [spectrum.train])
            found = finish(y, self._rotated(spectrum, z, alpha[columns]))
            return columns, self.arrays.get(found)

        every = len(wanted) == len(alpha)
        size = self.arrays.batch_size(self._floats([spectrum.train], 2.0 * n_results))
        batches = batches_of(None if every else wanted, len(alpha), size)
        return in_threads(fitted, batches, self.n_threads)

    def _rotated(self, spectrum: Spectrum, z: Matrix, alpha: Array64) -> Matrix:
        """Weights in the eigenvectors, (m, n_columns), each column with its penalty."""
        rotated = spectrum.vectors.T @ z
        rotated /= spectrum.values[:, None] + self.arrays.put(alpha.astype(np.float32))
        return rotated

    def _floats(self, trains: Sequence[Rows], n_after: float) -> float:
        """Give what a batch holds per target at the most.

        Responses and their statistics, and what is made to get these, or after them.
        """
        sizes = [self.form.n_statistics(train) for train in trains]
        return len(self.responses) + sum(sizes) + max(sum(sizes), n_after) + 2.0 * max(sizes)

    def _spectrum(self, train: Rows) -> Spectrum:
        """Decompose, if the last fit has not."""
        if self._solved is not None and np.array_equal(self._solved.train, train):
            return self._solved
        return self.form.spectra([train])[0]


def _torch_on_one_thread() -> AbstractContextManager[None]:
    """As one thread of BLAS: batches have threads of their own."""
    from bids_brainalign.encoding.recurrent.side_by_side import one_thread

    return one_thread()


def _check_penalties(alphas: Array64) -> None:
    if (alphas <= 0).any():
        raise ValueError(f"penalties must be above 0, not {alphas.min():g}")
