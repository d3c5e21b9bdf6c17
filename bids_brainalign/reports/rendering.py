"""Templates into pages and figures into files: whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.reports.summary import number, probability
from bids_brainalign.store.atomic import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure on a page."""

    path: Path
    src: str
    """Relative address, as the page writes it."""
    alt: str
    caption: str


class Album:
    """The figures of one page: draws them into one folder and remembers what it wrote.

    Parameters
    ----------
    output_dir : Path
        Where the page lies.
    folder : str
        Folder of the figures below it, e.g. ``sub-01/figures``.
    """

    def __init__(self, output_dir: Path, folder: str) -> None:
        self.output_dir = output_dir
        self.folder = folder
        self.written: list[Path] = []

    def add(self, name: str, figure: Figure, *, alt: str, caption: str) -> Picture:
        """Write a figure as SVG and describe it."""
        from bids_brainalign.reports.figures.canvas import svg

        path = self.output_dir / self.folder / f"{name}.svg"
        write_text(path, svg(figure))
        self.written.append(path)
        return Picture(path, relative_url(path, self.output_dir), alt, caption)


def relative_url(path: Path, output_dir: Path) -> str:
    """Address of a file as seen from a page at the top of the output folder."""
    return quote(path.relative_to(output_dir).as_posix())


def page_url(output_dir: Path, participant: str) -> str:
    """Address of a participant's page, empty if there is none."""
    page = output_dir / f"sub-{participant}.html"
    return relative_url(page, output_dir) if page.is_file() else ""


def write_page(output_dir: Path, name: str, template: str, context: Mapping[str, object]) -> Path:
    """Fill a template and write it at the top of the output folder.

    Parameters
    ----------
    output_dir : Path
    name : str
        File name, e.g. ``sub-01.html``.
    template : str
        Name below ``reports/templates``.
    context : mapping
        What the template shows; all text is escaped.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bids_brainalign.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_unbroken,
    )
    environment.filters["number"] = number
    environment.filters["probability"] = probability
    shared = {"dataset": _dataset_name(output_dir), "software": _software(output_dir)}
    text = environment.get_template(template).render({**shared, **context})
    return write_text(output_dir / name, text + "\n")


def _unbroken(value: object) -> object:
    """Keep ``q < .05`` on one line."""
    return value.replace("q < .05", "q\u00a0<\u00a0.05") if isinstance(value, str) else value


def _dataset_name(output_dir: Path) -> str:
    name = read_sidecar(output_dir / "dataset_description.json").get("Name")
    return str(name) if name else "bids_brainalign"


def _software(output_dir: Path) -> str:
    """Name and version of what made the tables, as they say themselves."""
    made_by = read_sidecar(output_dir / "dataset_description.json").get("GeneratedBy")
    first = made_by[0] if isinstance(made_by, list) and made_by else {}
    if not isinstance(first, dict):
        return "bids_brainalign"
    named = " ".join(str(first[key]) for key in ("Name", "Version") if first.get(key))
    return named or "bids_brainalign"
