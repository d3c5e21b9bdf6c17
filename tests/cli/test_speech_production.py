"""Recipe speech-production from the command line: planted, null, and broken datasets."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from bids_brainalign.simulate.production import simulate_production
from bids_brainalign.simulate.production_plan import ProductionPlan
from bids_brainalign.simulate.production_truth import ProductionTruth
from tests.cli.simulated import run
from tests.cli.test_end_to_end import find_validator
from tests.features.test_language_model import write_gpt2
from tests.workflow.people import write_model

pytestmark = pytest.mark.cli

STEM = "sub-01_task-wordProduction"


@dataclass(frozen=True)
class Spoken:
    """A simulated dataset with what was planted, and a run on it."""

    folder: Path
    truth: ProductionTruth
    options: tuple[object, ...] = ()

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def run(self, *options: object, level: str = "participant", models: tuple[str, ...] = ()):
        given = models or (
            f"planted={self.folder / 'vectors.txt'}",
            f"unrelated={self.folder / 'vectors_unrelated.txt'}",
        )
        return run(
            self.folder / "bids", self.out, level, "-w", self.folder / "work",
            "--skip-bids-validation", "--recipe", "speech-production", "--sloppy",
            *(("--models", *given) if level == "participant" else ()), *options, cwd=self.folder,
        )  # fmt: skip

    def table(self, name: str, participant: str = "01") -> pd.DataFrame:
        path = self.out / f"sub-{participant}" / "ieeg"
        stem = STEM.replace("01", participant)
        return pd.read_csv(path / f"{stem}_desc-{name}.tsv", sep="\t", na_values="n/a")

    def sidecar(self, name: str, participant: str = "01") -> dict[str, object]:
        path = self.out / f"sub-{participant}" / "ieeg"
        stem = STEM.replace("01", participant)
        return json.loads((path / f"{stem}_desc-{name}.json").read_text("utf-8"))

    def answer(self, embedding: str, participant: str = "01") -> object:
        return self.sidecar(f"{embedding}_reconstruction", participant)["Answer"]


def simulated(folder: Path, **plan: object) -> Spoken:
    settings = {"n_participants": 1, "n_words": 40, "n_channels": 10, "share": 0.6, **plan}
    return Spoken(folder, simulate_production(folder, ProductionPlan(**settings)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    spoken = simulated(tmp_path_factory.mktemp("spoken"), n_participants=2)
    done = spoken.run()
    assert done.returncode == 0, done.stderr[-3000:]
    done = spoken.run(level="group")
    assert done.returncode == 0, done.stderr[-3000:]
    return spoken


def test_the_planted_vectors_are_found_and_the_others_are_not(planted: Spoken) -> None:
    for participant in ("01", "02"):
        assert planted.answer("planted", participant) == "evidence"
        assert planted.answer("unrelated", participant) == "no evidence"


def test_published_scores_tell_nothing_apart_and_never_stand_alone(planted: Spoken) -> None:
    scores = {}
    for name in ("planted", "unrelated"):
        table = planted.table(f"{name}_reconstruction")
        across = table[table["score"].isin(["pcc", "r2"])]
        assert across[["value", "train_mean"]].notna().all(axis=None)
        scores[name] = (
            table[table["folds"] == "k-fold"].drop_duplicates("score").set_index("score")
        )
    assert scores["unrelated"].loc["pcc", "value"] > 0.85
    assert scores["planted"].loc["pcc", "value"] - scores["unrelated"].loc["pcc", "value"] < 0.05
    assert scores["planted"].loc["pattern_r", "value"] > 0.3
    assert abs(scores["unrelated"].loc["pattern_r", "value"]) < 0.15


def test_words_are_found_in_the_track_and_their_onsets_in_the_sound(planted: Spoken) -> None:
    table = planted.table("production_words")
    truth = planted.truth.speakers[0].words
    assert table["word"].tolist() == [word.word for word in truth]
    assert table["used"].all()
    assert (table["onset"] - [word.speech_onset_s for word in truth]).abs().median() < 0.01
    assert "Stimulus" in str(planted.sidecar("production_words")["Rule"])


def test_outputs_are_valid_bids(planted: Spoken) -> None:
    validator = find_validator()
    done = subprocess.run(
        [validator, str(planted.out), "--ignoreWarnings"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_pages_say_whether_there_is_evidence(planted: Spoken) -> None:
    page = (planted.out / "sub-01.html").read_text("utf-8")
    assert "Evidence with 1 of 2 embeddings" in page
    assert "No evidence" in (planted.out / "index.html").read_text("utf-8")
    assert "Speech production" in (planted.out / "group.html").read_text("utf-8")


def test_group_table_counts_participants_with_evidence(planted: Spoken) -> None:
    path = planted.out / "group" / "desc-production_reconstruction.tsv"
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    rows = table[(table["score"] == "pattern_r") & (table["folds"] == "k-fold")]
    assert rows.set_index("embedding")["n_evidence"].to_dict() == {"planted": 2, "unrelated": 0}
    assert rows["p"].isna().all()  # of two participants
    assert rows["n_participants"].tolist() == [2, 2]


def test_everything_is_reused(planted: Spoken) -> None:
    done = planted.run()
    assert done.returncode == 0, done.stderr[-3000:]
    assert "done: 0 " in done.stdout
    assert "failed: 0" in done.stdout


def test_results_are_the_same_from_scratch(planted: Spoken, tmp_path: Path) -> None:
    name = f"{STEM}_desc-planted_reconstruction.tsv"
    before = (planted.out / "sub-01" / "ieeg" / name).read_bytes()
    again = Spoken(planted.folder, planted.truth)
    done = run(
        again.folder / "bids", tmp_path / "out", "participant", "-w", tmp_path / "work",
        "--skip-bids-validation", "--recipe", "speech-production", "--sloppy", "--models",
        f"planted={again.folder / 'vectors.txt'}",
        f"unrelated={again.folder / 'vectors_unrelated.txt'}",
        "--participant-label", "01", "--steps", "responses", "features", "encoding",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out" / "sub-01" / "ieeg" / name).read_bytes() == before


def test_without_any_signal_nothing_is_found(tmp_path: Path) -> None:
    spoken = simulated(tmp_path, share=0.0, seed=4)
    done = spoken.run()
    assert done.returncode == 0, done.stderr[-3000:]
    assert spoken.answer("planted") == "no evidence"
    assert spoken.answer("unrelated") == "no evidence"
    table = spoken.table("planted_reconstruction")
    assert table.set_index("score").loc["pcc", "value"].max() > 0.85


@pytest.mark.parametrize(
    "file_format", ["edf", pytest.param("brainvision", marks=pytest.mark.slow)]
)
def test_other_formats_with_words_in_events(tmp_path: Path, file_format: str) -> None:
    spoken = simulated(tmp_path, file_format=file_format)
    done = spoken.run()
    assert done.returncode == 0, done.stderr[-3000:]
    assert spoken.answer("planted") == "evidence"
    assert "events.tsv" in str(spoken.sidecar("production_words")["Rule"])
    assert spoken.table("production_words")["latency"].notna().all()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory):
    """One participant with three words, a constant channel, and a word without a vector."""
    folder = tmp_path_factory.mktemp("broken")
    spoken = simulated(folder, n_participants=2, n_few=1, n_flat=1)
    lost = spoken.truth.speakers[0].words[7].word
    path = folder / "vectors.txt"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if line.split(" ")[0] != lost))
    return spoken, lost, spoken.run()


def test_a_participant_with_three_words_costs_the_others_nothing(broken) -> None:
    spoken, _, done = broken
    assert done.returncode == 1
    assert "3 different words of sub-02_task-wordProduction can be used, and 10 are" in done.stderr
    assert spoken.answer("planted") == "evidence"


def test_a_word_without_a_vector_is_named_and_left_out_for_all(broken) -> None:
    spoken, lost, _ = broken
    for name in ("planted", "unrelated"):
        words = spoken.table(f"{name}_wordscores")["word"]
        assert lost not in set(words)
        assert spoken.sidecar(f"{name}_reconstruction")["NumberOfWords"] == 39
    page = (spoken.out / "sub-01.html").read_text("utf-8")
    assert lost in page


def test_a_constant_channel_is_named_and_left_out(broken) -> None:
    spoken, _, _ = broken
    assert "is constant or not finite" in str(spoken.sidecar("planted_reconstruction")["Notes"])
    assert len(spoken.table("planted_channelscores")) == 9


def test_without_sound_cues_count_and_speech_models_are_told(tmp_path: Path) -> None:
    spoken = simulated(tmp_path, with_audio=False, share=0.9)
    embedded = Path(__file__).parents[2] / "bids_brainalign" / "features" / "embedded"
    done = spoken.run(models=(f"planted={tmp_path / 'vectors.txt'}", f"speech={embedded}"))
    assert done.returncode == 66 or done.returncode == 1
    assert "There is no sound of the participant for a speech model to hear" in done.stderr
    assert "There is no sound: windows count from the cues" in str(
        spoken.sidecar("production_words")["Onset"]
    )
    assert spoken.sidecar("planted_reconstruction")["NumberOfWords"] == 40


def test_embeddings_without_common_words(planted: Spoken, tmp_path: Path) -> None:
    lines = (planted.folder / "vectors.txt").read_text("utf-8").splitlines(keepends=True)
    spoken = {word.word for word in planted.truth.speakers[0].words}
    known = [line for line in lines if line.split(" ")[0] in spoken]
    (tmp_path / "a.txt").write_text("".join(known[:20]))
    (tmp_path / "b.txt").write_text("".join(known[20:]))
    done = run(
        planted.folder / "bids", tmp_path / "out", "participant", "-w", tmp_path / "work",
        "--skip-bids-validation", "--recipe", "speech-production", "--sloppy", "--models",
        f"a={tmp_path / 'a.txt'}", f"b={tmp_path / 'b.txt'}", "--participant-label", "01",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in (1, 65)
    assert "0 different words of sub-01_task-wordProduction can be used" in done.stderr
    assert "lack a vector somewhere" in done.stderr


def test_clocks_that_are_apart_and_a_leak_that_tells_it(tmp_path: Path) -> None:
    spoken = simulated(tmp_path, n_leaking=2, leak_uv=30.0, audio_lag_s=0.12)
    done = spoken.run("--realign")
    assert done.returncode == 0, done.stderr[-3000:]
    leaks = spoken.table("production_contamination")
    assert leaks["flagged"].tolist() == [row < 2 for row in range(10)]
    table = spoken.table("production_synchrony").set_index("name")
    assert table.loc["leak", "lag"] == pytest.approx(-0.12, abs=0.008)
    assert table.loc["leak", "flagged"]
    assert "they are apart by more than 25 ms" in str(
        spoken.sidecar("production_synchrony")["Sentences"]
    )
    shift = spoken.sidecar("plantedRealigned_reconstruction")["ShiftSeconds"]
    assert shift == pytest.approx(-0.12, abs=0.008)


def test_a_run_of_listeners_names_the_recipe(planted: Spoken, tmp_path: Path) -> None:
    done = run(
        planted.folder / "bids", tmp_path / "out", "participant", "-w", tmp_path / "work",
        "--skip-bids-validation", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 66
    assert "--recipe speech-production" in done.stderr


def test_dry_run_lists_words(planted: Spoken, tmp_path: Path) -> None:
    done = run(
        planted.folder / "bids", tmp_path / "out", "participant", "-w", tmp_path / "work",
        "--skip-bids-validation", "--recipe", "speech-production", "--dry-run", "--models",
        f"v={planted.folder / 'vectors.txt'}", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0
    assert "40 words, 40 different" in done.stderr
    assert not list((tmp_path / "out").rglob("*.tsv"))


def test_models_that_read_and_hear_words_stand_beside_tables_of_vectors(tmp_path: Path) -> None:
    """Random weights of small size: what is asserted is the way, not their scores."""
    spoken = simulated(tmp_path)
    write_gpt2(tmp_path / "reads")
    write_model(tmp_path / "hears")
    settings = tmp_path / "both.toml"
    settings.write_text(
        '[production]\ntext_context = ["alone", "running"]\nlayer = "last"\n'
        'combine = ["planted+hears", "reads:running+planted"]\n'
    )
    done = spoken.run(
        "--config-file", settings,
        models=tuple(
            f"{name}={tmp_path / path}"
            for name, path in (
                ("planted", "vectors.txt"), ("reads", "reads"), ("hears", "hears")
            )
        ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "reads: 40 texts read, about 1 s" in done.stderr
    assert "hears: 40 words heard, about " in done.stderr
    n_dims = {}
    for label in ("planted", "reads", "readsRunning", "hears", "plantedAndHears",
                  "readsRunningAndPlanted"):  # fmt: skip
        assert spoken.answer(label) in ("evidence", "no evidence")
        assert spoken.sidecar(f"{label}_reconstruction")["NumberOfWords"] == 40
        n_dims[label] = spoken.sidecar(f"{label}_reconstruction")["NumberOfDimensions"]
        layers = (
            spoken.table(f"{label}_timecourse")["layer"].nunique() if "And" not in label else 1
        )
        assert layers == {"planted": 1, "reads": 3, "readsRunning": 3, "hears": 3}.get(label, 1)
    assert n_dims["plantedAndHears"] == n_dims["planted"] + n_dims["hears"]
    assert spoken.answer("planted") == "evidence"
    assert len(spoken.table("production_geometry")) == 6
