"""``kill -9`` at any moment, and two jobs at once: the result is that of one undisturbed run."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.simulated import contents, run, simulate

pytestmark = pytest.mark.cli


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A small dataset, its outputs, and the seconds that they took."""
    folder = tmp_path_factory.mktemp("kills")
    data = simulate(folder, ieeg_s=(30.0,) * 3, fmri_s=())
    start = time.monotonic()
    done = run(*command(data, folder / "whole"), cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return data, contents(folder / "whole"), time.monotonic() - start, closing(done.stdout)["done"]


def command(data, folder):
    return (
        data.bids, folder / "out", "participant", "--models", data.model, "--sloppy",
        "-w", folder / "work", "--skip-bids-validation",
    )  # fmt: skip


def start(data, folder):
    arguments = [sys.executable, "-m", "bids_brainalign", *map(str, command(data, folder))]
    return subprocess.Popen(
        arguments, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, cwd=folder.parent,
    )  # fmt: skip


def closing(text):
    line = next(x for x in reversed(text.splitlines()) if x.startswith("done: "))
    return {name: int(number) for name, number in re.findall(r"(\w+): (\d+)", line)}


def finished_steps(folder):
    return len(list((folder / "work" / "steps").glob("*.json")))


def kill_once(data, folder: Path, after_s: float):
    """Start, kill the whole family of processes, and finish with a second run."""
    folder.mkdir()
    job = start(data, folder)
    try:
        job.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
    job.communicate()
    kept = finished_steps(folder)
    done = run(*command(data, folder), cwd=folder.parent)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counted = closing(done.stdout)
    assert counted["failed"] == 0
    # What was committed before the kill is not done again.
    assert counted["reused"] >= kept
    return kept


def check_kills(undisturbed, folder, *, n_kills, seed):
    data, expected, whole_s, n_steps = undisturbed
    draw = np.random.default_rng(seed)
    kept = []
    for number in range(n_kills):
        place = folder / str(number)
        # One draw per equal part of the run's length: early and late moments are both tried.
        after_s = whole_s * (number + float(draw.random())) / n_kills
        kept.append(kill_once(data, place, after_s))
        assert contents(place) == expected, f"killed after {after_s:.2f} s"
        assert not [p for p in (place / "out").rglob(".*.tmp*")]
    assert min(kept) < n_steps  # some kill came before the end
    return kept


def test_killed_runs_resume(undisturbed, tmp_path):
    check_kills(undisturbed, tmp_path, n_kills=2, seed=1)


@pytest.mark.slow
def test_fifty_kills(undisturbed, tmp_path):
    kept = check_kills(undisturbed, tmp_path, n_kills=50, seed=2)
    assert len(set(kept)) > 5  # kills fell into different steps


def test_two_jobs_at_once_share_the_work(undisturbed, tmp_path):
    data, expected, _, n_steps = undisturbed
    place = tmp_path / "both"
    place.mkdir()
    jobs = [start(data, place) for _ in range(2)]
    texts = [job.communicate()[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], "\n".join(t[-2000:] for t in texts)
    assert contents(place) == expected
    counts = [closing(text) for text in texts]
    assert all(c["done"] + c["reused"] == n_steps for c in counts)
