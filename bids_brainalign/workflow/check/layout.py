"""Entries, items and lists on a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

WIDTH = 100
MOST = 6
"""Lines of one kind, and words of a list; what is left is counted."""


def entry(label: str, text: str, *, width: int = 16) -> list[str]:
    """One entry: a label and its text, wrapped with a hanging indent."""
    start = f"  {label:<{width}}  "
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def item(text: str) -> list[str]:
    """Wrap one sentence, later lines further in."""
    return textwrap.wrap(
        text, WIDTH, initial_indent="  ", subsequent_indent="    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def some(words: Iterable[str], most: int = MOST) -> str:
    """List the first words, and say how many there are if that is not all."""
    listed = list(words)
    more = f", … ({len(listed)})" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def plural(count: int, noun: str) -> str:
    """Count things.

    Examples
    --------
    >>> plural(1, "file"), plural(2618, "file")
    ('1 file', '2,618 files')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
