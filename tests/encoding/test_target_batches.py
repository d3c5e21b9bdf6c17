"""Rows and columns of large responses."""

import threading
import time

import numpy as np
import pytest

from bids_brainalign.encoding.target_batches import batches_of, in_threads, parts_by_use


def test_batches_hold_every_target_once(monkeypatch):
    monkeypatch.setattr("bids_brainalign.encoding.target_batches.BATCH", 4)
    some = np.array([1, 5, 6, 8, 9])
    every = np.arange(10)
    np.testing.assert_array_equal(np.concatenate([every[b] for b in batches_of(None, 10)]), every)
    np.testing.assert_array_equal(np.concatenate([every[b] for b in batches_of(some, 10)]), some)
    assert [len(every[b]) for b in batches_of(None, 10)] == [4, 4, 2]
    assert [len(every[b]) for b in batches_of(None, 10, 6)] == [6, 4]


def test_parts_make_up_every_use_and_are_cut_no_finer_than_needed():
    uses = [np.arange(20), np.arange(4, 20), np.r_[0:12, 15:20]]
    parts, taken = parts_by_use(uses)
    for use, mine in zip(uses, taken, strict=True):
        np.testing.assert_array_equal(np.sort(np.concatenate([parts[k] for k in mine])), use)
    assert sorted(map(len, parts)) == [3, 4, 13]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_results_of_threads_come_in_order(n_threads):
    delays = [0.03, 0.0, 0.02, 0.0, 0.01]

    def work(index):
        time.sleep(delays[index])
        return index, threading.current_thread() is threading.main_thread()

    found = list(in_threads(work, range(5), n_threads))
    assert [index for index, _ in found] == list(range(5))
    assert all(main == (n_threads == 1) for _, main in found)


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda n: 1 // n, [1, 2, 0, 3], 2))
