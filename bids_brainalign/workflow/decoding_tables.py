"""The table of decoding scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bids_brainalign.decoding.identification import SCORES
from bids_brainalign.decoding.inference import Tested, difference
from bids_brainalign.decoding.layerwise import Decoded, DecodingProblem, chance_levels

COLUMNS: dict[str, str] = {
    "model": "Whose embedding was decoded: the model, its untrained twin, or the low-level "
    "features (their own columns instead of an embedding)",
    "decoder": "ridge or gru; gru has the layer that ridge chose, and means over seeds",
    "layer": "Layer number; selected = chosen in each outer fold on its inner folds by r_mean",
    "fold": "Outer fold, or all (mean weighted by segments)",
    "score": "r_mean: mean over embedding dimensions of r over time; pattern_r: mean cosine of "
    "true and decoded segments about the training mean; two_vs_two: share of pairs of segments "
    "in which both are matched rightly; rank: mean normalised rank of the right segment (1 = "
    "first); top1: share of segments that come first",
    "value": "The score on held-out data",
    "chance": "Its expectation without any link",
    "p": "One-sided p of this row alone, by shifts of the decoded against the true embedding; in "
    "the row selected it needs no correction for layers, which inner folds chose",
    "p_max": "p against the maximum over layers; in the row selected: of the largest held-out "
    "score over layers, and not of this row's value",
    "null_q95": "95th percentile of this row's null",
    "null_max_q95": "95th percentile of the maximum over layers of the null",
    "delta_untrained": "Value minus that of the untrained twin",
    "p_delta": "One-sided p of delta_untrained, from the same draws",
    "n_segments": "Held-out segments",
    "n_null": "Null draws behind p",
    "layer_mode": "Layer chosen most often over folds",
    "layer_agreement": "Share of folds that chose it",
    "reason": "Why a value or a p value is missing",
}
NO_SEGMENTS = "too few held-out segments far enough apart"
NO_NULL = "held-out data too short for a null (under 10 decorrelation times)"


@dataclass(frozen=True)
class DecodedModel:
    """One feature space decoded by one decoder."""

    model: str
    decoder: str
    decoded: Decoded
    tested: Tested
    control: Tested | None = None
    """Of the untrained twin."""


def decoding_table(models: list[DecodedModel], problem: DecodingProblem) -> pd.DataFrame:
    """Long table: one row per model, decoder, layer, fold and score."""
    rows = [row for one in models for row in _rows(one, problem)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(one: DecodedModel, problem: DecodingProblem) -> Iterator[dict[str, object]]:
    layers, tested = one.decoded.layers, one.tested
    chosen = one.decoded.chosen
    counts = np.bincount(chosen, minlength=len(layers))
    selected = {
        "layer_mode": layers[int(counts.argmax())],
        "layer_agreement": float(counts.max() / len(chosen)),
    }
    chance = chance_levels(problem)
    delta = p_delta = np.full(tested.value.shape, np.nan)
    if one.control is not None:
        delta, p_delta = difference(tested, one.control)
    n_segments = sum(problem.segments[k].n_segments for k in problem.scored)
    quantiles = None if tested.null is None else np.quantile(tested.null, 0.95, axis=2)
    reason = "" if problem.draws else NO_NULL
    # A plain feature and a decoder with one layer have no layer to choose.
    single = len(layers) == 1 and layers[0] in ("n/a", "selected")
    for index in [len(layers)] if single else range(len(layers) + 1):
        is_selected = index == len(layers)
        name = "selected" if is_selected else layers[index]
        if layers == ("n/a",):
            name = "n/a"
        for s, score in enumerate(SCORES):
            yield {
                "model": one.model,
                "decoder": one.decoder,
                "layer": name,
                "fold": "all",
                "score": score,
                "value": tested.value[index, s],
                "chance": chance[s],
                "p": tested.p[index, s],
                "p_max": tested.p_max[index, s],
                "null_q95": np.nan if quantiles is None else quantiles[index, s],
                "null_max_q95": tested.null_max_q95[s],
                "delta_untrained": delta[index, s],
                "p_delta": p_delta[index, s],
                "n_segments": n_segments,
                "n_null": 0 if tested.null is None else tested.null.shape[2],
                **(selected if name == "selected" else {}),
                "reason": reason if problem.scored else NO_SEGMENTS,
            }
    for k, segments in enumerate(problem.segments):
        for s, score in enumerate(SCORES):
            yield {
                "model": one.model,
                "decoder": one.decoder,
                "layer": "n/a" if layers == ("n/a",) else "selected",
                "fold": str(k + 1),
                "score": score,
                "value": one.decoded.value[k, chosen[k], s],
                "chance": chance[s],
                "n_segments": segments.n_segments,
                "layer_mode": layers[chosen[k]],
                "reason": "" if segments.enough else NO_SEGMENTS,
            }
