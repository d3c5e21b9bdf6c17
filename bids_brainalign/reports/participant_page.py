"""What a participant's page shows: figures drawn, tables picked, sentences chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import LOWLEVEL, missing_participants
from bids_brainalign.reports import maps_section
from bids_brainalign.reports.block_figures import (
    alignment_picture,
    curve_pictures,
    fold_picture,
    map_pictures,
    null_picture,
)
from bids_brainalign.reports.blocks import Block, crash_files, read_blocks
from bids_brainalign.reports.curves import selected
from bids_brainalign.reports.figures.voxel_map import VoxelMaps, load_voxel_maps
from bids_brainalign.reports.production.part import production_views
from bids_brainalign.reports.rendering import Album, Picture, relative_url
from bids_brainalign.reports.sections import Section, sections_of
from bids_brainalign.reports.summary import Headline, headline

MODALITY_NAMES = {"ieeg": "iEEG", "eeg": "EEG", "fmri": "fMRI"}
MAX_ROWS = 20
TOP_COLUMNS = (
    ("hemisphere", "Side"),
    ("region", "Region"),
    ("layer_mode", "Layer"),
    ("r", "r"),
    ("r_lowlevel", "r low-level"),
    ("delta_r_lowlevel", "Δr over low-level"),
    ("q_delta", "q of Δr"),
    ("delta_r_untrained", "r − untrained"),
    ("q_fdr", "q of r"),
)


class FileLink(TypedDict):
    """A file a reader may want to open."""

    url: str
    name: str


class BlockView(TypedDict):
    """One model of one set of recordings, as the template reads it."""

    anchor: str
    title: str
    what: str
    recordings: str
    headline: Headline
    assumptions: list[str]
    skipped: list[str]
    presentations: list[dict[str, str]]
    shown_above: str
    alignment: Picture | None
    recording_sections: list[Section]
    curves: list[Picture]
    maps: list[Picture]
    maps_title: str
    """Of the section with maps on surfaces, where slices are none."""
    model_sections: list[Section]
    null: Picture | None
    folds: Picture | None
    fold_rows: list[dict[str, object]]
    top: list[dict[str, object]]
    n_targets: int
    methods: list[str]
    files: list[FileLink]


def participant_context(output_dir: Path, participant: str, album: Album) -> dict[str, object]:
    """Everything the template ``participant.html`` needs.

    Parameters
    ----------
    output_dir : Path
    participant : str
        Label without ``sub-``.
    album : Album
        Takes the figures.
    """
    views: list[BlockView] = []
    seen: dict[tuple[Path, str], str] = {}
    for number, block in enumerate(read_blocks(output_dir, participant), start=1):
        recordings = (block.main.file.path.parent, block.main.file.prefix)
        view = _block_view(
            output_dir, block, album, anchor=f"m{number}", above=seen.get(recordings)
        )
        seen.setdefault(recordings, view["anchor"])
        views.append(view)
    spoken = production_views(output_dir, participant, album)
    texts = [*(t for view in views for t in view["methods"]),
             *(t for part in spoken for t in part["methods"])]  # fmt: skip
    citation = output_dir / "logs" / "CITATION.md"
    return {
        "participant": participant,
        "blocks": views,
        "spoken": spoken,
        "methods": list(dict.fromkeys(texts)),
        "citation": citation.read_text(encoding="utf-8").strip() if citation.is_file() else "",
        "crashes": _crashes(output_dir, participant),
        "has_status": (output_dir / "logs" / "status.tsv").is_file(),
        "begun": participant in missing_participants(output_dir),
        "top_columns": TOP_COLUMNS,
    }


def _block_view(
    output_dir: Path, block: Block, album: Album, *, anchor: str, above: str | None
) -> BlockView:
    main = block.main
    maps = load_voxel_maps(main.maps)
    of_recordings, of_model = sections_of(block, album, first=above is None)
    return BlockView(
        anchor=anchor,
        title=_title(block),
        what=" ".join(main.sentences("ModelDescription")),
        recordings=main.file.prefix,
        headline=headline(block, maps),
        assumptions=main.sentences("Assumptions"),
        skipped=[*main.sentences("Skipped"), *map(_outdated, block.outdated)],
        presentations=_presentations(block),
        shown_above=above or "",
        recording_sections=of_recordings,
        model_sections=of_model,
        alignment=None if above else alignment_picture(block, album),
        curves=curve_pictures(block, album),
        maps=map_pictures(block, maps, album),
        maps_title=maps_section.TITLE,
        null=null_picture(block, album),
        folds=fold_picture(block, album),
        fold_rows=_fold_rows(main.folds),
        top=_top_targets(block),
        n_targets=len(selected(main.scores)),
        methods=main.sentences("Methods"),
        files=_files(output_dir, block, maps),
    )


def _outdated(name: str) -> str:
    return (
        f"{name} is not shown: it was made with other settings or data than the scores here. Run "
        "that analysis again, or delete the file."
    )


def _title(block: Block) -> str:
    main = block.main
    encoder = "" if main.encoder == "ridge" else f" ({main.encoder})"
    name = "Low-level features" if main.model == LOWLEVEL else main.model
    return f"{name}{encoder} and {MODALITY_NAMES[main.file.modality]}"


def _presentations(block: Block) -> list[dict[str, str]]:
    """Rows of the sidecar's ``Presentations``; anything else there is left out."""
    rows = block.main.sidecar.get("Presentations")
    columns = ("recording", "stimulus", "onset_s", "rule", "content_group")
    found = rows if isinstance(rows, list) else []
    return [
        {column: str(row.get(column, "n/a")) for column in columns}
        for row in found
        if isinstance(row, dict)
    ]


def _fold_rows(folds: pd.DataFrame | None) -> list[dict[str, object]]:
    """One row per fold: what was held out, how much trained, how much was given up."""
    if folds is None or not {"fold", "role", "run"} <= set(folds.columns):
        return []
    rows: list[dict[str, object]] = []
    for fold, part in folds.groupby("fold", sort=False):
        test = part[part["role"] == "test"]
        by_role = {role: group for role, group in part.groupby("role")}
        rows.append(
            {
                "fold": str(fold),
                "held_out": ", ".join(dict.fromkeys(test["run"].astype(str))),
                "content": ", ".join(dict.fromkeys(_texts(test, "content_group"))),
                "test": _amount(by_role.get("test")),
                "train": _amount(by_role.get("train")),
                "gap": _amount(part[~part["role"].isin(["test", "train", "validation"])]),
                "inner": _first(part, "n_inner"),
            }
        )
    return rows


def _texts(part: pd.DataFrame, column: str) -> list[str]:
    return part[column].dropna().astype(str).tolist() if column in part else []


def _amount(part: pd.DataFrame | None) -> str:
    """Say how much: samples where they are counted, else seconds."""
    if part is None or part.empty:
        return "0"
    if "n_samples" in part:
        return f"{int(pd.to_numeric(part['n_samples'], errors='coerce').sum()):,} samples"
    length = pd.to_numeric(part["stop"], errors="coerce") - pd.to_numeric(
        part["start"], errors="coerce"
    )
    return f"{length.sum():.0f} s"


def _first(part: pd.DataFrame, column: str) -> str:
    if column not in part or pd.isna(part[column].iloc[0]):
        return "n/a"
    return f"{float(part[column].iloc[0]):g}"


def _top_targets(block: Block) -> list[dict[str, object]]:
    """Targets with the largest gain; with the largest r where no gain is known."""
    chosen = selected(block.main.scores)
    by = "delta_r_lowlevel" if chosen["delta_r_lowlevel"].notna().any() else "r"
    top = chosen.sort_values(by, ascending=False, kind="stable").head(MAX_ROWS)
    rows: list[dict[str, object]] = []
    for target, row in top.iterrows():
        cells: dict[str, object] = {"target": str(target)}
        cells |= {column: row[column] for column, _ in TOP_COLUMNS}
        cells["found"] = bool(row["q_delta"] < 0.05)
        layer = float(row["layer_mode"])
        cells["layer_mode"] = f"{layer:g}" if np.isfinite(layer) else "n/a"
        rows.append(cells)
    return rows


def _files(output_dir: Path, block: Block, maps: VoxelMaps | None) -> list[FileLink]:
    main = block.main
    stem = main.stem
    names = [f"{stem}_{end}" for end in ("scores.tsv", "scores.json", "channels.tsv", "folds.tsv",
                                         "nulls.tsv", "predictions.h5", "weights.h5")]  # fmt: skip
    paths = [main.file.path.with_name(name) for name in names]
    if maps is not None:
        paths += list(main.maps.values())
    return [
        FileLink(
            url=relative_url(path, output_dir), name=path.name.removeprefix(f"{main.file.prefix}_")
        )
        for path in paths
        if path.is_file()
    ]


def _crashes(output_dir: Path, participant: str) -> list[str]:
    """Names only: folders of runs carry clock times, and messages may carry paths."""
    return sorted({path.name for path in crash_files(output_dir, participant)})
