"""Targets that several participants share."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.grids import Columns, Grayordinates, Surface, Volume
from bids_brainalign.workflow.assemble import Assembly

logger = logging.getLogger(__name__)

LEAST_SHARE = 0.5
"""Of each participant's targets that all must have: masks and bad channels differ a little."""
_AFFINE_MM = 1e-3


def common_columns(
    assemblies: Sequence[Assembly], columns: Sequence[NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    """Give the targets that all have, in the same order for each.

    Electrodes are the same if their names are; voxels and vertices if they lie at one place of
    one grid. What only some participants have (masks, bad channels) is left out.

    Parameters
    ----------
    assemblies : sequence of Assembly
    columns : sequence of ndarray of int
        Per assembly, targets to choose from.

    Returns
    -------
    list of ndarray of int
        Per assembly, numbers of its targets.

    Raises
    ------
    BrainAlignError
        Another grid, or less than half of someone's targets in common; says whose (65).
    """
    for other in assemblies[1:]:
        _require_one_grid(assemblies[0], other)
    places = [_places(one)[mine] for one, mine in zip(assemblies, columns, strict=True)]
    common = reduce(np.intersect1d, places)
    shares = [len(common) / len(mine) for mine in places]
    for share, one in zip(shares, assemblies, strict=True):
        if share < LEAST_SHARE:
            raise _differ(
                one, assemblies[0] if one is not assemblies[0] else assemblies[1],
                f"{share:.0%} of its targets are those of all participants",
            )  # fmt: skip
    if min(shares) < 1:
        logger.warning(
            "tuning together: %d targets are common to all participants, %.0f %% of those of %s",
            len(common), 100 * min(shares), assemblies[int(np.argmin(shares))].fit.name.stem,
        )  # fmt: skip
    return [_at(mine, where, common) for mine, where in zip(columns, places, strict=True)]


def _at(
    columns: NDArray[np.int64], places: NDArray[np.generic], common: NDArray[np.generic]
) -> NDArray[np.int64]:
    order = np.argsort(places)
    return np.asarray(columns[order[np.searchsorted(places[order], common)]])


def _places(assembly: Assembly) -> NDArray[np.generic]:
    """Tell what makes a target the same in two participants: its name, or place on the grid."""
    grid = assembly.responses[0].grid
    if grid is None:
        return assembly.targets["name"].to_numpy(dtype=str)
    if isinstance(grid, Surface):
        return np.flatnonzero(np.concatenate([grid.left, grid.right]))
    return np.flatnonzero(grid.mask)


def _require_one_grid(one: Assembly, other: Assembly) -> None:
    a, b = one.responses[0].grid, other.responses[0].grid
    if a is None and b is None:
        return
    if type(a) is not type(b) or a is None or b is None:
        raise _differ(other, one, "its responses are another kind of image")
    if isinstance(a, Surface) and isinstance(b, Surface):
        same = (len(a.left), len(a.right)) == (len(b.left), len(b.right))
    elif isinstance(a, Volume) and isinstance(b, Volume):
        same = a.mask.shape == b.mask.shape and np.allclose(a.affine, b.affine, atol=_AFFINE_MM)
    elif isinstance(a, Grayordinates) and isinstance(b, Grayordinates):
        same = a.mask.shape == b.mask.shape and np.array_equal(a.structure, b.structure)
        same = same and np.array_equal(a.vertex, b.vertex) and np.array_equal(a.voxel, b.voxel)
    else:
        # Columns of a file are places in that participant's own brain.
        same = isinstance(a, Columns) and isinstance(b, Columns) and np.array_equal(a.mask, b.mask)
    if not same or a.space != b.space:
        raise _differ(other, one, "its responses lie on another grid")


def _differ(one: Assembly, other: Assembly, why: str) -> BrainAlignError:
    return BrainAlignError(
        f"{one.fit.name.stem} can't be tuned on together with {other.fit.name.stem}: {why}",
        where=f"{len(one.targets)} and {len(other.targets)} targets; one readout predicts all of "
        "them for every participant",
        fix="give responses in a common space (--space MNI152NLin2009cAsym, fsaverage5 …), choose "
        "participants with --participant-label, or leave together out of variants in [tuning]",
    )
