import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.responses.grids import Columns, Grayordinates, Surface, Volume
from bids_brainalign.responses.types import Response, ResponseSource
from bids_brainalign.workflow.stored_responses import (
    count_repeats,
    load_repeats,
    load_response,
    save_response,
)

VOLUME = Volume(np.arange(8).reshape(2, 2, 2) > 1, np.diag([2.0, 2, 3, 1]), "T1w")
SURFACE = Surface(np.array([True, False, True]), np.array([True, True, False, True]), "fsnative")
CIFTI = Grayordinates(
    mask=np.array([True, False, True]),
    structure=np.array(["CIFTI_STRUCTURE_CORTEX_LEFT"] * 2 + ["CIFTI_STRUCTURE_BRAIN_STEM"]),
    vertex=np.array([0, 5, -1]),
    voxel=np.array([[-1, -1, -1], [-1, -1, -1], [1, 2, 3]]),
    affine=np.diag([2.0, 2, 2, 1]),
    volume_shape=(4, 5, 6),
    n_vertices=(("CIFTI_STRUCTURE_CORTEX_LEFT", 7),),
    space="fsLR",
)


def targets(n):
    return pd.DataFrame({
        "name": [f"t{i}" for i in range(n)], "type": "voxel", "hemisphere": "n/a",
        "region": "n/a", "x": np.nan, "y": np.nan, "z": np.nan,
    })  # fmt: skip


def response(n_targets=6, grid=None):
    data = np.random.default_rng(0).standard_normal((9, n_targets)).astype(np.float32)
    return Response(
        data, np.arange(9.0), targets(n_targets), np.zeros(9, dtype=bool), 0.5, ("é.",), grid
    )


def source(data, *, repeats=()):
    """Reads three rows at a time."""

    def read(values):
        for start in range(0, len(values), 3):
            yield slice(start, min(start + 3, len(values))), values[start : start + 3]

    return ResponseSource(
        blocks=lambda: read(data), times=2.0 * np.arange(len(data)),
        targets=targets(data.shape[1]),
        censored=np.zeros(len(data), dtype=bool), support_s=0.0, n_repeats=len(repeats),
        repeat_blocks=lambda i: read(repeats[i]),
    )  # fmt: skip


def test_a_response_comes_back_mapped_and_cannot_be_written_to(tmp_path):
    saved = response()
    save_response(tmp_path / "r.h5", saved)
    loaded = load_response(tmp_path / "r.h5")
    np.testing.assert_array_equal(loaded.data, saved.data)
    assert isinstance(loaded.data.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        loaded.data[0, 0] = 1
    assert loaded.notes == ("é.",)
    assert loaded.support_s == 0.5
    pd.testing.assert_frame_equal(loaded.targets, saved.targets)


def test_reading_a_response_costs_no_memory(tmp_path):
    data = np.zeros((300, 40_000), dtype=np.float32)
    save_response(tmp_path / "r.h5", replace(response(40_000), data=data, times=np.arange(300.0)))
    tracemalloc.start()
    try:
        loaded = load_response(tmp_path / "r.h5")
        column = loaded.data[:, 7:9].sum()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert column == 0
    # The table of targets is what it takes: 40,000 names; the data are 48 MB.
    assert peak < 40e6


@pytest.mark.parametrize("grid", [VOLUME, SURFACE, CIFTI, Columns(np.ones(6, bool), "native")])
def test_grids_come_back(tmp_path, grid):
    save_response(tmp_path / "r.h5", response(grid=grid))
    loaded = load_response(tmp_path / "r.h5").grid
    assert type(loaded) is type(grid)
    for name, value in vars(grid).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)


@pytest.mark.parametrize(
    ("grid", "columns", "left"),
    [
        (VOLUME, [0, 5], [0, 0, 1, 0, 0, 0, 0, 1]),
        (SURFACE, [1, 2, 4], [0, 0, 1, 1, 0, 0, 1]),
        (CIFTI, [1], [0, 0, 1]),
        (Columns(np.array([True, False, True, True]), "native"), [0, 2], [1, 0, 0, 1]),
    ],
)
def test_fewer_targets(grid, columns, left):
    fewer = grid.kept(np.array(columns))
    mask = np.r_[fewer.left, fewer.right] if isinstance(fewer, Surface) else fewer.mask.ravel()
    np.testing.assert_array_equal(mask, np.array(left, dtype=bool))


def test_a_source_is_written_as_it_is_read(tmp_path):
    rng = np.random.default_rng(1)
    data = rng.standard_normal((10, 5)).astype(np.float32)
    repeats = rng.standard_normal((4, 10, 5)).astype(np.float32)
    save_response(tmp_path / "r.h5", source(data, repeats=repeats))
    loaded = load_response(tmp_path / "r.h5")
    np.testing.assert_array_equal(loaded.data, data)
    assert loaded.notes == ()
    np.testing.assert_array_equal(load_repeats(tmp_path / "r.h5", slice(1, 3)), repeats[:, :, 1:3])
    some = np.array([4, 0])
    np.testing.assert_array_equal(load_repeats(tmp_path / "r.h5", some), repeats[:, :, some])
    names = load_response(tmp_path / "r.h5").targets["name"].to_numpy()[some]
    np.testing.assert_array_equal(load_repeats(tmp_path / "r.h5", names), repeats[:, :, some])
    assert count_repeats(tmp_path / "r.h5") == 4
    with h5py.File(tmp_path / "r.h5") as file:
        assert file["repeats"].dtype == np.float32
        assert file["repeats"].shape == (4, 10, 5)


def test_one_presentation_has_no_repeats(tmp_path):
    save_response(tmp_path / "r.h5", response())
    assert load_repeats(tmp_path / "r.h5", slice(None)) is None


def test_columns_without_values_become_zero_and_are_named(tmp_path):
    data = np.random.default_rng(2).standard_normal((8, 4)).astype(np.float32)
    data[7, 1] = np.nan  # in the last block
    data[:, 2] = 3.0
    save_response(tmp_path / "r.h5", source(data))
    loaded = load_response(tmp_path / "r.h5")
    np.testing.assert_array_equal(loaded.data[:, 1], 0)
    np.testing.assert_array_equal(loaded.data[:, [0, 2, 3]], data[:, [0, 2, 3]])
    assert loaded.notes == ("2 of 4 targets are constant or not finite in this run: t1, t2.",)
