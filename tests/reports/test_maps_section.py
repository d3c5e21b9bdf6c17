"""Maps in a glass brain and on a cortex; regions of interest on the page."""

import numpy as np
import pytest

from bids_brainalign.reports.figures import canvas
from bids_brainalign.reports.figures.brain_views import (
    N_VERTICES,
    cortex_map,
    face_values,
    glass_map,
    projected,
    value_norm,
)
from bids_brainalign.reports.figures.roi_curves import RoiPanel, region_matrix, roi_curves
from bids_brainalign.reports.figures.voxel_map import Grid


def grid():
    """Two voxels in a line along each axis: 1 nearer to the origin, 3 farther, on the right."""
    data = np.full((4, 3, 3), np.nan)
    data[3, 1, 1], data[2, 1, 1] = 3.0, 1.0
    data[0, 0, 0] = 2.0
    return Grid(data, np.array([-15.0, 0, 0]), np.full(3, 10.0))


def test_projections_take_the_largest_or_the_nearest():
    assert projected(grid(), "r", 0, nearest=False)[1, 1] == 3
    assert projected(grid(), "r", 0, nearest=True)[1, 1] == 3  # seen from the right
    left = projected(grid(), "l", 0, nearest=True)
    assert left[0, 0] == 2
    assert np.isnan(left[1, 1])  # the right hemisphere is not seen from the left
    both = grid()
    both.data[2, 0, 1], both.data[2, 2, 1] = 4.0, 0.5
    assert projected(both, "y", 1, nearest=True)[2, 1] == 4  # from behind
    both.data[2, 1, 2] = 0.7
    assert projected(both, "z", 2, nearest=True)[2, 1] == 0.7  # from above
    assert projected(both, "z", 2, nearest=False)[2, 1] == 1


def test_faces_need_two_known_corners():
    values = np.array([1.0, 3.0, np.nan, np.nan, 2.0])
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 1, 4]])
    np.testing.assert_allclose(face_values(values, faces, layers=False), [2, np.nan, 2])
    np.testing.assert_allclose(face_values(values, faces, layers=True), [1, np.nan, 2])


def test_colours_of_layers_span_all_of_them():
    assert value_norm(np.array([2.0, 3.0]), 13, layers=True).vmax == 12
    assert value_norm(np.array([np.nan, 0.4]), 13, layers=False).vmax == 0.4


@pytest.mark.parametrize("layers", [False, True])
def test_maps_are_drawn_the_same_every_time(layers):
    rng = np.random.default_rng(0)
    values = {side: rng.uniform(0, 4, N_VERTICES) for side in "LR"}
    values["L"][:5000] = np.nan

    def once():
        cortex = cortex_map(values, n_layers=5, label="x", layers=layers)
        glass = glass_map(grid(), n_layers=5, label="x", layers=layers)
        return canvas.svg(cortex), canvas.svg(glass)

    first, second = once(), once()
    assert first == second
    assert all(len(text) < 400_000 for text in first)


def test_regions_are_drawn_with_their_null_and_hemispheres():
    layers = np.arange(5)
    curve = np.linspace(0, 0.2, 5)
    panels = [
        RoiPanel("A1", {"both": curve, "L": curve + 0.01, "R": curve - 0.01}, 0.05, 0.03),
        RoiPanel("MFG", {"R": -curve}, float("nan"), float("nan")),
    ]
    figure = roi_curves(panels, layers)
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["null, 95 %", "low-level", "both hemispheres", "left", "right"]
    first, second = figure.axes
    np.testing.assert_allclose(first.lines[2].get_ydata(), curve)
    assert (first.get_title("left"), second.get_title("left")) == ("A1", "MFG")
    assert first.get_ylim() == second.get_ylim()


def test_many_regions_are_a_matrix():
    names = [f"region {i}" for i in range(130)]
    r = np.random.default_rng(0).uniform(-0.1, 0.3, (130, 5))
    figure = region_matrix(names, r, np.arange(5))
    shown = [label.get_text() for axes in figure.axes[:3] for label in axes.get_yticklabels()]
    assert shown == names
    np.testing.assert_allclose(figure.axes[2].images[0].get_array(), r[120:])
