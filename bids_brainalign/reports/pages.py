"""The HTML pages: written from what lies in the output folder, readable without network."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.reports.rendering import Album, write_page


def write_participant_page(output_dir: Path, participant: str) -> list[Path]:
    """Write the page of one participant and its figures.

    Parameters
    ----------
    output_dir : Path
        The derivatives.
    participant : str
        Label without ``sub-``.

    Returns
    -------
    list of Path
        The page, then its figures.
    """
    from bids_brainalign.reports.participant_page import participant_context

    album = Album(output_dir, f"sub-{participant}/figures")
    context = participant_context(output_dir, participant, album)
    page = write_page(output_dir, f"sub-{participant}.html", "participant.html", context)
    return [page, *album.written]


def write_group_page(output_dir: Path, *, participants: tuple[str, ...] = ()) -> list[Path]:
    """Write the page of all participants and its figures.

    Parameters
    ----------
    output_dir : Path
        The derivatives.
    participants : tuple of str
        Labels to include; all with results if empty.

    Returns
    -------
    list of Path
        The page, then its figures.
    """
    from bids_brainalign.reports.group_page import group_context

    album = Album(output_dir, "group/figures")
    context = group_context(output_dir, album, participants=participants)
    page = write_page(output_dir, "group.html", "group.html", context)
    return [page, *album.written]


def write_models_page(output_dir: Path) -> list[Path]:
    """Write the page of probes and likeness of models and its figures.

    Parameters
    ----------
    output_dir : Path
        The derivatives.

    Returns
    -------
    list of Path
        The page, then its figures.
    """
    from bids_brainalign.reports.models_page import models_context

    album = Album(output_dir, "group/figures")
    page = write_page(output_dir, "models.html", "models.html", models_context(output_dir, album))
    return [page, *album.written]


def write_index(output_dir: Path) -> list[Path]:
    """Write the page that leads to all others.

    Parameters
    ----------
    output_dir : Path
        The derivatives.

    Returns
    -------
    list of Path
        The page.
    """
    from bids_brainalign.reports.index_page import index_context

    return [write_page(output_dir, "index.html", "index.html", index_context(output_dir))]
