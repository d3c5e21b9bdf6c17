"""Arrays of numpy as ridge's matrices."""

import numpy as np

from bids_brainalign.encoding.arrays import HostArrays


def test_rows_that_lie_together_are_not_copied():
    values = np.arange(40.0).reshape(10, 4)
    made = HostArrays()
    assert np.shares_memory(made.rows(values, np.arange(3, 7)), values)
    for rows in (np.array([0, 1, 5, 6, 7]), np.arange(0, 10, 2), np.array([2])):
        np.testing.assert_array_equal(made.rows(values, rows), values[rows])


def test_arrays_that_lie_here_are_not_copied():
    values = np.arange(40, dtype=np.float32).reshape(10, 4)
    made = HostArrays()
    assert np.shares_memory(made.get(made.put(values)), values)
