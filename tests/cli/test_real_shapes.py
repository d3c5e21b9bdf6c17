"""Real sidecars of OpenNeuro datasets, each run by its own rule, from the command line."""

import json

import pandas as pd
import pytest

from tests.cli.shapes import narratives, podcast, task_named
from tests.cli.simulated import run
from tests.small_whisper import write_small_whisper

pytestmark = [pytest.mark.cli, pytest.mark.shared]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_whisper(tmp_path_factory.mktemp("model") / "small", seed=0)


def analyse(root, model, *options):
    out = root.parent / "out"
    done = run(
        root, out, "participant", "--models", f"small={model}", "--sloppy", "--no-untrained",
        "-w", root.parent / "work", *options, cwd=root.parent,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return out, done.stdout + done.stderr


def lowlevel(out):
    """The answer rows of the baseline, by target, and the sentences beside them."""
    (path,) = out.rglob("*_desc-lowlevel_scores.tsv")
    table = pd.read_csv(path, sep="\t", na_values="n/a", dtype={"fold": str, "target": str})
    sidecar = json.loads(path.with_suffix(".json").read_text())
    return table[table["fold"] == "all"].set_index("target"), sidecar


def test_podcast_ecog(shared, model, tmp_path):
    planted = podcast(shared, tmp_path / "bids")
    out, _ = analyse(tmp_path / "bids", model)
    scores, sidecar = lowlevel(out)
    assert scores.loc[planted, "r"].min() > 0.2
    assert scores.drop(planted)["r"].abs().max() < 0.2
    # Typed as ECOG, but no electrodes of the brain: their status says so.
    assert not {"OSAT", "PR", "EKG1"} & set(scores.index)
    assert scores["p"].loc[planted].max() < 0.01
    said = " ".join(sidecar["Assumptions"])
    assert "assumed onset 0" in said
    assert "follow the sound as they should (lag 0.10 s" in said, said
    (channels,) = out.rglob("*_desc-lowlevel_channels.tsv")
    table = pd.read_csv(channels, sep="\t", na_values="n/a").set_index("name")
    assert set(table["space"]) == {"MNI152NLin2009aSym"}
    assert table.loc[planted, "x"].notna().all()


def test_narratives_with_a_story_heard_twice(shared, model, tmp_path):
    narratives(shared, tmp_path / "bids")
    out, text = analyse(tmp_path / "bids", model)
    scores, sidecar = lowlevel(out)
    assert scores.loc["right", "r"] > 0.3
    assert abs(scores.loc["left", "r"]) < 0.1
    assert {p["rule"] for p in sidecar["Presentations"]} == {"events stim_file"}
    assert len({p["content_group"] for p in sidecar["Presentations"]}) == 1
    assert "blocks within runs" in text
    (folds,) = out.rglob("*_desc-lowlevel_folds.tsv")
    table = pd.read_csv(folds, sep="\t")
    # A block is held out of both presentations, at the same place of the story.
    for _, fold in table[table["role"] == "test"].groupby("fold"):
        assert fold["run"].nunique() == 2
        starts = fold.groupby("run")["start"].min()
        assert abs(starts.iloc[0] - starts.iloc[1]) < 3


def test_stories_named_like_tasks(shared, model, tmp_path):
    task_named(shared, tmp_path / "bids")
    out, text = analyse(tmp_path / "bids", model)
    scores, sidecar = lowlevel(out)
    assert scores.loc["right", "r"] > 0.3
    assert abs(scores.loc["left", "r"]) < 0.1
    assert {p["rule"] for p in sidecar["Presentations"]} == {"task name, assumed onset 0"}
    assert len({p["content_group"] for p in sidecar["Presentations"]}) == 3
    assert "leave one content group out" in text
    assert (out / "sub-UTS01.html").is_file()
