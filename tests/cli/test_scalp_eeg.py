"""Simulated scalp EEG from the command line to the page: the planted answer, and nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.recovery import passed, recover
from bids_brainalign.simulate.stories import synthetic_stories
from tests.cli.simulated import MODEL, run
from tests.small_whisper import write_small_whisper

pytestmark = pytest.mark.cli


def analysed(folder, *, null):
    model = write_small_whisper(folder / "model", seed=5)
    stories = [synthetic_stories(1, duration_s=40.0, seed=5, first=i)[0] for i in range(4)]
    truth = simulate_dataset(
        folder / "sim", model=MODEL, model_folder=model, ieeg_stories=[], fmri_stories=[],
        eeg_stories=stories, n_participants=1, layers=None, seed=5, null=null,
    )  # fmt: skip
    out = folder / "out"
    done = run(
        folder / "sim" / "bids", out, "participant", "--models", f"{MODEL}={model}", "--sloppy",
        "--no-untrained", "-w", folder / "work", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return truth, out


def selected(out):
    (path,) = out.glob(f"sub-01/eeg/*_desc-{MODEL}_scores.tsv")
    table = pd.read_csv(path, sep="\t", na_values="n/a", dtype={"fold": str, "target": str})
    return table[(table["layer"] == "selected") & (table["fold"] == "all")].set_index("target")


def test_planted_layers_are_found(tmp_path):
    truth, out = analysed(tmp_path, null=False)
    results = recover(truth, out)
    assert {one.group.modality for one in results} == {"eeg"}
    assert [passed(results, one) for one in results] == [True, True, True]
    scores = selected(out)
    assert set(scores["target_type"]) == {"EEG"}
    for group in truth.groups:
        if group.source == "layer":
            assert (scores.loc[list(group.targets), "q_delta"] < 0.05).mean() > 0.8
    page = (out / "sub-01.html").read_text()
    assert "EEG" in page
    assert "iEEG" not in page
    (channels,) = out.glob(f"sub-01/eeg/*_desc-{MODEL}_channels.tsv")
    table = pd.read_csv(channels, sep="\t", na_values="n/a")
    assert table["x"].notna().all()
    assert table["region"].isna().all()


def test_nothing_is_found_where_nothing_was_planted(tmp_path):
    _, out = analysed(tmp_path, null=True)
    scores = selected(out)
    assert np.abs(scores["r"]).max() < 0.15
    # 32 electrodes share a reference, so they are not 32 draws: no more than two at 5 %.
    assert (scores["q_delta"] < 0.05).sum() == 0
    assert (scores["p"] < 0.05).mean() < 0.2
