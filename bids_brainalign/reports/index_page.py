"""What the first page shows: who has results, and where to look."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.outputs.reading import missing_participants, participants
from bids_brainalign.reports.blocks import crash_files, read_blocks
from bids_brainalign.reports.participant_page import MODALITY_NAMES
from bids_brainalign.reports.production.findings import findings_of
from bids_brainalign.reports.production.results import read_productions
from bids_brainalign.reports.rendering import page_url, relative_url
from bids_brainalign.reports.summary import headline

FILES = ("README.md", "dataset_description.json", "logs/CITATION.md")


def index_context(output_dir: Path) -> dict[str, object]:
    """Everything the template ``index.html`` needs.

    Parameters
    ----------
    output_dir : Path
    """
    entries = []
    for label in participants(output_dir):
        findings = [
            {
                "model": block.main.model,
                "modality": MODALITY_NAMES[block.main.file.modality],
                "what": " ".join(block.main.sentences("ModelDescription")),
                "sentence": headline(block, None).sentences[0],
            }
            for block in read_blocks(output_dir, label)
        ]
        spoken = [
            {"title": production.title, "findings": findings_of(production)}
            for production in read_productions(output_dir, label)
            if production.rebuilt
        ]
        entries.append(
            {
                "label": label,
                "url": page_url(output_dir, label),
                "findings": findings,
                "spoken": spoken,
                "n_crashes": len(crash_files(output_dir, label)),
            }
        )
    tables = [
        *sorted(output_dir.glob("group/*_layers.tsv")),
        *sorted(output_dir.glob("group/desc-production_*.tsv")),
    ]
    files = [output_dir / name for name in FILES]
    return {
        "entries": entries,
        "missing": [
            {"label": label, "url": page_url(output_dir, label)}
            for label in missing_participants(output_dir)
        ],
        "has_models": (output_dir / "models.html").is_file(),
        "has_group": (output_dir / "group.html").is_file(),
        "files": [
            {
                "url": relative_url(path, output_dir),
                "name": path.relative_to(output_dir).as_posix(),
            }
            for path in (*files, *tables)
            if path.is_file()
        ],
    }
