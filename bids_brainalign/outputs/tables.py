"""Tables with their JSON sidecars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.store.atomic import write_json, write_text

MISSING = "n/a"


def format_table(table: pd.DataFrame) -> str:
    r"""Format as TSV text: ``n/a``, ``true``, ``false``, six significant digits.

    Examples
    --------
    >>> format_table(pd.DataFrame({"r": [0.5, float("nan")], "n": [1, 2]}))
    'r\tn\n0.5\t1\nn/a\t2\n'
    """
    shown = table.copy()
    for column in shown.columns:
        if pd.api.types.is_bool_dtype(shown[column]):
            shown[column] = np.where(shown[column], "true", "false")
        if pd.api.types.is_float_dtype(shown[column]):
            values = shown[column].to_numpy(dtype=np.float64)
            shown[column] = [MISSING if not np.isfinite(v) else f"{v:.6g}" for v in values]
    return str(shown.to_csv(sep="\t", index=False, na_rep=MISSING, lineterminator="\n"))


def write_tsv(
    path: Path,
    table: pd.DataFrame,
    descriptions: Mapping[str, str | Mapping[str, object]],
    *,
    extra: Mapping[str, object] | None = None,
) -> tuple[Path, Path]:
    """Write a table and its sidecar.

    Parameters
    ----------
    path : Path
        Ends in ``.tsv``; the sidecar is the same name with ``.json``.
    table : DataFrame
    descriptions : mapping
        Column → description (or a mapping with ``Description``, ``Units`` …). Every column must
        be described.
    extra : mapping, optional
        Further fields of the sidecar.

    Returns
    -------
    tuple of Path
        Table and sidecar.
    """
    missing = [c for c in table.columns if c not in descriptions]
    if missing:
        raise ValueError(f"columns without a description: {missing}")
    path.parent.mkdir(parents=True, exist_ok=True)
    sidecar: dict[str, object] = dict(extra or {})
    for column in table.columns:
        text = descriptions[column]
        sidecar[str(column)] = {"Description": text} if isinstance(text, str) else dict(text)
    write_text(path, format_table(table))
    json_path = path.with_suffix(".json")
    write_json(json_path, sidecar)
    return path, json_path
