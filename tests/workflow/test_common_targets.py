"""Targets that several participants share."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.grids import Columns, Surface, Volume
from bids_brainalign.workflow.common_targets import common_columns


def assembly(who, *, names=None, grid=None):
    """What is looked at of an assembly."""
    if grid is not None:
        mask = np.concatenate([grid.left, grid.right]) if isinstance(grid, Surface) else grid.mask
        names = [f"v{k}" for k in range(int(mask.sum()))]
    return SimpleNamespace(
        fit=SimpleNamespace(name=SimpleNamespace(stem=who)),
        responses=[SimpleNamespace(grid=grid)],
        targets=pd.DataFrame({"name": names}),
    )


def volume(kept, *, shift=0.0, space="MNI"):
    mask = np.zeros(12, dtype=bool)
    mask[kept] = True
    affine = np.eye(4)
    affine[0, 3] = shift
    return Volume(mask.reshape(2, 2, 3), affine, space)


def common(*assemblies, columns=None):
    columns = columns or [np.arange(len(a.targets)) for a in assemblies]
    return [c.tolist() for c in common_columns(list(assemblies), columns)]


def test_electrodes_are_the_same_by_their_names_in_any_order():
    found = common(
        assembly("a", names=["C3", "Cz", "C4"]), assembly("b", names=["Cz", "C4", "F1"])
    )
    assert found == [[2, 1], [1, 0]]


def test_voxels_are_the_same_by_their_place():
    one, other = assembly("a", grid=volume([0, 3, 5, 7])), assembly("b", grid=volume([3, 5, 6, 7]))
    assert common(one, other) == [[1, 2, 3], [0, 1, 3]]
    some = [np.array([0, 1, 3]), np.array([0, 1, 3])]
    assert common(one, other, columns=some) == [[1, 3], [0, 3]]


def test_vertices_of_both_hemispheres_are_told_apart():
    left, right = np.array([True, False, True]), np.array([False, True, True])
    one = assembly("a", grid=Surface(left, right, "fsaverage5"))
    other = assembly("b", grid=Surface(left, left, "fsaverage5"))
    assert common(one, other) == [[0, 1, 3], [0, 1, 3]]


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({"names": ["A1", "A2"]}, {"names": ["B1", "B2"]}, "0% of its targets"),
        ({"grid": volume([0, 1])}, {"grid": volume([0, 1], shift=2.0)}, "another grid"),
        ({"grid": volume([0, 1])}, {"grid": volume([0, 1], space="T1w")}, "another grid"),
        ({"grid": volume([0, 1])}, {"names": ["A1"]}, "another kind of image"),
        (
            {"grid": Columns(np.ones(3, dtype=bool), "n/a")},
            {"grid": Columns(np.ones(4, dtype=bool), "n/a")},
            "another grid",
        ),
    ],
)
def test_who_differs_is_named(one, other, why):
    with pytest.raises(BrainAlignError, match=why) as caught:
        common(assembly("sub-01", **one), assembly("sub-02", **other))
    assert "sub-01" in str(caught.value)
    assert "sub-02" in str(caught.value)
