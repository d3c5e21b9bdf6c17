"""Ridge of very many targets (voxels): penalties by cross-validation, predictions, weights.

What costs most with 95,000 targets is predicting all of them on every inner fold at every penalty.
Three things make that cheap, none of them an approximation:

- Fewer samples than features: from one inverse of the training kernel per penalty come the
  matrices that turn training responses of *any* inner split into its predictions
  (:class:`Resolvent`), so splits cost next to nothing and responses are multiplied once per split
  and penalty.
- More samples than features: products with the responses are summed once, and those of the rows
  that an inner split leaves out are taken off.
- Penalties are searched, not scanned (:mod:`~bids_brainalign.encoding.penalty_search`).

Responses are read a batch of targets at a time and may be mapped from a file. Products with
responses are float32. Kernels and Gram matrices are summed, inverted and decomposed in float64,
but in float32 where penalties are so large, against the largest eigenvalue, that rounding is as
if they were off by 1 in 1,000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh, get_lapack_funcs

from bids_brainalign.encoding.lag_gram import runs_of
from bids_brainalign.encoding.penalty_search import Columns, search
from bids_brainalign.encoding.ridge import Metric
from bids_brainalign.statistics.folds import Split

Rows = NDArray[np.int64]
Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
AnyFloat = NDArray[np.floating]
Some = slice | NDArray[np.int64]
"""Some targets."""
Predictor = Callable[[Some], Array32]
"""Targets → predictions (n_test, n_some)."""

_TINY = 1e-10
"""Of the square of a prediction, relative to the response: less is rounding."""
BATCH = 2048
"""Targets at a time: predictions of an inner test set stay in the cache of the processor."""
_SINGLE = 1e3
"""Largest eigenvalue over penalty below which float32 serves: rounding is then 1e-7 · 1e3."""
_SINGLE_EIGEN = 1e4
"""The same for eigenvalues, whose errors add to the penalty: 1e-7 · 1e4 of it."""
_POWER_STEPS = 30
_BLOCK = 512
_FEW_PARTS = 4
"""Stretches of rows that are multiplied one by one rather than copied together."""


@dataclass(frozen=True)
class Choice:
    """Penalties that the inner folds chose."""

    score: Array64
    """(n_targets,) mean over inner folds at the chosen penalty, weighted by samples."""
    alpha: Array64
    """(n_targets,)."""


class ManyTargets(Protocol):
    """One design and all responses."""

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

    def predictor(self, train: Rows, test: Rows, alpha: Array64) -> Predictor:
        """Fit on the training rows with one penalty per target; predict the test rows.

        Where a penalty is NaN the target is not asked for.
        """

    def weights(self, train: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit likewise; give targets and their weights (n_features, n_some), a batch at a time.

        Weights are those of the features as given. Targets come in any order, each once; those
        whose penalty is NaN don't.
        """


def many_targets(
    design: Array32, responses: Array32, *, n_train: int, solver: str = "own"
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

    Returns
    -------
    ManyTargets
        An unpenalised intercept is fitted on every training set.
    """
    if solver == "himalaya":
        from bids_brainalign.encoding.himalaya_targets import HimalayaTargets

        return HimalayaTargets(design, responses)
    if n_train <= design.shape[1]:
        return Dual(design, responses)
    return Primal(design, responses)


class Resolvent:
    """Ridge with intercept on any part of some rows, from inverses of their kernel.

    With Q = (HKH + λ)⁻¹ − 11′/(nλ), H the centring matrix, leaving the rows b out of the fit
    predicts them as ŷ_b = −(Q_bb)⁻¹ Q_bt y_t from the rest t: the block inverse of the
    bordered system of kernel ridge with an intercept (Cook 1977 for single rows; An, Liu &
    Venkatesh 2007, Pattern Recognition 40:2154, for blocks).

    Parameters
    ----------
    kernel : ndarray of shape (n, n), float64
    """

    def __init__(self, kernel: Array64) -> None:
        self.n = len(kernel)
        centred = kernel - kernel.mean(axis=0)
        centred -= centred.mean(axis=1, keepdims=True)
        self.centred = centred
        self.largest = _largest_eigenvalue(centred)
        self._at: tuple[float, AnyFloat] | None = None

    def at(self, alpha: float) -> AnyFloat:
        """Q for one penalty, (n, n); the last one is kept.

        Raises
        ------
        ValueError
            The penalty is not above 0, or lost in the rounding of the kernel.
        """
        if self._at is None or self._at[0] != alpha:
            self._at = None  # before the next one is made
            single = self.largest < _SINGLE * alpha
            kind: type[np.floating] = np.float32 if single else np.float64
            q: AnyFloat = self.centred.astype(kind, order="F")
            diagonal = np.arange(self.n)
            q[diagonal, diagonal] += alpha
            factor, inverse = get_lapack_funcs(("potrf", "potri"), (q,))
            q, wrong = factor(q, lower=1, overwrite_a=1, clean=0)
            if alpha <= 0 or wrong:
                raise ValueError(
                    f"a penalty of {alpha:g} is too small for a kernel with eigenvalues up to "
                    f"{self.largest:g}"
                )
            q, _ = inverse(q, lower=1, overwrite_c=1)
            _mirror(q)
            q -= q.dtype.type(1 / (self.n * alpha))
            self._at = alpha, q
        return self._at[1]

    def operator(self, rest: Rows, test: Rows, alpha: float) -> AnyFloat:
        """(n_test, n_rest): responses of the rest to predictions of the test rows.

        Parameters
        ----------
        rest, test : ndarray of int
            Rows of the kernel, rising, without overlap; rows in neither are not used.
        alpha : float
            Greater than 0.
        """
        q = self.at(alpha)
        left_out = np.ones(self.n, dtype=bool)
        left_out[rest] = False
        out = np.flatnonzero(left_out)
        wanted = np.zeros((len(out), len(test)), dtype=q.dtype)
        wanted[np.searchsorted(out, test), np.arange(len(test))] = -1.0
        factor = cho_factor(_block(q, out, out), overwrite_a=True, check_finite=False)
        solved = cho_solve(factor, wanted, overwrite_b=True, check_finite=False)
        return np.asarray(solved.T @ _block(q, out, rest))


class Dual:
    """Fewer samples than features: everything from the kernel of the samples."""

    def __init__(self, design: Array32, responses: Array32) -> None:
        self.design, self.responses = design, responses
        x = design - design.mean(axis=0)
        # float32 products of centred columns; their errors are 1e-7 of the largest entry.
        self.kernel: Array64 = np.asarray(x @ x.T, dtype=np.float64)
        self._solved: tuple[bytes, Resolvent] | None = None

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
        resolvent = self._resolvent(train)
        held = [_Held(self.responses, split.test, metric) for split in inner]
        places = [
            (np.searchsorted(train, split.train), np.searchsorted(train, split.test))
            for split in inner
        ]
        n_targets = self.responses.shape[1]

        def score(alpha: float, columns: Columns) -> Array64:
            if only is not None:
                columns = only if columns is None else only[columns]
            parts = []
            for split, (rest, test), side in zip(inner, places, held, strict=True):
                operator = resolvent.operator(rest, test, alpha)
                if metric == "correlation":
                    operator -= operator.mean(axis=0)
                left = operator.astype(np.float32)
                parts.append(
                    np.concatenate(
                        [
                            side.score(_product(left, self.responses, split.train, some), some)
                            for some in batches_of(columns, n_targets)
                        ]
                    )
                )
            return _mean_over(inner, parts)

        best, index = search(score, alphas)
        return Choice(best, alphas[index])

    def predictor(self, train: Rows, test: Rows, alpha: Array64) -> Predictor:
        """Fit on the training rows with one penalty per target; predict the test rows."""
        resolvent = self._resolvent(train)
        inner = self.kernel[np.ix_(train, train)].mean(axis=0)
        block = self.kernel[np.ix_(test, train)]
        block = block - inner - block.mean(axis=1, keepdims=True) + inner.mean()
        operators = {
            value: (block @ resolvent.at(float(value)) + 1 / len(train)).astype(np.float32)
            for value in _penalties(alpha)
        }

        def predict(columns: Some) -> Array32:
            mine = alpha[columns]
            y = _rows_of(self.responses, train, columns)
            prediction = np.full((len(test), len(mine)), np.nan, dtype=np.float32)
            for value in _penalties(mine):
                some = np.flatnonzero(mine == value)
                prediction[:, some] = operators[value] @ y[:, some]
            return prediction

        return predict

    def weights(self, train: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit likewise; give targets and their weights (n_features, n_some), a batch at a time."""
        resolvent = self._resolvent(train)
        x = self.design[train]
        x -= x.mean(axis=0)
        for value in _penalties(alpha):
            q = np.asarray(resolvent.at(float(value)), dtype=np.float32)
            mine = np.flatnonzero(alpha == value)
            # One product for all of them pays where there are more of them than features.
            to_weights = x.T @ q if len(mine) > x.shape[1] else None
            for some in batches_of(mine, len(alpha)):
                y = _rows_of(self.responses, train, some)
                y = y - y.mean(axis=0)
                yield some, x.T @ (q @ y) if to_weights is None else to_weights @ y

    def _resolvent(self, train: Rows) -> Resolvent:
        key = train.tobytes()
        if self._solved is None or self._solved[0] != key:
            self._solved = None  # before the next one is made
            self._solved = key, Resolvent(self.kernel[np.ix_(train, train)])
        return self._solved[1]


def _largest_eigenvalue(matrix: AnyFloat) -> float:
    """Estimate by power iteration, from below but within a few percent: it sets precision only."""
    vector = np.random.default_rng(0).standard_normal(len(matrix))
    value = 0.0
    for _ in range(_POWER_STEPS):
        product = matrix @ vector
        value = float(np.linalg.norm(product) / np.linalg.norm(vector))
        if value == 0:
            return 0.0
        vector = product / value
    return value


def _mirror(lower: AnyFloat) -> None:
    """Copy the lower triangle to the upper one, in blocks that fit the cache."""
    n = len(lower)
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        square = lower[start:stop, start:stop]
        above = np.triu_indices(len(square), 1)
        square[above] = square.T[above]
        for later in range(stop, n, _BLOCK):
            rows = slice(later, min(later + _BLOCK, n))
            lower[start:stop, rows] = lower[rows, start:stop].T


def _block(matrix: AnyFloat, rows: Rows, columns: Rows) -> AnyFloat:
    """Rows and columns of a matrix, put together from slices where these are few."""
    return (
        np.concatenate(
            [
                np.concatenate([matrix[a, b] for b in runs_of(columns)], axis=1)
                for a in runs_of(rows)
            ]
        )
        if _sliced(rows) and _sliced(columns)
        else np.asarray(matrix[np.ix_(rows, columns)])
    )


def _sliced(rows: Rows) -> bool:
    return isinstance(runs_of(rows)[0], slice)


class Primal:
    """More samples than features: everything from Gram matrices of the features."""

    def __init__(self, design: Array32, responses: Array32) -> None:
        self.responses = responses
        # Centred over all rows: a shift common to all cancels, and products keep their digits.
        self.x: Array32 = design - design.mean(axis=0)
        self._solved: tuple[bytes, _Eigenbasis] | None = None

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
        total = _Sums.of(self.x, train)
        left_out = [np.setdiff1d(train, split.train) for split in inner]
        least = float(alphas.min())
        fits = [_Eigenbasis(total - _Sums.of(self.x, rows), least) for rows in left_out]
        bases = [fit.basis(self.x[split.test]) for fit, split in zip(fits, inner, strict=True)]
        if metric == "correlation":
            bases = [basis - basis.mean(axis=0) for basis in bases]
        scores, chosen = [], []
        for columns in batches_of(only, self.responses.shape[1]):
            batch = _Batch(self, fits, bases, inner, columns, metric)
            batch.sum_up(train, left_out)
            best, index = search(batch.score, alphas)
            scores.append(best)
            chosen.append(alphas[index])
        return Choice(np.concatenate(scores), np.concatenate(chosen))

    def predictor(self, train: Rows, test: Rows, alpha: Array64) -> Predictor:
        """Fit on the training rows with one penalty per target; predict the test rows."""
        solved = self._eigenbasis(train, alpha)
        basis = solved.basis(self.x[test])

        def predict(columns: Some) -> Array32:
            rotated, mean = self._fitted(solved, train, alpha, columns)
            prediction: Array32 = basis @ rotated
            prediction += mean
            return prediction

        return predict

    def weights(self, train: Rows, alpha: Array64) -> Iterator[tuple[Some, Array32]]:
        """Fit likewise; give targets and their weights (n_features, n_some), a batch at a time."""
        solved = self._eigenbasis(train, alpha)
        for columns in in_penalties(alpha):
            yield columns, solved.vectors @ self._fitted(solved, train, alpha, columns)[0]

    def _fitted(
        self, solved: _Eigenbasis, train: Rows, alpha: Array64, columns: Some
    ) -> tuple[Array32, Array32]:
        """Weights in the eigenvectors, and means of the responses."""
        y = np.asarray(self.responses[:, columns])
        mean = _mean_of(y, train)
        rotated = solved.rotated(self.cross(train, y), mean)
        rotated /= solved.values[:, None] + alpha[columns].astype(np.float32)
        return rotated, mean

    def _eigenbasis(self, train: Rows, alpha: Array64) -> _Eigenbasis:
        least = float(np.nanmin(alpha))
        key = train.tobytes() + np.float64(least).tobytes()
        if self._solved is None or self._solved[0] != key:
            self._solved = None
            self._solved = key, _Eigenbasis(_Sums.of(self.x, train), least)
        return self._solved[1]

    def cross(self, rows: Rows, y: Array32) -> Array32:
        """Products of features and responses of some rows, (n_features, n_columns)."""
        parts = [self.x[part].T @ y[part] for part in runs_of(rows)]
        return np.asarray(sum(parts[1:], start=parts[0]))


@dataclass(frozen=True)
class _Sums:
    """Sums over rows: their number, the features, the products of features."""

    n: int
    x: Array64
    xx: Array64

    @classmethod
    def of(cls, x: Array32, rows: Rows) -> _Sums:
        parts = runs_of(rows)
        products = np.zeros((x.shape[1], x.shape[1]))
        for part in parts:
            products += x[part].T @ x[part]
        sums = [x[part].sum(axis=0, dtype=np.float64) for part in parts]
        return cls(len(rows), np.sum(sums, axis=0), products)

    def __sub__(self, other: _Sums) -> _Sums:
        return _Sums(self.n - other.n, self.x - other.x, self.xx - other.xx)


class _Eigenbasis:
    """Gram of some rows about their mean, in its eigenvectors, for penalties from ``least`` on."""

    def __init__(self, sums: _Sums, least: float) -> None:
        self.n, self.mean = sums.n, (sums.x / sums.n).astype(np.float32)
        gram: AnyFloat = sums.xx - np.outer(sums.x, sums.x) / sums.n
        if _largest_eigenvalue(gram) < _SINGLE_EIGEN * least:
            gram = gram.astype(np.float32)
        values, vectors = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
        self.values = np.maximum(values, 0).astype(np.float32)
        self.vectors = vectors.astype(np.float32)

    def basis(self, x: Array32) -> Array32:
        """Features of some rows, (n_rows, n_features), about the mean, in the eigenvectors."""
        return np.asarray((x - self.mean) @ self.vectors)

    def rotated(self, cross: Array32, mean_y: Array32) -> Array32:
        """Products with responses, about the means, in the eigenvectors."""
        about = cross - self.n * np.outer(self.mean, mean_y)
        return np.asarray(self.vectors.T @ about)


class _Batch:
    """Some targets on every inner fold, at any penalty."""

    def __init__(
        self,
        system: Primal,
        fits: Sequence[_Eigenbasis],
        bases: Sequence[Array32],
        inner: Sequence[Split],
        columns: Some,
        metric: Metric,
    ) -> None:
        self.system, self.fits, self.bases, self.inner = system, fits, bases, inner
        self.y = np.asarray(system.responses[:, columns])
        self.held = [_Held(self.y, split.test, metric) for split in inner]
        self.rotated: list[Array32] = []
        self.means: list[Array32] = []
        self.metric = metric

    def sum_up(self, train: Rows, left_out: Sequence[Rows]) -> None:
        """Products with the responses: once for all training rows, less what a fold leaves out."""
        total = self.system.cross(train, self.y)
        for fit, split, rows in zip(self.fits, self.inner, left_out, strict=True):
            mean = _mean_of(self.y, split.train)
            self.rotated.append(fit.rotated(total - self.system.cross(rows, self.y), mean))
            self.means.append(mean)

    def score(self, alpha: float, columns: Columns) -> Array64:
        """Mean over inner folds, (n_columns,)."""
        parts = []
        sides = zip(self.fits, self.bases, self.rotated, self.means, self.held, strict=True)
        for fit, basis, rotated, mean, held in sides:
            some: Some
            some = slice(None) if columns is None else columns
            shrunk = basis / (fit.values + np.float32(alpha))
            prediction = np.asarray(shrunk @ rotated[:, some], dtype=np.float32)
            if self.metric == "r2":
                prediction += mean[some]
            parts.append(held.score(prediction, some))
        return _mean_over(self.inner, parts)


class _Held:
    """Responses of one inner test set, to be compared with predictions."""

    def __init__(self, responses: Array32, test: Rows, metric: Metric) -> None:
        self.responses, self.test, self.metric = responses, test, metric
        self.spread = np.concatenate(
            [
                self._about_mean(_rows_of(responses, test, columns))
                for columns in batches(responses.shape[1])
            ]
        )

    @staticmethod
    def _about_mean(y: Array32) -> Array64:
        """Sum of squares about the mean, (n_columns,)."""
        about = y - y.mean(axis=0, dtype=np.float64).astype(np.float32)
        return np.asarray(np.einsum("ij,ij->j", about, about), dtype=np.float64)

    def score(self, prediction: Array32, columns: Some) -> Array64:
        """Correlation, for which predictions must be centred, or R² about the test mean."""
        y = _rows_of(self.responses, self.test, columns)
        product = np.einsum("ij,ij->j", prediction, y).astype(np.float64)
        square = np.einsum("ij,ij->j", prediction, prediction).astype(np.float64)
        spread = self.spread[columns]
        if self.metric == "correlation":
            norm = np.sqrt(square * spread)
            real = (square > _TINY * spread) & (spread > 0)
            return np.asarray(np.divide(product, norm, out=np.zeros_like(norm), where=real))
        own = np.einsum("ij,ij->j", y, y).astype(np.float64)
        error = square - 2 * product + own
        share = np.divide(error, spread, out=np.ones_like(error), where=spread > 0)
        return np.asarray(1 - share)


def _mean_over(inner: Sequence[Split], parts: Sequence[Array64]) -> Array64:
    """Mean of the scores of inner folds, by samples."""
    return np.average(parts, axis=0, weights=[len(split.test) for split in inner])


def in_penalties(alpha: Array64) -> Iterator[Some]:
    """Cut the targets that have a penalty into batches."""
    return batches_of(np.flatnonzero(np.isfinite(alpha)), len(alpha))


def _penalties(alpha: Array64) -> Array64:
    """Different penalties, without NaN."""
    return np.unique(alpha[np.isfinite(alpha)])


def batches(n_targets: int) -> Iterator[slice]:
    """Slices of targets, ``BATCH`` at a time."""
    for start in range(0, n_targets, BATCH):
        yield slice(start, min(start + BATCH, n_targets))


def batches_of(columns: Columns, n_targets: int) -> Iterator[Some]:
    """Cut some targets, or all (None), into batches."""
    for part in batches(n_targets if columns is None else len(columns)):
        yield part if columns is None else columns[part]


def _product(left: Array32, responses: Array32, rows: Rows, columns: Some) -> Array32:
    """Multiply with some rows and columns of the responses; rows are not copied together."""
    parts = [part for part in runs_of(rows) if isinstance(part, slice)]
    if not 0 < len(parts) <= _FEW_PARTS or not isinstance(columns, slice):
        return np.asarray(left @ _rows_of(responses, rows, columns))
    total: Array32 | None = None
    start = 0
    for part in parts:
        stop = start + int(part.stop) - int(part.start)
        product = left[:, start:stop] @ responses[part, columns]
        total = product if total is None else np.add(total, product, out=total)
        start = stop
    return np.asarray(total)


def _rows_of(responses: Array32, rows: Rows, columns: Some) -> Array32:
    """Take some rows and columns, without a copy where both lie together."""
    parts = runs_of(rows)
    if len(parts) == 1 and isinstance(parts[0], slice):
        return np.asarray(responses[parts[0]][:, columns])
    if isinstance(columns, slice):
        return np.asarray(responses[:, columns][rows])
    return np.asarray(responses[np.ix_(rows, columns)])


def _mean_of(y: Array32, rows: Rows) -> Array32:
    sums = [y[part].sum(axis=0, dtype=np.float64) for part in runs_of(rows)]
    return np.asarray(np.sum(sums, axis=0) / len(rows), dtype=np.float32)
