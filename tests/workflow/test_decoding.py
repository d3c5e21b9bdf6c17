"""Decoding from stored responses to the table and the page: a planted answer, and a null."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Decoding
from bids_brainalign.reports.decoding_section import _headline, decoding_section
from bids_brainalign.reports.rendering import Album
from bids_brainalign.workflow.decoding import decoding_step
from tests.reports.fake_outputs import bare_block
from tests.workflow.planted import PLANTED_LAYER, make_fit


def decoded(folder, **how):
    planted = make_fit(folder, "ieeg", n_targets=6, **how)
    config = replace(planted.config, decoding=Decoding(("ridge",)))
    own = next(s for s in planted.spaces if s.name == "own")
    path = decoding_step(config, planted.fit, own, None, planted.spaces).work()[0]
    table = pd.read_csv(
        path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str, "layer_mode": str}
    )
    return path, table


def selected(table, score, model="own"):
    mine = table[(table.fold == "all") & (table.score == score) & (table.model == model)]
    return mine[mine.layer == "selected"].iloc[0]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return decoded(tmp_path_factory.mktemp("decoding"))


def test_planted_layer_is_decoded(planted):
    _, table = planted
    row = selected(table, "two_vs_two")
    assert row.value > 0.9
    assert row.p < 0.01
    assert row.p_max < 0.01
    assert str(row.layer_mode) == str(PLANTED_LAYER)
    curve = table[(table.fold == "all") & (table.score == "two_vs_two") & (table.model == "own")]
    curve = curve[curve.layer != "selected"].set_index("layer").value
    others = curve.drop(str(PLANTED_LAYER))
    assert curve[str(PLANTED_LAYER)] > others.max() + 0.1


def test_noise_is_not_decoded(tmp_path):
    found = [
        selected(decoded(tmp_path / str(s), null=True, seed=s)[1], "two_vs_two") for s in range(4)
    ]
    assert sum(row.p < 0.05 for row in found) <= 1
    assert sum(row.p_max < 0.05 for row in found) <= 1
    assert 0.3 < sum(row.value for row in found) / 4 < 0.7


def test_the_page_says_what_was_decoded(planted, tmp_path):
    path, _ = planted
    prefix, _, label = path.name.removesuffix("_decoding.tsv").partition("_desc-")
    section = decoding_section(bare_block(path.parent, prefix, label), Album(tmp_path, tmp_path))
    text = " ".join(section.sentences)
    assert f"layer {PLANTED_LAYER} chosen on inner folds" in text
    assert "That is more than chance (p < 0.0" in text


def test_the_page_tests_the_layer_that_inner_folds_chose():
    row = {
        "score": "two_vs_two", "value": 0.6, "p": 0.03, "p_max": 0.2, "layer_mode": "1",
        "delta_untrained": np.nan, "reason": "",
    }  # fmt: skip
    text = " ".join(_headline(pd.DataFrame([row])))
    assert "more than chance (p = 0.030)" in text
    assert "over layers" not in text
