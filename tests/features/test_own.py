import h5py
import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.own import load_own_features, own_feature_file, own_feature_files


def test_h5_with_layers_and_npy_with_times_are_read(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "story.h5", "w") as file:
        file["data"] = rng.standard_normal((3, 20, 4))
        file["times"] = np.arange(20) * 0.5
    layers, times = load_own_features(own_feature_file(tmp_path, "story"))
    assert len(layers) == 3
    assert layers[0].shape == (20, 4)
    assert times[-1] == 9.5
    np.save(tmp_path / "other.npy", rng.standard_normal((20, 4)))
    np.save(tmp_path / "other_times.npy", np.arange(20))
    layers, _ = load_own_features(own_feature_file(tmp_path, "other"))
    assert len(layers) == 1


def test_missing_file_says_what_was_looked_for(tmp_path):
    np.save(tmp_path / "elsewhere.npy", np.zeros(3))
    with pytest.raises(BrainAlignError) as caught:
        own_feature_file(tmp_path, "story")
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert "looked for story.h5 and story.npy; the folder has elsewhere.npy" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "times", "message"),
    [
        (np.zeros((5, 2)), np.arange(4.0), "times of shape"),
        (np.zeros((5, 2)), np.array([0.0, 1, 2, 2, 3]), "don't increase"),
        (np.full((5, 2), np.nan), np.arange(5.0), "NaN"),
        (np.zeros((5, 2)), None, "no times"),
    ],
)
def test_bad_files_are_named(tmp_path, data, times, message):
    np.save(tmp_path / "s.npy", data)
    if times is not None:
        np.save(tmp_path / "s_times.npy", times)
    with pytest.raises(BrainAlignError, match=message):
        load_own_features(tmp_path / "s.npy")


def test_pickled_arrays_are_not_loaded(tmp_path):
    np.save(tmp_path / "s.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "s_times.npy", np.arange(1.0))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_own_features(tmp_path / "s.npy")


def test_files_of_a_stimulus_are_all_that_its_features_are_read_from(tmp_path):
    np.save(tmp_path / "s.npy", np.zeros((3, 2)))
    np.save(tmp_path / "s_times.npy", np.arange(3.0))
    assert [p.name for p in own_feature_files(tmp_path, "s")] == ["s.npy", "s_times.npy"]
    (tmp_path / "s.h5").write_bytes(b"")
    assert [p.name for p in own_feature_files(tmp_path, "s")] == ["s.h5"]
