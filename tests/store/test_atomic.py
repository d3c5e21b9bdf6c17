import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from bids_brainalign.store.atomic import atomic_path, write_json, write_text


def test_file_appears_only_at_the_end(tmp_path: Path) -> None:
    dest = tmp_path / "new" / "sub-01_scores.nii.gz"
    with atomic_path(dest) as temporary:
        assert temporary.parent == dest.parent
        assert temporary.name.startswith(".")
        assert temporary.suffixes[-2:] == [".nii", ".gz"]
        temporary.write_bytes(b"x")
        assert not dest.exists()
    assert dest.read_bytes() == b"x"
    assert [p.name for p in dest.parent.iterdir()] == [dest.name]


def test_error_keeps_the_old_file_and_removes_the_temporary(tmp_path: Path) -> None:
    dest = write_text(tmp_path / "a.txt", "old")

    def fail() -> None:
        with atomic_path(dest) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert dest.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def _write_and_hang(dest: Path) -> None:
    with atomic_path(dest) as temporary:
        temporary.write_text("half")
        time.sleep(60)


def test_leftovers_of_a_killed_process_go_and_those_of_a_living_stay(tmp_path: Path) -> None:
    dest = tmp_path / "a.txt"
    spawn = multiprocessing.get_context("fork")
    killed, living = (spawn.Process(target=_write_and_hang, args=(dest,)) for _ in range(2))
    for process in (killed, living):
        process.start()
    deadline = time.time() + 10
    while len(list(tmp_path.glob(".tmp-*"))) < 2 and time.time() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid or 0, signal.SIGKILL)
    killed.join()
    write_text(dest, "whole")
    left = list(tmp_path.glob(".tmp-*"))
    living.kill()
    living.join()
    assert [f"-{living.pid}-" in p.name for p in left] == [True]


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"r": float("nan")})
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "a.json", {"ä": 1})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"ä": 1}
