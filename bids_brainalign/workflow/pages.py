"""The steps that write the participant's page and the index."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.tuned_models import FACTS, GROUP
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.store.steps import Step


def participant_page_step(config: Config, participant: str) -> Step:
    """Write ``sub-<label>.html`` from the derivatives that lie in output_dir."""
    from bids_brainalign.reports.pages import write_participant_page

    output = config.paths.output_dir
    shown = _beside_tuned_models(output)
    return Step(
        name=f"report sub-{participant}",
        inputs={
            "tables": _digests(config, output / f"sub-{participant}"),
            "shared": [[str(p.relative_to(output)), _digest_if_there(config, p)] for p in shown],
            "crashes": [p.name for p in sorted(output.glob(f"logs/sub-{participant}/*/crash-*"))],
            "citation": _digest_if_there(config, output / "logs" / "CITATION.md"),
            "templates": _templates(),
        },
        modules=("bids_brainalign.reports.pages",),
        work=lambda: write_participant_page(output, participant),
    )


def _beside_tuned_models(output: Path) -> list[Path]:
    """List what pages show of the group's folder: probes, and models of several participants."""
    group = output / GROUP
    models = [p for p in group.glob("models/*") if not p.name.startswith(".")]
    tables = [p for model in models for p in (*model.glob("*.tsv"), model / FACTS)]
    return sorted([*group.glob("*_probes.tsv"), *tables])


def models_page_step(config: Config) -> Step | None:
    """Write ``models.html``; None where no probes were run."""
    from bids_brainalign.outputs.probes import KINDS, model_files
    from bids_brainalign.reports.pages import write_models_page

    output, memo = config.paths.output_dir, config.paths.work_dir / "digests"
    tables = [path for kind in KINDS for path in model_files(output, kind)]
    if not tables:
        return None
    files = [p for table in tables for p in (table, table.with_suffix(".json"))]
    return Step(
        name="report models",
        inputs={
            "tables": [[p.name, file_digest(p, memo)] for p in files],
            "templates": _templates(),
        },
        modules=("bids_brainalign.reports.pages",),
        work=lambda: write_models_page(output),
    )


def index_step(config: Config) -> Step:
    """Write ``index.html``."""
    from bids_brainalign.reports.pages import write_index

    output = config.paths.output_dir
    pages = [p for p in sorted(output.glob("*.html")) if p.name != "index.html"]
    scores = [
        *sorted(output.glob("sub-*/**/*_scores.*")),
        *sorted(output.glob("sub-*/**/*_reconstruction.*")),
        *sorted(output.glob("group/desc-production_*")),
    ]
    memo = config.paths.work_dir / "digests"
    return Step(
        name="report index",
        inputs={
            "files": [[p.name, file_digest(p, memo)] for p in (*pages, *scores)],
            "templates": _templates(),
        },
        modules=("bids_brainalign.reports.pages",),
        work=lambda: write_index(output),
    )


def _digest_if_there(config: Config, path: Path) -> str:
    return file_digest(path, config.paths.work_dir / "digests") if path.is_file() else ""


def _templates() -> list[str]:
    """Digests of the pages' templates, which are not Python modules."""
    folder = resources.files("bids_brainalign.reports") / "templates"
    files = sorted(folder.iterdir(), key=lambda f: f.name)
    return [digest_of(f.read_text(encoding="utf-8")) for f in files if f.is_file()]


def _digests(config: Config, folder: Path) -> list[list[str]]:
    """Names and digests of the derivatives below a folder, figures left out."""
    memo = config.paths.work_dir / "digests"
    return [
        [str(p.relative_to(folder)), file_digest(p, memo)]
        for p in sorted(folder.rglob("*"))
        if p.is_file() and "figures" not in p.parts and not p.name.startswith(".")
    ]
