"""Reading BIDS tables."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.errors import BrainAlignError


def read_tsv(path: Path, *, root: Path | None = None) -> pd.DataFrame:
    r"""Read a table as strings, ``n/a`` kept as ``n/a``.

    A UTF-8 byte-order mark, Windows line ends and blank lines are tolerated; an empty field reads
    ``n/a``. Quotation marks are text, as BIDS tables are not quoted (transcripts do hold ``"``);
    only in a file named ``.csv`` do commas separate and quotes quote.

    Parameters
    ----------
    path : Path
    root : Path, optional
        The dataset; messages name the file relative to it.

    Returns
    -------
    DataFrame
        All columns of strings.

    Raises
    ------
    BrainAlignError
        The table has no header, is not UTF-8, or a line has another number of fields than the
        header (65); it is absent, a DataLad pointer or empty (66).
    """
    return read_numbered(path, root=root).reset_index(drop=True)


def read_numbered(path: Path, *, root: Path | None = None) -> pd.DataFrame:
    """Read a table as :func:`read_tsv`; the index holds each row's line number in the file."""
    require_content(path, root if root is not None else path.parent)
    rows = _rows(_text(path), comma=path.suffix.lower() == ".csv")
    if not rows:
        raise BrainAlignError(
            f"{path.name} holds only blank lines", where=str(path), fix="add its header line"
        )
    header = [name.strip() for name in rows[0][1]]
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise BrainAlignError(
            f"{path.name}: the column {twice[0]!r} stands {header.count(twice[0])} times in the "
            "header",
            where=str(path),
            fix="give every column its own name",
        )
    for line, fields in rows[1:]:
        if len(fields) != len(header):
            raise BrainAlignError(
                f"{path.name}, line {line}: {len(fields)} fields, but the header has "
                f"{len(header)}",
                where=str(path),
                fix="separate columns by one tab each; write n/a for missing values",
            )
    body = [[field.strip() or "n/a" for field in fields] for _, fields in rows[1:]]
    return pd.DataFrame(body, columns=header, index=[line for line, _ in rows[1:]], dtype=str)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BrainAlignError(
            f"{path.name}, line {line}: not UTF-8 text (byte 0x{raw[error.start]:02x})",
            where=str(path),
            fix="save it as UTF-8",
        ) from error


def _rows(text: str, *, comma: bool) -> list[tuple[int, list[str]]]:
    """(line number, fields) of lines that are not blank."""
    if comma:
        reader = csv.reader(io.StringIO(text, newline=""))
        return [(reader.line_num, fields) for fields in reader if any(f.strip() for f in fields)]
    # Not str.splitlines: it also breaks at U+0085 and U+2028, which transcripts may hold.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(n, line.split("\t")) for n, line in enumerate(lines, start=1) if line.strip()]
