"""The steps that score a small network of voxels beside ridge (``--encoder mlp`` with fMRI)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config, Mlp
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.statmaps import write_maps
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.statistics.correlation import fisher_mean
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow import recurrent_tables
from bids_brainalign.workflow.assemble import Assembly, assemble
from bids_brainalign.workflow.encoding import context_of, fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inference import corrected, p_over_targets
from bids_brainalign.workflow.narrative import sidecar_fields
from bids_brainalign.workflow.parcels import parcels_of
from bids_brainalign.workflow.recurrent import no_networks_step, r_lowlevel
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.voxel_network_fits import VoxelStudy

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
MODULES = ("bids_brainalign.encoding.voxel_networks", "bids_brainalign.workflow.voxel_networks")
MLP = "mlp"
logger = logging.getLogger(__name__)


def voxel_network_steps(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space]
) -> Iterator[Step]:
    """Give the step of one model's network on one fMRI fit; none where it isn't asked for.

    Parameters
    ----------
    config : Config
    fit : Fit
    space : Space
        A model or the user's features; ridge has encoded it.
    spaces : sequence of Space
        All feature spaces of the run.
    """
    others = [name for name in config.encoders if name not in ("ridge", MLP)]
    if others:
        logger.info("%s: %s are for iEEG and EEG", fit.name.stem, ", ".join(others))
    if MLP not in config.encoders:
        return
    if not all(fold.inner for fold in assemble(config, fit, spaces).plan.folds):
        reason = (
            "inner folds don't fit into the recordings, and without them neither the layer nor "
            "the number of epochs can be chosen without looking at test data"
        )
        logger.warning("networks %s %s: skipped, %s", fit.name.stem, space.name, reason)
        yield no_networks_step(config, fit, space, spaces, reason=reason)
        return
    inputs = fit_inputs(config, fit, spaces) | {"model": space.name, "mlp": asdict(config.mlp)}

    def work() -> list[Path]:
        study = VoxelStudy(config, fit, space, spaces)
        return write_network(config, study, space)

    yield Step(
        name=f"encoding {fit.name.stem} {fit.name.datatype} {space.name} {MLP}",
        inputs=inputs,
        modules=MODULES,
        work=work,
    )


@dataclass
class Compared:
    """A network and ridge on the same layers and folds; arrays over voxels, or over parcels."""

    r: Array64
    """Mean over seeds."""
    r2: Array64
    r_fold: Array64
    """(n_folds, n_targets)."""
    r_seed: Array64
    """(n_seeds, n_targets)."""
    r_ridge: Array64
    r_ridge_fold: Array64
    p: Array64
    p_delta: Array64

    @property
    def delta(self) -> Array64:
        """Network minus ridge."""
        return self.r - self.r_ridge


@dataclass
class Nulls:
    """Of all voxels together; None without nulls."""

    maximum: Array64 | None = None
    """(n_draws,) over voxels."""
    parcels: Array32 | None = None
    """(n_draws, n_parcels) sums over their voxels of the network's r."""
    parcels_delta: Array32 | None = None
    """The same of the difference to ridge."""


def compare(
    voxels: Voxelwise,
    networks: Sequence[Sequence[NDArray[np.floating]]],
    ridge: Sequence[NDArray[np.floating]],
    parcels: NDArray[np.bool_],
) -> tuple[Compared, Nulls]:
    """Score a network's seeds and ridge against the same held-out responses and shifts.

    Parameters
    ----------
    voxels : Voxelwise
    networks : sequence of sequence of ndarray of shape (n_test, n_targets)
        Held-out predictions per seed and fold, which may be mapped from files.
    ridge : sequence of ndarray
        Per fold.
    parcels : ndarray of bool, shape (n_parcels, n_targets)
    """
    n, n_folds = voxels.n_targets, len(ridge)
    r, r2, r_ridge, p, p_delta = np.full((5, n), np.nan)
    r_fold, r_ridge_fold = np.full((2, n_folds, n), np.nan)
    found = Compared(
        r, r2, r_fold, np.full((len(networks), n), np.nan), r_ridge, r_ridge_fold, p, p_delta
    )
    nulls = Nulls()
    for columns in voxels.blocks():
        _, held_out = voxels.held_out(columns)
        mine = [[_block(part, columns) for part in one] for one in networks]
        linear = [_block(part, columns) for part in ridge]
        scores, base = [held_out.score(one) for one in mine], held_out.score(linear)
        found.r[columns] = _over_seeds([s.r for s in scores])
        found.r2[columns] = np.mean([s.r2 for s in scores], axis=0)
        found.r_fold[:, columns] = _over_seeds([s.r_fold for s in scores])
        found.r_seed[:, columns] = [s.r for s in scores]
        found.r_ridge[columns], found.r_ridge_fold[:, columns] = base.r, base.r_fold
        if not held_out.has_null:
            continue
        null = _over_seeds([held_out.null(one) for one in mine]).astype(np.float32)
        # Where no seed adds anything, the difference is 0 to the last digit: so are its draws.
        pairs = [pair for one in mine for pair in zip(one, linear, strict=True)]
        same = np.all([(own == its).all(axis=0) for own, its in pairs], axis=0)
        base_null = held_out.null(linear)
        difference = null - base_null
        difference[:, same] = 0
        found.r[columns][same] = base.r[same]
        found.p[columns] = p_values(found.r[columns], null)
        found.p_delta[columns] = p_values(found.delta[columns], difference)
        _add(nulls, null, difference, parcels[:, columns])
    return found, nulls


def _block(part: NDArray[np.floating], columns: slice) -> Array32:
    return np.asarray(part[:, columns], dtype=np.float32)


def _over_seeds(values: Sequence[NDArray[np.floating]]) -> Array64:
    """Mean over seeds on Fisher's z, as over folds."""
    return fisher_mean(np.stack(values), np.ones(len(values)))


def _add(nulls: Nulls, null: Array32, difference: Array32, members: NDArray[np.bool_]) -> None:
    weights = members.T.astype(np.float32)
    top = np.nan_to_num(null, nan=-1.0).max(axis=1).astype(np.float64)
    nulls.maximum = top if nulls.maximum is None else np.maximum(nulls.maximum, top)
    parts = null @ weights, difference @ weights
    nulls.parcels = parts[0] if nulls.parcels is None else nulls.parcels + parts[0]
    nulls.parcels_delta = (
        parts[1] if nulls.parcels_delta is None else nulls.parcels_delta + parts[1]
    )


def of_parcels(
    voxels: Compared, nulls: Nulls, parcels: NDArray[np.bool_]
) -> tuple[Compared, Array64]:
    """Means over the voxels of each parcel, tested against the same means of the null.

    Returns
    -------
    compared : Compared
    p_max : ndarray of shape (n_parcels,)
        Against the maximum over parcels.
    """
    size = parcels.sum(axis=1).astype(np.float64)
    weights = (parcels / size[:, None]).T

    def mean(values: Array64) -> Array64:
        return np.asarray(np.nan_to_num(values) @ weights)

    untested = np.full(len(parcels), np.nan)
    out = Compared(
        r=mean(voxels.r), r2=mean(voxels.r2), r_fold=mean(voxels.r_fold),
        r_seed=mean(voxels.r_seed), r_ridge=mean(voxels.r_ridge),
        r_ridge_fold=mean(voxels.r_ridge_fold), p=untested, p_delta=untested.copy(),
    )  # fmt: skip
    if nulls.parcels is None or nulls.parcels_delta is None:
        return out, untested
    null = nulls.parcels / size
    out.p = p_values(out.r, null)
    out.p_delta = p_values(out.delta, nulls.parcels_delta / size)
    return out, p_over_targets(out.r, null.max(axis=1).astype(np.float64))


def write_network(config: Config, study: VoxelStudy, space: Space) -> list[Path]:
    """Score the network of one fit and write its table and maps."""
    layers, ridge, networks = study.predictions()
    parcels, names = parcels_of(study.assembly)
    if parcels is None:
        raise ValueError("networks of voxels are for fMRI")
    voxels, nulls = compare(study.voxels, networks, ridge, parcels)
    means, p_max = of_parcels(voxels, nulls, parcels)
    layer_names = np.array(study.features.layers, dtype=object)[layers]
    rows = recurrent_tables.score_rows(
        recurrent_tables.Selected(
            layers=layer_names, r=means.r, r2=means.r2, r_fold=means.r_fold,
            r_ridge=means.r_ridge, r_ridge_fold=means.r_ridge_fold,
            seed_sd=_spread(means.r_seed), low=means.r * np.nan, high=means.r * np.nan,
            p=means.p, q=corrected(means.p), p_max=p_max, p_delta=means.p_delta,
        ),
        [],
    )  # fmt: skip
    assembly, label = study.assembly, analysis_label(space.name, MLP)
    table = recurrent_tables.score_table(
        rows,
        names,
        model=space.name,
        encoder=MLP,
        n_null=assembly.draws[0].n_draws if nulls.parcels is not None else 0,
        n_seeds=config.mlp.seeds,
        fold_sizes=[len(fold.outer.test) for fold in assembly.plan.folds],
        r_lowlevel=r_lowlevel(config, assembly, space, names),
        context_s=context_of(config, assembly.fit, space),
    )
    fields = sidecar_fields(config, assembly, space)
    fields["Encoder"] = sentence(config.mlp)
    fields["Chosen"] = study.said()
    fields["VoxelsTested"] = int(np.isfinite(voxels.p_delta).sum())
    fields["VoxelsWithGain"] = int((corrected(voxels.p_delta) < 0.05).sum())
    path = config.paths.output_dir / assembly.fit.name.file("scores.tsv", analysis=label)
    written = list(write_tsv(path, table, recurrent_tables.COLUMNS, extra=fields))
    return written + _write_maps(config, assembly, space, voxels)


def _spread(r_seed: Array64) -> Array64:
    if len(r_seed) > 1:
        return np.asarray(r_seed.std(axis=0, ddof=1))
    return np.full(r_seed.shape[1], np.nan)


def _write_maps(config: Config, assembly: Assembly, space: Space, voxels: Compared) -> list[Path]:
    grid = assembly.responses[0].grid
    if grid is None:
        return []
    maps = {
        "r": (np.nan_to_num(voxels.r), recurrent_tables.COLUMNS["r"]),
        "q": (_or_one(corrected(voxels.p)), recurrent_tables.COLUMNS["q_fdr"]),
        "rDelta": (np.nan_to_num(voxels.delta), recurrent_tables.COLUMNS["delta_r_ridge"]),
        "qDelta": (_or_one(corrected(voxels.p_delta)), recurrent_tables.COLUMNS["q_delta_ridge"]),
    }
    written: list[Path] = []
    for stat, (values, description) in maps.items():
        written += write_maps(
            config.paths.output_dir, assembly.fit.name, values, grid,
            analysis=analysis_label(space.name, MLP), stat=stat, layers=[],
            sidecar={"Description": description, "Model": space.name, "Encoder": MLP},
        )  # fmt: skip
    return written


def _or_one(q: Array64) -> Array64:
    """Voxels without a test are not significant."""
    return np.where(np.isfinite(q), q, 1.0)


def sentence(settings: Mlp) -> str:
    """Say what the network is and how it was trained."""
    form = (
        "It is added to the ridge and learns what the ridge leaves of rows it was not fitted on; "
        "each voxel takes a part of it, from none to all."
        if settings.linear_path
        else "It learns the responses themselves, in place of the ridge."
    )
    return (
        f"A network with one hidden layer of {settings.hidden} units, which all voxels share, on "
        "the delayed features that the ridge reads, of the layer whose ridge does best on the "
        f"inner folds on average over voxels. {form} Weight decay, the number of epochs and the "
        "part are chosen on the inner folds; then it is trained on all training rows, "
        f"{settings.seeds} times from different first weights. Scores are means over these seeds."
    )
