"""Reading tables of speech production back: those that belong together."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.outputs.reading import ScoreFile, score_files, settings_of

SUFFIX = "reconstruction"
REALIGNED = "Realigned"
GEOMETRY = "desc-production_geometry.tsv"
"""Written last of all, with the digest that all tables of the same run have."""


def current_files(
    output_dir: Path, *, chosen: tuple[str, ...] = (), realigned: bool = False
) -> list[ScoreFile]:
    """List tables of scores that were made with the settings of the last whole run.

    Parameters
    ----------
    output_dir : Path
    chosen : tuple of str
        Participants; all if empty.
    realigned : bool
        Those with shifted onsets, instead of all others.
    """
    return [
        file
        for file in score_files(output_dir, chosen=chosen, suffix=SUFFIX)
        if file.label.endswith(REALIGNED) == realigned and not is_of_earlier_run(file)
    ]


def is_of_earlier_run(file: ScoreFile) -> bool:
    """Whether a table was made from other responses, words or settings than the last ones."""
    last = settings_of(file.path.with_name(f"{file.prefix}_{GEOMETRY}"))
    return bool(last) and settings_of(file.path) != last
