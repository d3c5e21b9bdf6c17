"""Networks beside ridge, their attention, and the time scale, on a participant's page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.encoder_differences import (
    encoder_differences,
    lag_profiles,
    onset_attention,
)
from bids_brainalign.reports.figures.timescale import timescale_figure
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section, said_instead, sentences_of
from bids_brainalign.reports.summary import number, span

TITLE = "Networks and ridge"
EVERY_TARGET = "mean over electrodes"
"""As written by ``workflow.recurrent_tables``."""
SHOWN = ("r", "r_reference", "delta_r", "ci90_low", "ci90_high", "ci95_low", "ci95_high")
ATTENTIVE = ("gru", "lstm", "attention")


def encoders_section(block: Block, album: Album) -> Section | None:
    """Compare encoders, or say why there are none; None where only ridge was asked for."""
    path = _beside(block, block.main.file.label, "encoders.tsv")
    table = block.table(path, text=("target", "encoder", "reference"))
    if table is None:
        return said_instead(block, path, TITLE)
    sidecar = read_sidecar(path.with_suffix(".json"))
    means = table[table["target"] == EVERY_TARGET]
    rows = tuple(
        (
            f"{encoder} − {reference}",
            *(number(float(value)) for value in values[:3]),
            span(*values[3:5]),
            span(*values[5:]),
        )
        for encoder, reference, values in zip(
            means["encoder"],
            means["reference"],
            means[list(SHOWN)].to_numpy(dtype=float),
            strict=True,
        )
    )
    columns = ("mean over electrodes", "r", "r of reference", "Δr", "90 % interval",
               "95 % interval")  # fmt: skip
    described = sidecar.get("Encoders")
    sentences = [str(sidecar.get("Training", ""))]
    if isinstance(described, dict):
        sentences.insert(0, "; ".join(f"{name}: {text}" for name, text in described.items()) + ".")
    n_blocks = int(table["n_blocks"].iloc[0])
    picture = album.add(
        f"{block.name}_encoders",
        encoder_differences(table[table["reference"] == "ridge"], mean_name=EVERY_TARGET),
        alt="Difference of held-out r between each network and ridge, per electrode.",
        caption="Held-out r of each network (mean over seeds) minus r of ridge on the same layer, "
        f"lags and folds. Lines: 95 % intervals from drawing {n_blocks} blocks of held-out time, "
        "widened because folds train each other; "
        "black: the mean over electrodes. Not corrected for the number of electrodes.",
    )
    caption = f"Means over electrodes; intervals from {n_blocks} blocks of held-out time"
    if n_blocks < 6:
        caption += ": too few for an interval"
    return Section(
        TITLE,
        sentences=(*sentences, *sentences_of(sidecar, "Notes")),
        pictures=(picture,),
        tables=(Cells(columns, rows, f"{caption}."),),
    )


def attention_section(block: Block, album: Album) -> Section | None:
    """Attention and occlusion of each network that has attention."""
    pictures: list[Picture] = []
    tables: list[Cells] = []
    for encoder in ATTENTIVE:
        label = analysis_label(block.main.model, encoder)
        found = {
            name: block.table(_beside(block, label, f"{name}.tsv"), text=text)
            for name, text in (
                ("attention", ("target",)),
                ("peaks", ("target",)),
                ("checks", ("check", "note")),
                ("onsetattention", ("signal", "locked_to")),
            )
        }
        profiles, lags, checks = found["attention"], found["peaks"], found["checks"]
        if profiles is None or lags is None or checks is None:
            continue
        pictures.append(_profile_picture(block, album, encoder, profiles, lags, checks))
        locked = found["onsetattention"]
        if locked is not None:
            pictures.append(
                album.add(
                    f"{block.main.file.prefix}_desc-{label}_onsetattention",
                    onset_attention(locked),
                    alt=f"{encoder}: attended lag and prediction around onsets.",
                    caption=f"{encoder}: mean attended lag and mean prediction around onsets. "
                    "Grey: 95 % of the same with onsets shifted together, which keeps their "
                    "rhythm.",
                )
            )
        numbers = checks[["value", "reference"]].to_numpy(dtype=float)
        rows = tuple(
            (str(check), number(value), number(reference), str(note))
            for check, (value, reference), note in zip(
                checks["check"], numbers, checks["note"], strict=True
            )
        )
        columns = ("check", "value", "compared with", "how to read it")
        tables.append(Cells(columns, rows, f"Checks of {encoder}."))
    if not pictures:
        return None
    return Section(
        "What the networks look at",
        sentences=(
            "Attention is not attribution: after a recurrent layer every state mixes all times of "
            "the window. Occlusion is the loss of held-out r when the frames at one lag are "
            "replaced by their mean. Both come from networks trained on the responses themselves, "
            "in one outer fold.",
            "Features that hear the future, and recurrence in both directions, make a lag no "
            "proof of order in time: negative lags can be read in causal mode only.",
        ),
        pictures=tuple(pictures),
        tables=tuple(tables),
    )


def _profile_picture(
    block: Block,
    album: Album,
    encoder: str,
    profiles: pd.DataFrame,
    lags: pd.DataFrame,
    checks: pd.DataFrame,
) -> Picture:
    injected = checks[checks["check"].astype(str).str.startswith("injected delay")]
    failed = int(injected["note"].astype(str).str.contains("not interpretable").sum())
    by = "attention" if encoder == "attention" else "occlusion"
    verdict = (
        f" The delay by {by} is not interpretable: {failed} of {len(injected)} injected delays "
        "were not recovered."
        if failed
        else ""
    )
    at_edge = int((lags["at_edge"].astype(bool) & (lags["p_occlusion"] < 0.05)).sum())
    edge = (
        f" Electrodes whose peak lies on the window's edge, so that the true one may lie outside: "
        f"{at_edge}."
        if at_edge
        else ""
    )
    return album.add(
        f"{block.main.file.prefix}_desc-{analysis_label(block.main.model, encoder)}_attention",
        lag_profiles(profiles, lags, title=encoder),
        alt=f"{encoder}: attention and loss by occlusion over lags.",
        caption=f"{encoder}. Left: attention over lags and, in grey, that of networks trained on "
        "circularly shifted responses (line: mean; area: up to the largest). Right: loss of "
        "held-out r without the frames at a lag, for the network and for ridge; the line is the "
        ".95 quantile of the largest loss on shifted held-out responses. Bidirectional features "
        "hear the future: unless they were made in causal mode, a lag here is no delay of the "
        f"brain.{verdict}{edge}",
    )


def timescale_section(block: Block, album: Album) -> Section | None:
    """Modulation bands and jitter of a model's ridge."""
    path = _beside(block, block.main.file.label, "timescale.tsv")
    table = block.table(path, text=("target", "kind"))
    if table is None:
        return None
    after_jitter = (
        " Right: ridge fitted and tested again on features whose pieces of 1 s were each shifted "
        "by a random time up to the value shown. What a shift does not harm does not rest on "
        "finer timing."
        if (table["kind"] == "jitter").any()
        else ""
    )
    picture = album.add(
        f"{block.name}_timescale",
        timescale_figure(table),
        alt="Held-out r by band of modulation and after jitter of the features.",
        caption="Prediction of ridge and response filtered to bands of modulation."
        f"{after_jitter} Light lines: electrodes; dark: their mean.",
    )
    return Section("Time scale", pictures=(picture,))


def _beside(block: Block, label: str, suffix: str) -> Path:
    return block.main.file.path.parent / f"{block.main.file.prefix}_desc-{label}_{suffix}"
