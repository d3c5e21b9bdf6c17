import nibabel as nib
import numpy as np

from bids_brainalign.outputs.statmaps import write_statmap
from bids_brainalign.responses.types import Volume


def test_layers_are_the_fourth_axis_and_outside_is_nan(tmp_path):
    mask = np.zeros((3, 2, 2), dtype=bool)
    mask[1, 1, 0] = mask[2, 0, 1] = True
    affine = np.diag([2.0, 2, 2, 1])
    volume = Volume(mask, affine, "MNI152NLin2009cAsym")
    values = np.array([[1.0, 2], [3, 4], [5, 6]])
    path, sidecar = write_statmap(tmp_path / "s" / "x_statmap.nii.gz", values, volume, sidecar={})
    image = nib.load(path)
    data = np.asarray(image.dataobj)
    assert data.shape == (3, 2, 2, 3)
    np.testing.assert_array_equal(data[1, 1, 0], [1, 3, 5])
    np.testing.assert_array_equal(data[2, 0, 1], [2, 4, 6])
    assert np.isnan(data[~mask]).all()
    np.testing.assert_array_equal(image.affine, affine)
    assert sidecar.name == "x_statmap.json"
    flat, _ = write_statmap(tmp_path / "y_statmap.nii.gz", values[0], volume, sidecar={})
    assert nib.load(flat).ndim == 3
