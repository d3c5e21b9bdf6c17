"""``kill -9`` while the program tunes: all its outputs are those of an undisturbed run."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from tests.cli.simulated import contents, run, simulate
from tests.cli.test_end_to_end import find_validator
from tests.workflow.people import write_model

pytestmark = pytest.mark.cli

EPOCHS = 4
UPDATES = 8
"""Of an epoch: two stories of 60 s (TR 1.5 s, ends trimmed), each in 4 batches of 8 rows."""
SHORT = f"""
[tuning]
variants = ["tuned"]
epochs = {EPOCHS}
patience = 0
batch_rows = 8
clip_s = 3.0
checkpoint_updates = 3
learning_rate = 1e-3
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A small dataset, and the program's outputs."""
    folder = tmp_path_factory.mktemp("tuning-kills")
    data = simulate(folder, ieeg_s=(), fmri_s=(60.0,) * 4)
    write_model(folder / "w2v")
    (folder / "short.toml").write_text(SHORT)
    done = run(*command(data, folder / "whole"), cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return data, folder / "whole"


def command(data, place):
    folder = data.root.parent
    return (
        data.bids, place / "out", "participant", "--recipe", "brain-tuning",
        "--config-file", folder / "short.toml", "--models", f"w2v={folder / 'w2v'}",
        "--sloppy", "-w", place / "work", "--skip-bids-validation",
    )  # fmt: skip


def before_tuning(whole, place):
    """A copy of the run as it is when tuning begins: nothing of it nor after it is done."""
    shutil.copytree(whole, place)
    manifests = list((place / "work" / "steps").glob("*.json"))
    for manifest in manifests:
        if "tun" in manifest.name or "report" in manifest.name:
            manifest.unlink()
    shutil.rmtree(place / "out" / "sub-01" / "models")
    shutil.rmtree(place / "work" / "features")
    assert len(list((place / "work" / "steps").glob("*.json"))) < len(manifests)


def epochs_seen(folder):
    path = folder / "epochs.json"
    return path.read_text().count(",") + 1 if path.is_file() else 0


def updates(folder):
    path = folder / "training.tsv"
    return len(path.read_text().splitlines()) - 1 if path.is_file() else 0


def kept(folder):
    return len(list((folder / "front_end").glob("*.safetensors")))


def tuning_folders(place):
    return [p for p in (place / "work" / "tuning").glob("*") if not p.name.startswith(".")]


def kill_when(data, place, is_due):
    """Start the program, and kill it with all its processes when the training is that far."""
    job = subprocess.Popen(
        [sys.executable, "-m", "bids_brainalign", *map(str, command(data, place))],
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=place.parent,
    )  # fmt: skip
    try:
        while job.poll() is None and not any(map(is_due, tuning_folders(place))):
            time.sleep(0.002)
        assert job.poll() is None, job.communicate()[0][-3000:]
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()
    (folder,) = tuning_folders(place)
    assert not (place / "out" / "sub-01" / "models").exists()
    return epochs_seen(folder), updates(folder)


def check_same(data, whole, place):
    done = run(*command(data, place), cwd=place.parent)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert contents(place) == contents(whole)
    assert not tuning_folders(place)
    assert not [p for p in (place / "out").rglob(".*") if "models" in p.parts]
    return done.stderr


@pytest.mark.slow
def test_killed_again_and_again_while_tuning(undisturbed, tmp_path):
    data, whole = undisturbed
    place = tmp_path / "killed"
    before_tuning(whole, place)
    kill_when(data, place, lambda folder: kept(folder) > 2)
    seen, _ = kill_when(data, place, lambda folder: epochs_seen(folder) > 2)
    assert 2 < seen <= EPOCHS
    log = check_same(data, whole, place)
    assert "Training goes on after update" in log


@pytest.mark.slow
def test_killed_at_many_moments(undisturbed, tmp_path):
    data, whole = undisturbed
    draw = np.random.default_rng(3)
    for number in range(12):
        place = tmp_path / str(number)
        before_tuning(whole, place)
        for least in np.sort(draw.integers(0, EPOCHS * UPDATES - 3, size=2)):
            kill_when(data, place, lambda folder, least=least: updates(folder) > least)
        check_same(data, whole, place)
        shutil.rmtree(place)


def test_tables_of_the_tuned_model(undisturbed):
    _, whole = undisturbed
    (folder,) = (whole / "out" / "sub-01" / "models").iterdir()
    log = pd.read_csv(folder / "training_log.tsv", sep="\t")
    assert log["update"].tolist() == list(range(1, EPOCHS * UPDATES + 1))
    norms = pd.read_csv(folder / "gradient_norms.tsv", sep="\t")
    assert norms["layer"].tolist() == ["0", "1", "2", "head"] * EPOCHS
    assert norms["epoch"].tolist() == [1 + k // 4 for k in range(4 * EPOCHS)]
    assert (norms["gradient_norm"] > 0).all()
    # The mean over updates of the norm of a part is no larger than that of the whole.
    whole_norm = log.groupby("epoch")["gradient_norm"].mean()
    assert (norms.groupby("epoch")["gradient_norm"].max() <= whole_norm).all()
    assert len(pd.read_csv(folder / "epochs.tsv", sep="\t")) == EPOCHS + 1
    for name in ("training_log", "gradient_norms", "epochs"):
        assert (folder / f"{name}.json").is_file()


@pytest.mark.validator
def test_the_outputs_are_a_valid_derivative(undisturbed):
    _, whole = undisturbed
    validator = find_validator()
    done = subprocess.run(
        [validator, str(whole / "out"), "--format", "json"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
