"""The step that writes what repeats of a stimulus tell about the recordings alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.statmaps import write_maps
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import Assembly, assemble
from bids_brainalign.workflow.ceiling_selection import selection_fields
from bids_brainalign.workflow.ceilings import BIN_EDGES, Ceilings
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.kept_ceilings import ceilings_of
from bids_brainalign.workflow.parcels import parcels_of
from bids_brainalign.workflow.repeats import stored_counts
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.tables import SCORE_COLUMNS

LABEL = "repeats"

CEILING_COLUMNS: dict[str, str] = {
    "target": SCORE_COLUMNS["target"],
    "target_type": SCORE_COLUMNS["target_type"],
    "hemisphere": SCORE_COLUMNS["hemisphere"],
    "region": SCORE_COLUMNS["region"],
    "r_ceiling": SCORE_COLUMNS["r_ceiling"],
    "ci_low": "Lower end of its 95 % interval: jackknife over blocks of time, at least 0",
    "ci_high": "Upper end",
    "ceiling_kind": SCORE_COLUMNS["ceiling_kind"],
    "p": "One-sided p that presentations agree more than when they are shifted circularly "
    "against each other, by the same offsets for all targets (random phases where held-out data "
    "are shorter than 50 decorrelation times); n/a below 10",
    "q_fdr": "Benjamini-Hochberg q of p over the rows of this table",
    "n_voxels": "Voxels of a group; 1 for electrodes",
    "n_significant": "Those of them with q < .05, corrected over voxels",
    "n_repeats": "Presentations that the ceiling is estimated from",
    "n_samples": "Held-out moments that were repeated",
    "n_null": SCORE_COLUMNS["n_null"],
}
HISTOGRAM_COLUMNS: dict[str, str] = {
    "low": "Lower edge of the bin of ceilings; below 0 where the signal power is",
    "high": "Upper edge",
    "n_targets": "Voxels or electrodes in it",
    "n_significant": "Those of them with q < .05",
    "n_null": "Expected number if presentations had nothing in common, from the null draws",
}


def has_repeats(config: Config, fit: Fit) -> bool:
    """Whether some stimulus of a fit was presented more than once; its responses are stored."""
    shown = Counter(p.stimulus.name for p in fit.presentations)
    return max(shown.values()) > 1 or max(stored_counts(config, fit)) > 1


def ceiling_step(config: Config, fit: Fit, spaces: Sequence[Space]) -> Step:
    """Write ``desc-repeats_ceilings.tsv``, ``_histogram.tsv`` and, for fMRI, maps.

    Parameters
    ----------
    config : Config
    fit : Fit
    spaces : sequence of Space
        All feature spaces of the run: folds, and so what is held out, depend on their context.
    """
    inputs = fit_inputs(config, fit, spaces)

    def work() -> list[Path]:
        assembly = assemble(config, fit, spaces)
        parcels, names = parcels_of(assembly)
        ceilings, parcels, names = ceilings_of(config, inputs, assembly, parcels, names)
        if ceilings is None:
            return []
        n_voxels = np.ones(len(names), dtype=int)
        n_found = ceilings.targets.found.astype(int)
        if parcels is not None:
            n_voxels, n_found = parcels.sum(axis=1), (parcels & ceilings.targets.found).sum(axis=1)
        table = ceiling_table(ceilings, names).assign(n_voxels=n_voxels, n_significant=n_found)
        root = config.paths.output_dir
        extra = selection_fields(config, assembly)
        path = root / fit.name.file("ceilings.tsv", analysis=LABEL)
        written = list(write_tsv(path, table[list(CEILING_COLUMNS)], CEILING_COLUMNS, extra=extra))
        path = root / fit.name.file("histogram.tsv", analysis=LABEL)
        written += write_tsv(path, histogram_table(ceilings), HISTOGRAM_COLUMNS, extra=extra)
        return written + _maps(root, assembly, ceilings)

    return Step(
        name=f"ceilings {fit.name.stem} {fit.name.datatype}",
        inputs=inputs,
        modules=("bids_brainalign.workflow.ceiling_step",),
        work=work,
    )


def ceiling_table(ceilings: Ceilings, names: pd.DataFrame) -> pd.DataFrame:
    """One row per electrode or parcel.

    Parameters
    ----------
    ceilings : Ceilings
    names : DataFrame
        ``name, type, hemisphere, region``.
    """
    rows = ceilings.rows
    return pd.DataFrame(
        {
            "target": names["name"].to_numpy(dtype=object),
            "target_type": names["type"].to_numpy(dtype=object),
            "hemisphere": names["hemisphere"].to_numpy(dtype=object),
            "region": names["region"].to_numpy(dtype=object),
            "r_ceiling": rows.value,
            "ci_low": rows.low,
            "ci_high": rows.high,
            "ceiling_kind": ceilings.kind,
            "p": rows.p,
            "q_fdr": rows.q,
            "n_repeats": ceilings.n_repeats,
            "n_samples": ceilings.n_samples,
            "n_null": ceilings.n_null or np.nan,
        }
    )


def histogram_table(ceilings: Ceilings) -> pd.DataFrame:
    """Count targets per bin of ceiling, beside what their null draws expect."""
    signed, found = ceilings.targets.signed, ceilings.targets.found
    known = np.isfinite(signed)
    null = ceilings.null_counts if ceilings.n_null else np.full(len(BIN_EDGES) - 1, np.nan)
    inside = np.clip(signed, -1, 1)
    return pd.DataFrame(
        {
            "low": BIN_EDGES[:-1],
            "high": BIN_EDGES[1:],
            "n_targets": np.histogram(inside[known], BIN_EDGES)[0],
            "n_significant": np.histogram(inside[known & found], BIN_EDGES)[0],
            "n_null": null,
        }
    )


def _maps(root: Path, assembly: Assembly, ceilings: Ceilings) -> list[Path]:
    grid = assembly.responses[0].grid
    if grid is None:
        return []
    kind = f"{ceilings.kind.replace('_', ' ')}, {ceilings.n_repeats} presentations"
    told = {
        "ceiling": (ceilings.targets.value, f"Noise ceiling of held-out r ({kind}); NaN where "
                    "there is no signal power; whether it is one is told by stat-ceilingq"),
        "ceilingq": (ceilings.targets.q, "Benjamini-Hochberg q over voxels of the permutation "
                     "test that presentations agree"),
    }  # fmt: skip
    written: list[Path] = []
    for stat, (values, description) in told.items():
        sidecar = {"Description": description}
        written += write_maps(
            root, assembly.fit.name, values, grid, analysis=LABEL, stat=stat, layers=[],
            sidecar=sidecar,
        )  # fmt: skip
    return written
