"""Electrodes and voxels that the user chooses, and what is saved of them."""

from dataclasses import replace

import h5py
import nibabel as nib
import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.encoding import encode, write_result
from tests.workflow.planted import PLANTED_LAYER, make_fit


@pytest.fixture(scope="module")
def ieeg(tmp_path_factory):
    return make_fit(tmp_path_factory.mktemp("ieeg"), "ieeg", seconds=(40, 40, 40))


@pytest.fixture(scope="module")
def fmri(tmp_path_factory):
    return make_fit(tmp_path_factory.mktemp("fmri"), "fmri", seconds=(200, 200, 200))


def with_targets(planted, path, *, save=()):
    paths = replace(planted.config.paths, targets=(path,))
    return replace(planted.config, paths=paths, save=save)


def assembled(planted, path):
    return assemble(with_targets(planted, path), planted.fit, planted.spaces)


def test_a_table_chooses_electrodes_and_names_their_regions(ieeg, tmp_path):
    table = tmp_path / "targets.tsv"
    table.write_text(
        "name\tparticipant\tregion\n"
        "E07\tsub-01\tSTG\nE02\t01\tn/a\nE04\t02\tnot this participant\nX99\tn/a\tn/a\n"
    )
    everything = assemble(ieeg.config, ieeg.fit, ieeg.spaces)
    chosen = assembled(ieeg, table)
    assert list(chosen.targets["name"]) == ["E02", "E07"]
    assert chosen.targets["region"].tolist()[1] == "STG"
    assert chosen.targets["region"][0] == everything.targets["region"][2]
    for a, b in zip(chosen.responses, everything.responses, strict=True):
        np.testing.assert_array_equal(a.data, b.data[:, [2, 7]])
    (note,) = [n for n in chosen.notes if "chosen by" in n]
    assert "2 of 12 channels were chosen by targets.tsv" in note
    assert "not among the good channels: X99" in note


def test_a_mask_chooses_voxels_also_from_another_grid(fmri, tmp_path):
    everything = assemble(fmri.config, fmri.fit, fmri.spaces)
    volume = everything.responses[0].volume
    mask = np.zeros(volume.mask.shape, dtype=np.uint8)
    mask[2:5] = 1
    same, finer = tmp_path / "mask.nii.gz", tmp_path / "finer.nii.gz"
    nib.save(nib.Nifti1Image(mask, volume.affine), same)
    double = volume.affine @ np.diag([0.5, 0.5, 0.5, 1])
    double[:3, 3] = volume.affine[:3, 3] - 0.25 * np.diag(volume.affine)[:3]
    nib.save(nib.Nifti1Image(mask.repeat(2, 0).repeat(2, 1).repeat(2, 2), double), finer)
    for path in (same, finer):
        chosen = assembled(fmri, path)
        assert chosen.responses[0].data.shape[1] == 3
        np.testing.assert_array_equal(chosen.responses[0].volume.mask, mask.astype(bool))
        np.testing.assert_array_equal(
            chosen.responses[1].data, everything.responses[1].data[:, 2:5]
        )


def test_a_file_of_the_other_modality_says_nothing(ieeg, fmri, tmp_path):
    table = tmp_path / "targets.tsv"
    table.write_text("name\nE01\n")
    assert assembled(fmri, table).responses[0].data.shape[1] == 12
    mask = tmp_path / "mask.nii"
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2)), np.eye(4)), mask)
    assert len(assembled(ieeg, mask).targets) == 12


def test_hostile_targets(ieeg, fmri, tmp_path):
    table = tmp_path / "targets.tsv"
    table.write_text("electrode\nE01\n")
    with pytest.raises(BrainAlignError, match=r"targets\.tsv has no column name"):
        assembled(ieeg, table)
    table.write_text("name\nLA1\n")
    with pytest.raises(BrainAlignError, match="leaves no target") as caught:
        assembled(ieeg, table)
    assert "names in the file: LA1; good channels of this fit: E00, E01" in caught.value.where
    assert caught.value.exit_code == ExitCode.DATA_ERROR
    image = tmp_path / "mask.nii"
    nib.save(nib.Nifti1Image(np.zeros((12, 1, 1)), np.eye(4)), image)
    with pytest.raises(BrainAlignError, match="leaves no target"):
        assembled(fmri, image)
    nib.save(nib.Nifti1Image(np.ones((12, 1, 1, 2)), np.eye(4)), image)
    with pytest.raises(BrainAlignError, match="has 4 dimensions"):
        assembled(fmri, image)
    image.write_bytes(b"no image")
    with pytest.raises(BrainAlignError, match="can't be read as an image"):
        assembled(fmri, image)


def written(planted, config):
    own = next(s for s in planted.spaces if s.name == "own")
    result = encode(config, planted.fit, own, None, planted.spaces)
    return result, {p.name: p for p in write_result(config, result, own)}


def test_weights_are_saved_where_asked_for(ieeg, tmp_path):
    config = replace(ieeg.config, save=("weights",))
    result, files = written(ieeg, config)
    with h5py.File(files["sub-01_desc-own_weights.h5"]) as file:
        weights, delays = file["weights"][()], file["delays_s"][()]
        layer = [name.decode() for name in file["layer"][()]]
        assert len(file["targets"]) == weights.shape[2] == 12
    assert weights.shape[:2] == (len(delays), 12)
    assert layer[: ieeg.n_planted] == [str(PLANTED_LAYER)] * ieeg.n_planted
    # Responses follow the features by 0.2 s: the largest weights stand within a lag of that.
    size = np.abs(weights[:, :, : ieeg.n_planted]).sum(axis=(1, 2))
    assert abs(delays[size.argmax()] - 0.2) < 0.05
    plain, _ = written(ieeg, ieeg.config)
    assert plain.weights == []
    np.testing.assert_array_equal(plain.predicted, result.predicted)


def test_predictions_of_voxels_are_saved_where_asked_for(fmri):
    config = replace(fmri.config, save=("predictions",))
    _, files = written(fmri, config)
    with h5py.File(files["sub-01_space-MNI152NLin2009cAsym_desc-own_predictions.h5"]) as file:
        predicted, response = file["voxels/predicted"][()], file["voxels/response"][()]
        index = file["voxels/index"][()]
        # Rows are whole, left, right: means over their voxels.
        np.testing.assert_allclose(file["predicted"][:, 0], predicted.mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(file["response"][:, 0], response.mean(axis=1), atol=1e-5)
    assert index.tolist() == [[i, 0, 0] for i in range(12)]
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, response.T, strict=True)]
    assert min(r[: fmri.n_planted]) > 0.2
    _, plain = written(fmri, fmri.config)
    with h5py.File(plain["sub-01_space-MNI152NLin2009cAsym_desc-own_predictions.h5"]) as file:
        assert "voxels" not in file
