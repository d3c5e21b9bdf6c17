"""Variance of two models: what each explains alone, and what they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.layerwise import FeatureSpace, Problem, encode_jointly, encode_layers
from bids_brainalign.outputs.names import pair_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import assemble, feature_space
from bids_brainalign.workflow.encoding import problem_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inference import corrected
from bids_brainalign.workflow.lags import scores_path
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.tables import SCORE_COLUMNS

Array64 = NDArray[np.float64]

PARTITION_COLUMNS: dict[str, str] = {
    "target": SCORE_COLUMNS["target"],
    "hemisphere": SCORE_COLUMNS["hemisphere"],
    "region": SCORE_COLUMNS["region"],
    "model": "Feature space, as in scores.tsv",
    "other": "Feature space it is compared with",
    "n_samples": SCORE_COLUMNS["n_samples"],
    "explained_model": "Squared held-out r of model, layer chosen on the inner folds; negative "
    "where r is. Low-level features are not taken out: what is shared may be acoustic",
    "explained_other": "The same of other",
    "explained_joint": "The same of both together, at these layers (two-band ridge)",
    "unique_model": "explained_joint minus explained_other; may be negative",
    "unique_other": "explained_joint minus explained_model",
    "shared": "explained_model plus explained_other minus explained_joint",
    "p_unique_model": "One-sided p that model adds to other: joint r minus r of other against the "
    "same circular shifts of both predictions",
    "q_unique_model": "Benjamini-Hochberg q of p_unique_model over targets",
    "p_unique_other": "One-sided p that other adds to model: joint r minus r of model against the "
    "same shifts",
    "q_unique_other": "Benjamini-Hochberg q of p_unique_other over targets",
    "n_null": SCORE_COLUMNS["n_null"],
}


def partition_steps(
    config: Config, fit: Fit, encoded: Sequence[Space], spaces: Sequence[Space]
) -> Iterator[Step]:
    """One step per pair of trained models (or own features) that have scores.

    Parameters
    ----------
    config : Config
    fit : Fit
    encoded : sequence of Space
        Those with scores of this run.
    spaces : sequence of Space
        All feature spaces of the run.
    """
    if not config.ridge.partition_models or fit.modality == "fmri":
        return
    scored = {s: scores_path(config, fit, s) for s in encoded if s.kind in {"model", "own"}}
    known = [(space, path) for space, path in scored.items() if path is not None]
    for (first, one), (second, two) in combinations(known, 2):
        yield _step(config, fit, (first, second), spaces, scores=(one, two))


def _step(
    config: Config,
    fit: Fit,
    pair: tuple[Space, Space],
    spaces: Sequence[Space],
    *,
    scores: tuple[Path, Path],
) -> Step:
    first, second = pair
    name = fit.name.file("variance.tsv", analysis=pair_label(first.name, second.name))

    def work() -> list[Path]:
        assembly = assemble(config, fit, spaces)
        features = [feature_space(config, assembly, space) for space in pair]
        found = partition(
            features[0], features[1], problem_of(config, assembly, slice(None), None)
        )
        table = partition_table(
            found,
            assembly.targets,
            names=(first.name, second.name),
            n_samples=sum(len(fold.outer.test) for fold in assembly.plan.folds),
        )
        return list(write_tsv(config.paths.output_dir / name, table, PARTITION_COLUMNS))

    memo = config.paths.work_dir / "digests"
    return Step(
        name=f"partition {fit.name.stem} {fit.name.datatype} {first.name} {second.name}",
        # The tables of scores change whenever responses, features or folds do.
        inputs={"ridge": asdict(config.ridge), "scores": [file_digest(p, memo) for p in scores]},
        modules=("bids_brainalign.workflow.partition",),
        work=work,
    )


@dataclass(frozen=True)
class Partition:
    """Two feature spaces alone and together, on the same folds and shifts; (n_targets,) each."""

    r_model: Array64
    r_other: Array64
    r_joint: Array64
    p_model: Array64
    """Of r_joint minus r_other; NaN without a null."""
    p_other: Array64
    n_null: int


def partition(model: FeatureSpace, other: FeatureSpace, problem: Problem) -> Partition:
    """Fit two models alone, then together at the layers that each chose on the inner folds.

    Parameters
    ----------
    model, other : FeatureSpace
    problem : Problem

    Notes
    -----
    Commonality analysis by banded ridge (de Heer et al. 2017, J Neurosci 37(27); Nunez-Elizalde
    et al. 2019, NeuroImage 197). The joint kernel's shares are those of ``problem.band_weights``
    and their complements, and each model alone, so that no model is favoured.
    """
    held_out = problem.held_out()
    one, two = (encode_layers(space, problem, held_out) for space in (model, other))
    shares = {0.0, 1.0, *problem.band_weights, *(1 - w for w in problem.band_weights)}
    joint = encode_jointly(
        model,
        other,
        one.chosen,
        problem,
        held_out,
        chosen_baseline=two.chosen,
        weights=tuple(sorted(round(share, 9) for share in shares)),
    )
    r = held_out.score(joint).r
    p_model = p_other = np.full(len(r), np.nan)
    n_null = 0
    if one.null_selected is not None and two.null_selected is not None:
        null = held_out.null(joint)
        p_model = p_values(r - two.selected.r, null - two.null_selected)
        p_other = p_values(r - one.selected.r, null - one.null_selected)
        n_null = len(null)
    return Partition(one.selected.r, two.selected.r, r, p_model, p_other, n_null)


def partition_table(
    found: Partition, targets: pd.DataFrame, *, names: tuple[str, str], n_samples: int
) -> pd.DataFrame:
    """One row per target.

    Parameters
    ----------
    found : Partition
    targets : DataFrame
        ``name, hemisphere, region``.
    names : tuple of str
        Of the two feature spaces.
    n_samples : int
        Held-out samples of all folds.
    """
    model, other, joint = (r * np.abs(r) for r in (found.r_model, found.r_other, found.r_joint))
    table = pd.DataFrame(
        {
            "target": targets["name"].to_numpy(dtype=object),
            "hemisphere": targets["hemisphere"].to_numpy(dtype=object),
            "region": targets["region"].to_numpy(dtype=object),
            "model": names[0],
            "other": names[1],
            "n_samples": n_samples,
            "explained_model": model,
            "explained_other": other,
            "explained_joint": joint,
            "unique_model": joint - other,
            "unique_other": joint - model,
            "shared": model + other - joint,
            "p_unique_model": found.p_model,
            "q_unique_model": corrected(found.p_model),
            "p_unique_other": found.p_other,
            "q_unique_other": corrected(found.p_other),
            "n_null": found.n_null or np.nan,
        }
    )
    return table[list(PARTITION_COLUMNS)]
