"""Without ``--models`` the shipped model runs, and every page says what it is."""

import json

import pandas as pd
import pytest

from bids_brainalign.features.embedded import NOTE
from bids_brainalign.reports.rendering import page_url
from tests.cli.simulated import run, simulate

pytestmark = pytest.mark.cli


def test_the_shipped_model_runs_and_says_what_it_is(tmp_path):
    data = simulate(tmp_path, ieeg_s=(30.0,) * 3, fmri_s=())
    out = tmp_path / "out"
    done = run(data.bids, out, "participant", "--sloppy", "--no-untrained", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert NOTE in done.stderr
    assert run(data.bids, out, "group", cwd=tmp_path).returncode == 0
    (path,) = out.rglob("*_desc-embedded_scores.tsv")
    table = pd.read_csv(path, sep="\t", dtype={"layer": str})
    assert set(table["model"]) == {"embedded"}
    assert {"0", "6", "selected"} < set(table["layer"])
    assert NOTE in json.loads(path.with_suffix(".json").read_text())["ModelDescription"]
    for page in (page_url(out, "01"), "group.html"):
        text = " ".join((out / page).read_text(encoding="utf-8").split())
        assert "the small model that brainalign ships for demonstration" in text
