"""Speech production over participants, with and without enough of them."""

from pathlib import Path

import pandas as pd

from bids_brainalign.reports.pages import write_group_page, write_index
from bids_brainalign.reports.production.group_section import group_production_sections
from bids_brainalign.reports.rendering import Album
from tests.reports.fake_outputs import write_ieeg
from tests.reports.fake_production import write_group, write_speaker
from tests.reports.test_pages import Page

SIX = {f"0{i}": {"fasttext": 0.0, "gpt2": 0.4 if i < 5 else 0.0} for i in range(1, 7)}


def sections(folder: Path):
    return group_production_sections(folder, Album(folder, "group/figures"))


def test_everyone_is_counted_and_shown(tmp_path: Path):
    write_group(tmp_path, SIX)
    main, differences = sections(tmp_path)
    text = " ".join(main.sentences)
    assert "No evidence in any of 6 participants that fasttext predicts" in text
    assert "Evidence that gpt2 predicts the responses to the words in 4 of 6 participants." in text
    assert "up to 1 in 20 participants would show evidence" in text
    assert "no interval" not in text
    means, people = main.tables
    table = pd.read_csv(tmp_path / "group" / "desc-production_reconstruction.tsv", sep="\t")
    row = table[(table["embedding"] == "gpt2") & (table["score"] == "pattern_r")].iloc[0]
    (cells,) = [cells for cells in means.rows if cells[0] == "gpt2"]
    assert cells[2] == "4 of 6"
    assert cells[7].split("\n")[0] == f"{row['mean']:.3f}"
    assert cells[7].split("\n")[1] == f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"
    assert cells[3:5] == ("0.933", "0.931")
    assert [cells[0] for cells in people.rows] == [f"sub-0{i}" for i in range(1, 7)]
    assert people.rows[5][2].endswith("(no evidence)")
    assert people.rows[0][2].endswith("(evidence)")
    assert differences.tables[0].rows[0][0] == "fasttext − gpt2"
    assert "1 of 1 differences are reliable over participants (q ≤ .05)." in differences.sentences


def test_few_participants_have_no_interval(tmp_path: Path):
    write_group(tmp_path, {label: SIX[label] for label in ("01", "02", "03")})
    main, differences = sections(tmp_path)
    assert any("no interval and no p over participants" in text for text in main.sentences)
    assert not any("\n" in cell for row in main.tables[0].rows for cell in row[3:])
    assert "too few participants for intervals" in main.pictures[0].caption
    assert differences.tables[0].rows[0][4] == "n/a"


def test_published_differences_are_not_shown(tmp_path: Path):
    """They may be differences of shrinkage alone."""
    write_group(tmp_path, SIX)
    path = tmp_path / "group" / "desc-production_differences.tsv"
    table = pd.read_csv(path, sep="\t", keep_default_na=False)
    pd.concat([table, table.assign(score="pcc", mean=0.4321)]).to_csv(path, sep="\t", index=False)
    assert [row[2] for row in sections(tmp_path)[1].tables[0].rows] == ["Pattern r"]


def test_page_without_any_encoding_scores(tmp_path: Path):
    for label in ("01", "02"):
        write_speaker(tmp_path, label, embeddings={"gpt2": 0.4}, mappings=("ridge",))
    write_group(tmp_path, {label: {"gpt2": 0.4} for label in ("01", "02")})
    write_group_page(tmp_path)
    write_index(tmp_path)
    text = Page(tmp_path / "group.html").text
    assert "2 participants: sub-01, sub-02" in text
    assert "No results yet" not in text
    assert "Evidence that gpt2 predicts the responses to the words in 2 of 2 participants" in text
    assert "desc-production_participants.tsv" in text
    assert "group/desc-production_reconstruction.tsv" in Page(tmp_path / "index.html").text


def test_page_of_encoding_alone_has_no_such_section(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1, n_electrodes=4)
    write_group_page(tmp_path)
    assert "Speech production" not in Page(tmp_path / "group.html").text


def test_page_with_neither_says_so(tmp_path: Path):
    write_group_page(tmp_path)
    assert "No results yet" in Page(tmp_path / "group.html").text


def test_sessions_count_as_one_participant(tmp_path: Path):
    write_group(tmp_path, SIX)
    path = tmp_path / "group" / "desc-production_participants.tsv"
    table = pd.read_csv(path, sep="\t", keep_default_na=False, dtype={"participant": str})
    first = (table["participant"] == "01") & (table["embedding"] == "gpt2")
    other = table[first].assign(session="b", answer="no evidence")
    pd.concat([table.assign(session=table["session"].mask(first, "a")), other]).to_csv(
        path, sep="\t", index=False
    )
    main = sections(tmp_path)[0]
    assert "Evidence that gpt2 predicts the responses to the words in 3 of 6 participants." in (
        main.sentences
    )
    people = [row[0] for row in main.tables[1].rows]
    assert {"sub-01, ses-a", "sub-01, ses-b", "sub-02"} <= set(people)
