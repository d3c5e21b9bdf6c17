"""The same encoding without the common average: what of the result the reference makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.ready_made import HIGH_GAMMA
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import read_score_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.responses.referencing import SPREADING
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.encoding import encode, encoding_step
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inference import corrected
from bids_brainalign.workflow.responses import response_step
from bids_brainalign.workflow.results import Result
from bids_brainalign.workflow.spaces import Space

ALPHA = 0.05

_WITH, _WITHOUT = "with the reference of this run", "with the reference of the recording"
COLUMNS = {
    "target": "Channel",
    "r": f"r of the model's selected layer {_WITH}",
    "q_fdr": f"Benjamini-Hochberg q of r {_WITH}",
    "delta_r_lowlevel": f"What the model adds to the low-level features {_WITH}",
    "q_delta": f"Benjamini-Hochberg q of delta_r_lowlevel {_WITH}",
    "r_unreferenced": f"r of the model's selected layer {_WITHOUT}",
    "q_fdr_unreferenced": f"Benjamini-Hochberg q of r {_WITHOUT}",
    "delta_r_lowlevel_unreferenced": f"What the model adds to the low-level features {_WITHOUT}",
    "q_delta_unreferenced": f"Benjamini-Hochberg q of delta_r_lowlevel {_WITHOUT}",
}
DESCRIPTION = (
    "The whole analysis (layers, inner folds, nulls) twice, with responses re-referenced and as "
    "recorded. A common average puts about 1/N of every electrode's signal into the others, so "
    "electrodes that are significant only with it may show their neighbours' responses; "
    "electrodes that are significant only without it may show what all share, such as the "
    "recording's own reference or sound picked up by the cables."
)


def reference_steps(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space]
) -> Iterator[Step]:
    """Give the steps of the comparison: responses as recorded, then their encoding.

    Nothing is given where the reference spreads no signal or the comparison is not asked for.

    Parameters
    ----------
    config : Config
    fit : Fit
    space : Space
        A model, whose scores are written.
    spaces : sequence of Space
        All feature spaces of the run: folds are made by the same rules.
    """
    wanted = config.ieeg.compare_reference and config.ieeg.reference in SPREADING
    ready = any(r.prepared == HIGH_GAMMA for r in fit.recordings)
    compared = space.kind in {"model", "static", "own"}
    if fit.modality != "ieeg" or ready or not wanted or not compared:
        return
    bare = replace(config, ieeg=replace(config.ieeg, reference="none"))
    for recording in fit.recordings:
        step = response_step(bare, fit, recording)
        yield replace(step, name=f"{step.name} unreferenced")
    path = config.paths.output_dir / fit.name.file(
        "references.tsv", analysis=analysis_label(space.name)
    )
    scores = path.with_name(path.name.replace("_references.tsv", "_scores.tsv"))

    def work() -> list[Path]:
        # The table as published: what is compared are the numbers that people read.
        published = read_score_table(scores)
        result = encode(bare, fit, space, None, spaces)
        table = comparison(published, result)
        extra = {"Description": DESCRIPTION, "Reference": config.ieeg.reference} | counts(table)
        return list(write_tsv(path, table, COLUMNS, extra=extra))

    yield Step(
        name=f"references {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs={
            "with": encoding_step(config, fit, space, None, spaces).inputs,
            "without": encoding_step(bare, fit, space, None, spaces).inputs,
        },
        modules=("bids_brainalign.workflow.reference_check",),
        work=work,
    )


def comparison(published: pd.DataFrame | None, unreferenced: Result) -> pd.DataFrame:
    """Join the scores of both references by channel.

    Parameters
    ----------
    published : DataFrame
        ``scores.tsv`` of the run's reference.
    unreferenced : Result
        Of the same model on the responses as recorded.
    """
    if published is None:
        raise ValueError("the scores of the run's own reference are not there")
    chosen = published[(published["layer"] == "selected") & (published["fold"] == "all")]
    names = ["target", "r", "q_fdr", "delta_r_lowlevel", "q_delta"]
    block = unreferenced.blocks["model"]
    delta = block.delta_lowlevel
    nothing = np.full(len(unreferenced.targets), np.nan)
    bare = pd.DataFrame(
        {
            "target": unreferenced.targets["name"].to_numpy(dtype=object),
            "r_unreferenced": block.result.selected_r,
            "q_fdr_unreferenced": block.q,
            "delta_r_lowlevel_unreferenced": nothing if delta is None else delta.value,
            "q_delta_unreferenced": nothing if delta is None else corrected(delta.p),
        }
    )
    return chosen[names].merge(bare, on="target", how="left")


def counts(table: pd.DataFrame) -> dict[str, object]:
    """How many electrodes are significant with, without and both ways."""
    result: dict[str, object] = {"Electrodes": len(table)}
    for key, column in (("R", "q_fdr"), ("Delta", "q_delta")):
        with_it, without = table[column] < ALPHA, table[f"{column}_unreferenced"] < ALPHA
        result[f"Significant{key}"] = {
            "With": int(with_it.sum()),
            "Without": int(without.sum()),
            "Both": int((with_it & without).sum()),
        }
    return result
