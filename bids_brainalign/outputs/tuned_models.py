"""Tuned models below output_dir: weights, adapters, training log, choice of the epoch, card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bids_brainalign.config.variants import TOGETHER
from bids_brainalign.outputs.names import FitName, analysis_label
from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.atomic import write_json, write_text

TRAINING_LOG = "training_log.tsv"
EPOCH_TABLE = "epochs.tsv"
GRADIENT_TABLE = "gradient_norms.tsv"
FACTS = "tuning.json"
"""What a tuned model comes from, for programs."""
GROUP = "group"
ADAPTERS = "adapters"
EPOCH_COLUMNS = {
    "epoch": "Passes over the training stories; 0 is the original",
    "r_validation": "Mean r of ridge over the targets that were trained on: fitted on training "
    "stories, penalty and score from validation stories",
    "chosen": "The epoch whose weights are here",
}
LOG_COLUMNS = {
    "epoch": "Pass over the training stories, from 1",
    "update": "Updates since the start of training",
    "loss": "Mean over rows, before the update",
    "gradient_norm": "Of all parameters together, before clipping",
}
NORM_COLUMNS = {
    "epoch": "Pass over the training stories, from 1",
    "layer": "Part of the model: 1 and up are the blocks that make these layers, 0 what comes "
    "before them (convolutions, projection, positions), head the readout; only what is trained",
    "gradient_norm": "Euclidean norm of its gradient before clipping, mean over the updates of "
    "the epoch; n/a where all were left out (fp16)",
}
_WITHHELD = ".tmp"

CARD = """\
---
base_model: {base}
library_name: transformers
tags: [brain-tuning, bids_brainalign]
---
# {name} ({participants})

{base}, tuned on {trained_on} by bids_brainalign. `model.safetensors` is
the whole model in the layout of the original: open it with `AutoModel.from_pretrained`, or give
this folder to `--models NAME=FOLDER`.{adapters}

- Trained on: {training}.
- {targets} targets; epoch {epoch} of {n_epochs} was chosen on the validation stories{untouched}.
- {roles}

`epochs.tsv` holds the validation score of every epoch, `training_log.tsv` every update,
`gradient_norms.tsv` the gradient of every layer. Whether tuning helped on the test stories is told
by `*_tuning.tsv` of {participants}, and only there. `tuning.json` has settings and stories for
programs. A model tuned on responses to a few hours of speech is no better speech recogniser: look
at its probes before using it for anything else.

## Settings

```json
{settings}
```
"""
_ADAPTERS = """
`adapters/` are the LoRA weights alone, for `PeftModel.from_pretrained`. transformers' own WavLM
ignores adapters in its attention: use the merged weights there."""


@dataclass(frozen=True)
class ModelCard:
    """What is told of a tuned model."""

    name: str
    base: str
    """NAME of the original."""
    participants: Sequence[str]
    """Labels, of those whose responses or stories it was tuned on."""
    trained_on: str
    """What was predicted, in words."""
    settings: Mapping[str, object]
    epoch: int
    n_epochs: int
    n_targets: int
    training: Sequence[str]
    """Names of the training stories."""
    roles: Sequence[str]
    """Notes on the choice of stories."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Fields of ``tuning.json`` beside the name, participants and settings."""


def models_folder(root: Path, name: FitName, model: str) -> Path:
    """Folder of a tuned model.

    Parameters
    ----------
    root : Path
        Output folder.
    name : FitName
        Of the fit; of any one of them, where the model was tuned on several participants.
    model : str
        As in the ``model`` column.

    Returns
    -------
    Path
        ``sub-01/models/<entities>_desc-<model>_<datatype>``: the entities of the fit are in it
        because a participant may be tuned on in two spaces, or have two kinds of recordings. Of
        a model that is shared: ``group/models/<space>_desc-<model>_<datatype>``.
    """
    last = f"desc-{analysis_label(model)}_{name.datatype}"
    if not is_shared(model):
        return root / name.folder.parent / "models" / f"{name.stem}_{last}"
    return root / GROUP / "models" / "_".join([*_grid(name), last])


def is_shared(model: str) -> bool:
    """Whether a model is tuned on several participants: ``NAME:together``."""
    return model.partition(":")[2] == TOGETHER


def shared_name(model: str, name: FitName) -> str:
    """Name a shared model by what its participants have in common, too, for probes.

    Examples
    --------
    >>> shared_name("w2v:together", FitName("01", None, "func", (("sub", "01"), ("space", "T1w"))))
    'w2v:together:space-T1w_func'
    """
    return f"{model}:{'_'.join([*_grid(name), name.datatype])}"


def _grid(name: FitName) -> list[str]:
    return [f"{key}-{value}" for key, value in grid_entities(name)]


def grid_entities(name: FitName) -> tuple[tuple[str, str], ...]:
    """Entities that name the grid of responses: the same for all participants who share one."""
    return tuple((key, value) for key, value in name.entities if key in ("space", "den"))


def read_facts(folder: Path) -> dict[str, object]:
    """Read ``tuning.json`` of a tuned model; empty where there is none."""
    return read_sidecar(folder / FACTS)


def write_tuned(
    folder: Path, *, model: Path, adapters: Path | None, log: Path, norms: Path,
    means: Sequence[float], card: ModelCard,
) -> list[Path]:  # fmt: skip
    """Write a tuned model, whole or not at all.

    Parameters
    ----------
    folder : Path
        From :func:`models_folder`; one that is there is replaced.
    model, adapters : Path
        Folders of weights.
    log : Path
        The training log.
    norms : Path
        Norms of the gradient per epoch and layer.
    means : sequence of float
        Validation score of every epoch, from 0.
    card : ModelCard

    Returns
    -------
    list of Path
        Every file of it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}{_WITHHELD}")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(model, fresh)
    if adapters is not None:
        shutil.copytree(adapters, fresh / ADAPTERS)
    table = pd.read_csv(log, sep="\t")
    rates = {
        name: f"Learning rate of {name.removeprefix('learning_rate_') or 'all others'}"
        for name in map(str, table)
        if name not in LOG_COLUMNS
    }
    write_tsv(fresh / TRAINING_LOG, table, LOG_COLUMNS | rates)
    by_layer = pd.read_csv(norms, sep="\t", dtype={"layer": str})
    write_tsv(fresh / GRADIENT_TABLE, by_layer, NORM_COLUMNS)
    epochs = pd.DataFrame({"epoch": range(len(means)), "r_validation": list(means)})
    epochs["chosen"] = epochs["epoch"] == card.epoch
    write_tsv(fresh / EPOCH_TABLE, epochs, EPOCH_COLUMNS)
    text = CARD.format(
        base=card.base, name=card.name,
        participants=", ".join(f"sub-{label}" for label in card.participants),
        trained_on=card.trained_on,
        adapters=_ADAPTERS if adapters is not None else "",
        training=", ".join(card.training), targets=card.n_targets, epoch=card.epoch,
        n_epochs=card.n_epochs,
        untouched=": the original, as no epoch was better" if card.epoch == 0 else "",
        roles="\n- ".join(card.roles), settings=json.dumps(dict(card.settings), indent=1),
    )  # fmt: skip
    write_text(fresh / "README.md", text)
    facts = {"Name": card.name, "Base": card.base, "Participants": list(card.participants)}
    write_json(fresh / FACTS, facts | {"Settings": dict(card.settings), **card.facts})
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())
