"""What the group's page shows: curves over participants, each participant visible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.group.layers import layer_table, participant_values
from bids_brainalign.outputs.reading import (
    LOWLEVEL,
    UNTRAINED,
    missing_participants,
    model_descriptions,
    read_scores,
    score_files,
)
from bids_brainalign.reports.figures.group_curves import GroupCurve, group_curves
from bids_brainalign.reports.group_isc import group_isc_files, group_isc_section
from bids_brainalign.reports.group_phonemes import group_phoneme_files, group_phoneme_section
from bids_brainalign.reports.group_tuning import group_tuning_files, group_tuning_sections
from bids_brainalign.reports.participant_page import MODALITY_NAMES
from bids_brainalign.reports.production.group_section import (
    group_production_sections,
    production_files,
)
from bids_brainalign.reports.rendering import Album, Picture, page_url, relative_url
from bids_brainalign.reports.summary import number
from bids_brainalign.statistics.intervals import MIN_FOR_BOOTSTRAP, MIN_FOR_INTERVAL

REGION_TITLES = {"all": "all targets", "L": "left hemisphere", "R": "right hemisphere"}
MAX_REGIONS = 6
INTERVAL_NAMES = {"t": "95 % Student's t intervals", "bca": "95 % bootstrap (BCa) intervals"}


def group_context(
    output_dir: Path, album: Album, *, participants: tuple[str, ...] = ()
) -> dict[str, object]:
    """Everything the template ``group.html`` needs.

    Parameters
    ----------
    output_dir : Path
    album : Album
        Takes the figures.
    participants : tuple of str
        Labels to include; all if empty.
    """
    scores = read_scores(score_files(output_dir, chosen=participants))
    missing = missing_participants(output_dir)
    values, table = participant_values(scores), layer_table(scores)
    names = table[["modality", "model", "encoder"]].drop_duplicates()
    models = [
        _model_view(table, values, key, album, anchor=f"m{number}")
        for number, key in enumerate(names.itertuples(index=False, name=None), start=1)
        if key[1] != LOWLEVEL and not key[1].endswith(UNTRAINED)
    ]
    described = model_descriptions(output_dir)
    labels = dict(zip(scores["model"], scores["analysis"], strict=True))
    for view in models:
        view["what"] = described.get(labels[str(view["model"])], "")
    files = [
        *sorted(output_dir.glob("group/*_layers.tsv")),
        *group_isc_files(output_dir),
        *group_phoneme_files(output_dir),
        *group_tuning_files(output_dir),
        *production_files(output_dir),
    ]
    spoken = score_files(output_dir, chosen=participants, suffix="reconstruction")
    included = sorted({*scores["participant"], *(file.participant for file in spoken)})
    makers = (group_isc_section, group_phoneme_section)
    return {
        "models": models,
        "sections": [
            *group_production_sections(output_dir, album),
            *group_tuning_sections(output_dir, album, participants=participants),
            *(s for make in makers if (s := make(output_dir, album)) is not None),
        ],
        "included": {label: page_url(output_dir, label) for label in included},
        "missing": [m for m in missing if not participants or m in participants],
        "files": [{"url": relative_url(f, output_dir), "name": f.name} for f in files],
    }


def _model_view(
    table: pd.DataFrame,
    values: pd.DataFrame,
    key: tuple[str, str, str],
    album: Album,
    *,
    anchor: str,
) -> dict[str, object]:
    modality, model, encoder = key
    rows, people = _of(table, key), _of(values, key)
    n = int(people["participant"].nunique())
    answer = rows[(rows["layer"] == "selected") & (rows["region"] == "all")]
    return {
        "anchor": anchor,
        "model": model,
        "title": f"{model}{'' if encoder == 'ridge' else f' ({encoder})'} and "
        f"{MODALITY_NAMES.get(modality, modality)}",
        "sentences": _sentences(rows, people, model, n),
        "rule": _rule(n),
        "picture": _picture(table, values, key, album),
        "rows": _records(rows[(rows["region"] == "all") & (rows["layer"] != "selected")]),
        "answers": _records(rows[rows["layer"] == "selected"]),
        "people": _people(people),
        "with_interval": bool(len(answer)) and n >= MIN_FOR_INTERVAL,
    }


def _of(table: pd.DataFrame, key: tuple[str, str, str]) -> pd.DataFrame:
    modality, model, encoder = key
    here = (table["modality"] == modality) & (table["model"] == model)
    return table[here & (table["encoder"] == encoder)]


def _records(rows: pd.DataFrame) -> list[dict[str, object]]:
    """Rows for the template; what is missing is None or NaN, both shown as ``n/a``."""
    return [
        {str(k): (None if v is pd.NA else v) for k, v in row.items()}
        for row in rows.to_dict("records")
    ]


def _sentences(rows: pd.DataFrame, people: pd.DataFrame, model: str, n: int) -> list[str]:
    answer = people[(people["layer"] == "selected") & (people["region"] == "all")]
    tested = answer["found"].dropna()
    sentences = []
    if len(tested):
        sentences.append(
            f"In {int(tested.sum())} of {len(tested)} participants at least one target beats the "
            f"low-level baseline with {model} (q < .05 within the participant)."
        )
    peaks = people[(people["region"] == "all") & people["peak"].astype(bool)]
    layers = pd.to_numeric(peaks["layer"], errors="coerce").dropna().sort_values()
    if len(layers):
        which = ", ".join(f"{int(layer)}" for layer in layers)
        sentences.append(f"The participants' mean curves peak at layer {which}.")
    gain = rows[(rows["layer"] == "selected") & (rows["region"] == "all")]
    if n >= MIN_FOR_INTERVAL and len(gain) and np.isfinite(gain["delta_r_mean"].iloc[0]):
        low, high = gain["delta_ci_low"].iloc[0], gain["delta_ci_high"].iloc[0]
        sentences.append(
            f"Mean gain over the baseline: Δr = {number(gain['delta_r_mean'].iloc[0])} "
            f"(95 % interval {number(low)} to {number(high)})."
        )
    return sentences


def _rule(n: int) -> str:
    if n < MIN_FOR_INTERVAL:
        return (
            f"With fewer than {MIN_FOR_INTERVAL} participants no interval and no p over "
            "participants is given: every participant is shown instead."
        )
    kind = "Student's t" if n < MIN_FOR_BOOTSTRAP else "bias-corrected bootstrap"
    return f"Intervals over {n} participants: {kind}, 95 %. Targets were averaged within each."


def _picture(
    table: pd.DataFrame, values: pd.DataFrame, key: tuple[str, str, str], album: Album
) -> Picture | None:
    modality, model, encoder = key
    controls = {
        "trained model": key,
        "untrained twin": (modality, model + UNTRAINED, encoder),
        "low-level baseline": (modality, LOWLEVEL, "ridge"),
    }
    regions = _distinct_regions(_of(table, key))[:MAX_REGIONS]
    panels = {
        REGION_TITLES.get(region, region): [
            curve
            for label, name in controls.items()
            if (curve := _curve(_of(table, name), _of(values, name), region, label)) is not None
        ]
        for region in regions
    }
    panels = {title: curves for title, curves in panels.items() if curves}
    if not panels:
        return None
    kinds = [INTERVAL_NAMES[k] for k in _of(table, key)["interval_kind"].unique() if k != "none"]
    band = f"Bands: {', '.join(kinds)}. " if kinds else "No bands: too few participants. "
    safe = "".join(c for c in f"{model}{encoder}" if c.isalnum())
    return album.add(
        f"{modality}_desc-{safe}_layers",
        group_curves(panels),
        alt=f"Held-out correlation over the layers of {model}, one light line per participant.",
        caption="Mean over participants of each participant's mean over targets, all targets "
        f"included. Light lines: participants (named at their end). {band}"
        "Solid: trained model; dashed: untrained twin; dotted: low-level baseline.",
    )


def _distinct_regions(rows: pd.DataFrame) -> list[str]:
    """Regions in order, without those that are all targets under another name."""
    curves = {
        str(name): tuple(part["r_mean"]) for name, part in rows.groupby("region", sort=False)
    }
    whole = curves.get("all")
    return [name for name, curve in curves.items() if name == "all" or curve != whole]


def _curve(rows: pd.DataFrame, people: pd.DataFrame, region: str, label: str) -> GroupCurve | None:
    rows, people = rows[rows["region"] == region], people[people["region"] == region]
    if label == "low-level baseline":
        rows = rows[rows["layer"] == "n/a"]
        layers = np.array([], dtype=np.int64)
    else:
        rows = rows[rows["layer"].str.fullmatch(r"\d+")]
        layers = rows["layer"].to_numpy().astype(np.int64)
    if rows.empty:
        return None
    single = people[people["layer"].isin(rows["layer"])].pivot_table(
        index="participant", columns="layer", values="r", dropna=False
    )
    return GroupCurve(
        label=label,
        layers=layers,
        mean=rows["r_mean"].to_numpy(dtype=float),
        low=rows["ci_low"].to_numpy(dtype=float),
        high=rows["ci_high"].to_numpy(dtype=float),
        participants={
            str(name): values.to_numpy(dtype=float)
            for name, values in single.reindex(columns=rows["layer"]).iterrows()
        },
    )


def _people(people: pd.DataFrame) -> list[dict[str, object]]:
    """One row per participant: the nested answer and where its curve peaks."""
    everything = people[people["region"] == "all"]
    answer = everything[everything["layer"] == "selected"].set_index("participant")
    peaks = everything[everything["peak"].astype(bool)].set_index("participant")["layer"]
    return [
        {
            "label": label,
            "r": row["r"],
            "delta": row["delta_r_lowlevel"],
            "found": {1.0: "yes", 0.0: "no"}.get(row["found"], "n/a"),
            "peak": peaks.get(label, "n/a"),
        }
        for label, row in answer.iterrows()
    ]
