"""Ceilings depend on no model: kept in the work folder from one encoding to the next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.digest import code_digest, digest_of
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.ceiling_selection import selected_targets, with_selected
from bids_brainalign.workflow.ceilings import Ceilings, TargetCeilings, estimate_ceilings


def ceilings_of(
    config: Config,
    inputs: Mapping[str, object],
    assembly: Assembly,
    parcels: NDArray[np.bool_] | None,
    names: pd.DataFrame,
) -> tuple[Ceilings | None, NDArray[np.bool_] | None, pd.DataFrame]:
    """Give ceilings and, where voxels are selected, the parcels that come with it.

    They depend on no model, and are kept in the work folder from one to the next.

    Parameters
    ----------
    config : Config
    inputs : mapping
        What every result of the fit depends on.
    assembly : Assembly
    parcels : ndarray of bool, shape (n_parcels, n_targets), or None
    names : DataFrame
        One row per parcel (or electrode).
    """
    path = _path(config, inputs, parcels)
    if parcels is not None and config.ceiling.select != "none":
        mask = path.with_suffix(".mask.npy")
        if not mask.is_file():
            chosen = selected_targets(config, assembly)
            mask.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(mask) as temporary, temporary.open("wb") as file:
                np.save(file, chosen, allow_pickle=False)
        chosen = np.asarray(np.load(mask, allow_pickle=False))
        parcels, names = with_selected(config, parcels, names, chosen)
    if path.is_file():
        return _read(path), parcels, names
    rows = [fold.outer.test for fold in assembly.plan.folds]
    found = estimate_ceilings(config, assembly, rows, parcels)
    if found is not None:
        _keep(path, found)
    return found, parcels, names


def _path(config: Config, inputs: Mapping[str, object], parcels: NDArray[np.bool_] | None) -> Path:
    groups = None if parcels is None else np.packbits(parcels).tobytes().hex()
    code = code_digest(("bids_brainalign.workflow.kept_ceilings",))
    key = digest_of({"fit": dict(inputs), "parcels": groups, "code": code})
    return config.paths.work_dir / "ceilings" / f"{key[:24]}.npz"


_ARRAYS = ("signed", "low", "high", "p", "q", "per_fold")


def _keep(path: Path, found: Ceilings) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = [found.n_averaged, found.n_repeats, found.n_samples, found.n_null]
    arrays = {f"targets_{name}": getattr(found.targets, name) for name in _ARRAYS}
    if found.parcels is not None:
        arrays |= {f"parcels_{name}": getattr(found.parcels, name) for name in _ARRAYS}
    arrays |= {"counts": np.array(counts), "pooled": np.array(found.pooled)}
    arrays["null_counts"] = found.null_counts
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read(path: Path) -> Ceilings:
    with np.load(path, allow_pickle=False) as stored:

        def part(kind: str) -> TargetCeilings | None:
            if f"{kind}_signed" not in stored:
                return None
            return TargetCeilings(**{name: stored[f"{kind}_{name}"] for name in _ARRAYS})

        targets = part("targets")
        assert targets is not None  # noqa: S101 - always kept
        n_averaged, n_repeats, n_samples, n_null = (int(n) for n in stored["counts"])
        return Ceilings(
            n_averaged=n_averaged,
            n_repeats=n_repeats,
            n_samples=n_samples,
            n_null=n_null,
            pooled=tuple(int(k) for k in stored["pooled"]),
            targets=targets,
            parcels=part("parcels"),
            null_counts=stored["null_counts"],
        )
