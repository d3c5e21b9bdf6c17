"""Maps of the preferred layer, only where a preference can be claimed (statistics.md §2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.statistics.layer_curves import centre_of_mass, halves_agree, tolerance
from bids_brainalign.workflow.inference import corrected, layer_mode
from bids_brainalign.workflow.tables import ScoreBlock

Array64 = NDArray[np.float64]
ALPHA = 0.05


def layer_maps(block: ScoreBlock) -> Iterator[tuple[str, Array64, str]]:
    """Give what a model's maps show beyond r and q.

    Parameters
    ----------
    block : ScoreBlock
        Of voxels or vertices.

    Yields
    ------
    stat : str
        ``sig``, ``qDelta``, ``layer``, ``com``.
    values : ndarray of shape (n_targets,)
    description : str
    """
    if block.delta_lowlevel is None:
        q = _known(block.q)
        yield "sig", _flag(q), "1 where q < .05 (prediction above chance), 0 elsewhere in the mask"
        return
    q_delta = _known(corrected(block.delta_lowlevel.p))
    told = "Benjamini-Hochberg q over the mask of the gain over low-level features"
    yield "qDelta", q_delta, told
    told = "1 where the model adds to the low-level features (q_delta < .05), 0 elsewhere"
    yield "sig", _flag(q_delta), f"{told} in the mask"
    n_layers = len(block.layers)
    mode, agreement = layer_mode(block.result.chosen, n_layers)
    shown = (
        (q_delta < ALPHA)
        & (corrected(block.result.flat_p) < ALPHA)
        & (agreement > 0.5)
        & halves_agree(block.result.half_r)
    )
    apart = tolerance(n_layers)
    near = "at the same layer" if not apart else f"at most {apart} layers apart"
    where = (
        "only where the model adds to the low-level features (q_delta < .05), the curve over "
        "layers is not flat (q < .05 of its range, largest less smallest r, against the range "
        "under the same circular shifts), more than half of the outer folds chose this layer on "
        "their inner folds, and held-out curves of odd and even folds (of a single one: of its "
        f"first and second half) peak {near}"
    )
    yield "layer", np.where(shown, mode.astype(np.float64), np.nan), f"Preferred layer, {where}"
    com = centre_of_mass(block.result.layer_r)
    yield (
        "com",
        np.where(shown, com, np.nan),
        (
            "Centre of mass of the curve over layers (mean layer, weighted by r less the curve's "
            f"smallest r), {where}"
        ),
    )


def _known(q: Array64) -> Array64:
    """Untested targets count as not found."""
    return np.where(np.isfinite(q), q, 1.0)


def _flag(q: Array64) -> Array64:
    return (q < ALPHA).astype(np.float64)
