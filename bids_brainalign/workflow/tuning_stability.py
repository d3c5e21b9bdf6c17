"""How much a tuned model's gain depends on the seed, and on the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import TUNED, Variant
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import read_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.outputs.tuned_models import EPOCH_TABLE, models_folder
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space

SEED = "seed"
COLUMNS = {
    "settings": "Settings that differ from those of the run; n/a: none. The seed is left out",
    "target": "Channel, or group of voxels, as in *_tuning.tsv",
    "target_type": "Channel type, or parcel",
    "hemisphere": "L or R",
    "region": "Anatomical region, or region of interest",
    "n_seeds": "Trainings that differ only in the seed: first weights, order of batches, dropout",
    "r": "Mean over seeds of r of the tuned model on the test stories",
    "r_sd": "SD over seeds of r, with n - 1",
    "delta_r": "Mean over seeds of r minus r of the original",
    "delta_r_sd": "SD over seeds of that difference",
    "delta_r_min": "Its smallest value",
    "epoch_sd": "SD over epochs, from the first one on, of the mean r of ridge on the validation "
    "stories (over the targets that were tuned on), mean over seeds",
}


def seeds_of(found: Mapping[Variant, Space]) -> dict[str, list[Variant]]:
    """Trainings that differ only in their seed, by the settings they share; two at least.

    Parameters
    ----------
    found : mapping of Variant to Space
        Trainings that have a model.
    """
    groups: dict[str, list[Variant]] = {}
    for variant in found:
        if variant.kind == TUNED:
            shared = " ".join(f"{k}={v}" for k, v in variant.changed if k != SEED)
            groups.setdefault(shared, []).append(variant)
    return {shared: group for shared, group in groups.items() if len(group) > 1}


def stability_step(
    config: Config, fit: Fit, original: Space, found: Mapping[Variant, Space],
    spaces: Sequence[Space],
) -> Step:  # fmt: skip
    """Write what seeds and epochs do to the scores of tuned models.

    Parameters
    ----------
    config : Config
    fit : Fit
    original : Space
    found : mapping of Variant to Space
        Tuned models; each has been compared with the original.
    spaces : sequence of Space
        All feature spaces that the folds depend on.
    """
    groups = seeds_of(found)
    label = analysis_label(f"{original.name}:tuned")

    def work() -> list[Path]:
        tables = [
            _rows(config, fit, shared, [found[variant].name for variant in group], original.name)
            for shared, group in groups.items()
        ]
        path = config.paths.output_dir / fit.name.file("stability.tsv", analysis=label)
        description = {"Description": "Gain of tuned models over seeds and epochs"}
        return list(write_tsv(path, pd.concat(tables), COLUMNS, extra=description))

    return Step(
        name=f"tuning stability {fit.name.stem} {fit.name.datatype} {original.name}",
        inputs=fit_inputs(config, fit, spaces)
        | {"seeds": [[shared, [[found[v].name, found[v].digest] for v in group]]
                     for shared, group in groups.items()]},
        modules=("bids_brainalign.workflow.tuning_stability",),
        work=work,
    )  # fmt: skip


def _rows(
    config: Config, fit: Fit, shared: str, models: Sequence[str], original: str
) -> pd.DataFrame:
    root = config.paths.output_dir
    tables, epochs = [], []
    for model in models:
        path = root / fit.name.file("tuning.tsv", analysis=analysis_label(model))
        table = read_table(path, text=("target", "region", "hemisphere", "model", "reference"))
        assert table is not None  # noqa: S101 - the comparison has written it
        tables.append(table[table["reference"] == original].reset_index(drop=True))
        log = read_table(models_folder(root, fit.name, model) / EPOCH_TABLE)
        assert log is not None  # noqa: S101 - part of every tuned model
        epochs.append(log["r_validation"].to_numpy(dtype=np.float64)[1:])
    r = np.stack([table["r"].to_numpy(dtype=np.float64) for table in tables])
    delta = np.stack([table["delta_r"].to_numpy(dtype=np.float64) for table in tables])
    rows = tables[0][["target", "target_type", "hemisphere", "region"]].copy()
    rows.insert(0, "settings", shared or None)
    rows["n_seeds"] = len(models)
    rows["r"], rows["r_sd"] = r.mean(axis=0), r.std(axis=0, ddof=1)
    rows["delta_r"], rows["delta_r_sd"] = delta.mean(axis=0), delta.std(axis=0, ddof=1)
    rows["delta_r_min"] = delta.min(axis=0)
    spread = [one.std(ddof=1) for one in epochs if len(one) > 1]
    rows["epoch_sd"] = np.mean(spread) if spread else np.nan
    return rows[list(COLUMNS)]
