"""Reading BIDS tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_brainalign.errors import BrainAlignError


def read_tsv(path: Path) -> pd.DataFrame:
    """Read a TSV as strings, ``n/a`` kept; a UTF-8 byte-order mark is tolerated.

    Raises
    ------
    BrainAlignError
        The table is empty, not UTF-8, or a line has another number of fields (exit code 65).
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BrainAlignError(
            f"{path.name} is not UTF-8 text ({error})", where=str(path), fix="save it as UTF-8"
        ) from error
    rows = [(n, line.split("\t")) for n, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise BrainAlignError(f"{path.name} is empty", where=str(path), fix="add its header line")
    header = [name.strip() for name in rows[0][1]]
    for number, fields in rows[1:]:
        if len(fields) != len(header):
            raise BrainAlignError(
                f"{path.name}, line {number}: {len(fields)} fields, but the header has "
                f"{len(header)}",
                where=str(path),
                fix="separate columns by one tab each; write n/a for missing values",
            )
    body = [[field.strip() or "n/a" for field in fields] for _, fields in rows[1:]]
    return pd.DataFrame(body, columns=header, dtype=str)
