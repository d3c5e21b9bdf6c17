"""Probes as a user runs them: two models on a small simulated dataset."""

import pandas as pd
import pytest

from tests.cli.simulated import run, simulate
from tests.small_whisper import write_small_whisper

pytestmark = [pytest.mark.cli, pytest.mark.slow]

GROUP = {
    "desc-small_probes", "desc-tuned_probes", "desc-tunedAndSmall_changes",
    "desc-small_similarity", "desc-tuned_similarity", "desc-smallAndTuned_similarity",
}  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probes")
    planted = simulate(folder, ieeg_s=(40.0,) * 3, fmri_s=(60.0,) * 2)
    tuned = write_small_whisper(folder / "tuned-model", seed=7)
    words = ("participant", "--participant-label", "01", "--models", planted.model,
             f"tuned={tuned}", "--no-untrained", "--sloppy", "--probes", "mfcc", "phones",
             "emotion", "--similarity")  # fmt: skip
    done = run(planted.bids, folder / "out", *words, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, planted, words


def test_tables_and_pages(outputs):
    out = outputs[0] / "out"
    found = {p.name for p in (out / "group").iterdir() if p.is_file()}
    assert found == {f"{name}.{suffix}" for name in GROUP for suffix in ("tsv", "json")}
    assert 'href="models.html"' in (out / "index.html").read_text()
    assert "its clips have no emotion" in (out / "models.html").read_text()
    assert "Likeness of layers and responses" in (out / "sub-01.html").read_text()
    table = pd.read_csv(out / "group" / "desc-small_probes.tsv", sep="\t", na_values="n/a")
    assert set(table["probe"]) == {"mfcc", "phones"}
    assert (table.loc[table["probe"] == "mfcc", "p_max"] < 0.05).any()
    labels = (out / "descriptions.tsv").read_text()
    assert "desc-tunedAndSmall\ttuned against small" in labels


def test_nothing_is_done_twice_and_settings_count(outputs):
    folder, planted, words = outputs
    again = run(planted.bids, folder / "out", *words, cwd=folder)
    assert "done: 0 " in again.stdout
    other = run(planted.bids, folder / "out", *words, "--random-seed", "3", "--steps", "features",
                cwd=folder)  # fmt: skip
    assert other.returncode == 0
    assert "done: 0 " not in other.stdout


def test_unknown_folder_stops_before_any_work(outputs):
    folder, planted, _ = outputs
    (folder / "music").mkdir()
    done = run(planted.bids, folder / "none", "participant", "--models", planted.model, "--probes",
               "mfcc", "--probe-data", f"m={folder / 'music'}", cwd=folder)  # fmt: skip
    assert done.returncode == 66
    assert "the layout of no corpus known here" in done.stderr + done.stdout
    assert not list((folder / "none").glob("group/*"))
