"""What was found, in plain sentences that claim no more than the tests do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import CIRCULAR_PARCEL, LOWLEVEL
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.curves import curve_table, over_folds, selected
from bids_brainalign.reports.figures.voxel_map import VoxelMaps

ALPHA = 0.05
SIDES = {"L": "left", "R": "right"}
PARCEL_NAMES = {
    "whole": "the whole mask",
    "left": "the left hemisphere",
    "right": "the right hemisphere",
}
NO_TEST = "no test: held-out folds are too short for a null"
"""Where q is missing everywhere; nothing was looked for, so nothing was not found."""
MANY = 5
"""Layers beyond this many are counted together."""


@dataclass(frozen=True)
class Headline:
    """Findings of one block."""

    sentences: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    """Value and what it is, for the row of key figures."""


def number(value: float, digits: int = 3) -> str:
    """Format a number for people; ``n/a`` if there is none.

    Examples
    --------
    >>> number(0.12345), number(float("nan")), number(-0.00001)
    ('0.123', 'n/a', '0.000')
    """
    if not np.isfinite(value):
        return "n/a"
    return f"{round(float(value), digits) + 0.0:.{digits}f}".replace("-", "−")


def span(low: float, high: float, digits: int = 3) -> str:
    """Format an interval; ``n/a`` if there is none.

    Examples
    --------
    >>> span(-0.01, 0.02), span(0.1, 0.25, 2), span(float("nan"), float("nan"))
    ('−0.010 to 0.020', '0.10 to 0.25', 'n/a')
    """
    if not np.isfinite([low, high]).all():
        return "n/a"
    return f"{number(low, digits)} to {number(high, digits)}"


def probability(value: float) -> str:
    """Format p or q.

    Examples
    --------
    >>> probability(0.0001), probability(0.034), probability(float("nan"))
    ('< 0.001', '0.034', 'n/a')
    """
    return "< 0.001" if value < 0.001 else number(value)


def is_parcels(block: Block) -> bool:
    """Whether targets are groups of voxels rather than electrodes."""
    return bool((block.main.scores["target_type"] == "parcel").all())


def headline(block: Block, maps: VoxelMaps | None) -> Headline:
    """Say what one block found.

    Parameters
    ----------
    block : Block
        Model and controls.
    maps : VoxelMaps or None
        Voxel maps, for their counts.
    """
    chosen = selected(block.main.scores)
    # Circular scores are shown where they are labelled, and never as what was found.
    chosen = chosen[~chosen.index.astype(str).str.endswith(CIRCULAR_PARCEL)]
    if block.main.model == LOWLEVEL:
        return _baseline_only(chosen)
    found = _parcels(block, chosen, maps) if is_parcels(block) else _electrodes(block, chosen)
    compared = _against_dense(block, chosen)
    return replace(found, sentences=(*found.sentences, *compared))


def _against_dense(block: Block, chosen: pd.DataFrame) -> list[str]:
    """Say how far sliding windows and the cheaper dense ones lead apart."""
    if block.dense is None:
        return []
    apart = (selected(block.dense.scores)["r"] - chosen["r"]).dropna()  # by target
    if apart.empty:
        return []
    targets = "target" if len(apart) == 1 else "targets"
    return [
        f"Dense windows of the same model give a held-out r that differs by "
        f"{number(float(apart.mean()))} on average ({number(float(apart.abs().mean()))} in "
        f"absolute terms, at most {number(float(apart.abs().max()))}; {len(apart)} {targets})."
    ]


def _baseline_only(chosen: pd.DataFrame) -> Headline:
    if chosen["q_fdr"].isna().all():
        text = f"Only the low-level features were run; {NO_TEST}."
        return Headline((text,), (("n/a", "targets above chance"),))
    found = int((chosen["q_fdr"] < ALPHA).sum())
    text = (
        f"Only the low-level features were run. They predict {found} of {len(chosen)} targets "
        "above chance (q < .05)."
    )
    return Headline((text,), ((f"{found} of {len(chosen)}", "targets above chance"),))


def _electrodes(block: Block, chosen: pd.DataFrame) -> Headline:
    name, total = block.main.model, len(chosen)
    found = chosen[chosen["q_delta"] < ALPHA]
    tested = bool(chosen["q_delta"].notna().any())
    sentences = [_electrode_gain(name, chosen, found, tested=tested)]
    if len(found):
        sentences.append(_preferred_layers(block, found))
    if chosen["q_untrained"].notna().any():
        better = int((chosen["q_untrained"] < ALPHA).sum())
        sentences.append(
            f"The trained network predicts better than the same network with random weights at "
            f"{better} of {total} electrodes (q < .05)."
        )
    sentences.append(_prediction_as_such(chosen))
    facts = [(f"{len(found)} of {total}" if tested else "n/a", "electrodes beat the baseline")]
    if len(found):
        layers = ", ".join(f"{layer} (×{n})" for layer, n in _layer_counts(found)[:2])
        facts.append((layers or "n/a", "most frequent layers there"))
    facts.append(
        (number(float(chosen["delta_r_lowlevel"].mean())), "mean gain Δr, all electrodes")
    )
    facts.append((number(float(chosen["r"].mean())), "mean held-out r, all electrodes"))
    return Headline(tuple(sentences), tuple(facts))


def _prediction_as_such(chosen: pd.DataFrame) -> str:
    if chosen["q_fdr"].isna().all():
        return f"Prediction as such: {NO_TEST}."
    above = int((chosen["q_fdr"] < ALPHA).sum())
    return (
        f"Prediction as such is above chance at {above} of {len(chosen)} electrodes (q < .05); "
        "that much can come from the sound's loudness alone, which is why the gain is what counts."
    )


def _electrode_gain(name: str, chosen: pd.DataFrame, found: pd.DataFrame, *, tested: bool) -> str:
    total = len(chosen)
    if not tested:
        return (
            f"The gain of {name} over the low-level baseline was not tested for these "
            f"{total} electrodes."
        )
    if found.empty:
        return (
            f"No electrode of {total} shows a gain of {name} over the low-level baseline at "
            "q < .05. With these recordings that is the answer: either there is no such gain, or "
            "it is smaller than they can show."
        )
    sides = []
    for side, word in SIDES.items():
        among = int((chosen["hemisphere"] == side).sum())
        if among:
            here = int((found["hemisphere"] == side).sum())
            sides.append(f"{here} of {among} in the {word} hemisphere")
    where = f": {', '.join(sides)}" if sides else ""
    return f"{name} adds to the low-level baseline at {len(found)} of {total} electrodes " + (
        f"(q < .05){where}."
    )


def _layer_counts(found: pd.DataFrame) -> list[tuple[int, int]]:
    """Pairs of layer and number of electrodes, most frequent first."""
    layers, counts = np.unique(found["layer_mode"].dropna().astype(int), return_counts=True)
    pairs = zip(layers.tolist(), counts.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def _preferred_layers(block: Block, found: pd.DataFrame) -> str:
    """Say which layers were chosen: counts, for a mean of two populations describes neither."""
    counts = _layer_counts(found)
    if not counts:
        return "No preferred layer is recorded for them."
    last = curve_table(block.main.scores).columns.max()
    span = f" (layers run from 0 to {last})" if np.isfinite(last) else ""
    items = [f"layer {layer} at {n}" for layer, n in counts[:MANY]]
    if len(counts) > MANY:
        items.append(f"other layers at {sum(n for _, n in counts[MANY:])}")
    where = f"The layer chosen most often there: {_and(items)}{span}."
    agreement = float(found["layer_agreement"].mean())
    if np.isfinite(agreement):
        where += f" On average {agreement:.0%} of the outer folds chose the same layer."
    return where


def _parcels(block: Block, chosen: pd.DataFrame, maps: VoxelMaps | None) -> Headline:
    name = block.main.model
    chosen = chosen[chosen.index.isin(list(PARCEL_NAMES))]  # regions have a section of their own
    sentences, tested = [], chosen[chosen["q_delta"].notna()]
    yes = [
        _parcel_text(target, row) for target, row in tested.iterrows() if row["q_delta"] < ALPHA
    ]
    no = [
        _parcel_text(target, row) for target, row in tested.iterrows() if row["q_delta"] >= ALPHA
    ]
    if tested.empty:
        sentences.append(f"The gain of {name} over the low-level baseline was not tested.")
    elif yes:
        sentences.append(f"{name} adds to the low-level baseline in {_and(yes)}.")
        if no:
            sentences.append(f"No gain at q < .05 in {_and(no)}.")
    else:
        sentences.append(
            f"No gain of {name} over the low-level baseline at q < .05: {'; '.join(no)}. With "
            "these recordings that is the answer: either there is no such gain, or it is smaller "
            "than they can show."
        )
    better = [_parcel_name(t) for t, row in chosen.iterrows() if row["q_untrained"] < ALPHA]
    if chosen["q_untrained"].notna().any():
        where = f"in {_and(better)}" if better else "nowhere"
        sentences.append(
            f"The trained network predicts better than the same network with random weights "
            f"{where} (q < .05)."
        )
    if maps is not None and maps.n_found is not None:
        sentences.append(
            f"Prediction as such is above chance in {maps.n_found:,} of {maps.n_voxels:,} voxels "
            "(q < .05 over voxels)."
        )
    return Headline(tuple(sentences), _parcel_facts(chosen, maps))


def _parcel_facts(chosen: pd.DataFrame, maps: VoxelMaps | None) -> tuple[tuple[str, str], ...]:
    facts = []
    for target in ("left", "right"):
        if target in chosen.index:
            value = float(chosen["delta_r_lowlevel"][target])
            facts.append((number(value), f"mean gain Δr, {target} hemisphere"))
    if "whole" in chosen.index:
        layer = float(chosen["layer_mode"]["whole"])
        facts.append((number(layer, 0), "layer chosen most often, whole mask"))
    if maps is not None and maps.layer is not None:
        count = int(np.isfinite(maps.layer.data).sum())
        facts.append(
            (f"{count:,} of {maps.n_voxels:,}", "voxels beat the baseline with a stable layer")
        )
    return tuple(facts)


def _parcel_name(target: object) -> str:
    return PARCEL_NAMES.get(str(target), str(target))


def _parcel_text(target: object, row: pd.Series) -> str:
    gain = f"mean Δr = {number(float(row['delta_r_lowlevel']))}"
    return f"{_parcel_name(target)} ({gain}, q {_equals(float(row['q_delta']))})"


def _equals(q: float) -> str:
    text = probability(q)
    return text if text.startswith("<") else f"= {text}"


def _and(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def context_sentence(block: Block) -> str:
    """Say what the features had heard, for captions; empty if unknown."""
    rows = over_folds(block.main.scores)
    past, future = rows["context_past_s"].max(), rows["context_future_s"].max()
    if not np.isfinite(past) or not np.isfinite(future):
        return ""
    text = f"Features heard up to {past:g} s before and {future:g} s after each moment"
    caution = "; lags below zero therefore have no causal reading." if future > 0 else "."
    return text + caution
