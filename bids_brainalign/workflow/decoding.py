"""The step that decodes one model's embedding from the responses of one fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.decoding.inference import infer_layers
from bids_brainalign.decoding.layerwise import DecodingProblem, decode_layers
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.digest import code_digest, digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import assemble, feature_space
from bids_brainalign.workflow.decoding_problem import decoding_problem
from bids_brainalign.workflow.decoding_tables import COLUMNS, DecodedModel, decoding_table
from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.recurrent_decoding import decode_by_gru
from bids_brainalign.workflow.spaces import Space


def decoding_step(
    config: Config, fit: Fit, space: Space, twin: Space | None, spaces: Sequence[Space]
) -> Step:
    """Decode one model, its twin and the low-level features, on the folds of encoding.

    Parameters
    ----------
    config : Config
    fit : Fit
        Of electrodes.
    space : Space
        A model, or the user's features.
    twin : Space, optional
        Its untrained twin.
    spaces : sequence of Space
        All feature spaces of the run (the folds depend on their context).
    """
    # Decoding sees what encoding sees, the other way round.
    inputs = dict(encoding_step(config, fit, space, twin, spaces).inputs)
    inputs["decoding"] = {
        key: value
        for key, value in asdict(config.decoding).items()
        if not key.startswith("transcribe")  # another step, and it takes nothing from here
    }
    inputs["annotations"] = [
        [] if p.stimulus.words is None else p.stimulus.words.table["onset"].round(6).tolist()
        for p in fit.presentations
    ]

    modules = ("bids_brainalign.workflow.decoding",)
    kept = config.paths.work_dir / "decoding" / digest_of([inputs, code_digest(modules)])[:24]

    def work() -> list[Path]:
        return _decode(config, fit, space, twin, spaces, kept)

    return Step(
        name=f"decoding {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs=inputs,
        modules=modules,
        work=work,
    )


def _decode(
    config: Config,
    fit: Fit,
    space: Space,
    twin: Space | None,
    spaces: Sequence[Space],
    kept: Path,
) -> list[Path]:
    assembly = assemble(config, fit, spaces)
    problem = decoding_problem(config, assembly)
    lowlevel = next(one for one in spaces if one.kind == "lowlevel")
    chosen = [one for one in (space, twin, lowlevel) if one is not None]
    features = [feature_space(config, assembly, one) for one in chosen]
    models = _by_ridge(features, problem, with_twin=twin is not None)
    extra: dict[str, object] = {"Method": method_sentence(config, problem)}
    if "gru" in config.decoding.decoders:
        models += _by_gru(config, features, models, problem, kept)
    path = config.paths.output_dir / fit.name.file(
        "decoding.tsv", analysis=analysis_label(space.name)
    )
    return list(write_tsv(path, decoding_table(models, problem), COLUMNS, extra=extra))


def _by_ridge(
    features: Sequence[FeatureSpace], problem: DecodingProblem, *, with_twin: bool
) -> list[DecodedModel]:
    decoded = decode_layers(features, problem)
    results = [infer_layers(one, problem) for one in decoded]
    return [
        DecodedModel(
            space.name, "ridge", one, result, results[1] if with_twin and index == 0 else None
        )
        for index, (space, one, result) in enumerate(zip(features, decoded, results, strict=True))
    ]


def _by_gru(
    config: Config,
    features: Sequence[FeatureSpace],
    by_ridge: Sequence[DecodedModel],
    problem: DecodingProblem,
    kept: Path,
) -> list[DecodedModel]:
    """Networks for the same feature spaces; none where there are no inner folds."""
    models: list[DecodedModel] = []
    for space, ridge in zip(features, by_ridge, strict=True):
        decoded = decode_by_gru(config, space, ridge.decoded, problem, folder=kept)
        if decoded is not None:
            models.append(DecodedModel(space.name, "gru", decoded, infer_layers(decoded, problem)))
    if models and by_ridge[0].control is not None:
        models[0] = replace(models[0], control=models[1].tested)
    return models


def method_sentence(config: Config, problem: DecodingProblem) -> str:
    """Say how it was done."""
    d = config.decoding
    pieces = (
        "segments that begin at word onsets" if d.unit == "word" else "segments laid end to end"
    )
    kind = {"shift": "circular shifts", "phase": "random phases"}
    null = (
        f"Null: {problem.draws[0].n_draws} draws ({kind[problem.draws[0].kind]} of the decoded "
        "against the true course, widened by the square root of two where folds train each other)."
        if problem.draws
        else "Held-out data are too short for a null."
    )
    gru = ""
    if "gru" in d.decoders:
        gru = (
            f" The layer that ridge chose was also decoded by a bidirectional GRU ({d.gru_hidden} "
            f"units) over the same responses, stopped on an inner fold; scores are means over "
            f"{d.gru_seeds} seeds."
            if all(fold.inner for fold in problem.plan.folds)
            else " The GRU was left out: inner folds, which stop its training, don't fit."
        )
    return (
        f"The embedding of each layer (at most {d.n_components} principal components, fitted on "
        f"training data) was decoded by ridge regression from all electrodes at lags from "
        f"{d.lag_min_s * 1000:.0f} to {d.lag_max_s * 1000:.0f} ms after it, on the folds of the "
        f"encoding analysis; each dimension's penalty was chosen on inner folds. Held-out "
        f"{pieces} of {d.segment_s:g} s, described in steps of {d.step_s:g} s, were told from "
        f"each other within a fold, pairs less than {d.apart_s:g} s apart left out. {null}{gru}"
    )
