"""Regions of interest from the atlas' file to rows of scores.tsv, with a planted answer.

Six voxels (or vertices) of the left side follow one layer, six of the right side follow nothing.
"""

from dataclasses import replace

import nibabel
import numpy as np
import pytest

from bids_brainalign.config.schema import Anatomy, Rois
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.grids import Columns, Surface
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.encoding import encode, fit_inputs
from bids_brainalign.workflow.layer_maps import layer_maps
from bids_brainalign.workflow.regions import region_inputs
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from tests.anatomy.label_files import write_annot
from tests.workflow.planted import PLANTED_LAYER, make_fit

N = 12
MNI = "MNI152NLin2009cAsym"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    made = make_fit(tmp_path_factory.mktemp("rois"), "fmri", seconds=(240,) * 4, n_targets=N)
    on_grid(made, lambda old: old.targets.assign(x=np.arange(N, dtype=float), y=0.0, z=0.0))
    return made


def on_grid(made, targets_of, grid=None):
    for recording in made.fit.recordings:
        path = response_path(made.config, made.fit, recording)
        old = load_response(path)
        save_response(path, replace(old, targets=targets_of(old), grid=grid or old.grid))


def with_atlas(made, path, space="", **rois):
    config = replace(made.config, anatomy=Anatomy(atlas=str(path), atlas_space=space),
                     rois=Rois(**rois))  # fmt: skip
    return replace(made, config=config)


def dseg(folder, *, name=f"tpl-{MNI}_dseg", second="L_44_ROI"):
    data = np.zeros((N, 1, 1), dtype=np.int16)
    data[:6], data[6:], data[5] = 1, 2, 3
    folder.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), folder / f"{name}.nii.gz")
    table = f"index\tname\n1\tL_A1_ROI\n2\t{second}\n3\tL_PBelt_ROI\n"
    (folder / f"{name}.tsv").write_text(table)
    return folder / f"{name}.nii.gz"


def answers(made):
    own = next(s for s in made.spaces if s.name == "own")
    result = encode(made.config, made.fit, own, None, made.spaces)
    block = result.blocks["model"]
    rows = result.targets.assign(
        r=block.result.selected_r, p=block.delta_lowlevel.p, layer=block.mode
    )
    return rows.set_index("name"), result


def test_the_region_over_planted_voxels_finds_the_layer(planted, tmp_path):
    rows, result = answers(with_atlas(planted, dseg(tmp_path)))
    assert list(rows.index) == ["whole", "left", "right", "A1-L", "early-auditory-L",
                                "late-language-L", "IFG-L"]  # fmt: skip
    assert rows.loc["A1-L", ["hemisphere", "region", "type"]].tolist() == ["L", "A1", "parcel"]
    for name in ("A1-L", "early-auditory-L"):
        assert rows.loc[name, "p"] < 0.01
        assert rows.loc[name, "layer"] == PLANTED_LAYER
    assert rows.loc["IFG-L", "p"] > 0.05
    assert abs(rows.loc["IFG-L", "r"]) < 0.1
    # Means over exactly the voxels of the label.
    voxels = result.voxels["model"].result.selected_r
    np.testing.assert_allclose(rows.loc["A1-L", "r"], voxels[:5].mean(), rtol=1e-6)
    np.testing.assert_allclose(rows.loc["early-auditory-L", "r"], voxels[:6].mean(), rtol=1e-6)
    notes = " ".join(result.assembly.notes)
    assert "both are in MNI152NLin2009cAsym" in notes
    assert "ROI MFG is left out" in notes
    assert "A1-L 5, early-auditory-L 6" in notes


def test_layer_maps_show_the_planted_half_only(planted, tmp_path):
    _, result = answers(with_atlas(planted, dseg(tmp_path)))
    maps = {stat: values for stat, values, _ in layer_maps(result.voxels["model"])}
    assert maps["sig"].tolist() == [1.0] * 6 + [0.0] * 6
    shown = np.isfinite(maps["layer"])
    assert shown[:6].sum() >= 4
    assert not shown[6:].any()
    assert (maps["layer"][shown] == PLANTED_LAYER).all()
    assert (np.isfinite(maps["com"]) == shown).all()
    np.testing.assert_allclose(maps["com"][shown], PLANTED_LAYER, atol=0.5)
    low = {stat for stat, _, _ in layer_maps(result.voxels["lowlevel"])}
    assert low == {"sig"}


def test_a_layer_without_a_stable_choice_is_not_shown(planted, tmp_path):
    _, result = answers(with_atlas(planted, dseg(tmp_path)))
    block = result.voxels["model"]

    def layer(**changed):
        changes = replace(block.result, **changed)
        return dict((s, v) for s, v, _ in layer_maps(replace(block, result=changes)))["layer"]

    half = block.result.half_r.copy()
    half[1] = half[1][::-1] + np.arange(3)[:, None]  # the last layer
    assert np.isnan(layer(half_r=half)).all()
    assert np.isnan(layer(flat_p=np.full(N, 0.2))).all()
    chosen = np.tile(np.array([0, 1, 2, 0])[:, None], (1, N))
    assert np.isnan(layer(chosen=chosen)).all()


def test_surface_labels_and_hdf5_columns(planted, tmp_path):
    made = make_fit(tmp_path / "surface", "fmri", seconds=(240,) * 4, n_targets=N, seed=1)
    every = np.ones(6, dtype=bool)
    on_grid(made, lambda old: old.targets, Surface(every, every, "fsnative"))
    names = ["???", "A1", "44"]
    write_annot(tmp_path / "lh.mini.annot", [1] * 6, names)
    path = write_annot(tmp_path / "rh.mini.annot", [2] * 6, names)
    rows, _ = answers(with_atlas(made, path))
    assert rows.loc["A1-L", "p"] < 0.01
    assert rows.loc["A1-L", "layer"] == PLANTED_LAYER
    assert rows.loc["IFG-R", "p"] > 0.05
    write_annot(tmp_path / "few" / "lh.mini.annot", [1] * 4, names)
    write_annot(tmp_path / "few" / "rh.mini.annot", [2] * 4, names)
    with pytest.raises(BrainAlignError, match="4 vertices in the left hemisphere, the responses"):
        assemble(*arguments(with_atlas(made, tmp_path / "few")))
    on_grid(made, lambda old: old.targets, Columns(np.ones(N, bool), "native"))
    with pytest.raises(BrainAlignError, match="columns of a file that says nothing about where"):
        assemble(*arguments(with_atlas(made, path)))


def arguments(made):
    return made.config, made.fit, made.spaces


def test_own_sets_and_all_regions(planted, tmp_path):
    path = dseg(tmp_path, second="R_unheard-of_ROI")
    made = with_atlas(planted, path, own=(("mine", ("PB*", "unheard-of")), ("no", ("zz",))))
    found = assemble(*arguments(made))
    rows = found.regions.rows.set_index("name")
    assert {"mine", "mine-L", "mine-R"} <= set(rows.index)
    members = dict(zip(rows.index, found.regions.members.sum(axis=1), strict=True))
    assert (members["mine"], members["mine-L"], members["mine-R"]) == (7, 1, 6)
    assert "ROI no is left out: the atlas has none of zz" in " ".join(found.notes)
    every = assemble(*arguments(with_atlas(planted, path, all_regions=True))).regions.rows
    assert {"A1_ROI-L", "PBelt_ROI-L", "unheard-of_ROI-R"} <= set(every["name"])


def test_an_atlas_without_known_sets_gives_all_its_regions(planted, tmp_path):
    path = dseg(tmp_path)
    (tmp_path / f"tpl-{MNI}_dseg.tsv").write_text("index\tname\n1\tleft x\n2\ty\n")
    found = assemble(*arguments(with_atlas(planted, path)))
    # y lies on both sides of the midline: the voxels' own side.
    assert list(found.regions.rows["name"]) == ["x-L", "y-R"]
    assert any("2 regions of the atlas" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "space", "what"),
    [
        (
            "tpl-MNI152NLin6Asym_dseg",
            "",
            "is in MNI152NLin6Asym, the responses are in MNI152NLin2",
        ),
        ("tpl-MNI152NLin6Asym_dseg", MNI, None),
        ("plain", "", None),
        ("sub-01_space-T1w_dseg", "", "is in T1w, the responses are in"),
    ],
)
def test_space_of_the_atlas(planted, tmp_path, name, space, what):
    made = with_atlas(planted, dseg(tmp_path, name=name), space)
    if what is None:
        assert assemble(*arguments(made)).regions is not None
        return
    with pytest.raises(BrainAlignError, match=what):
        assemble(*arguments(made))


def test_steps_know_the_atlas(planted, tmp_path):
    path = dseg(tmp_path)
    made = with_atlas(planted, path)
    before = fit_inputs(*arguments(made))["anatomy"]
    assert before == region_inputs(made.config)
    assert fit_inputs(*arguments(planted))["anatomy"] is None
    assert fit_inputs(*arguments(with_atlas(planted, path, sets=("A1",))))["anatomy"] != before
    table = path.with_name(f"tpl-{MNI}_dseg.tsv")
    table.write_text(table.read_text().replace("44", "45"))
    assert region_inputs(made.config) != before
