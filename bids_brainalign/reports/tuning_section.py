"""The page's section on a tuned model: whether tuning helped, and how its epoch was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.tuning_gains import (
    epoch_scores,
    gradients_beside,
    layers_beside,
    tuning_gains,
)
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section, sentences_of
from bids_brainalign.reports.summary import ALPHA, number, probability, span
from bids_brainalign.reports.tuned_variants import (
    Training,
    epochs_of,
    gradients_of,
    layers_of,
    probed_layers,
    training_of,
    tuned_people,
)

MOST_ROWS = 24
MFCC = "mfcc"
TEXT = ("target", "model", "reference", "region", "hemisphere", "settings")


def tuning_section(block: Block, album: Album) -> Section | None:
    """Show a tuned model beside its original, its controls and other settings; else None."""
    path = _beside(block, "tuning")
    table = block.table(path, text=TEXT)
    if table is None:
        return None
    references = [training_of(name) for name in dict.fromkeys(map(str, table["reference"]))]
    trained = training_of(str(table["model"].iloc[0]))
    sidecar = read_sidecar(path.with_suffix(".json"))
    gains = album.add(
        f"{block.name}_tuning",
        tuning_gains(table, {one.model: one.short for one in references}),
        alt=f"Difference of r between {block.main.model} and "
        f"{', '.join(one.short for one in references)}.",
        caption="r of the tuned model minus r of its original, of its controls (trained in the "
        "same way on something else) and of models of other settings or of several participants, "
        "on the test stories. Lines: 95 % intervals from blocks of test time, for these models as "
        "they are; another training or other stories would differ by more.",
    )
    return Section(
        "Did tuning help?",
        (
            *_sentences(table, trained, references, tuned_people(block, trained.model)),
            *sentences_of(sidecar, "Stories"),
        ),
        (gains, *_curves(block, album, [trained, *references])),
        (*(_cells(table, one) for one in references), *_stability(block)),
    )


def _beside(block: Block, suffix: str) -> Path:
    file = block.main.file
    return file.path.parent / f"{file.prefix}_desc-{file.label}_{suffix}.tsv"


def _sentences(
    table: pd.DataFrame,
    trained: Training,
    references: Sequence[Training],
    people: Sequence[str],
) -> tuple[str, ...]:
    """Say what helped by which comparison; `people` are those that the model was tuned on."""
    controls = [one for one in references if one.is_control]
    shared = [one for one in references if one.is_shared]
    others = [one for one in references if not (one.is_control or one.is_shared)]
    helped = [
        bool((table[table["reference"] == one.model]["q_fdr"] < ALPHA).any()) for one in controls
    ]
    if not all(helped):
        verdict = "There is no evidence that tuning helped"
    elif len(controls) > 1:
        verdict = "Tuning helped, by all comparisons"
    else:
        verdict = "The tuned model is better than its original; without a control, training as "
        verdict += "such may have done it"
    told = [f"{verdict}: {'; '.join(_told(table, one) for one in controls)}."]
    if others:
        told.append(
            "Beside other settings, for which there is no control: "
            f"{'; '.join(_told(table, one) for one in others)}."
        )
    if shared:
        told.append(
            "Beside one model for several participants, which is no control: "
            f"{'; '.join(_told(table, one) for one in shared)}."
        )
    if trained.is_shared:
        who = ", ".join(f"sub-{label}" for label in people) or "several participants"
        told.append(f"This model was tuned on {who} in turn, with one readout for all.")
    elif trained.short != "tuned":
        told.append(f"This model was tuned with {trained.short}.")
    return tuple(told)


def _told(table: pd.DataFrame, one: Training) -> str:
    """Difference of the whole, or the mean over electrodes, and how many rows are better."""
    rows = table[table["reference"] == one.model]
    better, tested = int((rows["q_fdr"] < ALPHA).sum()), int(rows["q_fdr"].notna().sum())
    whole = rows[rows["target"] == "whole"]
    if whole.empty:
        what, interval = f"mean Δr over {len(rows)} targets", ""
        delta = float(rows["delta_r"].mean())
    else:
        what = "Δr of the whole"
        delta, low, high = whole[["delta_r", "ci_low", "ci_high"]].to_numpy(dtype=float)[0]
        interval = f" (95 % interval {span(low, high)})" if np.isfinite(low) else ""
    return (
        f"against the {one.called} {what} is {number(delta)}{interval}, and {better} of {tested} "
        "rows are better at q < .05"
    )


def _curves(block: Block, album: Album, trainings: Sequence[Training]) -> tuple[Picture, ...]:
    """Draw what is known of every training: epochs, layers, gradients."""
    found = {one.short: epochs_of(block, one.model) for one in trainings}
    epochs = {short: values for short, values in found.items() if values is not None}
    layers = _known(trainings, lambda model: layers_of(block, model))
    gradients = _known(trainings, lambda model: gradients_of(block, model))
    pictures = []

    def add(name: str, figure: Figure, alt: str, caption: str) -> None:
        pictures.append(album.add(f"{block.name}_{name}", figure, alt=alt, caption=caption))

    if epochs:
        add("epochs",
            epoch_scores({k: v[0] for k, v in epochs.items()},
                         {k: v[1] for k, v in epochs.items()}),
            "Score of ridge on the validation stories after each epoch of training.",
            "Mean r of ridge over the targets that were trained on: fitted on training stories, "
            "penalty and r from validation stories. Dots: the epoch that was taken.")  # fmt: skip
    if len(layers) > 1:
        add("tunedlayers", layers_beside(layers),
            f"Score over the layers of {', '.join(layers)}.",
            "r on the test stories by layer (whole mask, or mean over electrodes), of every "
            "training and the original.")  # fmt: skip
    probed = _known(trainings, lambda model: probed_layers(block, model, MFCC))
    if len(probed) > 1:
        add("mfcc", layers_beside(probed, "r of MFCCs, held-out stories"),
            f"How well MFCCs are read from the layers of {', '.join(probed)}.",
            "What linear probes read of 40 MFCCs from each layer, on the test stories of the "
            "tuning. All probes, with chance and intervals, are on models.html.")  # fmt: skip
    if gradients:
        add("gradients", gradients_beside(gradients),
            "Norm of the gradient of every layer in training.",
            "Norm of the gradient of each layer, mean over all updates: where training changes "
            "the model. Layers that stay as they are are left out.")  # fmt: skip
    return tuple(pictures)


def _known(
    trainings: Sequence[Training], read: Callable[[str], pd.Series | None]
) -> dict[str, pd.Series]:
    found = {one.short: read(one.model) for one in trainings}
    return {short: values for short, values in found.items() if values is not None}


def _stability(block: Block) -> tuple[Cells, ...]:
    """Give the gain over seeds, where several were trained."""
    table = block.table(_beside(block, "stability"), text=TEXT)
    if table is None:
        return ()
    tables = []
    for settings, rows in table.groupby(table["settings"].fillna(""), sort=False):
        shown = rows.head(MOST_ROWS)
        seeds, spread = int(rows["n_seeds"].iloc[0]), number(float(rows["epoch_sd"].iloc[0]))
        cells = Cells(
            (f"{seeds} seeds {settings}".strip(), "Δr, mean", "Δr, SD", "Δr, smallest", "r, SD"),
            tuple(_stable(row) for row in shown.to_dict("records")),
            caption="Gain over the original in trainings that differ only in the seed. SD over "
            f"epochs of the validation score: {spread}.{_first_of(shown, rows)}",
        )
        tables.append(cells)
    return tuple(tables)


def _stable(row: Mapping[Any, Any]) -> tuple[str, ...]:
    values = (row["delta_r"], row["delta_r_sd"], row["delta_r_min"], row["r_sd"])
    return (str(row["target"]), *(number(float(value)) for value in values))


def _first_of(shown: pd.DataFrame, rows: pd.DataFrame) -> str:
    return "" if len(shown) == len(rows) else f" The first {len(shown)} of {len(rows)} rows."


def _cells(table: pd.DataFrame, one: Training) -> Cells:
    rows = table[table["reference"] == one.model]
    shown = rows.head(MOST_ROWS)
    return Cells(
        (f"against the {one.called}", "r", f"r of {one.short}", "Δr", "95 % interval", "q"),
        tuple(
            (
                str(row["target"]),
                number(float(row["r"])),
                number(float(row["r_reference"])),
                number(float(row["delta_r"])),
                span(float(row["ci_low"]), float(row["ci_high"])),
                probability(float(row["q_fdr"])),
            )
            for row in shown.to_dict("records")
        ),
        caption=_first_of(shown, rows).strip(),
    )
