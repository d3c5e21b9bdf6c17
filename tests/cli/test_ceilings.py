"""A story heard four times: planted ceilings are found, voxels selected, and a twin has none."""

import json

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.stories import synthetic_stories
from tests.cli.simulated import MODEL, Simulated, run
from tests.small_whisper import write_small_whisper

pytestmark = pytest.mark.cli

STEM = "sub-01_space-MNI152NLin2009cAsym"
N_REPEATS = 4


def simulated(folder, *, null):
    """Two listeners; the first of four stories in four runs."""
    model = folder / "model"
    if not model.is_dir():
        write_small_whisper(model, seed=5)
    root = folder / ("null" if null else "planted")
    truth = simulate_dataset(
        root, model=MODEL, model_folder=model, ieeg_stories=[],
        fmri_stories=[*synthetic_stories(1, duration_s=150, seed=5),
                      *synthetic_stories(3, duration_s=90, seed=5, first=1)],
        n_participants=2, layers=[1], seed=5, null=null, n_repeats=N_REPEATS,
    )  # fmt: skip
    return Simulated(root, truth)


def outputs(made, name, *options, level="participant"):
    out = made.root / name
    done = run(
        made.bids, out, level, "--models", made.model, "--no-untrained", "-w", made.root / "work",
        *options, cwd=made.root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def table(out, ending):
    path = out / "sub-01" / "func" / f"{STEM}_{ending}"
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})


def statmap(out, stat, desc):
    path = out / "sub-01" / "func" / f"{STEM}_stat-{stat}_desc-{desc}_statmap.nii.gz"
    return np.asarray(nibabel.load(path).dataobj, dtype=np.float64)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    made = simulated(tmp_path_factory.mktemp("ceilings"), null=False)
    return made, outputs(made, "out", "--save", "predictions")


def test_planted_ceilings_are_recovered(planted):
    made, out = planted
    rows = table(out, "desc-repeats_ceilings.tsv").set_index("target")
    right, left = (next(g for g in made.truth.groups if g.participant == "01" and g.name == name)
                   for name in ("right", "left"))  # fmt: skip
    recorded = np.array(right.repeated_r)
    assert rows.loc["right", "ci_low"] <= recorded.mean() <= rows.loc["right", "ci_high"]
    assert rows.loc["right", "q_fdr"] < 0.05
    assert not rows.loc["left", "q_fdr"] < 0.05
    assert set(rows["ceiling_kind"]) == {"single"}
    assert set(rows["n_repeats"]) == {N_REPEATS}
    ceiling, q = statmap(out, "ceiling", "repeats"), statmap(out, "ceilingq", "repeats")
    at = {group.name: tuple(np.array(group.targets).T) for group in (right, left)}
    assert np.nanmean(ceiling[at["right"]]) == pytest.approx(recorded.mean(), abs=0.06)
    assert (q[at["right"]] < 0.05).mean() > 0.95
    assert (q[at["left"]] < 0.05).mean() < 0.08  # q is over both halves: some of the 5 % lie here


def test_scores_stand_beside_their_ceilings(planted):
    _, out = planted
    scores = table(out, f"desc-{MODEL}_scores.tsv")
    right = scores[(scores["target"] == "right") & (scores["fold"] == "all")]
    ceiling = table(out, "desc-repeats_ceilings.tsv").set_index("target").loc["right", "r_ceiling"]
    np.testing.assert_allclose(right["r_ceiling"], ceiling, rtol=1e-5)
    np.testing.assert_allclose(right["r_normalised"], right["r"] / ceiling, rtol=1e-4)
    assert scores.loc[scores["target"] == "left", "r_normalised"].isna().all()
    r, normalised = statmap(out, "r", MODEL), statmap(out, "rNorm", MODEL)
    ceiling, q = statmap(out, "ceiling", "repeats"), statmap(out, "ceilingq", "repeats")
    shown = np.isfinite(normalised)
    np.testing.assert_array_equal(shown[..., 0], (q < 0.05) & (ceiling > 0))
    expected = (r / ceiling[..., None])[shown]
    np.testing.assert_allclose(normalised[shown], expected, rtol=1e-4, atol=1e-6)
    assert "Noise ceiling" in (out / "sub-01.html").read_text()


def test_halves_select_and_score(planted):
    made, _ = planted
    (made.root / "halves.toml").write_text('[ceiling]\nselect = "halves"\n')
    out = outputs(made, "halves", "--config-file", "halves.toml", "--participant-label", "01")
    folds = table(out, "desc-lowlevel_folds.tsv")
    heard = folds[folds["run"].str.contains("_run-1_|_run-1$")].set_index("role")
    assert heard.loc["select", "stop"] < heard.loc["test", "start"]
    scores = table(out, f"desc-{MODEL}_scores.tsv")
    chosen = scores[(scores["layer"] == "selected") & (scores["fold"] == "all")]
    r = chosen.set_index("target")["r"]
    assert r["whole:selected"] > r["whole"] + 0.05
    assert chosen["n_samples"].nunique() == 1
    assert chosen["n_samples"].iloc[0] == folds.loc[folds["role"] == "test", "n_samples"].sum()
    said = json.loads((out / f"sub-01/func/{STEM}_desc-{MODEL}_scores.json").read_text())
    assert said["CeilingSelection"]["circular"] is False
    rows = table(out, "desc-repeats_ceilings.tsv").set_index("target")
    assert rows.loc["whole:selected", "n_voxels"] > 100


@pytest.mark.slow
def test_the_published_selection_is_labelled(planted):
    made, _ = planted
    (made.root / "published.toml").write_text('[ceiling]\nselect = "published"\nthreshold = 0.3\n')
    out = outputs(made, "published", "--config-file", "published.toml",
                  "--participant-label", "01")  # fmt: skip
    said = json.loads((out / f"sub-01/func/{STEM}_desc-{MODEL}_scores.json").read_text())
    assert said["CeilingSelection"]["circular"] is True
    targets = set(table(out, f"desc-{MODEL}_scores.tsv")["target"])
    assert {"whole:circular", "right:circular"} <= targets
    assert not any(target.endswith(":selected") for target in targets)
    page = (out / "sub-01.html").read_text().replace("&#39;", "'")
    assert "Don't read these scores as held out" in page
    summary = page[: page.index("Noise ceiling")]
    assert "circular (mean Δr" not in summary


def test_isc_stands_in_a_table_of_its_own(planted):
    made, out = planted
    outputs(made, "out", level="group")
    isc = pd.read_csv(out / "group/desc-responses_isc.tsv", sep="\t", dtype={"participant": str})
    assert list(isc["participant"].unique()) == ["01", "02"]
    assert list(isc["target"].unique()) == ["whole", "left", "right"]
    one, two = (
        h5py.File(out / f"sub-{s}/func/{STEM.replace('01', s, 1)}_desc-lowlevel_predictions.h5")
        for s in ("01", "02")
    )
    maps = [
        np.asarray(nibabel.load(path).dataobj)
        for path in sorted((out / "group").glob("sub-*_stat-isc_desc-responses_statmap.nii.gz"))
    ]
    assert len(maps) == 2
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)
    np.testing.assert_array_equal(np.isfinite(maps[0]), np.isfinite(statmap(out, "q", MODEL)))
    # Two listeners: each is the other's mean, so both have the same correlation.
    np.testing.assert_allclose(isc["isc"][:3], isc["isc"][3:], rtol=1e-6)
    assert set(one["samples/stimulus"].asstr()[()]) == set(two["samples/stimulus"].asstr()[()])


def test_a_twin_without_a_link_has_no_ceiling(tmp_path):
    made = simulated(tmp_path, null=True)
    out = outputs(made, "out", "--participant-label", "01")
    rows = table(out, "desc-repeats_ceilings.tsv").set_index("target")
    assert (rows["n_significant"] == 0).all()
    assert (rows["p"] > 0.001).all()
    scores = table(out, f"desc-{MODEL}_scores.tsv")
    assert scores["r_normalised"].isna().all()
    assert np.isnan(statmap(out, "rNorm", MODEL)).all()
