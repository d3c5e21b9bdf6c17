"""The part on speech production as a browser without network would see it."""

from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from bids_brainalign.reports.pages import write_index, write_participant_page
from tests.reports.fake_outputs import write_ieeg
from tests.reports.fake_production import write_speaker
from tests.reports.test_pages import Page


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("spoken")
    chosen = {"fasttext": 0.0, "gpt2": 0.4}
    write_speaker(output, "01", embeddings=chosen, mappings=("ridge", "elastic-net"))
    write_participant_page(output, "01")
    write_index(output)
    return output


def test_page_shows_every_section_once_and_verdicts_first(tree: Path):
    text = Page(tree / "sub-01.html").text
    headings = (
        "Summary", "Verdict", "Words and onsets", "Sound and responses", "Scores",
        "Spread over words", "Plain predictors", "Penalties", "Time course",
        "Geometry of embeddings and responses", "Regions", "Realigned",
        "What was assumed and left out", "Embeddings",
        "Files of these recordings", "Methods and citation",
    )  # fmt: skip
    places = [text.index(f" {heading} ") for heading in headings]
    assert places == sorted(places)
    assert "nan" not in text.lower().split()
    assert "None" not in text
    assert "was predicted from its embedding by ridge" in text  # methods
    assert "low-level" not in text  # of encoding, which was not run


def test_pages_are_whole_and_need_no_network(tree: Path):
    for name in ("sub-01.html", "index.html"):
        page = Page(tree / name)
        for address in page.addresses:
            if address == "data:,":
                continue
            assert ":" not in address
            path, _, anchor = address.partition("#")
            assert (tree / unquote(path)).exists(), address
            assert not anchor or anchor in Page(tree / (path or name)).ids
        assert all(len(alt) > 10 for alt in page.alts)
        assert "script" not in page.tags
    figures = sorted(tree.glob("sub-*/figures/*.svg"))
    assert len(figures) == 8
    for figure in figures:
        for element in ElementTree.fromstring(figure.read_bytes()).iter():  # noqa: S314
            for key, value in element.attrib.items():
                if key.endswith("href"):
                    assert value.startswith(("#", "data:image/png;base64,"))


def test_writing_again_changes_no_byte(tree: Path):
    paths = [tree / "sub-01.html", *sorted((tree / "sub-01" / "figures").iterdir())]
    first = {path: path.read_bytes() for path in paths}
    assert {path: path.read_bytes() for path in write_participant_page(tree, "01")} == first


def test_index_counts_who_only_spoke(tree: Path):
    text = Page(tree / "index.html").text
    assert "1 participant with results" in text
    assert "Speech production: wordProduction No evidence that fasttext predicts" in text
    assert "Without results" not in text


def test_who_listened_and_spoke_has_both_on_one_page(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1, n_electrodes=6)
    write_speaker(tmp_path, "01", embeddings={"gpt2": 0.4}, mappings=("ridge",))
    for path in tmp_path.rglob("*whisperbase*"):  # maps and curves take their time
        path.unlink()
    write_participant_page(tmp_path, "01")
    write_index(tmp_path)
    text = Page(tmp_path / "sub-01.html").text
    assert "Low-level features and iEEG" in text
    assert "Speech production: wordProduction" in text
    assert "And whether the activity while this participant spoke" in text
    assert "Evidence that gpt2" in Page(tmp_path / "index.html").text


def test_two_sessions_are_two_parts(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"gpt2": 0.4}, mappings=("ridge",))
    for session in ("a", "b"):
        there = tmp_path / "sub-01" / f"ses-{session}" / "ieeg"
        there.mkdir(parents=True)
        for path in folder.iterdir():
            name = path.name.replace("sub-01_", f"sub-01_ses-{session}_")
            (there / name).write_bytes(path.read_bytes())
    for path in folder.iterdir():
        path.unlink()
    write_participant_page(tmp_path, "01")
    page = Page(tmp_path / "sub-01.html")
    assert {"p1", "p2"} <= page.ids
    assert "Speech production: wordProduction, a" in page.text
    assert "Speech production: wordProduction, b" in page.text


def test_too_few_words_are_no_absence_of_evidence(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={})
    for path in folder.glob("*_geometry.*"):
        path.unlink()
    write_participant_page(tmp_path, "01")
    write_index(tmp_path)
    text = Page(tmp_path / "sub-01.html").text
    assert "there is no result, neither evidence nor its absence" in text
    assert "32 words in 1 recording" in text
    assert "Scores" not in text
    assert "Without results sub-01" in Page(tmp_path / "index.html").text


def test_tables_of_other_settings_are_named(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"gpt2": 0.4}, mappings=("ridge",))
    path = folder / "sub-01_task-wordProduction_desc-gpt2_plainpredictors.json"
    path.write_text(path.read_text().replace("0123456789abcdef", "fedcba"))
    write_participant_page(tmp_path, "01")
    text = Page(tmp_path / "sub-01.html").text
    assert "desc-gpt2_plainpredictors.tsv is not shown: it was made with other settings" in text
    assert "against word loudness" not in text


def test_hostile_names_stay_text(tmp_path: Path):
    evil = "<script>alert('x')</script>"
    folder = write_speaker(tmp_path, embeddings={"gpt2": 0.4}, mappings=("ridge", "elastic-net"))
    for path in folder.glob("*.tsv"):
        path.write_text(path.read_text().replace("gpt2", f"{evil}$x{{").replace("STG", "$_{\\x"))
    for path in folder.glob("*.json"):
        path.write_text(path.read_text().replace("gpt2", evil))
    write_participant_page(tmp_path, "01")
    write_index(tmp_path)
    for name in ("sub-01.html", "index.html"):
        page = Page(tmp_path / name)
        assert "script" not in page.tags
        assert evil in page.text
    for figure in tmp_path.rglob("*.svg"):
        tags = {element.tag for element in ElementTree.parse(figure).iter()}  # noqa: S314
        assert not any(tag.endswith("script") for tag in tags)
