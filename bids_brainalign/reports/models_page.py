"""The page on models alone: probes, changes by tuning, likeness of layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.outputs.probes import KINDS, model_files, read_model_tables, told_of_data
from bids_brainalign.outputs.reading import UNTRAINED
from bids_brainalign.reports.figures.probe_curves import Curve, layer_matrices, value_curves
from bids_brainalign.reports.rendering import Album, Picture, relative_url
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability, span

FIRST_METRIC = ("r", "balanced_accuracy", "f1_macro")
"""Of each probe, the metric that is drawn: the other is in the table."""
METRIC_NAMES = {
    "r": "r",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "macro F1",
    "cka": "CKA",
}
LIKENESS = "likeness"
"""Probe of the changes that is no probe: CKA of each layer with the original's."""
MAX_MATRICES = 9


def models_context(output_dir: Path, album: Album) -> dict[str, object]:
    """Everything the template ``models.html`` needs.

    Parameters
    ----------
    output_dir : Path
    album : Album
        Takes the figures.
    """
    makers = (_probe_sections, _change_sections, _similarity_sections)
    files = [path for kind in KINDS for path in model_files(output_dir, kind)]
    return {
        "sections": [section for make in makers for section in make(output_dir, album)],
        "files": [{"url": relative_url(f, output_dir), "name": f.name} for f in files],
    }


def _ordered(names: pd.Series[str]) -> list[str]:
    """Models in order, each with its twin behind it."""
    distinct = list(dict.fromkeys(names))
    plain = [n for n in distinct if not n.endswith(UNTRAINED)]
    ordered = [m for n in plain for m in (n, f"{n}{UNTRAINED}") if m in distinct]
    return [*ordered, *(n for n in distinct if n not in ordered)]


def _drawn(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["metric"].isin(FIRST_METRIC) & ~_second(table)]


def _second(table: pd.DataFrame) -> pd.Series[bool]:
    """Rows of a macro F1 that stands beside a balanced accuracy."""
    both = table.groupby(["data", "probe"])["metric"].transform(
        lambda m: "balanced_accuracy" in set(m)
    )
    return (table["metric"] == "f1_macro") & both.astype(bool)


def _probe_sections(output_dir: Path, album: Album) -> list[Section]:
    table = read_model_tables(output_dir, "probes")
    if table is None:
        return []
    told = told_of_data(output_dir)
    sections = []
    for data, rows in _drawn(table).groupby("data", sort=False):
        facts = told.get(str(data), {})
        panels = []
        for probe, part in rows.groupby("probe", sort=False):
            metric = METRIC_NAMES[str(part["metric"].iloc[0])]
            curves = [_curve(part[part["model"] == m], m) for m in _ordered(part["model"])]
            panels.append((str(probe), metric, curves))
        picture = album.add(
            f"desc-{_safe(data)}_probes",
            value_curves(panels),
            alt=f"What linear probes read from every layer, on {data}: "
            f"{', '.join(p[0] for p in panels)}.",
            caption="Scores on test speech. Bands: 95 % intervals over stretches of test speech "
            "(or speakers), the fit held fixed; dashed: the same model with random weights; "
            "dotted: mean score of probes refitted on labels that were shifted in time or "
            "exchanged.",
        )
        sections.append(
            Section(
                f"Probes on {_title(str(data), facts)}",
                _facts(facts, rows),
                (picture,),
                (_best(rows),),
            )
        )
    return sections


def _title(data: str, facts: Mapping[str, object]) -> str:
    kind = str(facts.get("Kind", ""))
    return f"the {kind}" if data == "stimuli" and kind else f"{data} ({kind})" if kind else data


def _facts(facts: Mapping[str, object], rows: pd.DataFrame) -> tuple[str, ...]:
    sentences = []
    if facts.get("Parts"):
        parts = str(facts["Parts"])
        sentences.append(
            f"{facts.get('Clips', 'Its')} clips: {parts}. The penalty is chosen on validation "
            "speech, and test speech is scored once."
        )
    notes = facts.get("Notes")
    sentences += [str(note) for note in notes] if isinstance(notes, list) else []
    skipped = facts.get("Skipped")
    if isinstance(skipped, dict) and skipped:
        told = "; ".join(f"{name} ({reason})" for name, reason in skipped.items())
        sentences.append(f"Left out: {told}.")
    if rows["ci_low"].isna().all():
        sentences.append("Fewer than six stretches of test speech: no intervals.")
    return tuple(sentences)


def _curve(rows: pd.DataFrame, model: str, *, value: str = "score") -> Curve:
    rows = rows.sort_values("layer")
    return Curve(
        label=model.replace(UNTRAINED, ", random weights"),
        layers=rows["layer"].to_numpy(dtype=float),
        value=rows[value].to_numpy(dtype=float),
        low=rows["ci_low"].to_numpy(dtype=float),
        high=rows["ci_high"].to_numpy(dtype=float),
        chance=rows["chance"].to_numpy(dtype=float) if "chance" in rows else None,
        dashed=model.endswith(UNTRAINED),
    )


def _best(rows: pd.DataFrame) -> Cells:
    """Row of the table: the highest layer of each probe and model."""
    cells = []
    for probe, part in rows.groupby("probe", sort=False):
        for model in _ordered(part["model"]):
            mine = part[part["model"] == model].sort_values("score", ascending=False)
            if mine["score"].isna().all():
                continue
            best = mine.iloc[0]
            cells.append(
                (
                    f"{probe}, {model}",
                    str(int(best["layer"])),
                    f"{number(best['score'])} ({METRIC_NAMES[str(best['metric'])]})",
                    _range(best),
                    number(best["chance"]),
                    probability(float(best["p_max"])),
                    f"{int(best['n_train'])} / {int(best['n_test'])}",
                )
            )
    return Cells(
        ("Probe, model", "Highest layer", "Score", "95 % interval", "Chance", "p over layers",
         "Training / test rows"),
        tuple(cells),
        caption="The highest layer was picked on the test speech itself: its score is flattered, "
        "and p is corrected for that (against the highest layer of each refitted null).",
    )  # fmt: skip


def _range(row: pd.Series[float]) -> str:
    if not np.isfinite(row["ci_low"]):
        return "n/a"
    return span(row["ci_low"], row["ci_high"])


def _change_sections(output_dir: Path, album: Album) -> list[Section]:
    table = read_model_tables(output_dir, "changes")
    if table is None:
        return []
    sections = []
    for (tuned, original), rows in _with_likeness(table).groupby(
        ["model", "original"], sort=False
    ):
        panels = []
        for (data, probe), part in rows.groupby(["data", "probe"], sort=False):
            metric = METRIC_NAMES[str(part["metric"].iloc[0])]
            curve = _curve(part, str(tuned), value="change")
            panels.append((f"{probe}, {data}", f"change in {metric}", [curve]))
        picture = album.add(
            f"desc-{_safe(tuned)}And{_safe(original)}_changes",
            value_curves(panels),
            alt=f"Change of every probe from {original} to {tuned}, by layer.",
            caption=f"{tuned} less {original}, layer by layer. Bands: 95 % intervals of the "
            "paired difference over stretches of test speech or speakers, for "
            f"{LIKENESS} by jackknife over time. Below 0: the tuned model tells less than it did.",
        )
        sections.append(
            Section(
                f"What tuning changed: {tuned} against {original}",
                _change_sentences(rows, str(original)),
                (picture,),
            )
        )
    return sections


def _with_likeness(table: pd.DataFrame) -> pd.DataFrame:
    likeness = table[table["probe"] == LIKENESS]
    return pd.concat([_drawn(table[table["probe"] != LIKENESS]), likeness])


def _change_sentences(rows: pd.DataFrame, original: str) -> tuple[str, ...]:
    sentences = []
    likeness = rows[rows["probe"] == LIKENESS]
    if len(likeness):
        least = likeness.sort_values("after").iloc[0]
        sentences.append(
            f"Layers stay as like those of {original} as CKA = {number(least['after'])} or more; "
            f"least at layer {int(least['layer'])}."
        )
    for (data, probe), part in rows[rows["probe"] != LIKENESS].groupby(
        ["data", "probe"], sort=False
    ):
        lost = part[part["ci_high"] < 0]["layer"].astype(int).tolist()
        gained = part[part["ci_low"] > 0]["layer"].astype(int).tolist()
        if part["ci_low"].isna().all():
            told = "no interval, as there is too little test speech"
        elif lost or gained:
            said = [("lost at", lost), ("gained at", gained)]
            told = ", ".join(
                f"{what} layer{'' if len(which) == 1 else 's'} {', '.join(map(str, which))}"
                for what, which in said
                if which
            )
        else:
            told = "no layer's interval leaves out 0"
        sentences.append(f"{probe} on {data}: {told}.")
    sentences.append(
        "Intervals are of each layer alone, not corrected for their number. They say what this "
        "tuned model lost, not what tuning anew would."
    )
    return tuple(sentences)


def _similarity_sections(output_dir: Path, album: Album) -> list[Section]:
    table = read_model_tables(output_dir, "similarity")
    if table is None:
        return []
    rows = table[table["metric"] == "cka"]
    panels, sentences = [], []
    # A model with itself first, twins with random weights last.
    pairs = sorted(
        rows.groupby(["model", "other"], sort=False),
        key=lambda pair: (str(pair[0][1]).endswith(UNTRAINED), pair[0][0] != pair[0][1]),
    )
    for (first, second), part in pairs:
        matrix = part.pivot_table(index="layer", columns="other_layer", values="value", sort=True)
        panels.append((str(first), str(second), matrix.to_numpy(dtype=float)))
        if part["p"].notna().any():
            above = int((part["p"] < 0.05).sum())
            sentences.append(
                f"{first} and {second}: {above} of {len(part)} pairs of layers are more alike "
                "than after shifts in time (p < .05, each alone)."
            )
    picture: Picture = album.add(
        "desc-layers_similarity",
        layer_matrices(panels[:MAX_MATRICES]),
        alt="Likeness of the layers of models.",
        caption="Linear CKA, debiased (unbiased HSIC), of segments of the dataset's stimuli. "
        "RSA, intervals and nulls are in the tables.",
    )
    return [Section("Likeness of layers", tuple(sentences), (picture,))]


def _safe(name: object) -> str:
    return "".join(c for c in str(name) if c.isalnum())
