"""The pages as a browser without network would see them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import pytest
from jinja2 import Environment, PackageLoader

from bids_brainalign.reports.pages import write_group_page, write_index, write_participant_page
from bids_brainalign.reports.summary import number

from .fake_outputs import write_fmri, write_ieeg, write_tree

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects addresses, ids and text, and fails on unbalanced tags."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.alts: list[str] = []
        self.pieces: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.addresses += [values[k] or "" for k in ("src", "href") if k in values]
        self.ids |= {values["id"] or ""} if "id" in values else set()
        if tag == "img":
            self.alts.append(values.get("alt") or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["title"]):
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("derivatives")
    write_tree(output)
    for label in ("01", "03", "05"):  # the others have no page yet
        write_participant_page(output, label)
    write_group_page(output)
    write_index(output)
    return output


@pytest.fixture
def one(tmp_path: Path) -> Path:
    write_ieeg(tmp_path, "01", seed=1, n_electrodes=16)
    return tmp_path


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.rglob(pattern)
    return path


PAGES = ["index.html", "group.html", *(f"sub-0{i}.html" for i in (1, 3, 5))]


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_whole_and_need_no_network(tree: Path, name: str):
    page = Page(tree / name)
    for address in page.addresses:
        if address == "data:,":
            continue
        assert "//" not in address
        assert ":" not in address
        path, _, anchor = address.partition("#")
        assert (tree / unquote(path)).exists(), address
        assert not anchor or anchor in Page(tree / (path or name)).ids
    assert "script" not in page.tags
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert all(len(alt) > 10 for alt in page.alts)


def test_figures_are_xml_that_fetches_nothing(tree: Path):
    figures = [*tree.glob("sub-*/figures/*.svg"), *tree.glob("group/figures/*.svg")]
    assert len(figures) > 12
    for figure in figures:
        for element in ElementTree.fromstring(figure.read_bytes()).iter():  # noqa: S314
            for key, value in element.attrib.items():
                if key.endswith("href"):
                    assert value.startswith(("#", "data:image/png;base64,"))


def test_no_paths_of_this_machine_on_the_pages(tree: Path):
    for path in [*tree.glob("*.html"), *tree.glob("sub-*/figures/*")]:
        text = path.read_text(encoding="utf-8")
        assert str(tree) not in text
        assert str(Path.home()) not in text or str(Path.home()) == "/"


def test_writing_again_changes_no_byte(tree: Path):
    paths = [tree / "sub-03.html", *sorted((tree / "sub-03" / "figures").iterdir())]
    first = {path: path.read_bytes() for path in paths}
    assert {path: path.read_bytes() for path in write_participant_page(tree, "03")} == first


def test_headline_counts_what_the_table_says(tree: Path):
    scores = pd.read_csv(
        tree / "sub-01/ieeg/sub-01_task-listen_desc-whisperbase_scores.tsv", sep="\t"
    )
    answers = scores[(scores["layer"] == "selected") & (scores["fold"] == "all")]
    found = answers[answers["q_delta"] < 0.05]
    left = (answers["hemisphere"] == "L").sum()
    text = Page(tree / "sub-01.html").text
    assert f"adds to the low-level baseline at {len(found)} of 48 electrodes" in text
    assert f"{(found['hemisphere'] == 'L').sum()} of {left} in the left hemisphere" in text
    at_four = (found["layer_mode"] == 4).sum()
    assert f"most often there: layer 4 at {at_four}" in text


def test_page_shows_every_section(tree: Path):
    for name in ("sub-01.html", "sub-03.html"):
        text = Page(tree / name).text
        for heading in (
            "Summary", "What was assumed and skipped", "Alignment", "Layer curves", "Maps",
            "Null and folds", "Tables", "Methods and citation",
        ):  # fmt: skip
            assert heading in text
        assert "Errors" not in text
        assert "There is no" not in text


def test_nothing_found_is_an_answer(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=5, found=False, n_electrodes=16)
    write_participant_page(tmp_path, "01")
    text = Page(tmp_path / "sub-01.html").text
    assert "No electrode of 16 shows a gain of whisper-base over the low-level baseline" in text
    assert "chosen most often there" not in text
    assert not list(tmp_path.rglob("*_layermap.svg"))


def test_hostile_names_stay_text(one: Path):
    evil = "<script>alert('x')</script>"
    stem = one / "sub-01/ieeg/sub-01_task-listen_desc-whisperbase"
    for suffix in ("scores", "channels", "nulls"):
        path = Path(f"{stem}_{suffix}.tsv")
        path.write_text(
            path.read_text().replace("LG11\t", f"{evil}\t").replace("LG1\t", "$\\x{\t")
        )
    locked = one / "sub-01/ieeg/sub-01_task-listen_desc-onset_locked.tsv"
    locked.write_text(locked.read_text().replace("word onset", "<b>&word$^$ onset"))
    sidecar = json.loads(Path(f"{stem}_scores.json").read_text())
    sidecar["Assumptions"] = [f"{evil} {{{{ 7 * 7 }}}}"]
    sidecar["Methods"] = "<img src=x onerror=alert(1)>"
    sidecar["Presentations"][0]["stimulus"] = evil
    Path(f"{stem}_scores.json").write_text(json.dumps(sidecar))
    write_participant_page(one, "01")
    write_group_page(one)
    write_index(one)
    page = Page(one / "sub-01.html")
    assert "script" not in page.tags
    assert page.text.count(evil) == 3
    assert "{{ 7 * 7 }}" in page.text
    assert "<img src=x onerror=alert(1)>" in page.text
    for figure in one.rglob("*.svg"):
        tags = {element.tag for element in ElementTree.parse(figure).iter()}  # noqa: S314
        assert not any(tag.endswith("script") for tag in tags)


def test_missing_tables_are_said(one: Path):
    for pattern in ("channels.tsv", "folds.tsv", "nulls.tsv", "scores.json"):
        only(one, f"*_desc-whisperbase_{pattern}").unlink()
    only(one, "*_desc-onset_locked.tsv").unlink()
    only(one, "*_desc-lowlevel_scores.tsv").unlink()
    only(one, "*_desc-whisperbaseUntrained_scores.tsv").unlink()
    write_participant_page(one, "01")
    text = Page(one / "sub-01.html").text
    for sentence in (
        "There is nothing to map.",
        "There is no table of folds.",
        "There is no table of null distributions.",
        "There is no table of responses around onsets.",
        "No assumption is recorded.",
    ):
        assert sentence in text


def test_columns_that_could_not_be_filled(one: Path):
    path = only(one, "*_desc-whisperbase_scores.tsv")
    frame = pd.read_csv(path, sep="\t", keep_default_na=False)
    lean = frame[["target", "target_type", "model", "layer", "encoder", "fold", "r"]]
    lean.to_csv(path, sep="\t", index=False)
    write_participant_page(one, "01")
    text = Page(one / "sub-01.html").text
    assert "was not tested for these 16 electrodes" in text
    assert "nan" not in text.lower().split()


def test_only_the_baseline_was_run(one: Path):
    for path in one.rglob("*whisperbase*"):
        path.unlink()
    write_participant_page(one, "01")
    text = Page(one / "sub-01.html").text
    assert "Low-level features and iEEG" in text
    assert "Only the low-level features were run." in text


def test_participant_that_failed(tree: Path):
    page = Page(tree / "sub-05.html")
    assert "No results" in page.text
    assert "crash-responses.txt" in page.text
    assert "run0" not in page.source  # run folders carry clock times
    assert "sub-05" in Page(tree / "index.html").text
    assert "Without results: sub-05" in Page(tree / "group.html").text


def test_both_modalities_and_two_models_share_a_page(one: Path):
    write_fmri(one, "01", seed=4)
    for path in list(one.rglob("ieeg/*_desc-whisperbase_scores.*")):
        text = path.read_text().replace("whisper-base\t", "hubert\t")
        path.with_name(path.name.replace("whisperbase", "hubert")).write_text(text)
    write_participant_page(one, "01")
    page = Page(one / "sub-01.html")
    titles = ["hubert and iEEG", "whisper-base and iEEG", "whisper-base and fMRI"]
    places = [page.text.index(title) for title in titles]
    assert places == sorted(places)
    assert page.text.count("The same recordings and onsets as above") == 1


def test_group_of_few_shows_participants_and_no_interval(tree: Path):
    text = Page(tree / "group.html").text
    assert "no interval and no p over participants" in text
    assert "95 % interval" not in text
    assert "In 2 of 2 participants at least one target beats" in text


def test_group_of_six_shows_intervals(tmp_path: Path):
    for i in range(1, 7):
        write_ieeg(tmp_path, f"0{i}", seed=i, n_electrodes=5)
    write_group_page(tmp_path)
    text = Page(tmp_path / "group.html").text
    assert "Intervals over 6 participants: Student's t" in text
    assert "95 % interval" in text
    write_group_page(tmp_path, participants=("01", "02"))
    text = Page(tmp_path / "group.html").text
    assert "2 participants: sub-01, sub-02." in text
    assert "95 % interval" not in text


def test_an_interval_that_is_not_there_is_said_once():
    environment = Environment(loader=PackageLoader("bids_brainalign.reports"), autoescape=True)
    environment.filters["number"] = number
    text = (
        "{% import 'parts.html' as parts %}{{ parts.span(none, none) }}|"
        "{{ parts.span(missing, missing) }}|{{ parts.span(-0.01, 0.25) }}"
    )
    said = environment.from_string(text).render(missing=float("nan"))
    assert said == "n/a|n/a|−0.010 to 0.250"


def test_empty_folder_has_an_index_and_a_group_page(tmp_path: Path):
    write_index(tmp_path)
    write_group_page(tmp_path)
    assert "No results yet" in Page(tmp_path / "index.html").text
    assert "No results yet" in Page(tmp_path / "group.html").text


def test_pages_say_what_the_model_is(tree: Path):
    for name in ("sub-01.html", "group.html", "index.html"):
        assert "whisper-base: encoder of 6 blocks" in Page(tree / name).text
