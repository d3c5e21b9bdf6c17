"""The trainings of one run as the page shows them: names, files and curves over layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.variants import TOGETHER
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import read_score_table, read_table
from bids_brainalign.outputs.tuned_models import (
    EPOCH_TABLE,
    GRADIENT_TABLE,
    GROUP,
    is_shared,
    models_folder,
    read_facts,
    shared_name,
)
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.curves import curve_table

ORIGINAL = "original"
STIMULI = "stimuli"
"""Name of the dataset's own stimuli among the data of probes."""
CONTROLS = ("permuted", "stimulus", "features=")


@dataclass(frozen=True)
class Training:
    """A model that stands beside the tuned one, or the tuned one itself."""

    model: str
    """As in the ``model`` column."""
    short: str
    """``original``, ``tuned``, ``permuted``, ``together``, ``readout-layer=6`` …"""

    @property
    def is_control(self) -> bool:
        """Whether it is a control or the original."""
        return self.short == ORIGINAL or self.short.startswith(CONTROLS)

    @property
    def is_shared(self) -> bool:
        """Whether it was tuned on several participants."""
        return is_shared(self.model)

    @property
    def called(self) -> str:
        """What sentences call it."""
        if self.short.startswith("features="):
            return f"control that learnt features of {self.short.partition('=')[2]}"
        called = {
            ORIGINAL: "original",
            "permuted": "permuted control",
            "stimulus": "control that heard the stories without responses",
            TOGETHER: "model tuned on several participants in turn",
        }
        return called.get(self.short, f"model with {self.short}")


def training_of(model: str) -> Training:
    """Give a model its short name.

    Examples
    --------
    >>> [training_of(m).short for m in ("w2v", "w2v:permuted", "w2v:tuned:cnn=thawed:seed=1")]
    ['original', 'permuted', 'cnn=thawed seed=1']
    """
    _, _, variant = model.partition(":")
    if not variant:
        return Training(model, ORIGINAL)
    kind, _, changed = variant.partition(":")
    return Training(model, changed.replace(":", " ") if changed else kind)


def model_folder(block: Block, model: str) -> Path:
    """Where a tuned model of the block's recordings lies."""
    return models_folder(block.main.file.output_dir, block.main.file.fit, model)


def tuned_people(block: Block, model: str) -> list[str]:
    """Labels of the participants that a model was tuned on; empty if it is not known."""
    found = read_facts(model_folder(block, model)).get("Participants")
    return [str(label) for label in found] if isinstance(found, list) else []


def epochs_of(block: Block, model: str) -> tuple[NDArray[np.float64], int] | None:
    """Read the validation score of every epoch from 0, and the chosen one; None if absent."""
    path = model_folder(block, model) / EPOCH_TABLE
    if not path.is_file():
        return None
    epochs = pd.read_csv(path, sep="\t")
    chosen = int(np.flatnonzero(epochs["chosen"].astype(str).str.lower() == "true")[0])
    return epochs["r_validation"].to_numpy(dtype=np.float64), chosen


def gradients_of(block: Block, model: str) -> pd.Series | None:
    """Norm of the gradient by layer, mean over epochs; None without the file.

    Returns
    -------
    Series
        By layer as text: a number (0: front end), or ``head``.
    """
    path = model_folder(block, model) / GRADIENT_TABLE
    if not path.is_file():
        return None
    table = pd.read_csv(path, sep="\t", dtype={"layer": str})
    return table.groupby("layer", sort=False)["gradient_norm"].mean()


def probed_layers(block: Block, model: str, probe: str) -> pd.Series | None:
    """Score of a linear probe by layer, on the stimuli; None where the model was not probed.

    Parameters
    ----------
    block : Block
    model : str
        The original, or a model that was tuned on the block's recordings.
    probe : str
        As in the table.
    """
    file, names = block.main.file, [model]
    if is_shared(model):
        names = [shared_name(model, file.fit)]
    elif ":" in model:
        stems = (f"sub-{file.participant}", file.prefix, f"{file.prefix}_{file.fit.datatype}")
        names = [f"{model}:{who}" for who in stems]
    for name in names:
        path = file.output_dir / GROUP / f"desc-{analysis_label(name)}_probes.tsv"
        table = read_table(path, text=("layer",))
        if table is not None:
            rows = table[(table["probe"] == probe) & (table["data"] == STIMULI)]
            rows = rows[rows["metric"] == rows["metric"].iloc[0]] if len(rows) else rows
            return rows.set_index(rows["layer"].astype(int))["score"] if len(rows) else None
    return None


def layers_of(block: Block, model: str) -> pd.Series | None:
    """Score by layer: of the whole mask, or the mean over electrodes; None without scores."""
    file = block.main.file
    path = file.path.parent / f"{file.prefix}_desc-{analysis_label(model)}_scores.tsv"
    scores = read_score_table(path)
    if scores is None:
        return None
    curves = curve_table(scores)
    if curves.empty:
        return None
    whole = curves[curves.index == "whole"]
    return (curves if whole.empty else whole).mean()
