"""Labels of vertices: pairs of files, one of CIFTI, and what is no such thing."""

import nibabel
import numpy as np
import pytest
from nibabel.cifti2 import BrainModelAxis

from bids_brainalign.anatomy.mesh_labels import label_files, pair_of, read_mesh_labels, side_of
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.anatomy.label_files import write_annot, write_dlabel, write_label_gii

NAMES = {0: "???", 1: "A1", 2: "A4"}


def annot_pair(folder):
    names = list(NAMES.values())
    write_annot(folder / "lh.mini.annot", [-1, 0, 1, 2, 2], names)
    return write_annot(folder / "rh.mini.annot", [1, 1, 0, 2, 0], names)


@pytest.mark.parametrize("given", ["rh.mini.annot", "lh.mini.annot", ""])
def test_an_annot_pair_is_found_from_either_file_or_the_folder(tmp_path, given):
    annot_pair(tmp_path)
    found = read_mesh_labels(tmp_path / given)
    assert found.name == "mini"
    assert [found.names["L"].get(v, "none") for v in found.cortex["L"]] == [
        "none", "???", "A1", "A4", "A4"
    ]  # fmt: skip
    np.testing.assert_array_equal(found.cortex["R"], [1, 1, 0, 2, 0])
    assert [p.name for p in label_files(tmp_path / given)] == ["lh.mini.annot", "rh.mini.annot"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("tpl-fsLR_den-32k_hemi-L_dseg.label.gii", "tpl-fsLR_den-32k_hemi-R_dseg.label.gii"),
        ("fs_LR.L.mini.label.gii", "fs_LR.R.mini.label.gii"),
        ("lh.mini.label.gii", "rh.mini.label.gii"),
    ],
)
def test_a_gifti_pair(tmp_path, left, right):
    write_label_gii(tmp_path / left, [0, 1, 2], {k: f"L_{n}_ROI" for k, n in NAMES.items()})
    write_label_gii(tmp_path / right, [2, 2, 0], {k: f"R_{n}_ROI" for k, n in NAMES.items()})
    assert [p.name for p in pair_of(tmp_path / right)] == [left, right]
    found = read_mesh_labels(tmp_path / right)
    assert found.names["L"][1] == "L_A1_ROI"
    np.testing.assert_array_equal(found.cortex["R"], [2, 2, 0])


def test_cifti_labels_lie_on_whole_meshes_and_in_voxels(tmp_path):
    inside = np.array([True, False, True, True])
    stem = np.zeros((2, 2, 2), dtype=bool)
    stem[1, 0, 1] = True
    brain = (
        BrainModelAxis.from_mask(inside, name="CortexLeft")
        + BrainModelAxis.from_mask(inside[::-1], name="CortexRight")
        + BrainModelAxis.from_mask(stem, name="BrainStem", affine=np.eye(4))
    )
    path = write_dlabel(tmp_path / "mini.dlabel.nii", [1, 2, 2, 0, 1, 1, 2], NAMES, brain)
    found = read_mesh_labels(path)
    np.testing.assert_array_equal(found.cortex["L"], [1, 0, 2, 2])
    np.testing.assert_array_equal(found.cortex["R"], [0, 1, 0, 1])
    assert found.voxels.ijk.tolist() == [[1, 0, 1]]
    assert found.voxels.labels.tolist() == [2]
    assert label_files(path) == [path]


def refused(path):
    with pytest.raises(BrainAlignError) as caught:
        read_mesh_labels(path)
    return str(caught.value), caught.value.exit_code


def test_a_name_without_a_side(tmp_path):
    path = write_label_gii(tmp_path / "mini.label.gii", [0, 1], NAMES)
    text, code = refused(path)
    assert "does not say which hemisphere" in text
    assert "lh.NAME.annot" in text
    assert code == ExitCode.USAGE


def test_a_folder_without_and_one_with_several_atlases(tmp_path):
    text, code = refused(tmp_path)
    assert "no label files of surfaces" in text
    assert code == ExitCode.MISSING_INPUT
    annot_pair(tmp_path)
    write_annot(tmp_path / "lh.other.annot", [0, 1], ["???", "x"])
    text, code = refused(tmp_path)
    assert "holds 2 atlases" in text
    assert "lh.mini.annot, lh.other.annot" in text
    assert code == ExitCode.USAGE


def test_files_that_are_something_else(tmp_path):
    for name in ("lh.bad.annot", "hemi-L_bad.label.gii", "bad.dlabel.nii"):
        (tmp_path / name).write_bytes(b"not an atlas")
        text, code = refused(tmp_path / name)
        assert f"{name} can't be read" in text
        assert code == ExitCode.DATA_ERROR
    image = nibabel.gifti.GiftiImage(
        darrays=[nibabel.gifti.GiftiDataArray(np.array([0.5, 1.0], dtype=np.float32))]
    )
    nibabel.save(image, tmp_path / "hemi-L_curv.label.gii")
    assert "no labels" in refused(tmp_path / "hemi-L_curv.label.gii")[0]


@pytest.mark.parametrize(
    ("name", "side"),
    [("rh.aparc.annot", "R"), ("x_hemi-L_y.label.gii", "L"), ("Q1.R.atlas.label.gii", "R")],
)
def test_sides(tmp_path, name, side):
    assert side_of(tmp_path / name) == side
