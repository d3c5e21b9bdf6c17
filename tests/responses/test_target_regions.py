"""An atlas on the responses' own grid, and atlases that don't belong there."""

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.anatomy.atlas import Atlas
from bids_brainalign.anatomy.mesh_labels import MeshLabels, VoxelLabels
from bids_brainalign.anatomy.spheres import Spheres, regions_in_spheres, seitzman_spheres
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.grids import Columns, Grayordinates, Surface, Volume
from bids_brainalign.responses.target_regions import target_regions

MNI = "MNI152NLin2009cAsym"
NAMES = {0: "Background", 1: "L_A1", 2: "R_A4"}


def volume(space=MNI):
    """4 × 2 × 1 voxels of 10 mm; all but one are targets."""
    mask = np.ones((4, 2, 1), dtype=bool)
    mask[3, 1, 0] = False
    affine = np.diag([10.0, 10.0, 10.0, 1.0])
    xyz = np.argwhere(mask) * 10.0
    return Volume(mask, affine, space), pd.DataFrame(xyz, columns=list("xyz"))


def atlas(space=MNI):
    """Finer voxels (2.5 mm), turned axes: x runs from right to left."""
    affine = np.diag([-2.5, 2.5, 2.5, 1.0])
    affine[0, 3] = 30.0
    data = np.zeros((13, 5, 3), dtype=np.int32)
    x = 30.0 - 2.5 * np.arange(13)
    data[x < 5] = 1
    data[x > 14] = 2
    return Atlas("mini", data, affine, NAMES, space)


def test_voxels_take_the_label_at_their_centre():
    grid, targets = volume()
    found = target_regions(grid, targets, atlas())
    expected = np.where(targets["x"] < 5, "L_A1", np.where(targets["x"] > 14, "R_A4", "n/a"))
    np.testing.assert_array_equal(found.label, expected)
    assert found.known == ("L_A1", "R_A4")
    assert "nearest neighbour" in " ".join(found.notes)


def test_an_atlas_of_unknown_mni_template_is_taken_and_it_is_said():
    grid, targets = volume()
    assert "differ by about 1 to 3 mm" in target_regions(grid, targets, atlas("MNI152")).notes[0]


@pytest.mark.parametrize("space", ["MNI152NLin6Asym", "T1w", "MNIColin27"])
def test_another_template_is_refused(space):
    grid, targets = volume()
    with pytest.raises(BrainAlignError, match=f"mini is in {space}, the responses are in") as e:
        target_regions(grid, targets, atlas(space))
    assert f'atlas_space = "{MNI}"' in str(e.value)


def test_an_image_that_lies_elsewhere():
    grid, targets = volume()
    with pytest.raises(BrainAlignError, match="no voxel of the responses lies in a region"):
        target_regions(grid, targets + 500, atlas())


def mesh(n=5, side="LR"):
    labels = np.array([0, 1, 1, 2, 0])[:n]
    return MeshLabels("mini", dict.fromkeys(side, labels), dict.fromkeys((*side, "n/a"), NAMES))


def test_vertices_of_both_sides():
    left, right = np.array([1, 1, 0, 1, 0], bool), np.array([0, 0, 1, 1, 1], bool)
    names = {0: "???", 1: "A1", 2: "A4"}
    source = MeshLabels("mini", mesh().cortex, {"L": names, "R": names})
    found = target_regions(Surface(left, right, "fsaverage5"), pd.DataFrame(), source)
    assert found.label.tolist() == ["n/a", "L A1", "L A4", "R A1", "R A4", "n/a"]


def test_finer_meshes_of_freesurfer_nest():
    fine = np.zeros(163842, dtype=np.int64)
    fine[:10242] = 1
    source = MeshLabels("fine", {"L": fine, "R": fine}, dict.fromkeys("LR", NAMES))
    every = np.ones(10242, dtype=bool)
    found = target_regions(Surface(every, every, "fsaverage5"), pd.DataFrame(), source)
    assert set(found.label) == {"L_A1"}
    assert "FreeSurfer's meshes nest" in found.notes[0]
    with pytest.raises(BrainAlignError, match="163842 vertices in the left"):
        target_regions(Surface(every, every, "fsnative"), pd.DataFrame(), source)


def test_grayordinates_take_cortex_and_voxels():
    structure = np.array(["CIFTI_STRUCTURE_CORTEX_LEFT"] * 2 + ["CIFTI_STRUCTURE_BRAIN_STEM"] * 2)
    grid = Grayordinates(
        np.array([True, True, False, True]), structure, np.array([3, 1, -1, -1]),
        np.array([[-1] * 3, [-1] * 3, [0, 0, 1], [2, 0, 0]]), np.eye(4), (3, 3, 3),
        (("CIFTI_STRUCTURE_CORTEX_LEFT", 5),), "fsLR",
    )  # fmt: skip
    ijk = np.array([[2, 0, 0], [0, 0, 1]])
    source = mesh()
    source = MeshLabels(
        "m", source.cortex, source.names, VoxelLabels(ijk, np.array([2, 1]), np.eye(4))
    )
    found = target_regions(grid, pd.DataFrame(), source)
    assert found.label.tolist() == ["R_A4", "L_A1", "R_A4"]
    moved = MeshLabels(
        "m", source.cortex, source.names, VoxelLabels(ijk, np.array([2, 1]), 2 * np.eye(4))
    )
    with pytest.raises(BrainAlignError, match="lie on another grid"):
        target_regions(grid, pd.DataFrame(), moved)


FIVE = Surface(np.ones(5, bool), np.ones(5, bool), "fsaverage5")


@pytest.mark.parametrize(
    ("grid", "source", "what"),
    [
        (Columns(np.ones(4, bool), "native"), mesh(), "columns of a file that says nothing about"),
        (None, mesh(), "columns of a file that says nothing about"),
        (FIVE, mesh(4), "mini has 4 vertices in the left hemisphere, the responses have 5"),
        (FIVE, mesh(side="L"), "mini has no labels of the right hemisphere"),
        (FIVE, atlas(), "labels voxels, the responses are vertices"),
        (volume()[0], mesh(), "labels vertices, the responses are voxels"),
        (FIVE, seitzman_spheres(), "10242 vertices in the left hemisphere"),
        (
            volume("T1w")[0],
            seitzman_spheres(),
            "are spheres in MNI space, the responses are in T1w",
        ),
    ],
)
def test_what_does_not_fit_is_refused(grid, source, what):
    with pytest.raises(BrainAlignError) as caught:
        target_regions(grid, volume()[1], source)
    assert what in str(caught.value)
    assert "Fix:" in str(caught.value)


def test_points_belong_to_the_nearest_sphere_they_lie_in():
    spheres = Spheres("two", np.array([[0.0, 0, 0], [6.0, 0, 0]]), np.array([5.0, 5.0]),
                      np.array(["a", "b"]), "MNI152")  # fmt: skip
    points = np.array([[-4.0, 0, 0], [2.9, 0, 0], [3.1, 0, 0], [0, 5.1, 0], [np.nan] * 3])
    assert regions_in_spheres(spheres, points).tolist() == ["a", "a", "b", "n/a", "n/a"]


def test_published_spheres_lie_where_their_names_say():
    """The auditory network of both sides: on fsaverage5 around the superior temporal plane."""
    from nilearn.datasets import load_fsaverage

    every = np.ones(10242, dtype=bool)
    found = target_regions(Surface(every, every, "fsaverage5"), pd.DataFrame(), seitzman_spheres())
    for side, rows in (("left", slice(0, 10242)), ("right", slice(10242, None))):
        inside = found.label[rows] == "Auditory"
        assert inside.sum() > 40
        x, y, z = load_fsaverage("fsaverage5")["pial"].parts[side].coordinates[inside].T
        assert (x < 0 if side == "left" else x > 0).all()
        assert np.abs(x).min() > 25
        assert (y.min() > -50, y.max() < 10, z.min() > -15, z.max() < 40) == (True,) * 4
