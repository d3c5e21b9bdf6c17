"""fMRIPrep's confounds: which are regressed out, which volumes leave the analysis."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError, ExitCode

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
DERIVATIVES = tuple(f"{name}_derivative1" for name in MOTION)
DEFAULT = (*MOTION, *DERIVATIVES, "white_matter", "csf")
"""Regressed out by default, together with ``cosine*`` (contract)."""

DEFAULT_STRATEGY = "default"
_AROMA = "smoothAROMAnonaggr"

CENSORING = ("motion_outlier", "non_steady_state_outlier")
"""Prefixes of fMRIPrep's one-volume columns."""


@dataclass(frozen=True)
class Confounds:
    """What is taken out of one run."""

    regressors: NDArray[np.float64]
    """(n_volumes, n_regressors)."""
    names: tuple[str, ...]
    censored: NDArray[np.bool_]
    """(n_volumes,)."""
    notes: tuple[str, ...]


def volumes_needed(strategy: str) -> str:
    """``desc-`` of fMRIPrep's volumes that a strategy is made for."""
    return _AROMA if strategy == "ica_aroma" else "preproc"


def read_confounds(
    path: Path | None,
    *,
    n_volumes: int,
    tr_s: float,
    high_pass_s: float,
    strategy: str = DEFAULT_STRATEGY,
) -> Confounds:
    """Choose regressors and censored volumes of one run.

    Parameters
    ----------
    path : Path or None
        ``*_desc-confounds_timeseries.tsv``; None: drifts only.
    n_volumes : int
        Of the image, which must have as many rows.
    tr_s : float
        Repetition time in s.
    high_pass_s : float
        Cut-off period of the cosine set built when fMRIPrep's is missing.
    strategy : str
        ``default``: 6 motion parameters with derivatives, white matter, CSF and drifts; or one of
        nilearn's, with its parameters (`load_confounds_strategy`): volumes that it leaves out are
        censored.

    Returns
    -------
    Confounds

    Raises
    ------
    BrainAlignError
        65: rows and volumes differ, a value is no number, or columns that the strategy needs are
        missing. 66: the strategy needs a confounds file, and there is none.
    """
    if strategy != DEFAULT_STRATEGY:
        drifts = cosine_drifts(n_volumes, tr_s=tr_s, high_pass_s=high_pass_s)
        return _by_nilearn(path, strategy, drifts, high_pass_s=high_pass_s)
    table = pd.DataFrame(index=range(n_volumes))
    notes: list[str] = []
    if path is None:
        notes.append("There is no confounds file: only slow drifts were regressed out.")
    else:
        table = read_tsv(path).fillna("n/a")
        _require_rows(path, len(table), n_volumes)
        missing = [name for name in DEFAULT if name not in table.columns]
        if missing:
            notes.append(f"Missing in {path.name}, so not regressed out: {', '.join(missing)}.")
    cosines = [name for name in table.columns if name.startswith("cosine")]
    names = [name for name in DEFAULT if name in table.columns] + cosines
    columns = {name: _numbers(table[name], path) for name in names}
    if not cosines:
        drifts = cosine_drifts(n_volumes, tr_s=tr_s, high_pass_s=high_pass_s)
        columns |= {f"drift{k:02d}": drift for k, drift in enumerate(drifts.T)}
        notes.append(_built(drifts, high_pass_s))
    spikes = [name for name in table.columns if name.startswith(CENSORING)]
    censored = np.zeros(n_volumes, dtype=bool)
    for name in spikes:
        censored |= _numbers(table[name], path) != 0
    regressors = np.column_stack([*columns.values(), np.empty((n_volumes, 0))])
    notes.append(f"Regressed out: {', '.join(columns) or 'nothing'}.")
    return Confounds(regressors, tuple(columns), censored, tuple(notes))


def _by_nilearn(
    path: Path | None, strategy: str, drifts: NDArray[np.float64], *, high_pass_s: float
) -> Confounds:
    """Confounds as nilearn chooses them; `drifts` stand in for cosines that are missing."""
    from nilearn.interfaces.fmriprep import load_confounds_strategy

    if path is None:
        raise BrainAlignError(
            f"fmri.confounds is {strategy}, but a run has no confounds file.",
            where="Looked for *_desc-confounds_timeseries.tsv beside its image.",
            fix="restore the file, or choose --confounds default.",
            exit_code=ExitCode.MISSING_INPUT,
        )
    n_volumes = len(drifts)
    _require_rows(path, len(read_tsv(path)), n_volumes)
    # nilearn finds the confounds by the name of an image beside them, which it doesn't open.
    ending = f"_desc-{volumes_needed(strategy)}_bold.nii.gz"
    image = re.sub(r"_desc-confounds_(timeseries|regressors)\.tsv$", ending, path.name)
    try:
        table, kept = load_confounds_strategy(
            str(path.with_name(image)), denoise_strategy=strategy
        )
    except (KeyError, ValueError) as error:  # it looks up some columns without asking for them
        raise BrainAlignError(
            f"{path.name} does not hold what --confounds {strategy} needs: "
            f"{' '.join(str(error).split())}",
            where=str(path),
            fix="choose --confounds default, or run fMRIPrep again.",
        ) from error
    censored = np.zeros(n_volumes, dtype=bool)
    if kept is not None:
        censored = ~np.isin(np.arange(n_volumes), kept)
    names = [str(name) for name in table.columns]
    columns = [np.asarray(table[name], dtype=np.float64) for name in names]
    notes = [f"Confounds by nilearn's strategy {strategy}: {', '.join(names)}."]
    if not any(name.startswith("cosine") for name in names):
        names += [f"drift{k:02d}" for k in range(drifts.shape[1])]
        columns += list(drifts.T)
        notes.append(_built(drifts, high_pass_s))
    if censored.any():
        notes.append(f"It leaves out {int(censored.sum())} of {n_volumes} volumes.")
    regressors = np.column_stack([*columns, np.empty((n_volumes, 0))])
    return Confounds(regressors, tuple(names), censored, tuple(notes))


def _built(drifts: NDArray[np.float64], high_pass_s: float) -> str:
    return (
        f"Slow drifts: {drifts.shape[1]} cosines with periods down to {high_pass_s:g} s were "
        "built, as the confounds have none."
    )


def _require_rows(path: Path, n_rows: int, n_volumes: int) -> None:
    if n_rows != n_volumes:
        raise BrainAlignError(
            f"{path.name} has {n_rows} rows but the image has {n_volumes} volumes.",
            where=str(path),
            fix="both must come from the same fMRIPrep run, untrimmed.",
        )


def cosine_drifts(n_volumes: int, *, tr_s: float, high_pass_s: float) -> NDArray[np.float64]:
    """Discrete cosines with periods of at least `high_pass_s`, without the constant.

    Returns
    -------
    ndarray of shape (n_volumes, n_cosines)
        No column when the run is shorter than half the period.
    """
    from nilearn.glm.first_level import make_first_level_design_matrix

    if n_volumes * tr_s <= high_pass_s / 2:
        return np.empty((n_volumes, 0))
    design = make_first_level_design_matrix(
        np.arange(n_volumes) * tr_s, drift_model="cosine", high_pass=1 / high_pass_s
    )
    return np.asarray(design.filter(like="drift"), dtype=np.float64)


def _numbers(column: pd.Series[str], path: Path | None) -> NDArray[np.float64]:
    """Values of a column; the first row of a derivative, which has none, is 0."""
    text = column.str.strip().str.lower().replace(["n/a", ""], "nan")
    values = np.array(pd.to_numeric(text, errors="coerce"), dtype=np.float64)
    if len(values) and np.isnan(values[0]) and "derivative1" in str(column.name):
        values[0] = 0.0
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        named = path.name if path is not None else "confounds"
        raise BrainAlignError(
            f"{named}: {column.name} is '{column.iloc[wrong[0]]}' at volume {wrong[0]}.",
            where=f"{len(wrong)} of {len(values)} values are not finite numbers.",
            fix="remove the column or run fMRIPrep again.",
        )
    return values
