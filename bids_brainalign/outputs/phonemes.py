"""The tables about phones: labels, columns, and reading them back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_brainalign.outputs.reading import is_outdated, read_table, settings_of

PHONES_LABEL = "phones"
"""``desc-phones``: responses to phones belong to recordings, not to a model."""

PHONEME_COLUMNS: dict[str, str] = {
    "target": "Electrode",
    "hemisphere": "L, R or n/a",
    "region": "Atlas label, or n/a",
    "kind": "phone, a kind of category (sonority, syllabicity, manner, place, voicing, vowel; "
    "class with a table of the user's own), or any (one row per electrode over all phones)",
    "phone_class": "Phone (IPA) or category",
    "n_tokens": "Times that it was heard",
    "selectivity": "Mean response to it less the mean response to all other phones, in standard "
    "deviations of the run",
    "selectivity_even": "The same in even minutes, which did not choose the informative "
    "electrodes",
    "z": "Rank-sum z against all other phones; in rows any the root of Kruskal–Wallis H",
    "psi": "Phone selectivity index: other phones that this one exceeds (rank sum, one-sided "
    "p < .01 for each pair, uncorrected)",
    "psi_even": "The same in even minutes",
    "p": "One-sided p of z against labels shifted circularly within runs",
    "q_fdr": "Benjamini-Hochberg q of p over electrodes x phones, electrodes x categories, or "
    "electrodes",
    "reliability": "Rows any: correlation of the electrode's profile over phones between odd and "
    "even minutes, 2r/(1+|r|) (Spearman-Brown)",
    "unique_r": "Rows any: gain in held-out r by phone categories beyond envelope, mel "
    "spectrogram, word onsets and phone onsets (banded ridge)",
    "unique_r2": "Rows any: the same gain in r2",
    "p_unique": "p of unique_r against shifted predictions",
    "q_unique": "Benjamini-Hochberg q of p_unique over electrodes",
    "informative": "1 if the electrode tells phones apart in odd minutes (q < .05)",
    "cluster": "Cluster of informative electrodes by their profile in even minutes, the largest "
    "first; 1 for all where they are not shown to differ; n/a for other electrodes",
}

COHERENCE_COLUMNS: dict[str, str] = {
    "statistic": "neighbour similarity (correlation of phone profiles of the 3 nearest electrodes "
    "less that of all pairs), neighbour agreement (share of them in the same cluster), or "
    "clusters and regions (adjusted mutual information; clusters and devices where no region is "
    "known)",
    "value": "What was observed",
    "null_mean": "Mean over surrogates",
    "p": "One-sided; n/a with fewer than 100 different surrogates",
    "n_electrodes": "Informative electrodes with coordinates",
    "n_clusters": "Groups of the best partition; 1 where electrodes are not shown to differ",
    "n_null": "Surrogates: tuning is shuffled over electrodes and spreads to neighbours as far as "
    "what phones don't explain is shared; this noise is added",
}

TEXT_COLUMNS = ("target", "hemisphere", "region", "kind", "phone_class", "statistic")


def phoneme_files(output_dir: Path, kind: str, *, chosen: tuple[str, ...] = ()) -> list[Path]:
    """Find the participants' tables, in order.

    Those made with other settings than the scores beside them are left out.

    Parameters
    ----------
    output_dir : Path
    kind : str
        ``phonemes`` or ``coherence``.
    chosen : tuple of str
        Participants; all if empty.
    """
    found = _all_files(output_dir, kind, chosen)
    return [path for path in found if not _is_outdated(path)]


def outdated_phoneme_files(output_dir: Path, *, chosen: tuple[str, ...] = ()) -> list[Path]:
    """Find the tables that `phoneme_files` leaves out: the scores beside them have moved on."""
    found = _all_files(output_dir, "phonemes", chosen)
    return [path for path in found if _is_outdated(path)]


def _all_files(output_dir: Path, kind: str, chosen: tuple[str, ...]) -> list[Path]:
    name = f"*_desc-{PHONES_LABEL}_{kind}.tsv"
    found = sorted(
        [*output_dir.glob(f"sub-*/*/{name}"), *output_dir.glob(f"sub-*/ses-*/*/{name}")]
    )
    return [path for path in found if not chosen or _participant(path) in chosen]


def read_phoneme_tables(
    output_dir: Path, kind: str, *, chosen: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Read them into one table with ``participant``; empty if there are none."""
    frames = []
    for path in phoneme_files(output_dir, kind, chosen=chosen):
        frame = read_table(path, text=TEXT_COLUMNS)
        if frame is not None:
            for column in ("hemisphere", "region"):
                if column in frame:
                    frame[column] = frame[column].fillna("n/a")
            frames.append(frame.assign(participant=_participant(path)))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _is_outdated(path: Path) -> bool:
    prefix = path.name.partition("_desc-")[0]
    scores = path.parent.glob(f"{prefix}_desc-*_scores.tsv")
    settings = {settings_of(table) for table in scores}
    return bool(settings) and is_outdated(path, settings)


def _participant(path: Path) -> str:
    return path.name.partition("_")[0].removeprefix("sub-")
