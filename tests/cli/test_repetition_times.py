"""Planted answers at the repetition times of real studies, with responses early and late.

Two parts of the brain follow two layers; one answers 1.8 s after the sound, the other 8 s after
it, near the edges of the default window. Layer, region, lag and ceiling must be found again, and
the part that follows nothing must stay empty.
"""

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.recovery import passed, recover
from bids_brainalign.simulate.stories import synthetic_stories
from bids_brainalign.simulate.volume import affine, brain_mask, parts
from tests.cli.simulated import MODEL, Simulated, run
from tests.small_whisper import write_small_whisper

pytestmark = pytest.mark.cli

STEM = "sub-01_space-MNI152NLin2009cAsym"
N_REPEATS = 4
ALPHA = 0.05
REGIONS = {"right-posterior": "posterior-R", "right-anterior": "anterior-R", "left": "left"}
"""Parts of the brain, and the program's names of regions and hemispheres."""
SLOW = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=[
        (0.8, (8.0, 1.8)),
        pytest.param((0.8, (1.8, 8.0)), marks=SLOW),
        pytest.param((1.5, (1.8, 8.0)), marks=SLOW),
        pytest.param((2.0, (1.8, 8.0)), marks=SLOW),
        pytest.param((2.0, (8.0, 1.8)), marks=SLOW),
    ],
    ids=lambda given: f"tr{given[0]}-lags{given[1][0]:g}-{given[1][1]:g}",
)
def listened(request, tmp_path_factory):
    tr_s, lags_s = request.param
    folder = tmp_path_factory.mktemp("times")
    write_small_whisper(folder / "model", seed=5)
    stories = synthetic_stories(4, duration_s=150, seed=5)
    truth = simulate_dataset(
        folder / "planted", model=MODEL, model_folder=folder / "model", ieeg_stories=[],
        fmri_stories=stories, n_participants=1, layers=None, seed=5, n_repeats=N_REPEATS,
        tr_s=tr_s, bold_lags_s=lags_s,
    )  # fmt: skip
    made = Simulated(folder / "planted", truth)
    labels, regions = atlas_of_parts()
    atlas = made.root / "tpl-MNI152NLin2009cAsym_atlas-parts_dseg.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels, affine()), atlas)
    names = "".join(f"{k}\t{n}\n" for k, n in enumerate(regions, start=1))
    atlas.with_name(atlas.name.replace(".nii.gz", ".tsv")).write_text(f"index\tname\n{names}")
    out = made.root / "out"
    done = run(
        made.bids, out, "participant", "--models", made.model, "--no-untrained", "--atlas", atlas,
        "--save", "weights", "-w", made.root / "work", cwd=made.root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return made, out, tr_s


def atlas_of_parts():
    """The planted parts, and the rest cut into blocks: many regions that follow nothing."""
    labels = np.zeros(brain_mask().shape, dtype=np.int16)
    names = []
    for area in parts((1, 2)):
        if area.source is not None:
            names.append(area.name)
            labels[area.voxels] = len(names)
            continue
        voxels = np.argwhere(area.voxels)
        blocks = np.unique(voxels // (2, 3, 3), axis=0)
        for block in blocks:
            inside = voxels[(voxels // (2, 3, 3) == block).all(axis=1)]
            names.append(f"empty{len(names)}-L")
            labels[tuple(inside.T)] = len(names)
    return labels, names


def table(out, ending):
    path = out / "sub-01" / "func" / f"{STEM}_{ending}"
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})


def test_layers_are_recovered(listened):
    made, out, _ = listened
    found = recover(made.truth, out)
    verdicts = {one.group.name: passed(found, one) for one in found}
    assert verdicts == {"right-posterior": True, "right-anterior": True, "left": True}


def test_regions_are_recovered(listened):
    made, out, _ = listened
    scores = table(out, f"desc-{MODEL}_scores.tsv")
    chosen = scores[(scores["layer"] == "selected") & (scores["fold"] == "all")]
    chosen = chosen.set_index("target")
    for group in made.truth.groups:
        if group.source == "layer":
            assert chosen.loc[REGIONS[group.name], "q_fdr"] < ALPHA, group.name
    empty = chosen[chosen.index.str.startswith("empty")]
    assert len(empty) > 20
    assert empty["r"].abs().max() < 0.12
    # Independent but for the story they share: more than this is expected once in a thousand.
    assert (empty["p"] < ALPHA).sum() <= binom.ppf(0.999, len(empty), ALPHA)


def test_lags_are_recovered(listened):
    made, out, tr_s = listened
    (path,) = out.glob(f"sub-01/func/{STEM}_desc-{MODEL}_weights.h5")
    with h5py.File(path) as file:
        delays_s, weights = np.asarray(file["delays_s"]), np.asarray(file["weights"])
        voxels = [tuple(map(int, ijk)) for ijk in file["voxels"]]
    for group in made.truth.groups:
        if group.source != "layer":
            continue
        columns = [voxels.index(voxel) for voxel in group.targets]
        strength = np.sqrt((weights[:, :, columns] ** 2).sum(axis=(1, 2)))
        assert abs(delays_s[strength.argmax()] - group.lag_s) <= tr_s


def test_ceilings_are_recovered(listened):
    made, out, _ = listened
    rows = table(out, "desc-repeats_ceilings.tsv").set_index("target")
    for group in made.truth.groups:
        row = rows.loc[REGIONS[group.name]]
        if group.source == "layer":
            assert row["ci_low"] <= np.mean(group.repeated_r) <= row["ci_high"], group.name
            assert row["q_fdr"] < ALPHA
        else:
            assert not row["q_fdr"] < ALPHA
