import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bids_brainalign.store import steps
from bids_brainalign.store.atomic import write_text
from bids_brainalign.store.steps import Step, StepCache

MODULES = ("bids_brainalign.errors",)


class Lab:
    """A work and an output folder, and steps that count how often they ran."""

    def __init__(self, folder: Path) -> None:
        self.out, self.work = folder / "out", folder / "work"
        self.ran: list[str] = []

    @property
    def cache(self) -> StepCache:
        return StepCache(self.work, roots=[self.out, self.work])

    def step(self, name: str, *files: str, **inputs: object) -> Step:
        def work() -> list[Path]:
            self.ran.append(name)
            return [
                write_text(self.out / file, f"{file} {sorted(inputs.items())}") for file in files
            ]

        return Step(name, inputs, MODULES, work)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_second_run_reuses(lab: Lab) -> None:
    step = lab.step("encoding sub-01 whisper/base", "a.tsv", "b.tsv", seed=1)
    assert not lab.cache.is_done(step)
    assert lab.cache.run(step) == ("done", (lab.out / "a.tsv", lab.out / "b.tsv"))
    assert lab.cache.is_done(step)
    assert lab.cache.run(step) == ("reused", (lab.out / "a.tsv", lab.out / "b.tsv"))
    assert len(lab.ran) == 1


def test_deleted_output_runs_that_step_alone(lab: Lab) -> None:
    both = [lab.step("one", "1.tsv"), lab.step("two", "2.tsv")]
    for step in both:
        lab.cache.run(step)
    (lab.out / "2.tsv").unlink()
    assert [lab.cache.run(step)[0] for step in both] == ["reused", "done"]
    assert lab.ran == ["one", "two", "two"]


@pytest.mark.parametrize(
    "change",
    [
        lambda lab: lab.step("one", "1.tsv", seed=2),
        lambda lab: Step("one", {"seed": 1}, ("bids_brainalign.store.atomic",), lambda: []),
    ],
    ids=["inputs", "code"],
)
def test_changed_key_runs_again(lab: Lab, change: Callable[[Lab], Step]) -> None:
    lab.cache.run(lab.step("one", "1.tsv", seed=1))
    assert not lab.cache.is_done(change(lab))


def test_there_and_back_again(lab: Lab) -> None:
    first, second = (lab.step("one", "1.tsv", seed=seed) for seed in (1, 2))
    runs = [lab.cache.run(step)[0] for step in (first, second, first, first)]
    assert runs == ["done", "done", "done", "reused"]


@pytest.mark.parametrize("text", ["tampered, longer", "1.tsv []!", "1.tsv {}"])
def test_tampered_output_runs_again(lab: Lab, text: str) -> None:
    step = lab.step("one", "1.tsv")
    lab.cache.run(step)
    time.sleep(0.01)
    (lab.out / "1.tsv").write_text(text)
    assert lab.cache.run(step)[0] == "done"


def test_touched_or_moved_outputs_are_reused(lab: Lab, tmp_path: Path) -> None:
    step = lab.step("one", "sub/1.tsv")
    lab.cache.run(step)
    os.utime(lab.out / "sub/1.tsv")
    assert lab.cache.is_done(step)
    shutil.copytree(tmp_path / "out", tmp_path / "moved")
    shutil.rmtree(lab.out)
    moved = StepCache(lab.work, roots=[tmp_path / "moved", lab.work])
    assert moved.outputs(step) == (tmp_path / "moved/sub/1.tsv",)


def test_broken_manifest_is_no_manifest(lab: Lab) -> None:
    step = lab.step("one", "1.tsv")
    lab.cache.run(step)
    (manifest,) = (lab.work / "steps").glob("*.json")
    for text in ("", "[]", '{"key": 1}', manifest.read_text()[:-20]):
        manifest.write_text(text)
        assert not lab.cache.is_done(step)


def test_failed_step_leaves_no_manifest(lab: Lab) -> None:
    def work() -> list[Path]:
        write_text(lab.out / "1.tsv", "half of it")
        raise RuntimeError("boom")

    step = Step("one", {}, MODULES, work)
    with pytest.raises(RuntimeError, match="boom"):
        lab.cache.run(step)
    assert not lab.cache.is_done(step)
    assert not list((lab.work / "steps").glob("*.json"))


def test_output_outside_its_folders_is_our_fault(lab: Lab, tmp_path: Path) -> None:
    step = Step("one", {}, MODULES, lambda: [write_text(tmp_path / "stray.txt", "")])
    with pytest.raises(ValueError, match="outside"):
        lab.cache.run(step)


def test_manifest_names_no_absolute_path(lab: Lab, tmp_path: Path) -> None:
    lab.cache.run(lab.step("one", "1.tsv"))
    (manifest,) = (lab.work / "steps").glob("*.json")
    assert str(tmp_path) not in manifest.read_text()


def test_code_is_read_once_per_cache(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(steps, "code_digest", lambda modules: calls.append(modules) or "c")
    cache = lab.cache
    for name in ("one", "two", "one"):
        cache.run(lab.step(name, f"{name}.tsv"))
    assert calls == [MODULES]


SCRIPT = """
import sys, time
from pathlib import Path
from bids_brainalign.store.atomic import atomic_path, write_text
from bids_brainalign.store.steps import Step, StepCache

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])

def work():
    first = write_text(folder / "out/1.tsv", "first")
    with atomic_path(folder / "out/2.tsv") as temporary:
        temporary.write_text("second")
        (folder / "under-way").touch()
        time.sleep(seconds)
    with (folder / "count").open("a") as stream:
        stream.write("x")
    return [first, folder / "out/2.tsv"]

cache = StepCache(folder / "work", roots=[folder / "out", folder / "work"])
print(cache.run(Step("one", {}, ("bids_brainalign.errors",), work))[0])
"""


def _start(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SCRIPT, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_in_the_middle_runs_again_and_leaves_nothing(tmp_path: Path) -> None:
    process = _start(tmp_path, 60)
    deadline = time.time() + 20
    while not (tmp_path / "under-way").exists():
        assert time.time() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not (tmp_path / "out/2.tsv").exists()
    assert not list((tmp_path / "work/steps").glob("*.json"))
    assert _start(tmp_path, 0).communicate()[0] == "done\n"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["1.tsv", "2.tsv"]
    assert _start(tmp_path, 0).communicate()[0] == "reused\n"


def test_two_jobs_at_once_do_the_work_once(tmp_path: Path) -> None:
    jobs = [_start(tmp_path, 0.5) for _ in range(2)]
    assert sorted(job.communicate()[0].strip() for job in jobs) == ["done", "reused"]
    assert (tmp_path / "count").read_text() == "x"
