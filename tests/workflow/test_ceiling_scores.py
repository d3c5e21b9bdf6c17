"""r_ceiling and r_normalised of a table of scores, and the parcels of selected voxels."""

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Ceiling, Config, Paths
from bids_brainalign.workflow.ceiling_scores import add_ceilings
from bids_brainalign.workflow.ceiling_selection import with_selected
from bids_brainalign.workflow.ceilings import Ceilings, TargetCeilings


def ceilings(*, pooled=(0,), n_averaged=1):
    """Three electrodes: a ceiling, an unsure one, and none."""
    signed = np.array([0.5, 0.4, -0.2])
    q = np.array([0.001, 0.3, 0.9])
    per_fold = np.stack([[0.6, 0.4, -0.1] if k in pooled else [np.nan] * 3 for k in range(2)])
    targets = TargetCeilings(signed, signed - 0.1, signed + 0.1, q, q, per_fold)
    return Ceilings(n_averaged, 4, 100, 2000, pooled, targets, None, np.zeros(40))


def table():
    rows = [
        {"target": name, "layer": layer, "fold": fold, "r": r}
        for layer, fold, values in (
            ("0", "all", (0.1, 0.1, 0.1)),
            ("selected", "all", (0.2, 0.2, 0.2)),
            ("selected", "1", (0.9, 0.1, 0.1)),
            ("selected", "2", (0.1, 0.1, 0.1)),
        )
        for name, r in zip("abc", values, strict=True)
    ]
    frame = pd.DataFrame(rows)
    for column in ("r_ceiling", "ceiling_kind", "r_normalised"):
        frame[column] = np.nan
    return frame


R_FOLD = np.array([[0.9, 0.1, 0.1], [0.1, 0.1, 0.1]])


def filled(found):
    scores = add_ceilings(table(), found, R_FOLD, fold_sizes=[100, 100], min_samples=30)
    return scores.set_index(["layer", "fold", "target"])


def test_every_fold_has_a_ceiling():
    rows = filled(ceilings(pooled=(0, 1)))
    assert rows.loc[("selected", "all", "a"), "r_normalised"] == pytest.approx(0.2 / 0.5)
    assert rows.loc[("0", "all", "a"), "r_normalised"] == pytest.approx(0.1 / 0.5)
    assert rows.loc[("selected", "1", "a"), "r_normalised"] == pytest.approx(1.5)  # never clipped
    # Not significant: a ceiling, but nothing is divided by it. No signal power: no ceiling.
    assert rows.loc[("selected", "all", "b"), "r_ceiling"] == 0.4
    assert np.isnan(rows.loc[("selected", "all", "b"), "r_normalised"])
    assert np.isnan(rows.loc[("selected", "all", "c"), "r_ceiling"])
    assert set(rows["ceiling_kind"]) == {"single"}


def test_some_folds_have_a_ceiling():
    """The r that is divided is that of the folds with repeats."""
    rows = filled(ceilings(pooled=(0,), n_averaged=4))
    assert rows.loc[("selected", "all", "a"), "r_normalised"] == pytest.approx(0.9 / 0.5)
    assert np.isnan(rows.loc[("0", "all", "a"), "r_normalised"])
    assert np.isnan(rows.loc[("selected", "2", "a"), "r_ceiling"])
    assert rows.loc[("selected", "1", "a"), "ceiling_kind"] == "mean_of_4"


def test_without_repeats_nothing_is_filled():
    rows = filled(None)
    assert rows[["r_ceiling", "ceiling_kind", "r_normalised"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("select", "ending"), [("halves", ":selected"), ("published", ":circular")]
)
def test_selected_voxels_are_parcels(tmp_path, select, ending):
    paths = Paths(tmp_path, tmp_path, tmp_path)
    config = Config("participant", paths, ceiling=Ceiling(select=select))
    parcels = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool)
    names = pd.DataFrame(
        {"name": ["whole", "left", "A1"], "type": "parcel", "hemisphere": ["n/a", "L", "R"],
         "region": ["n/a", "n/a", "A1"]}
    )  # fmt: skip
    more, named = with_selected(config, parcels, names, np.array([False, False, True, False]))
    assert list(named["name"])[3:] == [f"whole{ending}", f"A1{ending}"]
    assert list(named["region"])[3:] == ["n/a", f"A1{ending}"]
    np.testing.assert_array_equal(more[3:], [[False, False, True, False]] * 2)
