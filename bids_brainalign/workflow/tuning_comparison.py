"""Did tuning help? The tuned model against its original and its control, on the test stories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.layerwise import FeatureSpace, LayerwiseFit, encode_layers
from bids_brainalign.encoding.scoring import HeldOut
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.statmaps import write_maps
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.statistics.block_bootstrap import (
    MIN_BLOCKS,
    Blocks,
    draw_counts,
    drawn_scores,
    make_blocks,
    percentile_interval,
)
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import Assembly, assemble, feature_space
from bids_brainalign.workflow.encoding import fit_inputs, problem_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inference import corrected
from bids_brainalign.workflow.kept_ceilings import ceilings_of
from bids_brainalign.workflow.parcels import parcels_of
from bids_brainalign.workflow.spaces import Space, seed_of

Array64 = NDArray[np.float64]

N_DRAWS = 1000
"""Draws of blocks for an interval."""
BLOCK_S = 20.0
"""Least length of the blocks of test time that are drawn."""
LEVEL = 0.95
COLUMNS = {
    "target": "Channel, or group of voxels, as in the scores tables; scores of a group are means "
    "over its voxels",
    "target_type": "Channel type, or parcel",
    "hemisphere": "L or R",
    "region": "Anatomical region, or region of interest",
    "model": "The tuned model",
    "reference": "What it is held against: its original, a control trained in the same way "
    "(NAME:permuted: on responses in blocks of another order; NAME:stimulus: on the stories "
    "without responses; NAME:features=OTHER: on features of another model), the model of another "
    "setting (NAME:tuned:SETTING=VALUE), or one that was tuned on all participants of the run "
    "(NAME:together)",
    "n_targets": "Channels or voxels in it",
    "n_samples": "Samples of the test stories",
    "r": "r of the tuned model on the test stories, layer and penalty chosen on the validation "
    "stories",
    "r_reference": "The same of the reference",
    "delta_r": "r minus r_reference",
    "ci_low": "95 % interval of delta_r, from blocks of test time drawn with replacement, both "
    "models on the same blocks; n/a with fewer than 6 blocks. The models are held fixed: it says "
    "how sure the difference is for this participant, these stories and this training",
    "ci_high": "Upper end",
    "p": "One-sided p of delta_r, against circular shifts of both models' predictions",
    "q_fdr": "Benjamini-Hochberg q of p over targets",
}


def comparison_step(
    config: Config, fit: Fit, tuned: Space, references: Sequence[Space], spaces: Sequence[Space]
) -> Step:
    """Compare a tuned model with others on the same samples; writes a table and, for fMRI, maps.

    Parameters
    ----------
    config : Config
    fit : Fit
    tuned : Space
        Its features are stored, as are those of `references`.
    references : sequence of Space
        The original first.
    spaces : sequence of Space
        All feature spaces that the folds depend on.
    """

    def work() -> list[Path]:
        inputs = fit_inputs(config, fit, spaces)
        return _compare(config, fit, tuned, references, spaces, inputs)

    return Step(
        name=f"tuning comparison {fit.name.stem} {fit.name.datatype} {tuned.name}",
        inputs=fit_inputs(config, fit, spaces)
        | {"compared": [[s.name, s.digest] for s in (tuned, *references)]},
        modules=("bids_brainalign.workflow.tuning_comparison",),
        work=work,
    )


@dataclass(frozen=True)
class Compared:
    """A tuned model against one reference."""

    r: Array64
    """(n_targets,)."""
    r_reference: Array64
    """(n_targets,)."""
    null: Array64 | None
    """(n_draws, n_rows) of the difference, means over the targets of each row."""
    drawn: Array64 | None
    """(N_DRAWS, n_rows) of the difference, in drawn blocks of test time."""


def _compare(
    config: Config,
    fit: Fit,
    tuned: Space,
    references: Sequence[Space],
    spaces: Sequence[Space],
    inputs: Mapping[str, object],
) -> list[Path]:
    assembly = assemble(config, fit, spaces)
    parcels, names = parcels_of(assembly)
    _, parcels, names = ceilings_of(config, inputs, assembly, parcels, names)
    members = np.eye(len(names), dtype=bool) if parcels is None else parcels
    features = {s.name: feature_space(config, assembly, s) for s in (tuned, *references)}
    compared = compare_spaces(config, assembly, features, tuned=tuned.name, members=members)
    rows = [
        comparison_rows(found, names, members, model=tuned.name, reference=name,
                        n_samples=len(assembly.plan.folds[0].outer.test))
        for name, found in compared.items()
    ]  # fmt: skip
    root, label = config.paths.output_dir, analysis_label(tuned.name)
    written = list(
        write_tsv(
            root / fit.name.file("tuning.tsv", analysis=label), pd.concat(rows), COLUMNS,
            extra={"Description": "Tuned model against its original and its control",
                   "Stories": list(assembly.plan.notes)},
        )
    )  # fmt: skip
    grid = assembly.responses[0].grid
    if grid is not None:
        found = compared[references[0].name]
        written += write_maps(
            root, fit.name, np.nan_to_num(found.r - found.r_reference), grid, analysis=label,
            stat="rDelta", layers=[],
            sidecar={"Description": f"r of {tuned.name} minus r of {references[0].name} on the "
                     "test stories", "Model": tuned.name},
        )  # fmt: skip
    return written


def compare_spaces(
    config: Config,
    assembly: Assembly,
    features: Mapping[str, FeatureSpace],
    *,
    tuned: str,
    members: NDArray[np.bool_],
) -> dict[str, Compared]:
    """Hold one space against each other one; by the name of the other.

    Parameters
    ----------
    tuned : str
        Name of the one. For the others see :func:`compare_pairs`.
    """
    pairs = [(tuned, name) for name in features if name != tuned]
    found = compare_pairs(config, assembly, features, pairs=pairs, members=members)
    return {reference: compared for (_, reference), compared in found.items()}


def compare_pairs(
    config: Config,
    assembly: Assembly,
    features: Mapping[str, FeatureSpace],
    *,
    pairs: Sequence[tuple[str, str]],
    members: NDArray[np.bool_],
) -> dict[tuple[str, str], Compared]:
    """Fit all spaces on the stories of the plan; hold one against another.

    Parameters
    ----------
    config : Config
    assembly : Assembly
    features : mapping of str to FeatureSpace
        By name.
    pairs : sequence of (str, str)
        Names of a model and its reference.
    members : ndarray of bool, shape (n_rows, n_targets)
        Targets of each row of the table.
    """
    (fold,) = assembly.plan.folds
    blocks = make_blocks(
        [assembly.samples.time_s[fold.outer.test]],
        [assembly.samples.run[fold.outer.test]],
        block_s=BLOCK_S,
        interval_s=assembly.interval_s,
    )
    counts = None
    if blocks.n_blocks >= MIN_BLOCKS:
        rng = np.random.default_rng(seed_of(config, "tuning", "intervals"))
        counts = draw_counts(blocks.n_blocks, n_draws=N_DRAWS, rng=rng)
    sums = _Sums(blocks, counts)
    mean = (members / members.sum(axis=1, keepdims=True)).T
    if assembly.fit.modality != "fmri":
        problem = problem_of(config, assembly, slice(None), None)
        held_out = problem.held_out()
        fits = {
            name: encode_layers(space, problem, held_out, layer_nulls=False)
            for name, space in features.items()
        }
        sums.add(fits, held_out, mean)
        return sums.result(pairs)
    voxels = Voxelwise(
        lambda columns: problem_of(config, assembly, columns, None),
        members.shape[1],
        config.paths.work_dir,
    )
    blas = 1 if voxels.problem.solver == "own" else voxels.problem.n_threads
    with threadpool_limits(blas, user_api="blas"):
        whole = {name: voxels.encode(space) for name, space in features.items()}
        for columns in voxels.blocks():
            _, held_out = voxels.held_out(columns)
            fits = {
                name: found.block(columns, held_out, parcel_null=False)
                for name, found in whole.items()
            }
            sums.add(fits, held_out, mean[columns])
    return sums.result(pairs)


class _Sums:
    """Scores of several spaces on the same samples, added up over blocks of targets."""

    def __init__(self, blocks: Blocks, counts: Array64 | None) -> None:
        self._blocks, self._counts = blocks, counts
        self._r: dict[str, list[Array64]] = {}
        self._null: dict[str, Array64] = {}
        self._drawn: dict[str, Array64] = {}

    def add(self, fits: Mapping[str, LayerwiseFit], held_out: HeldOut, mean: Array64) -> None:
        """Add some targets; `mean` (n_targets, n_rows) has their shares in the rows."""
        for name, fit in fits.items():
            self._r.setdefault(name, []).append(np.nan_to_num(fit.selected.r))
            if fit.null_selected is not None:
                null = fit.null_selected.astype(np.float64) @ mean
                self._null[name] = self._null.get(name, np.float64(0)) + null
            if self._counts is not None:
                drawn = drawn_scores(
                    held_out.responses, fit.predictions, self._blocks, self._counts
                )
                rows = np.nan_to_num(drawn) @ mean
                self._drawn[name] = self._drawn.get(name, np.float64(0)) + rows

    def result(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Compared]:
        """Give the differences of pairs."""
        r = {name: np.concatenate(parts) for name, parts in self._r.items()}
        return {
            (one, other): Compared(
                r[one], r[other], _difference(self._null, one, other),
                _difference(self._drawn, one, other),
            )
            for one, other in pairs
        }  # fmt: skip


def _difference(values: Mapping[str, Array64], one: str, other: str) -> Array64 | None:
    return values[one] - values[other] if one in values and other in values else None


def comparison_rows(
    found: Compared,
    names: pd.DataFrame,
    members: NDArray[np.bool_],
    *,
    model: str,
    reference: str,
    n_samples: int,
) -> pd.DataFrame:
    """Rows of the table for one reference."""
    weights = members / members.sum(axis=1, keepdims=True)
    r, other = weights @ found.r, weights @ found.r_reference
    low, high, p = (np.full(len(names), np.nan) for _ in range(3))
    if found.drawn is not None:
        low, high = percentile_interval(found.drawn, level=LEVEL)
    if found.null is not None:
        p = p_values(r - other, found.null)
    return pd.DataFrame(
        {
            "target": names["name"].to_numpy(dtype=object),
            "target_type": names["type"].to_numpy(dtype=object),
            "hemisphere": names["hemisphere"].to_numpy(dtype=object),
            "region": names["region"].to_numpy(dtype=object),
            "model": model,
            "reference": reference,
            "n_targets": members.sum(axis=1),
            "n_samples": n_samples,
            "r": r,
            "r_reference": other,
            "delta_r": r - other,
            "ci_low": low,
            "ci_high": high,
            "p": p,
            "q_fdr": corrected(p),
        }
    )[list(COLUMNS)]
