"""LAPACK at its addresses, against numpy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from bids_brainalign.encoding.lapack import Householder, eigenvectors
from bids_brainalign.errors import BrainAlignError


def symmetric(n: int, kind: type = np.float32) -> np.ndarray:
    x = np.random.default_rng(n).standard_normal((n + 5, n))
    return (x.T @ x).astype(kind)


@pytest.mark.parametrize("n", [1, 2, 3, 40, 150])
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_eigenvectors_are_numpys(n: int, kind: type, tolerance: float) -> None:
    matrix = symmetric(n, kind)
    values, vectors = eigenvectors(matrix.copy())
    assert values.dtype == vectors.dtype == kind
    expected = np.linalg.eigvalsh(matrix.astype(np.float64))
    np.testing.assert_allclose(values, expected, atol=tolerance * expected.max())
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=10 * tolerance)
    back = vectors * values @ vectors.T
    np.testing.assert_allclose(back, matrix, atol=tolerance * np.abs(matrix).max())


@pytest.mark.parametrize("n", [2, 3, 40, 150])
def test_a_tridiagonal_form_gives_the_matrix_back(n: int) -> None:
    matrix = symmetric(n, np.float64)  # taken as float32
    form = Householder.of(matrix.copy())
    middle = np.diag(form.diagonal) + np.diag(form.beside, 1) + np.diag(form.beside, -1)
    q = form.reflect(np.eye(n, dtype=np.float32), "N")
    np.testing.assert_allclose(q.T @ q, np.eye(n), atol=1e-5)
    np.testing.assert_allclose(q @ middle @ q.T, matrix, atol=1e-5 * np.abs(matrix).max())
    np.testing.assert_allclose(form.reflect(q, "T"), np.eye(n), atol=1e-5)


def test_what_is_not_positive_definite_is_not_solved() -> None:
    form = Householder.of(symmetric(20))
    assert form.solver(1.0) is not None
    assert form.solver(-1e3) is None


def test_what_is_not_finite_ends() -> None:
    """Builds of LAPACK differ: NaN goes through, or it is told what to look for."""
    matrix = symmetric(40, np.float64)
    matrix[3, 3] = np.nan
    with suppress(BrainAlignError):
        assert np.isnan(eigenvectors(matrix)[0]).any()


@pytest.mark.parametrize("work", [Householder.of, eigenvectors])
def test_others_work_meanwhile(work: Callable[[np.ndarray], object]) -> None:
    """A thread that only counts goes on while a matrix is decomposed."""
    matrix, ticks, done = symmetric(1500), [], threading.Event()
    work(symmetric(9))

    def count() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(1e-3)

    thread = threading.Thread(target=count)
    thread.start()
    start = time.perf_counter()
    work(matrix)
    end = time.perf_counter()
    done.set()
    thread.join()
    inside = [tick for tick in ticks if start < tick < end]
    # With the lock held, this is the whole of it.
    assert np.diff([start, *inside, end]).max() < 0.5 * (end - start)
