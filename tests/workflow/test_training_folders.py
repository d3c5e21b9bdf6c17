"""Folders of trainings go when their step is done, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bids_brainalign.workflow.training_folders import OWNER, held, remove_finished

STEP = "tuning sub-01 func w2v:tuned"


def train(folder: Path, *, step: str = STEP, output_dir: Path) -> None:
    """Leave a training as a kill leaves it."""
    with held(folder, step=step, output_dir=output_dir):
        (folder / "checkpoint-0.safetensors").write_bytes(b"weights")


def left(work: Path) -> set[str]:
    return {path.name for path in (work / "tuning").iterdir()}


def test_what_other_settings_left_goes_when_the_step_is_done(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    for name in ("old", "older", "new"):
        train(work / "tuning" / name, output_dir=out)
    train(work / "tuning" / "permuted", step=STEP.replace("tuned", "permuted"), output_dir=out)
    train(work / "tuning" / "elsewhere", output_dir=tmp_path / "other out")
    (work / "tuning" / "unknown").mkdir()
    half = work / "tuning" / ".killed-in-removal"
    half.mkdir()
    remove_finished(work / "tuning" / "new", step=STEP, output_dir=out)
    assert left(work) == {"permuted", "elsewhere", "unknown"}


def test_nothing_there_is_no_error(tmp_path: Path) -> None:
    remove_finished(tmp_path / "work" / "tuning" / "none", step=STEP, output_dir=tmp_path)


def test_a_folder_that_another_job_trains_in_stays(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    other = work / "tuning" / "other"
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from bids_brainalign.workflow.training_folders import held\n"
        "with held(Path(sys.argv[1]), step=sys.argv[2], output_dir=Path(sys.argv[3])):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", script, str(other), STEP, str(out)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert job.stdout is not None
    assert job.stdout.readline() == "held\n"
    remove_finished(work / "tuning" / "new", step=STEP, output_dir=out)
    assert (other / OWNER).is_file()
    job.kill()  # the operating system frees its lock
    job.communicate()
    remove_finished(work / "tuning" / "new", step=STEP, output_dir=out)
    assert left(work) == set()


def test_a_folder_is_held_even_if_training_fails(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "tuning" / "new"
    with (
        pytest.raises(ValueError, match="at update 3"),
        held(folder, step=STEP, output_dir=tmp_path),
    ):
        raise ValueError("at update 3")
    assert (folder / OWNER).is_file()
    train(folder, output_dir=tmp_path)
    remove_finished(folder, step=STEP, output_dir=tmp_path)
    assert not folder.exists()
