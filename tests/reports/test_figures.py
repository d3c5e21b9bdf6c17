"""Figures on degenerate data, and where things lie in them."""

from __future__ import annotations

import socket
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.reports.curves import CurvePanel, column_mean, curve_table, target_groups
from bids_brainalign.reports.figures.canvas import svg
from bids_brainalign.reports.figures.electrode_map import (
    electrode_strip,
    glass_brain,
    plain_scatter,
)
from bids_brainalign.reports.figures.fold_timeline import fold_timeline
from bids_brainalign.reports.figures.layer_curves import layer_curves
from bids_brainalign.reports.figures.null_distribution import null_distribution
from bids_brainalign.reports.figures.onset_response import onset_response
from bids_brainalign.reports.figures.voxel_map import load_voxel_maps, voxel_slices

NAN = float("nan")


def electrodes(**columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    base = {"name": [f"A{i}" for i in range(n)], "device": "A", "x": 0.0, "y": 0.0, "z": 0.0}
    return pd.DataFrame(base | {"value": 0.1} | columns)


def marks(frame: pd.DataFrame) -> pd.Series:
    return pd.Series(data=True, index=frame.index)


def test_column_mean_is_numpys():
    values = np.random.default_rng(0).normal(size=(9, 4))
    values[2, 1] = values[:8, 2] = values[:, 3] = NAN
    mean, sem = column_mean(values)
    np.testing.assert_allclose(mean[:3], np.nanmean(values[:, :3], axis=0))
    expected = np.nanstd(values[:, :2], axis=0, ddof=1) / np.sqrt([9, 8])
    np.testing.assert_allclose(sem[:2], expected)
    assert np.isnan([mean[3], sem[2], sem[3]]).all()


def test_curve_table_sorts_layers_as_numbers():
    rows = [("A", str(k), 0.1 * k) for k in (10, 2, 0)] + [("A", "selected", 0.9)]
    scores = pd.DataFrame(rows, columns=["target", "layer", "r"]).assign(fold="all")
    table = curve_table(scores)
    assert table.columns.tolist() == [0, 2, 10]
    assert table.loc["A"].tolist() == pytest.approx([0, 0.2, 1.0])


def test_electrodes_are_grouped_by_what_is_known():
    scores = pd.DataFrame({"target": list("ABC"), "target_type": "SEEG", "hemisphere": "L"})
    scores["region"] = "n/a"
    assert list(target_groups(scores)) == ["all electrodes"]
    channels = pd.DataFrame({"name": list("CBA"), "device": ["x", "y", "x"]})
    groups = target_groups(scores, channels)
    assert groups == {
        "all electrodes": ["A", "B", "C"], "x (n = 2)": ["A", "C"], "y (n = 1)": ["B"],
    }  # fmt: skip
    scores["hemisphere"] = ["L", "R", "R"]
    assert list(target_groups(scores))[1:] == [
        "right hemisphere (n = 2)",
        "left hemisphere (n = 1)",
    ]
    scores["region"] = ["STG", "STG", "IFG"]
    assert list(target_groups(scores, channels))[1:] == ["STG (n = 2)", "IFG (n = 1)"]


@pytest.mark.parametrize("values", [np.full((1, 3), 0.1), np.full((4, 3), NAN), np.zeros((2, 1))])
def test_layer_curves_of_little(values: np.ndarray):
    layers = np.arange(values.shape[1])
    panel = CurvePanel("all", layers, values, values, values[:, 0])
    assert svg(layer_curves([panel])).startswith("<svg")


@pytest.mark.parametrize("draw", [glass_brain, plain_scatter, electrode_strip])
@pytest.mark.parametrize("value", [[0.1], [NAN], [NAN, NAN, 0.2]])
def test_electrode_figures_of_little(draw, value: list[float]):
    frame = electrodes(value=value)
    assert svg(draw(frame, value="value", label="r", marked=marks(frame))).startswith("<svg")


def test_left_view_has_the_front_on_the_left():
    frame = electrodes(x=[-50.0, -50.0, 50.0], y=[40.0, -60.0, 0.0], z=[0.0, 0.0, 0.0])
    figure = glass_brain(frame, value="value", label="r", marked=marks(frame))
    figure.draw_without_rendering()
    left, above, right = figure.axes[:3]

    def seen(axes):
        return axes.transData.transform(np.asarray(axes.collections[-1].get_offsets()))

    front, back = seen(left)
    assert front[0] < back[0]
    assert len(seen(right)) == 1
    assert len(seen(above)) == 3
    # Every dot lies within the outline's frame.
    for axes in (left, above, right):
        box = axes.get_window_extent()
        assert all(box.contains(x, y) for x, y in seen(axes))


def test_null_figure_without_nulls_of_some_targets():
    chosen = pd.DataFrame({"r": [0.2, NAN], "q_fdr": [0.01, NAN]}, index=["A", "$B_{$"])
    nulls = pd.DataFrame({"target": ["A"], "q50": [0.0], "q95": [0.1], "q99": [NAN]})
    assert svg(null_distribution(chosen, nulls)).startswith("<svg")


def test_onset_response_of_one_target_and_of_nothing():
    columns = ["locked_to", "time_s", "target", "mean", "sem", "n"]
    one = pd.DataFrame([("word onset", 0.0, "A", NAN, NAN, 0)], columns=columns)
    assert svg(onset_response(one)).startswith("<svg")
    assert svg(onset_response(one.iloc[:0])).startswith("<svg")


def test_held_out_part_lies_over_training_that_surrounds_it():
    folds = pd.DataFrame(
        {
            "fold": "1",
            "run": "r",
            "start": [100.0, 0.0, 80.0],
            "stop": [200.0, 300.0, 220.0],
            "role": ["test", "train", "gap"],
        }
    )
    bars = fold_timeline(folds).axes[0].patches
    assert [round(bar.get_width() * 60) for bar in bars] == [300, 140, 100]


def test_fold_timeline_of_missing_times():
    folds = pd.DataFrame({"fold": ["1"], "run": ["r"], "start": [NAN], "stop": [NAN], "role": "x"})
    assert svg(fold_timeline(folds)).startswith("<svg")


def write_maps(folder: Path, affine: np.ndarray, r: np.ndarray) -> dict[str, Path]:
    maps = {}
    for stat, data in (
        ("r", r),
        ("q", np.where(r[..., 0] > 0.1, 0.01, 0.9)),
        ("layer", r[..., 0]),
    ):
        maps[stat] = folder / f"sub-01_space-MNI152Lin_stat-{stat}_desc-m_statmap.nii.gz"
        nib.save(nib.Nifti1Image(data.astype(np.float32), affine), maps[stat])
    return maps


def test_left_is_left_whatever_the_image_order(tmp_path: Path):
    # Stored right to left: voxel 0 is at x = +40 mm.
    affine = np.diag([-20.0, 20, 20, 1])
    affine[:3, 3] = [40, -40, -40]
    r = np.zeros((5, 5, 5, 2))
    r[0, 2, 2, 1] = 0.5
    maps = load_voxel_maps(write_maps(tmp_path, affine, r))
    assert maps is not None
    where = np.unravel_index(np.argmax(maps.best_r.data), maps.best_r.data.shape)
    np.testing.assert_allclose(maps.best_r.origin_mm + maps.best_r.size_mm * where, [40, 0, 0])
    assert maps.best_r.slice_at(0.0)[2, 4] == 0.5
    assert maps.best_r.extent() == (-50, 50, -50, 50)


def test_voxel_maps_without_a_network_and_with_empty_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    affine = np.diag([20.0, 20, 20, 1])
    affine[:3, 3] = [-40, -40, -40]
    maps = load_voxel_maps(write_maps(tmp_path, affine, np.full((5, 5, 5, 1), NAN)))
    assert maps is not None
    assert maps.background is not None
    assert (maps.n_voxels, maps.n_found, maps.layer) == (0, 0, None)
    figure = voxel_slices(maps, value=maps.best_r, label="r", layers=False)
    assert svg(figure).startswith("<svg")


def test_tilted_image_gets_no_template(tmp_path: Path):
    angle = np.deg2rad(10)
    affine = np.eye(4) * 20
    affine[:2, :2] = 20 * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    affine[3, 3] = 1
    maps = load_voxel_maps(write_maps(tmp_path, affine, np.full((5, 5, 5, 2), 0.2)))
    assert maps is not None
    assert maps.background is None
    assert maps.layer is not None
    figure = voxel_slices(maps, value=maps.layer, label="layer", layers=True)
    assert svg(figure).startswith("<svg")


def test_no_r_map_no_figure():
    assert load_voxel_maps({}) is None
