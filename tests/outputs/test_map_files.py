"""Every map comes back, by nibabel, at the place its target has."""

import h5py
import nibabel
import numpy as np
import pytest
from nibabel.cifti2 import BrainModelAxis, ScalarAxis

from bids_brainalign.outputs.names import FitName
from bids_brainalign.outputs.statmaps import write_maps
from bids_brainalign.responses.grids import Columns, Grayordinates, Surface, Volume

VALUES = np.array([[1.0, 2, 3], [4, 5, 6]])


def name(space, *more):
    entities = (("sub", "01"), ("task", "a"), ("space", space), *more)
    return FitName("01", None, "func", entities)


def write(root, grid, values=VALUES, *, space="fsnative", more=()):
    return write_maps(
        root, name(space, *more), values, grid, analysis="m", stat="r", layers=["0", "1"],
        sidecar={"Description": "d"},
    )  # fmt: skip


def names(paths):
    return [path.name for path in paths]


def test_a_surface_becomes_a_file_per_hemisphere(tmp_path):
    grid = Surface(np.array([False, True, True, False]), np.array([True, False]), "fsnative")
    written = write(tmp_path, grid)
    stem = "sub-01_task-a_hemi-{}_space-fsnative_stat-r_desc-m_statmap"
    assert names(written) == [
        f"{stem.format(side)}{ending}" for side in "LR" for ending in (".func.gii", ".json")
    ]
    assert written[0].parent == tmp_path / "sub-01/func"
    left, right = nibabel.load(written[0]), nibabel.load(written[2])
    nan = np.nan
    np.testing.assert_array_equal(
        [a.data for a in left.darrays], [[nan, 1, 2, nan], [nan, 4, 5, nan]]
    )
    np.testing.assert_array_equal([a.data for a in right.darrays], [[3, nan], [6, nan]])
    assert left.meta["AnatomicalStructurePrimary"] == "CortexLeft"
    assert right.meta["AnatomicalStructurePrimary"] == "CortexRight"
    assert [a.meta["Name"] for a in left.darrays] == ["0", "1"]
    assert left.darrays[0].data.dtype == np.float32


def test_one_hemisphere_alone(tmp_path):
    grid = Surface(np.zeros(0, dtype=bool), np.array([True, True, True, False]), "fsaverage5")
    written = write(tmp_path, grid, VALUES[0], space="fsaverage5")
    assert names(written) == [
        "sub-01_task-a_hemi-R_space-fsaverage5_stat-r_desc-m_statmap.func.gii",
        "sub-01_task-a_hemi-R_space-fsaverage5_stat-r_desc-m_statmap.json",
    ]
    (array,) = nibabel.load(written[0]).darrays
    np.testing.assert_array_equal(array.data, [1, 2, 3, np.nan])


@pytest.mark.parametrize("with_voxels", [True, False])
def test_grayordinates_become_scalars_of_the_same_axis(tmp_path, with_voxels):
    cortex = BrainModelAxis.from_mask(np.array([1, 0, 1, 1]), name="CortexLeft")
    axis = cortex
    if with_voxels:
        mask = np.zeros((3, 4, 5), dtype=bool)
        mask[1, 2, 3] = True
        affine = np.diag([2.0, 2, 2, 1])
        axis = cortex + BrainModelAxis.from_mask(mask, name="BrainStem", affine=affine)
    keep = np.array([True, False, True, True])[: len(axis)]
    grid = Grayordinates(
        mask=keep,
        structure=np.asarray(axis.name, dtype=str),
        vertex=axis.vertex,
        voxel=axis.voxel,
        affine=axis.affine if with_voxels else np.zeros((4, 4)),
        volume_shape=(3, 4, 5) if with_voxels else (0, 0, 0),
        n_vertices=tuple(axis.nvertices.items()),
        space="fsLR",
    )
    values = VALUES[:, : keep.sum()]
    written = write(tmp_path, grid, values, space="fsLR", more=(("den", "91k"),))
    assert names(written) == [
        "sub-01_task-a_space-fsLR_den-91k_stat-r_desc-m_statmap.dscalar.nii",
        "sub-01_task-a_space-fsLR_den-91k_stat-r_desc-m_statmap.json",
    ]
    image = nibabel.load(written[0])
    assert isinstance(image.header.get_axis(0), ScalarAxis)
    assert list(image.header.get_axis(0).name) == ["0", "1"]
    assert image.header.get_axis(1) == axis
    expected = np.full((2, len(axis)), np.nan)
    expected[:, keep] = values
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
    assert image.nifti_header.get_intent()[0] == "ConnDenseScalar"


def test_columns_become_a_vector_in_the_order_of_the_source(tmp_path):
    grid = Columns(np.array([True, False, True, True]), "native")
    written = write(tmp_path, grid, space="native")
    assert names(written) == [
        "sub-01_task-a_space-native_stat-r_desc-m_statmap.h5",
        "sub-01_task-a_space-native_stat-r_desc-m_statmap.json",
    ]
    with h5py.File(written[0]) as file:
        np.testing.assert_array_equal(file["data"], [[1, np.nan, 2, 3], [4, np.nan, 5, 6]])
        assert [v.decode() for v in file["layer"]] == ["0", "1"]


def test_volumes_stay_nifti(tmp_path):
    mask = np.zeros((2, 2, 2), dtype=bool)
    mask[0, 0, 1] = mask[1, 0, 0] = mask[1, 1, 1] = True
    written = write(tmp_path, Volume(mask, np.eye(4), "T1w"), space="T1w")
    assert names(written)[0] == "sub-01_task-a_space-T1w_stat-r_desc-m_statmap.nii.gz"
    np.testing.assert_array_equal(np.asarray(nibabel.load(written[0]).dataobj)[mask].T, VALUES)
