"""Phones on the page: chosen electrodes are shown in minutes that did not choose them."""

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.outputs.phonemes import PHONEME_COLUMNS
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.reports import phoneme_section as module
from bids_brainalign.reports.rendering import Album
from tests.reports.fake_outputs import bare_block


def table(*, chosen):
    rows = []
    for k in range(4):
        electrode = {"target": f"E{k}", "hemisphere": "L", "region": "n/a",
                     "informative": int(chosen), "cluster": 1 if chosen else np.nan}  # fmt: skip
        rows.append({**electrode, "kind": "any", "phone_class": "any", "z": float(k)})
        for kind, name in (("phone", "p"), ("phone", "a"), ("manner", "plosive")):
            rows.append({**electrode, "kind": kind, "phone_class": name, "selectivity": 1.0,
                         "selectivity_even": 0.5, "psi": 7, "psi_even": 3})  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=[*PHONEME_COLUMNS])


@pytest.mark.parametrize(("chosen", "psi", "contrast"), [(True, 3, 0.5), (False, 7, 1.0)])
def test_the_figure_shows_even_minutes_of_chosen_electrodes(
    tmp_path, monkeypatch, chosen, psi, contrast
):
    drawn = []
    real = module.phoneme_profiles
    monkeypatch.setattr(module, "phoneme_profiles", lambda *a: drawn.append(a) or real(*a))
    write_tsv(tmp_path / "sub-01_desc-phones_phonemes.tsv", table(chosen=chosen), PHONEME_COLUMNS)
    section = module.phoneme_section(
        bare_block(tmp_path, "sub-01", "own"), Album(tmp_path, "figures")
    )
    ((index, classes, _),) = drawn
    assert (index == psi).all(axis=None)
    assert (classes == contrast).all(axis=None)
    caption = section.pictures[0].caption
    assert ("both panels and the clusters are those of even minutes" in caption) == chosen
    assert ("which flatters them" in caption) != chosen
