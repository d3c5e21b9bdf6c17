"""A conversation from the command line: who speaks, words that come again, and what they prove."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conversation import STEM, write_conversation
from tests.cli.simulated import run

pytestmark = pytest.mark.cli


def rebuilt(folder: Path, out: Path, *options: object, models=("vectors", "unrelated")):
    return run(
        folder / "bids", out / "out", "participant", "-w", out / "work", "--skip-bids-validation",
        "--recipe", "speech-production", "--sloppy", "--word-window", "0.1", "0.5", "--models",
        *(f"{name}={folder / name}.txt" for name in models), *options, cwd=out,
    )  # fmt: skip


def table(out: Path, name: str) -> pd.DataFrame:
    path = out / "out" / "sub-01" / "ieeg" / f"{STEM}_desc-{name}.tsv"
    return pd.read_csv(path, sep="\t", na_values="n/a")


def sidecar(out: Path, name: str) -> dict[str, object]:
    path = out / "out" / "sub-01" / "ieeg" / f"{STEM}_desc-{name}.json"
    return json.loads(path.read_text("utf-8"))


def scored(out: Path, embedding: str) -> pd.Series:
    rows = table(out, f"{embedding}_reconstruction")
    return rows[(rows["score"] == "pattern_r") & (rows["folds"] == "k-fold")].iloc[0]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_conversation(tmp_path_factory.mktemp("talk"))
    done = rebuilt(folder, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_what_vectors_say_is_found(talk: Path) -> None:
    assert sidecar(talk, "vectors_reconstruction")["Answer"] == "evidence"
    assert scored(talk, "vectors")["value"] > 0.4
    course = table(talk, "vectors_timecourse")
    best = course.loc[course["pattern_r"].idxmax()]
    assert 0.1 < best["time"] < 0.6
    assert best["p"] <= 0.05
    assert table(talk, "production_geometry").set_index("embedding").loc["vectors", "p"] < 0.01


def test_vectors_that_only_tell_words_apart_are_no_evidence(talk: Path) -> None:
    """Words of the test stretches come in training, too: random vectors of words predict."""
    score = scored(talk, "unrelated")
    assert score["value"] > 0.1
    assert score["p_shifted"] <= 0.05
    assert score["p_shuffled"] > 0.05
    assert score["p_random"] > 0.05
    assert sidecar(talk, "unrelated_reconstruction")["Answer"] == "no evidence"
    assert table(talk, "unrelated_timecourse")["p"].min() > 0.05
    assert table(talk, "production_geometry").set_index("embedding").loc["unrelated", "p"] > 0.05


def test_only_words_of_the_speaker_are_taken(talk: Path) -> None:
    words = table(talk, "production_words")
    events = pd.read_csv(talk / "bids/sub-01/ieeg" / f"{STEM}_events.tsv", sep="\t")
    assert words["word"].tolist() == events.loc[events["role"] == "speak", "word"].tolist()
    n_heard = int((events["role"] == "listen").sum())
    said = str(sidecar(talk, "production_words")["Notes"])
    assert f"{n_heard} words of other roles were left out: listen ({n_heard})" in said


def test_words_that_were_heard_left_no_trace(talk: Path, tmp_path: Path) -> None:
    settings = tmp_path / "listen.toml"
    settings.write_text('[production]\nroles = ["listen"]\n')
    done = rebuilt(talk, tmp_path, "--config-file", settings, models=("vectors",))
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(table(tmp_path, "production_words")["role"]) == {"listen"}
    assert sidecar(tmp_path, "vectors_reconstruction")["Answer"] == "no evidence"


def test_a_role_that_nobody_has_is_refused_with_those_that_there_are(
    talk: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "sing.toml"
    settings.write_text('[production]\nroles = ["sing"]\n')
    done = rebuilt(talk, tmp_path, "--config-file", settings)
    assert done.returncode in (1, 66)
    assert "no word has the role sing" in done.stderr
    assert "its column role holds speak (" in done.stderr


def test_options_that_would_be_ignored_are_refused(talk: Path, tmp_path: Path) -> None:
    done = rebuilt(talk, tmp_path, "--save", "weights", "--encoder", "gru")
    assert done.returncode == 64
    assert "--encoder, --save can't be used with speech production." in done.stderr


def test_trials_and_conversation_are_not_scored_together(talk: Path, tmp_path: Path) -> None:
    copy = tmp_path / "talk"
    shutil.copytree(talk, copy, ignore=shutil.ignore_patterns("out", "work"))
    ieeg = copy / "bids" / "sub-01" / "ieeg"
    for path in sorted(ieeg.iterdir()):
        other = path.with_name(path.name.replace("task-talk", "task-read"))
        text = path.suffix != ".eeg"
        if text:
            said = path.read_text("utf-8").replace("task-talk", "task-read")
            other.write_text(said.replace('"talk"', '"read"'), "utf-8")
        else:
            shutil.copy(path, other)
    events = ieeg / "sub-01_task-read_events.tsv"
    rows = pd.read_csv(events, sep="\t")
    rows[rows["role"] == "speak"].iloc[::12].to_csv(events, sep="\t", index=False)
    done = rebuilt(copy, tmp_path, models=("vectors",))
    assert done.returncode in (1, 65, 66)
    assert "words one by one and continuous speech can't be scored together" in done.stderr
    done = rebuilt(copy, tmp_path, "--task-label", "talk", "--dry-run", models=("vectors",))
    assert done.returncode == 0
    assert "different, continuous speech." in done.stderr
