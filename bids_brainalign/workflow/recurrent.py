"""The steps that score networks of one fit and model, and compare them with ridge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.scoring import HeldOut, Scores
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import read_score_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.statistics.block_bootstrap import (
    MIN_BLOCKS,
    Blocks,
    draw_counts,
    drawn_scores,
    make_blocks,
    percentile_interval,
    widened,
)
from bids_brainalign.statistics.correlation import fisher_mean
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow import recurrent_tables as tables
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.encoding import context_of, fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inference import corrected, p_over_targets
from bids_brainalign.workflow.kept_networks import Wanted
from bids_brainalign.workflow.lags import scores_path
from bids_brainalign.workflow.narrative import sidecar_fields
from bids_brainalign.workflow.recurrent_fits import MODULES, Study
from bids_brainalign.workflow.spaces import Space, seed_of

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Encoded:
    """One encoder on all folds, at one layer per fold."""

    scores: Scores
    """Means over seeds."""
    seed_r: Array64
    """(n_seeds, n_targets)."""
    predictions: tuple[tuple[Array32, ...], ...]
    """Per seed and fold (n_test_k, n_targets)."""
    best_epochs: NDArray[np.int64]
    """(n_seeds, n_folds); none for ridge."""


def recurrent_steps(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space]
) -> Iterator[Step]:
    """Networks of one model on one iEEG fit: a step per encoder, then their comparison.

    Parameters
    ----------
    config : Config
    fit : Fit
    space : Space
        A model or the user's features.
    spaces : sequence of Space
        All feature spaces of the run.
    """
    encoders = [name for name in config.encoders if name != "ridge"]
    inputs = fit_inputs(config, fit, spaces) | {
        "model": space.name,
        "recurrent": asdict(config.recurrent),
    }
    for encoder in encoders:
        yield _scores_step(config, fit, space, spaces, inputs, encoder)
    if encoders:
        yield Step(
            name=f"encoders {fit.name.stem} {fit.name.datatype} {space.name}",
            inputs=inputs | {"encoders": encoders},
            modules=("bids_brainalign.workflow.recurrent", *MODULES),
            work=lambda: _write_comparison(Study(config, fit, space, spaces), space, encoders),
        )


def no_networks_step(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space], *, reason: str
) -> Step:
    """Write an empty comparison that says why there are no networks; the page shows it."""
    inputs = fit_inputs(config, fit, spaces) | {"model": space.name, "skipped": reason}

    def work() -> list[Path]:
        path = config.paths.output_dir / fit.name.file(
            "encoders.tsv", analysis=analysis_label(space.name)
        )
        empty = pd.DataFrame(columns=list(tables.COMPARISON_COLUMNS))
        why = f"Networks were not trained: {reason}."
        return list(write_tsv(path, empty, tables.COMPARISON_COLUMNS, extra={"Skipped": [why]}))

    return Step(
        name=f"encoders {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs=inputs,
        modules=("bids_brainalign.workflow.recurrent",),
        work=work,
    )


def _scores_step(
    config: Config,
    fit: Fit,
    space: Space,
    spaces: Sequence[Space],
    inputs: dict[str, object],
    encoder: str,
) -> Step:
    return Step(
        name=f"encoding {fit.name.stem} {fit.name.datatype} {space.name} {encoder}",
        inputs=inputs | {"encoder": encoder},
        modules=("bids_brainalign.workflow.recurrent", *MODULES),
        work=lambda: _write_scores(Study(config, fit, space, spaces), space, encoder),
    )


def encode_ridge(study: Study, layers: NDArray[np.int64]) -> Encoded:
    """Ridge at the given layer of each fold: what networks on the same layers compare with."""
    predictions = tuple(study.ridge(int(layer), k) for k, layer in enumerate(layers))
    return _encoded(study.held_out, (predictions,), np.zeros((0, len(layers)), dtype=np.int64))


def encode_network(study: Study, encoder: str, layers: NDArray[np.int64]) -> Encoded:
    """All seeds of one network at the given layer of each fold."""
    n_seeds = study.config.recurrent.seeds
    linear = study.config.recurrent.linear_path
    kept = study.fits(
        [
            Wanted(encoder, int(layer), k, seed, with_linear=linear)
            for k, layer in enumerate(layers)
            for seed in range(n_seeds)
        ]
    )
    by_seed = tuple(tuple(fit.prediction for fit in kept[s::n_seeds]) for s in range(n_seeds))
    epochs = np.array([[fit.best_epoch for fit in kept[s::n_seeds]] for s in range(n_seeds)])
    return _encoded(study.held_out, by_seed, epochs)


def _encoded(
    held_out: HeldOut,
    predictions: tuple[tuple[Array32, ...], ...],
    best_epochs: NDArray[np.int64],
) -> Encoded:
    """Score every seed by itself; the mean of the predictions would be an ensemble."""
    scores = [held_out.score(one) for one in predictions]
    return Encoded(
        Scores(
            r_fold=_over_seeds(np.stack([s.r_fold for s in scores])),
            r=_over_seeds(np.stack([s.r for s in scores])),
            r2=np.mean([s.r2 for s in scores], axis=0),
            halves=_over_seeds(np.stack([s.halves for s in scores])),
        ),
        np.stack([s.r for s in scores]),
        predictions,
        best_epochs,
    )


def _over_seeds(r: NDArray[np.floating]) -> Array64:
    """Mean over seeds (first axis) on Fisher's z, as over folds."""
    return fisher_mean(r, np.ones(len(r)))


@dataclass(frozen=True)
class Bootstrap:
    """Blocks of held-out time and how often each comes in each draw."""

    responses: Sequence[Array32]
    blocks: Blocks
    counts: Array64

    @property
    def is_possible(self) -> bool:
        """Whether there are enough blocks for an interval."""
        return self.blocks.n_blocks >= MIN_BLOCKS

    def draws(self, encoded: Encoded) -> Array64:
        """(n_draws, n_targets) mean over seeds of the drawn scores."""
        drawn = [
            drawn_scores(self.responses, one, self.blocks, self.counts)
            for one in encoded.predictions
        ]
        return _over_seeds(np.stack(drawn))


def bootstrap_of(study: Study) -> Bootstrap:
    """Draw blocks once for all encoders of a fit, so that their differences are paired."""
    samples, config = study.assembly.samples, study.config
    scored = study.held_out.scored
    tests = [study.assembly.plan.folds[k].outer.test for k in scored]
    blocks = make_blocks(
        [samples.time_s[rows] for rows in tests],
        [samples.run[rows] for rows in tests],
        block_s=config.recurrent.block_s,
        interval_s=samples.interval_s,
    )
    rng = np.random.default_rng(seed_of(config, "bootstrap", study.assembly.fit.name.stem))
    counts = draw_counts(blocks.n_blocks, n_draws=config.recurrent.n_bootstrap, rng=rng)
    return Bootstrap([study.held_out.responses[k] for k in scored], blocks, counts)


def _only_scored(study: Study, encoded: Encoded) -> Encoded:
    """Leave out folds that are too short to be scored."""
    kept = study.held_out.scored
    return replace(
        encoded, predictions=tuple(tuple(one[k] for k in kept) for one in encoded.predictions)
    )


def _write_scores(study: Study, space: Space, encoder: str) -> list[Path]:
    layers = study.chosen_layers
    ridge, network = encode_ridge(study, layers), encode_network(study, encoder, layers)
    bootstrap = bootstrap_of(study)
    low = high = np.full(study.held_out.n_targets, np.nan)
    if bootstrap.is_possible:
        difference = bootstrap.draws(_only_scored(study, network)) - bootstrap.draws(
            _only_scored(study, ridge)
        )
        gained = network.scores.r - ridge.scores.r
        stretched = widened(difference, gained, scale=study.held_out.null_scale)
        low, high = percentile_interval(stretched, level=0.95)
    p, p_max = _significance(study.held_out, network)
    p_delta = _p_delta(study.held_out, network, ridge)
    names = np.array(study.features.layers, dtype=object)
    selected = tables.Selected(
        layers=names[layers],
        r=network.scores.r,
        r2=network.scores.r2,
        r_fold=network.scores.r_fold,
        r_ridge=ridge.scores.r,
        r_ridge_fold=ridge.scores.r_fold,
        seed_sd=network.seed_r.std(axis=0, ddof=1) if len(network.seed_r) > 1 else low * np.nan,
        low=low,
        high=high,
        p=p,
        q=corrected(p),
        p_max=p_max,
        p_delta=p_delta,
    )
    per_layer = []
    if study.config.recurrent.layers == "all":
        for index, name in enumerate(study.features.layers):
            every = np.full(study.n_folds, index)
            one, base = encode_network(study, encoder, every), encode_ridge(study, every)
            per_layer.append(
                tables.OneLayer(
                    name,
                    one.scores.r,
                    one.scores.r2,
                    base.scores.r,
                    _significance(study.held_out, one)[0],
                )
            )
    return _write_table(
        study, space, encoder, tables.score_rows(selected, per_layer), network.best_epochs
    )


def _significance(held_out: HeldOut, encoded: Encoded) -> tuple[Array64, Array64]:
    """P of each target, and against the maximum over targets, of the mean over seeds."""
    r = encoded.scores.r
    if not held_out.has_null:
        return np.full(len(r), np.nan), np.full(len(r), np.nan)
    null = _null(held_out, encoded)
    return p_values(r, null), p_over_targets(r, null.max(axis=1).astype(np.float64))


def _p_delta(held_out: HeldOut, network: Encoded, ridge: Encoded) -> Array64:
    """P of each target that the network predicts more than ridge, from the same shifts of both."""
    gained = network.scores.r - ridge.scores.r
    if not held_out.has_null:
        return np.full(len(gained), np.nan)
    return p_values(gained, _null(held_out, network) - _null(held_out, ridge))


def _null(held_out: HeldOut, encoded: Encoded) -> Array32:
    """(n_draws, n_targets) null of the mean over seeds."""
    drawn = np.stack([held_out.null(one) for one in encoded.predictions])
    return _over_seeds(drawn).astype(np.float32)


def _write_table(
    study: Study,
    space: Space,
    encoder: str,
    rows: list[dict[str, object]],
    best_epochs: NDArray[np.int64],
) -> list[Path]:
    assembly, config = study.assembly, study.config
    name = assembly.fit.name
    sizes = [len(fold.outer.test) for fold in assembly.plan.folds]
    table = tables.score_table(
        rows,
        assembly.targets,
        model=space.name,
        encoder=encoder,
        n_null=assembly.draws[0].n_draws if study.held_out.has_null else 0,
        n_seeds=config.recurrent.seeds,
        fold_sizes=sizes,
        r_lowlevel=r_lowlevel(config, assembly, space, assembly.targets),
        context_s=context_of(config, assembly.fit, space),
    )
    fields = sidecar_fields(config, assembly, space)
    fields["Encoder"] = f"{tables.KINDS[encoder]}. {tables.training_sentence(config.recurrent)}"
    fields["BestEpochs"] = best_epochs.tolist()
    label = analysis_label(space.name, encoder)
    path = config.paths.output_dir / name.file("scores.tsv", analysis=label)
    return list(write_tsv(path, table, tables.COLUMNS, extra=fields))


def r_lowlevel(config: Config, assembly: Assembly, space: Space, targets: pd.DataFrame) -> Array64:
    """Read r of the low-level features on the same folds from the ridge's scores."""
    names = [str(name) for name in targets["name"]]
    path = scores_path(config, assembly.fit, space)
    scores = None if path is None else read_score_table(path)
    if scores is None:
        return np.full(len(names), np.nan)
    chosen = scores[(scores["layer"] == "selected") & (scores["fold"] == "all")]
    return chosen.set_index("target")["r_lowlevel"].reindex(names).to_numpy(dtype=float)


@dataclass(frozen=True)
class _Compared:
    """What a comparison needs of an encoder; its predictions, per seed, are large."""

    r: Array64
    """(n_targets,)."""
    draws: Array64 | None
    """(n_draws, n_targets); None where there are too few blocks."""
    best_epochs: NDArray[np.int64]


def _compared(study: Study, encoder: str, bootstrap: Bootstrap) -> _Compared:
    layers = study.chosen_layers
    encoded = (
        encode_ridge(study, layers)
        if encoder == "ridge"
        else encode_network(study, encoder, layers)
    )
    draws = bootstrap.draws(_only_scored(study, encoded)) if bootstrap.is_possible else None
    return _Compared(encoded.scores.r, draws, encoded.best_epochs)


def _write_comparison(study: Study, space: Space, encoders: list[str]) -> list[Path]:
    """Differences between encoders per electrode and on average, all from the same draws."""
    bootstrap = bootstrap_of(study)
    compared = {name: _compared(study, name, bootstrap) for name in ("ridge", *encoders)}
    parts = []
    for encoder, reference in tables.contrasts(encoders):
        mine, other = compared[encoder].r, compared[reference].r
        here, there = compared[encoder].draws, compared[reference].draws
        drawn = None
        if here is not None and there is not None:
            drawn = widened(here - there, mine - other, scale=study.held_out.null_scale)
        parts.append(
            tables.comparison_rows(
                encoder,
                reference,
                r=mine,
                r_reference=other,
                draws=drawn,
                targets=[str(name) for name in study.assembly.targets["name"]],
            )
        )
    table = pd.concat(parts, ignore_index=True)
    table["n_blocks"], table["n_seeds"] = bootstrap.blocks.n_blocks, study.config.recurrent.seeds
    name = study.assembly.fit.name
    path = study.config.paths.output_dir / name.file(
        "encoders.tsv", analysis=analysis_label(space.name)
    )
    unlearnt = [
        f"{int((one.best_epochs == 0).sum())} of {one.best_epochs.size} networks of kind {name} "
        "learnt nothing that helped on the rows that stop training; their first weights count."
        for name, one in compared.items()
        if (one.best_epochs == 0).any()
    ]
    extra = {
        "Notes": unlearnt,
        "BlockSeconds": study.config.recurrent.block_s,
        "Draws": study.config.recurrent.n_bootstrap,
        "Encoders": {name: tables.KINDS[name] for name in encoders},
        "Training": tables.training_sentence(study.config.recurrent),
    }
    return list(write_tsv(path, table, tables.COMPARISON_COLUMNS, extra=extra))
