"""The answer comes first, whichever it is."""

import json
import re
from pathlib import Path

import pytest

from bids_brainalign.reports.pages import write_index, write_participant_page
from bids_brainalign.reports.production.findings import (
    finding_of,
    findings_of,
    overall,
    unlike,
    warnings_of,
)
from bids_brainalign.reports.production.results import read_productions
from tests.reports.fake_production import write_speaker
from tests.reports.test_pages import Page


def the(folder: Path):
    (found,) = read_productions(folder, "01")
    return found


def change(folder: Path, name: str, **fields: object) -> None:
    (path,) = folder.rglob(f"*_desc-{name}_reconstruction.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("answer", "opening"),
    [
        ("evidence", "Evidence that gpt2 predicts the responses to the words (pattern"),
        ("no evidence", "No evidence that gpt2 predicts the responses to the words (pattern"),
        ("undecided", "Undecided whether gpt2 predicts the responses to the words (pattern"),
        (None, "Not judged: gpt2. Only ridge is judged"),
    ],
)
def test_answers_in_words(tmp_path: Path, answer: str | None, opening: str):
    write_speaker(tmp_path, embeddings={"gpt2": 0.4}, realign=False)
    change(tmp_path, "gpt2", Answer=answer)
    finding = finding_of(the(tmp_path).main()[0])
    said = " ".join(finding.sentence.split())
    assert said.startswith(opening)
    numbers = r"\(pattern r = 0\.\d{3}; shuffled words −?0\.\d{3}, p = 0\.002\)\."
    # So small a p beside "no evidence" is followed by the reason.
    assert re.search(numbers + (" Mean-removed" if answer == "no evidence" else "$"), said)
    # The verdict's own reasons follow, without saying the answer twice.
    assert finding.reasons.startswith("Mean-removed pattern correlation 0.400 against shuffled")
    assert finding.reasons.endswith("p = 0.002 (499 draws).")


def test_a_small_p_beside_no_evidence_has_its_reason(tmp_path: Path):
    write_speaker(tmp_path, embeddings={"gpt2": 0.4}, realign=False)
    why = "It is not better than trial index alone (gain 0.010, p = 0.24)."
    change(tmp_path, "gpt2", Answer="no evidence", Verdict=f"There is no evidence that … x. {why}")
    finding = finding_of(the(tmp_path).main()[0])
    assert finding.sentence.endswith(f"). {why}")


def test_no_evidence_stands_as_large_as_evidence(tmp_path: Path):
    write_speaker(tmp_path, embeddings={"fasttext": 0.0, "gpt2": 0.4})
    write_participant_page(tmp_path, "01")
    source = (tmp_path / "sub-01.html").read_text()
    for answer in ("No evidence", "Evidence"):
        assert f'<p class="finding"><strong>{answer}</strong> that' in source
    assert source.index("<strong>No evidence</strong>") < source.index("Words and onsets")
    write_index(tmp_path)
    source = (tmp_path / "index.html").read_text()
    for answer in ("No evidence", "Evidence"):
        assert f"<p><strong>{answer}</strong> that" in source


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        ({"a": 0.0, "b": 0.0}, "No evidence with any of 2 embeddings."),
        ({"a": 0.0, "b": 0.4, "c": 0.3}, "Evidence with 2 of 3 embeddings: b, c."),
        ({"a": 0.0}, ""),
    ],
)
def test_answers_are_counted(tmp_path: Path, effects: dict[str, float], expected: str):
    write_speaker(tmp_path, embeddings=effects, mappings=("ridge",))
    assert overall(findings_of(the(tmp_path))) == expected


def test_undecided_is_not_counted_as_an_answer(tmp_path: Path):
    write_speaker(tmp_path, embeddings={"a": 0.0, "b": 0.0})
    change(tmp_path, "b", Answer="undecided")
    assert overall(findings_of(the(tmp_path))) == "No evidence so far with 2 embeddings; open: b."


def test_several_embeddings_are_several_chances(tmp_path: Path):
    write_speaker(tmp_path, embeddings={"a": 0.0, "b": 0.4})
    production = the(tmp_path)
    text = " ".join(warnings_of(production, findings_of(production)))
    assert "of 20 embeddings without information, up to one would show evidence" in text
    assert "smaller than these recordings can show" in text


def test_published_score_is_said_beside_its_twin(tmp_path: Path):
    write_speaker(tmp_path, embeddings={"a": 0.4}, mappings=("ridge",))
    production = the(tmp_path)
    rows = production.main()[0].rows()
    mine, twin = rows.loc["pcc", "value"], rows.loc["pcc", "train_mean"]
    (text,) = warnings_of(production, findings_of(production))
    assert f"is {mine:.3f}, and {twin:.3f} for the mean over the training words" in text


def test_embeddings_of_other_words_or_settings_are_not_to_be_compared(tmp_path: Path):
    write_speaker(tmp_path, embeddings={"a": 0.0, "b": 0.4}, mappings=("ridge",))
    assert unlike(the(tmp_path)) == []
    change(tmp_path, "b", NumberOfWords=17)
    assert "on different words (17, 30 of them)" in unlike(the(tmp_path))[0]
    for path in tmp_path.rglob("*_geometry.*"):  # which says whose settings were the last
        path.unlink()
    change(tmp_path, "b", SettingsDigest="other")
    assert "different settings" in unlike(the(tmp_path))[0]


def test_without_ridge_nothing_is_judged(tmp_path: Path):
    write_speaker(tmp_path, embeddings={"a": 0.4}, mappings=("elastic-net",), realign=False)
    write_participant_page(tmp_path, "01")
    text = Page(tmp_path / "sub-01.html").text
    assert "Not judged : a. Only ridge is judged" in text
    assert "embeddings with evidence 0 of 1" not in text
    assert "embeddings with evidence 1 of 1" not in text
