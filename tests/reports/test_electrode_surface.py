"""Electrodes on the surface of fsaverage: snapped, sided, and not claimed where deep."""

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.anatomy.spaces import moved
from bids_brainalign.reports.block_figures import map_pictures
from bids_brainalign.reports.blocks import read_blocks
from bids_brainalign.reports.figures.canvas import svg
from bids_brainalign.reports.figures.electrode_surface import (
    put_on_surface,
    surface_map,
)
from bids_brainalign.reports.figures.fsaverage5 import fsaverage5
from bids_brainalign.reports.rendering import Album
from tests.reports.fake_outputs import write_ieeg


def test_points_of_the_surface_come_back_to_their_vertex():
    surfaces = fsaverage5("pial")
    picks = {"left": 3000, "right": 7000}
    there = np.stack([surfaces[side].vertices[k] for side, k in picks.items()])
    placed = put_on_surface(there, "fsaverage")
    assert placed.vertex.tolist() == list(picks.values())
    assert placed.is_right.tolist() == [False, True]
    assert placed.near.all()
    again = put_on_surface(moved(there, "mni305", "mni152"), "MNI152NLin2009cAsym")
    assert again.vertex.tolist() == placed.vertex.tolist()


def test_deep_and_medial_electrodes_are_not_seen():
    # Lateral temporal, white matter (deep), medial frontal.
    xyz = np.array([[-66.0, -20.0, 2.0], [-27.0, -15.0, 30.0], [-3.0, 45.0, 20.0]])
    placed = put_on_surface(xyz, "MNI152NLin6Asym")
    assert placed.near.tolist() == [True, False, True]
    assert placed.seen.tolist() == [True, False, False]


@pytest.mark.parametrize("space", ["Pixels", "ScanRAS", "n/a"])
def test_no_surface_for_spaces_without_one(space):
    assert put_on_surface(np.zeros((2, 3)), space) is None


def test_the_figure_shows_only_sides_with_electrodes_and_stays_small():
    xyz = np.array([[-66.0, -20.0, 2.0], [-64.0, -30.0, 8.0]])
    placed = put_on_surface(xyz, "MNI152Lin")
    table = pd.DataFrame({"r": [0.1, 0.2]})
    figure = surface_map(table, placed, value="r", label="r", marked=pd.Series([True, False]))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["left"]
    text = svg(figure)
    assert text.count("<image") == 2  # the surface, and the colour bar
    assert len(text) < 400_000
    assert text == svg(surface_map(table, placed, value="r", label="r",
                                   marked=pd.Series([True, False])))  # fmt: skip


@pytest.mark.parametrize(
    ("space", "drawn_in"),
    [("fsaverage", "Coordinates: fsaverage."), ("fsaverageSym", "no anatomical claim"),
     ("Talairach", "no anatomical claim")],
)  # fmt: skip
def test_only_known_templates_are_drawn_in_a_brain(tmp_path, space, drawn_in):
    write_ieeg(tmp_path, "01", seed=1, n_electrodes=6)
    for path in tmp_path.rglob("*_channels.tsv"):
        path.write_text(path.read_text().replace("MNI152NLin2009cAsym", space))
    block = read_blocks(tmp_path, "01")[0]
    pictures = map_pictures(block, None, Album(tmp_path, tmp_path))
    assert drawn_in in pictures[0].caption
