"""The step that combines each electrode's best layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.combined import CombinedFit, combine_layers
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import assemble, feature_space
from bids_brainalign.workflow.encoding import fit_inputs, problem_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inference import corrected
from bids_brainalign.workflow.spaces import Space

NO_FOLDS = "Too short for inner folds, by which layers would be chosen and weighed."
COMBINED_COLUMNS: dict[str, str] = {
    "target": "Channel",
    "hemisphere": "L or R",
    "region": "Anatomical region",
    "model": "Feature space, as in scores.tsv",
    "n_best": "Layers combined, chosen per target and fold on the inner folds",
    "layers": "Layers and their weights, mean over folds: in SD of what each layer predicts",
    "r_selected": "Held-out r of the one layer chosen on the inner folds",
    "r_combined": "Held-out r of the stacked predictions of the best layers",
    "delta_r": "r_combined minus r_selected",
    "p": "One-sided p of delta_r against the same circular shifts of both predictions",
    "q": "Benjamini-Hochberg q of p over targets",
    "n_null": "Draws of the null distribution",
}


def combined_step(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space], *, scores: Path
) -> Step:
    """Write ``desc-<analysis>_combined.tsv``.

    Parameters
    ----------
    config : Config
    fit : Fit
    space : Space
        A model with several layers.
    spaces : sequence of Space
        All feature spaces of the run (folds depend on their context).
    scores : Path
        The encoding's table, which changes whenever responses or features do.
    """
    name = fit.name.file("combined.tsv", analysis=analysis_label(space.name))

    def work() -> list[Path]:
        assembly = assemble(config, fit, spaces)
        problem = problem_of(config, assembly, slice(None), None)
        features = feature_space(config, assembly, space)
        found = combine_layers(
            features, problem, problem.held_out(), n_best=config.ridge.top_layers
        )
        path = config.paths.output_dir / name
        if found is None:
            empty = pd.DataFrame(columns=list(COMBINED_COLUMNS))
            return list(write_tsv(path, empty, COMBINED_COLUMNS, extra={"Notes": [NO_FOLDS]}))
        table = _table(found, assembly.targets, features.layers, space.name)
        table["n_best"] = min(config.ridge.top_layers, len(features.layers))
        return list(write_tsv(path, table[list(COMBINED_COLUMNS)], COMBINED_COLUMNS))

    return Step(
        name=f"combined {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs=fit_inputs(config, fit, spaces)
        | {"scores": file_digest(scores, config.paths.work_dir / "digests")},
        modules=("bids_brainalign.workflow.combined",),
        work=work,
    )


def _table(
    found: CombinedFit, targets: pd.DataFrame, layers: tuple[str, ...], model: str
) -> pd.DataFrame:
    def listed(weights: np.ndarray) -> str:
        order = np.argsort(-weights, kind="stable")
        return " ".join(f"{layers[i]}:{weights[i]:.2f}" for i in order if weights[i] >= 0.005)

    return pd.DataFrame(
        {
            "target": targets["name"].to_numpy(dtype=object),
            "hemisphere": targets["hemisphere"].to_numpy(dtype=object),
            "region": targets["region"].to_numpy(dtype=object),
            "model": model,
            "layers": [listed(column) or "n/a" for column in found.weight.T],
            "r_selected": found.r_selected,
            "r_combined": found.r_combined,
            "delta_r": found.r_combined - found.r_selected,
            "p": found.p,
            "q": corrected(found.p),
            "n_null": found.n_null or np.nan,
        }
    )
