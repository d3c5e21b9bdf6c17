import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.outputs.reading import read_sidecar, read_table
from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.stories import synthetic_stories
from bids_brainalign.workflow.reference_check import counts
from tests.small_whisper import write_small_whisper


def test_counts_with_without_and_both():
    table = pd.DataFrame(
        {
            "q_fdr": [0.01, 0.01, 0.2, np.nan],
            "q_fdr_unreferenced": [0.01, 0.2, 0.01, 0.01],
            "q_delta": [0.01, 0.01, 0.01, 0.5],
            "q_delta_unreferenced": [0.5, 0.5, 0.01, np.nan],
        }
    )
    assert counts(table) == {
        "Electrodes": 4,
        "SignificantR": {"With": 2, "Without": 3, "Both": 1},
        "SignificantDelta": {"With": 3, "Without": 1, "Both": 1},
    }


@pytest.mark.slow
@pytest.mark.cli
def test_the_page_shows_both_and_neither_without_a_common_average(tmp_path):
    model = write_small_whisper(tmp_path / "model", seed=5)
    stories = [synthetic_stories(1, duration_s=30.0, seed=5, first=i)[0] for i in range(3)]
    simulate_dataset(
        tmp_path / "sim", model="small", model_folder=model, ieeg_stories=stories,
        fmri_stories=[], n_participants=1, layers=None, seed=5,
    )  # fmt: skip
    (tmp_path / "both.toml").write_text("[ieeg]\ncompare_reference = true\n")

    def run(reference):
        out = tmp_path / reference
        command = [
            sys.executable, "-m", "bids_brainalign", str(tmp_path / "sim" / "bids"), str(out),
            "participant", "--models", f"small={model}", "--sloppy", "--no-untrained",
            "--config-file", str(tmp_path / "both.toml"), "--reference", reference,
            "-w", str(tmp_path / "work"),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return out

    out = run("car")
    path = out / "sub-01/ieeg/sub-01_task-stories_desc-small_references.tsv"
    table = read_table(path, text=("target",)).set_index("target")
    published = read_table(
        path.with_name(path.name.replace("references", "channels")), text=("name",)
    ).set_index("name")
    np.testing.assert_allclose(table["r"], published.loc[table.index, "r"], rtol=1e-4)
    assert (table["r"] != table["r_unreferenced"]).all()
    assert np.corrcoef(table["r"], table["r_unreferenced"])[0, 1] > 0.9
    assert read_sidecar(path.with_suffix(".json"))["Reference"] == "car"
    assert "With and without the reference" in (out / "sub-01.html").read_text()

    # Without a common average the unreferenced scores of before must come out.
    bare = run("none")
    assert not list(bare.rglob("*_references.tsv"))
    scores = read_table(
        bare / "sub-01/ieeg/sub-01_task-stories_desc-small_channels.tsv", text=("name",)
    ).set_index("name")
    np.testing.assert_allclose(
        table["r_unreferenced"], scores.loc[table.index, "r"], rtol=1e-4, atol=1e-6
    )
