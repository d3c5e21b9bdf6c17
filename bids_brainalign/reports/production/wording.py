"""Small pieces of sentences."""

from __future__ import annotations

from bids_brainalign.reports.summary import probability


def p_text(p: float) -> str:
    """Give p with its name, on one line.

    Examples
    --------
    >>> p_text(0.03).split(), p_text(0.0001).split()
    (['p', '=', '0.030'], ['p', '<', '0.001'])
    """
    said = probability(p)
    return f"p {said if said.startswith('<') else f'= {said}'}".replace(" ", "\u00a0")


def first_of(count: int, most: int, what: str) -> str:
    """Say that a figure or table is cut short; empty where it is not.

    Examples
    --------
    >>> first_of(5, 6, "rows"), first_of(8, 6, "rows")
    ('', ' The first 6 of 8 rows.')
    """
    return f" The first {most} of {count} {what}." if count > most else ""
