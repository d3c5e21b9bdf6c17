"""Where no test was possible, the page does not count electrodes that were not found."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.reports.combined_section import combined_section
from bids_brainalign.reports.reference_section import reference_section
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.summary import headline
from bids_brainalign.reports.variance_section import variance_section
from tests.reports.fake_outputs import bare_block

STEM = "sub-01_desc-own"
NAMES = ["A1", "A2", "A3"]


def said(folder, make, suffix, columns):
    path = folder / f"{STEM}_{suffix}.tsv"
    frame = pd.DataFrame({"target": NAMES, "model": "own"} | columns)
    frame.to_csv(path, sep="\t", index=False, na_rep="n/a")
    path.with_suffix(".json").write_text(json.dumps({}))
    section = make(bare_block(folder, "sub-01", "own"), Album(folder, folder))
    cells = [cell for table in section.tables for row in table.rows for cell in row]
    return " ".join(section.sentences), cells


@pytest.mark.parametrize("tested", [True, False])
def test_variance(tmp_path, tested):
    q = 0.2 if tested else np.nan
    text, _ = said(tmp_path, variance_section, "variance", {
        "unique_model": 0.01, "unique_lowlevel": 0.02, "shared": 0.1,
        "q_unique_model": q, "q_unique_lowlevel": q,
    })  # fmt: skip
    assert ("0 of 3 targets" in text) == tested
    assert ("no test: held-out folds" in text) != tested


@pytest.mark.parametrize("tested", [True, False])
def test_combined_layers(tmp_path, tested):
    text, cells = said(tmp_path, combined_section, "combined", {
        "layers": "1:1.0", "n_best": 2, "r_selected": -0.1, "r_combined": 0.05,
        "delta_r": [-0.01, -0.02, -0.03], "q": 0.2 if tested else np.nan,
    })  # fmt: skip
    assert "−0.020 in r" in text
    assert ("0 of 3 electrodes" in text) == tested
    assert ("no test: held-out folds" in text) != tested
    assert "−0.100" in cells
    assert ("n/a" in cells) != tested
    assert "nan" not in cells


@pytest.mark.parametrize("tested", [True, False])
def test_reference(tmp_path, tested):
    q = 0.2 if tested else np.nan
    text, cells = said(tmp_path, reference_section, "references", {
        "r": 0.1, "q_fdr": 0.01, "q_delta": q, "r_unreferenced": 0.1,
        "q_fdr_unreferenced": q, "q_delta_unreferenced": q,
    })  # fmt: skip
    assert ("0 electrodes exceed" in text) == tested
    assert ("no test: held-out folds" in text) != tested
    assert cells[1:4] == (["3 of 3", "0 of 3", "0 of 3"] if tested else ["3 of 3", "n/a", "n/a"])


def test_headline():
    rows = {
        "target": NAMES, "target_type": "ECOG", "hemisphere": "L", "layer": "selected",
        "fold": "all", "layer_mode": np.nan, "layer_agreement": np.nan, "r": 0.1,
        "delta_r_lowlevel": 0.01, "q_fdr": np.nan, "q_delta": np.nan, "q_untrained": np.nan,
    }  # fmt: skip
    main = SimpleNamespace(model="own", scores=pd.DataFrame(rows))
    text = " ".join(headline(SimpleNamespace(main=main, dense=None), None).sentences)
    assert "Prediction as such: no test" in text
    assert "0 of 3" not in text
    main.model = "lowlevel"
    assert headline(SimpleNamespace(main=main, dense=None), None).facts[0][0] == "n/a"
