"""Symmetric matrices plus multiples of the identity, against float64 and numpy's solver."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.linalg import eigvalsh_tridiagonal

from bids_brainalign.encoding.lapack import Householder
from bids_brainalign.encoding.shifted import LEAST_ROWS, Spectral, Tridiagonal, decomposed

N, WIDTH = 60, 4
SHIFTS = np.array([30.0, 1e3, 1e5], dtype=np.float32)


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray]:
    """A Gram matrix with eigenvalues over three decades, and right-hand sides."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4 * N, N)) * np.logspace(0.5, -1, N)
    right = rng.standard_normal((N, WIDTH))
    return (x.T @ x).astype(np.float32), right.astype(np.float32)


def truth(matrix: np.ndarray, right: np.ndarray, shift: float) -> np.ndarray:
    whole = matrix.astype(np.float64) + shift * np.eye(len(matrix))
    return np.linalg.solve(whole, right.astype(np.float64))


def near(found: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-5) -> bool:
    return bool(np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("form", [Spectral, Tridiagonal])
def test_every_shift_of_every_column(form: type, problem: tuple[np.ndarray, np.ndarray]) -> None:
    matrix, right = problem
    made = form(matrix.copy())
    found = made.solve_all(made.turn(right), SHIFTS).reshape(N, len(SHIFTS), WIDTH)
    assert found.dtype == np.float32
    for place, shift in enumerate(SHIFTS):
        assert near(found[:, place], truth(matrix, right, shift))


@pytest.mark.parametrize("form", [Spectral, Tridiagonal])
def test_a_shift_of_its_own_for_each_column(
    form: type, problem: tuple[np.ndarray, np.ndarray]
) -> None:
    matrix, right = problem
    made = form(matrix.copy())
    shifts = SHIFTS[[2, 0, 2, 1]]
    found = made.solve(made.turn(right), shifts)
    for column, shift in enumerate(shifts):
        assert near(found[:, column], truth(matrix, right, shift)[:, column])


@pytest.mark.parametrize("n_rows", [2, 3, LEAST_ROWS])
def test_small_matrices(n_rows: int) -> None:
    rng = np.random.default_rng(n_rows)
    x = rng.standard_normal((9, n_rows))
    matrix, right = (x.T @ x).astype(np.float32), np.ones((n_rows, 1), np.float32)
    made = Tridiagonal(matrix.copy())
    found = made.solve(made.turn(right), np.array([0.5], np.float32))
    assert near(found, truth(matrix, right, 0.5))


@pytest.mark.parametrize("form", [Spectral, Tridiagonal])
@pytest.mark.parametrize("beyond", [0.01, 0.5, 1.001, 1.1, 1.9, 2.5, 10.0])
def test_rounding_below_zero_does_not_matter(form: type, beyond: float) -> None:
    """Of a matrix of rank 3 float32 leaves eigenvalues below 0, by as much as shifts are above.

    No solution may be much larger than the right-hand side over the shift.
    """
    rng = np.random.default_rng(16)
    x = 1e3 * rng.standard_normal((3, N))
    matrix, right = (x.T @ x).astype(np.float32), rng.standard_normal((N, 2)).astype(np.float32)
    once = Householder.of(matrix.copy())
    below = -eigvalsh_tridiagonal(once.diagonal, once.beside).min()
    assert below > 1e-8 * matrix.max()
    shift = np.array([beyond * below], np.float32)
    made = form(matrix.copy())
    found = made.solve_all(made.turn(right), shift)
    assert (np.linalg.norm(found, axis=0) <= 2.1 * np.linalg.norm(right, axis=0) / shift).all()


@pytest.mark.parametrize("form", [Spectral, Tridiagonal])
def test_one_shift_for_all_columns_and_none_at_all(
    form: type, problem: tuple[np.ndarray, np.ndarray]
) -> None:
    matrix, right = problem
    made = form(matrix.copy())
    turned = made.turn(right)
    assert near(made.solve(turned, SHIFTS[1:2]), truth(matrix, right, SHIFTS[1]))
    assert made.solve(turned[:, :0], SHIFTS[:0]).shape == (N, 0)


def test_right_hand_sides_are_left_as_they_are(problem: tuple[np.ndarray, np.ndarray]) -> None:
    matrix, right = problem
    for given in (right.copy(), np.asfortranarray(right), np.asfortranarray(right[:, :1])):
        before = given.copy()
        made = Tridiagonal(matrix.copy())
        turned = made.turn(given)
        kept = turned.copy()
        made.solve_all(turned, SHIFTS)
        made.solve(turned, SHIFTS[:1])
        np.testing.assert_array_equal(given, before)
        np.testing.assert_array_equal(turned, kept)


def test_threads_do_not_disturb_each_other(problem: tuple[np.ndarray, np.ndarray]) -> None:
    matrix, right = problem

    def work(_: int) -> np.ndarray:
        made = Tridiagonal(matrix.copy())
        return made.solve_all(made.turn(right), SHIFTS)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(200)))
    assert all(np.array_equal(one, found[0]) for one in found)


def test_the_cheaper_form_is_taken(problem: tuple[np.ndarray, np.ndarray]) -> None:
    matrix, _ = problem
    assert isinstance(decomposed(matrix.copy(), n_solutions=2 * N - 1), Tridiagonal)
    assert isinstance(decomposed(matrix.copy(), n_solutions=2 * N), Spectral)
    assert isinstance(decomposed(matrix[:9, :9].copy(), n_solutions=1), Spectral)
