import json
import logging
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from bids_brainalign.store.lock import exclusive

FORK = multiprocessing.get_context("fork")


def _hold(path: Path, seconds: float) -> None:
    with exclusive(path):
        time.sleep(seconds)


def _wait_for(path: Path) -> None:
    deadline = time.time() + 10
    while not path.exists():
        assert time.time() < deadline
        time.sleep(0.01)


def test_names_its_holder(tmp_path: Path) -> None:
    with exclusive(tmp_path / "a.lock") as locked:
        assert locked
        assert json.loads((tmp_path / "a.lock.holder").read_text())["pid"] == os.getpid()
    assert not (tmp_path / "a.lock.holder").exists()


def test_another_process_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    process = FORK.Process(target=_hold, args=(tmp_path / "a.lock", 0.6))
    process.start()
    _wait_for(tmp_path / "a.lock.holder")
    with pytest.raises(Timeout), exclusive(tmp_path / "a.lock", timeout_s=0.0):
        pass
    start = time.time()
    with exclusive(tmp_path / "a.lock"):
        assert time.time() - start > 0.2
    process.join()
    assert f"held by process {process.pid}" in caplog.text


def test_stale_lock_is_reported_and_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = FORK.Process(target=_hold, args=(tmp_path / "a.lock", 60.0))
    process.start()
    _wait_for(tmp_path / "a.lock.holder")
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    with exclusive(tmp_path / "a.lock", timeout_s=5.0) as locked:
        assert locked
    assert f"process {process.pid}" in caplog.text
    assert "without releasing" in caplog.text


def test_goes_on_where_locks_fail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", fail)
    with exclusive(tmp_path / "a.lock") as locked:
        assert not locked
    assert "No locks available" in caplog.text


def test_error_inside_releases(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), exclusive(tmp_path / "a.lock"):
        raise OSError("disk")
    with exclusive(tmp_path / "a.lock", timeout_s=0.0) as locked:
        assert locked
