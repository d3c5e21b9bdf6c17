"""What the page says about phones: times, profiles, clusters, their order, unique variance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.outputs.phonemes import PHONES_LABEL
from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.phoneme_profiles import phoneme_profiles
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number

TEXT = ("target", "hemisphere", "region", "kind", "phone_class")
ALPHA = 0.05
MAX_ROWS = 20
N_FAVOURITES = 4


def phoneme_section(block: Block, album: Album) -> Section | None:
    """Read ``desc-phones_phonemes.tsv`` of the recordings; None where it is absent."""
    folder, prefix = block.main.file.path.parent, block.main.file.prefix
    stem = f"{prefix}_desc-{PHONES_LABEL}"
    path = folder / f"{stem}_phonemes.tsv"
    if not path.is_file():
        return None
    sidecar = read_sidecar(path.with_suffix(".json"))
    table = block.table_of_recordings(path, text=TEXT)
    times = _texts(sidecar, "PhoneTimesSentences")
    if path.name in block.outdated:
        return None
    if table is None:
        return Section("Phones", tuple([*_texts(sidecar, "Skipped"), *times]))
    orderly = block.table_of_recordings(folder / f"{stem}_coherence.tsv", text=("statistic",))
    every = table[table["kind"] == "any"].set_index("target")
    sentences = [
        *_findings(table, every),
        *_texts(sidecar, "Organisation"),
        *times,
        f"Window: {sidecar.get('Window', 'n/a')}. Categories: {sidecar.get('PhoneClasses')}.",
    ]
    tables = [_best(table, every)]
    if orderly is not None:
        tables.append(_order(orderly))
    picture = _picture(table, every, album, stem)
    return Section("Phones", tuple(sentences), (picture,), tuple(tables))


def _texts(sidecar: dict[str, object], key: str) -> list[str]:
    value = sidecar.get(key)
    return [str(item) for item in value] if isinstance(value, list) else []


def _findings(table: pd.DataFrame, every: pd.DataFrame) -> list[str]:
    n = len(every)
    told = int((every["q_fdr"] < ALPHA).sum())
    found = [f"{told} of {n} electrodes tell phones apart (all minutes, q < .05)."]
    if every["p_unique"].notna().any():
        beyond = int((every["q_unique"] < ALPHA).sum())
        best = every["unique_r"].max()
        found.append(
            f"In {beyond} of {n} electrodes phone categories explain more than envelope, mel "
            f"spectrogram, word onsets and phone onsets do (held out, q < .05; largest gain in r: "
            f"{number(best)}). This is the test of phonetic beyond acoustic; selectivity alone is "
            "not."
        )
    reliable = every["reliability"].dropna()
    if len(reliable):
        found.append(
            f"Reliability of profiles, odd against even minutes (Spearman–Brown): median "
            f"{number(reliable.median(), 2)}, range {number(reliable.min(), 2)} to "
            f"{number(reliable.max(), 2)}."
        )
    return found


def _shown(every: pd.DataFrame) -> pd.DataFrame:
    """Informative electrodes by cluster; without any, those with the largest H."""
    informative = every[every["informative"] == 1]
    if len(informative):
        return informative.sort_values(["cluster", "z"], ascending=[True, False], kind="stable")
    return every.sort_values("z", ascending=False, kind="stable").head(MAX_ROWS)


def _picture(table: pd.DataFrame, every: pd.DataFrame, album: Album, stem: str) -> Picture:
    shown = _shown(every)
    phones = table[table["kind"] == "phone"]
    others = table[~table["kind"].isin(["phone", "any"])]
    chosen = bool((shown["informative"] == 1).all())
    suffix = "_even" if chosen else ""
    psi = _matrix(phones, f"psi{suffix}").loc[shown.index]
    classes = _matrix(others, f"selectivity{suffix}").loc[shown.index]
    clusters = shown["cluster"].fillna(0).astype(int).tolist()
    which = (
        "Electrodes that tell phones apart in odd minutes, by cluster; both panels and the "
        "clusters are those of even minutes"
        if chosen
        else f"No electrode was chosen; the {len(shown)} with the largest H are shown, with all "
        "minutes, those that choose them too, which flatters them"
    )
    return album.add(
        f"{stem}_profiles",
        phoneme_profiles(psi, classes, clusters),
        alt="Heat map of electrodes by phones: number of other phones that each phone exceeds.",
        caption=f"{which}. Left: phone selectivity index (how many other phones it exceeds, rank "
        "sum p < .01 each, uncorrected). Right: mean response to categories of phones less that "
        "to all others. Lines part clusters.",
    )


def _matrix(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    order = list(dict.fromkeys(rows["phone_class"]))
    return rows.pivot_table(
        index="target", columns="phone_class", values=column, dropna=False
    ).reindex(columns=order)


def _best(table: pd.DataFrame, every: pd.DataFrame) -> Cells:
    phones = table[(table["kind"] == "phone") & (table["q_fdr"] < ALPHA)]
    rows = []
    for target, row in every.sort_values("z", ascending=False).head(MAX_ROWS).iterrows():
        mine = phones[phones["target"] == target].sort_values("z", ascending=False)
        cluster = row["cluster"]
        rows.append(
            (
                str(target),
                "n/a" if pd.isna(row["region"]) else str(row["region"]),
                "n/a" if np.isnan(cluster) else f"{int(cluster)}",
                " ".join(mine["phone_class"].head(N_FAVOURITES)) or "–",
                _number(row["q_fdr"], 2),
                _number(row["reliability"], 2),
                _number(row["unique_r"], 3),
                _number(row["q_unique"], 2),
            )
        )
    columns = ("Electrode", "Region", "Cluster", "Prefers (q < .05)", "q of H", "Reliability",
               "Unique r", "q of unique r")  # fmt: skip
    return Cells(columns, tuple(rows), caption="Electrodes with the largest H. All minutes count "
                 "here, those that choose the rows too.")  # fmt: skip


def _order(table: pd.DataFrame) -> Cells:
    rows = [
        (str(r["statistic"]), _number(r["value"], 3), _number(r["null_mean"], 3),
         _number(r["p"], 2), f"{int(r['n_electrodes'])}", f"{int(r['n_null'])}")
        for _, r in table.iterrows()
    ]  # fmt: skip
    columns = ("Anatomical coherence", "Value", "Null", "p", "Electrodes", "Surrogates")
    return Cells(
        columns,
        tuple(rows),
        caption="Surrogates shuffle the tuning of electrodes and let it spread to neighbours as "
        "far as what phones don't explain is shared; this noise is added.",
    )


def _number(value: float, digits: int) -> str:
    if pd.isna(value):
        return "n/a"
    text = f"{value:.{digits}g}" if abs(value) < 0.01 else f"{value:.{digits}f}"
    return text.replace("-", "−")
