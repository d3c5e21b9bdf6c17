"""The page's section on a tuned model: whether tuning helped, and how its epoch was chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.outputs.tuned_models import EPOCH_TABLE
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.tuning_gains import epoch_scores, tuning_gains
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section, sentences_of
from bids_brainalign.reports.summary import ALPHA, number, probability

MOST_ROWS = 24


def tuning_section(block: Block, album: Album) -> Section | None:
    """Show a tuned model beside its original and its control; None for other models."""
    file = block.main.file
    path = file.path.parent / f"{file.prefix}_desc-{file.label}_tuning.tsv"
    table = block.table(path, text=("target", "model", "reference", "region", "hemisphere"))
    if table is None:
        return None
    references = list(dict.fromkeys(map(str, table["reference"])))
    names = ["original" if ":" not in name else name.partition(":")[2] for name in references]
    sidecar = read_sidecar(path.with_suffix(".json"))
    pictures = [
        album.add(
            f"{block.name}_tuning",
            tuning_gains(table, [f"− {name}" for name in names]),
            alt=f"Difference of r between {block.main.model} and {', '.join(names)}.",
            caption="r of the tuned model minus r of its original and of its control (tuned in "
            "the same way on responses in blocks of another order), on the test stories. Lines: "
            "95 % intervals from blocks of test time, for these models as they are; another "
            "training or other stories would differ by more.",
        )
    ]
    epochs = _epochs(block, path, album)
    return Section(
        "Did tuning help?",
        (_sentence(table, references, names), *sentences_of(sidecar, "Stories")),
        (*pictures, *epochs),
        tuple(_cells(table, reference, name)
              for reference, name in zip(references, names, strict=True)),
    )  # fmt: skip


def _sentence(table: pd.DataFrame, references: list[str], names: list[str]) -> str:
    top = str(table["target"].iloc[0]) if "whole" not in set(table["target"]) else "whole"
    parts = []
    for reference, name in zip(references, names, strict=True):
        rows = table[table["reference"] == reference]
        better = int((rows["q_fdr"] < ALPHA).sum())
        tested = int(rows["q_fdr"].notna().sum())
        shown = rows.loc[rows["target"] == top, ["delta_r", "ci_low", "ci_high"]]
        delta, low, high = shown.to_numpy(dtype=float)[0]
        span = f" (95 % interval {number(low)} to {number(high)})" if np.isfinite(low) else ""
        parts.append(
            f"against the {_called(name)} Δr of {top} is {number(delta)}{span}, and {better} of "
            f"{tested} rows are better at q < .05"
        )
    helped = all(
        (table[table["reference"] == reference]["q_fdr"] < ALPHA).any() for reference in references
    )
    verdict = (
        "Tuning helped, by both comparisons" if helped and len(references) > 1
        else "Tuning helped, by this comparison" if helped
        else "There is no evidence that tuning helped"
    )  # fmt: skip
    return f"{verdict}: {'; '.join(parts)}."


def _called(name: str) -> str:
    return name if name == "original" else f"{name} control"


def _epochs(block: Block, path: Path, album: Album) -> tuple[Picture, ...]:
    """Draw validation scores of the tuned model and its control, where their folders are."""
    name = path.name.removesuffix("_tuning.tsv")
    base = name.removesuffix(block.main.file.label)
    label = block.main.file.label
    folders = path.parent.parent / "models"
    curves, chosen = {}, {}
    for kind in ("Tuned", "Permuted"):
        found = (
            folders / f"{base}{label.removesuffix('Tuned')}{kind}_{path.parent.name}" / EPOCH_TABLE
        )
        if not found.is_file():
            continue
        epochs = pd.read_csv(found, sep="\t")
        curves[kind.lower()] = epochs["r_validation"].to_numpy(dtype=np.float64)
        chosen[kind.lower()] = int(np.flatnonzero(epochs["chosen"].astype(str) == "True")[0])
    if not curves:
        return ()
    return (
        album.add(
            f"{block.name}_epochs",
            epoch_scores(curves, chosen),
            alt="Score of ridge on the validation stories after each epoch of training.",
            caption="Mean r of ridge over the targets that were trained on: fitted on training "
            "stories, penalty and r from validation stories. Dots: the epoch that was taken.",
        ),
    )


def _cells(table: pd.DataFrame, reference: str, name: str) -> Cells:
    rows = table[table["reference"] == reference]
    shown = rows.head(MOST_ROWS)
    return Cells(
        (f"against the {_called(name)}", "r", f"r of {name}", "Δr", "95 % interval", "q"),
        tuple(
            (
                str(row["target"]),
                number(float(row["r"])),
                number(float(row["r_reference"])),
                number(float(row["delta_r"])),
                f"{number(float(row['ci_low']))} to {number(float(row['ci_high']))}",
                probability(float(row["q_fdr"])),
            )
            for _, row in shown.iterrows()
        ),
        caption="" if len(shown) == len(rows) else f"The first {len(shown)} of {len(rows)} rows.",
    )
