import json
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.columns import open_columns
from bids_brainalign.workflow.stored_responses import load_repeats, load_response, save_response
from tests.responses.series_files import recording, write_columns

TR = 2.0


def run_of(path):
    found = recording(path, None, task=path.stem, space="native")
    return replace(found, metadata={"RepetitionTime": TR})


def values(n_rows=80, n_columns=7, seed=0):
    return np.random.default_rng(seed).standard_normal((n_rows, n_columns))


def folder_of(root):
    return root / "derivative/preprocessed_data/UTS01"


def load(path, to):
    save_response(to, open_columns(run_of(path)))
    return load_response(to)


def test_rows_begin_ten_volumes_into_the_scan(tmp_path):
    """Row k is raw volume k + 10: it counts for the middle of that volume."""
    data = values()
    path = write_columns(folder_of(tmp_path) / "souls.hf5", data)
    (tmp_path / "derivative/respdict.json").write_text(json.dumps({"souls": 100}))
    response = load(path, tmp_path / "r.h5")
    np.testing.assert_array_equal(response.data, data.astype(np.float32))
    np.testing.assert_allclose(response.times, 20 + 1 + 2.0 * np.arange(80))
    assert not response.censored.any()
    assert response.targets["name"].tolist() == [f"voxel-{i}" for i in range(7)]
    assert set(response.targets["hemisphere"]) == {"n/a"}
    assert response.grid.mask.tolist() == [True] * 7
    said = " ".join(response.notes)
    assert "preprocessed and standardised per story by those who published them" in said
    assert "(as respdict.json tells): the first row is the volume at 20 s" in said


def test_without_a_count_of_volumes_the_trim_is_assumed(tmp_path):
    path = write_columns(tmp_path / "x/UTS01/souls.hf5", values())
    notes = load(path, tmp_path / "r.h5").notes
    assert any("10 volumes are cut off either end (assumed)" in note for note in notes)


@pytest.mark.parametrize("content", [b"/annex/objects/MD5E-s3--ab.json\n", b"[1]", b'{"x": 3}'])
def test_a_count_that_tells_nothing(tmp_path, content):
    path = write_columns(folder_of(tmp_path) / "souls.hf5", values())
    (tmp_path / "derivative/respdict.json").write_bytes(content)
    assert any("(assumed)" in note for note in load(path, tmp_path / "r.h5").notes)


def test_another_length_than_the_count_tells(tmp_path):
    path = write_columns(folder_of(tmp_path) / "souls.hf5", values())
    (tmp_path / "derivative/respdict.json").write_text(json.dumps({"souls": 311}))
    with pytest.raises(BrainAlignError, match=r"has 80 rows, but respdict\.json tells of 311 vol"):
        open_columns(run_of(path))


def test_repeats_stay_within_reach(tmp_path):
    repeats = np.random.default_rng(1).standard_normal((5, 80, 7))
    path = write_columns(tmp_path / "UTS01/w.hf5", repeats.mean(axis=0), repeats=repeats)
    response = load(path, tmp_path / "r.h5")
    assert "The responses are the mean of 5 presentations." in response.notes
    found = load_repeats(tmp_path / "r.h5", np.array([6, 2]))
    np.testing.assert_array_equal(found, repeats[:, :, [6, 2]].astype(np.float32))
    np.testing.assert_allclose(found.mean(axis=0), response.data[:, [6, 2]], atol=1e-6)


@pytest.mark.parametrize("repeated", [False, True])
def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path, repeated):
    """96 MB of doubles (and as many of each repeat) pass in blocks of 32 rows."""
    data = values(300, 40_000)
    repeats = np.stack([data, data]) if repeated else None
    path = write_columns(tmp_path / "UTS01/w.hf5", data, repeats=repeats)
    del repeats
    tracemalloc.start()
    try:
        response = load(path, tmp_path / "r.h5")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60e6
    np.testing.assert_array_equal(response.data[::50], data[::50].astype(np.float32))


def test_columns_that_are_not_finite(tmp_path):
    data = values()
    data[40, 3] = np.nan
    path = write_columns(tmp_path / "UTS01/w.hf5", data)
    response = load(path, tmp_path / "r.h5")
    np.testing.assert_array_equal(response.data[:, 3], 0)
    assert any("1 of 7 targets are constant or not finite in this run: voxel-3." in n
               for n in response.notes)  # fmt: skip


def other_name(file):
    file["responses"] = values()


def no_matrix(file):
    file["data"] = values()[0]


def other_repeats(file):
    file["data"], file["individual_repeats"] = values(), np.zeros((3, 79, 7))


def words(file):
    file["data"] = np.array([[b"a", b"b"], [b"c", b"d"]])


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (other_name, r"has no dataset data of volumes by voxels"),
        (no_matrix, r"It holds data \(7,\)"),
        (other_repeats, r"individual_repeats has shape \(3, 79, 7\), data \(80, 7\)"),
        (words, "can't be read"),
        (lambda file: None, "It holds no dataset"),
    ],
)
def test_other_contents(tmp_path, fill, message):
    path = tmp_path / "UTS01/w.hf5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        fill(file)
    with pytest.raises(BrainAlignError, match=message) as caught:
        load(path, tmp_path / "r.h5")
    assert caught.value.exit_code == ExitCode.DATA_ERROR
    assert not (tmp_path / "r.h5").exists()


@pytest.mark.parametrize("share", [0.5, 0.001])
def test_a_cut_off_file(tmp_path, share):
    path = write_columns(tmp_path / "UTS01/w.hf5", values())
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(len(content) * share))])
    with pytest.raises(BrainAlignError, match=r"w\.hf5 can't be read"):
        load(path, tmp_path / "r.h5")


def test_no_tr(tmp_path):
    path = write_columns(tmp_path / "UTS01/w.hf5", values())
    with pytest.raises(BrainAlignError, match="neither sidecar nor header gives a repetition"):
        open_columns(replace(run_of(path), metadata={}))
