"""The page on models: what it says of probes, changes and likeness, and what it must not say."""

import json

import pandas as pd
import pytest

from bids_brainalign.reports.models_page import models_context
from bids_brainalign.reports.pages import write_index, write_models_page
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.similarity_section import similarity_section
from tests.reports.fake_outputs import bare_block

DATA = {
    "Kind": "stimuli of the dataset", "Clips": 5, "Parts": "drawn at random",
    "Notes": [], "Skipped": {"emotion": "its clips have no emotion"},
}  # fmt: skip


def write(folder, name, rows, extra=None):
    path = folder / "group" / f"desc-{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False, na_rep="n/a")
    path.with_suffix(".json").write_text(json.dumps(extra or {}))


def probe_rows(model, *, best=1, interval=True):
    return [
        {"model": model, "probe": probe, "data": "stimuli", "layer": layer, "metric": metric,
         "score": 0.6 if layer == best else 0.2, "ci_low": 0.5 if interval else None,
         "ci_high": 0.7 if interval else None, "chance": 0.1, "p": 0.01, "p_max": 0.02,
         "n_null": 99, "alpha": 10.0, "n_train": 300, "n_validation": 100, "n_test": 100,
         "n_columns": 4}
        for probe, metrics in (("words", ("balanced_accuracy", "f1_macro")),
                               ("phones", ("f1_macro", "f1_micro")))
        for metric in metrics
        for layer in range(3)
    ]  # fmt: skip


def change_rows(low, high):
    common = {"model": "tuned", "original": "base", "data": "stimuli"}
    rows = [
        {**common, "probe": "words", "layer": layer, "metric": "balanced_accuracy",
         "before": 0.5, "after": 0.4, "change": -0.1 if layer == 2 else 0.0,
         "ci_low": low if layer == 2 else -0.1, "ci_high": high if layer == 2 else 0.1}
        for layer in range(3)
    ]  # fmt: skip
    likeness = [
        {**common, "probe": "likeness", "layer": layer, "metric": "cka", "before": 1.0,
         "after": 1 - 0.2 * layer, "change": -0.2 * layer, "ci_low": -0.3, "ci_high": 0.0}
        for layer in range(3)
    ]  # fmt: skip
    return rows + likeness


def context(folder):
    return {s.title: s for s in models_context(folder, Album(folder, "group/figures"))["sections"]}


def test_highest_layer_is_said_to_be_flattered(tmp_path):
    write(tmp_path, "small_probes", probe_rows("small"), {"Data": {"stimuli": DATA}})
    write(tmp_path, "smallUntrained_probes", probe_rows("small:untrained", best=0))
    section = context(tmp_path)["Probes on the stimuli of the dataset"]
    (cells,) = section.tables
    assert [row[:3] for row in cells.rows] == [
        ("words, small", "1", "0.600 (balanced accuracy)"),
        ("words, small:untrained", "0", "0.600 (balanced accuracy)"),
        ("phones, small", "1", "0.600 (macro F1)"),
        ("phones, small:untrained", "0", "0.600 (macro F1)"),
    ]
    assert "flattered" in cells.caption
    assert "Left out: emotion (its clips have no emotion)." in section.sentences


def test_without_intervals_it_says_so(tmp_path):
    write(tmp_path, "small_probes", probe_rows("small", interval=False))
    (section,) = context(tmp_path).values()
    assert any("no intervals" in s for s in section.sentences)
    assert section.tables[0].rows[0][3] == "n/a"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-0.2, -0.01, "lost at layer 2"), (0.01, 0.2, "gained at layer 2"),
     (-0.2, 0.1, "no layer's interval leaves out 0")],
)  # fmt: skip
def test_changes_are_told_by_their_intervals(tmp_path, low, high, said):
    write(tmp_path, "tunedAndBase_changes", change_rows(low, high))
    (section,) = context(tmp_path).values()
    assert f"words on stimuli: {said}." in section.sentences
    assert "CKA = 0.600 or more; least at layer 2" in section.sentences[0]


def test_page_and_its_link(tmp_path):
    write(tmp_path, "small_probes", probe_rows("small"), {"Data": {"stimuli": DATA}})
    rows = [
        {"model": "small", "layer": a, "other": "small", "other_layer": b, "metric": "cka",
         "value": 1.0 if a == b else 0.5, "p": 0.01}
        for a in range(3) for b in range(3)
    ]  # fmt: skip
    write(tmp_path, "small_similarity", rows)
    page, *figures = write_models_page(tmp_path)
    text = page.read_text()
    assert "Likeness of layers" in text
    assert "9 of 9 pairs of layers" in text
    assert {f.name for f in figures} == {"desc-stimuli_probes.svg", "desc-layers_similarity.svg"}
    assert 'href="models.html"' in write_index(tmp_path)[0].read_text()


@pytest.mark.parametrize(("p", "said"), [(0.01, "In 1 of 1 groups"), (None, "No test")])
def test_likeness_of_responses_on_the_participants_page(tmp_path, p, said):
    block = bare_block(tmp_path, "sub-01_task-a", "small")
    rows = [{"model": block.main.model, "layer": k, "target": "all", "n_targets": 3,
             "metric": "cka", "value": 0.1 * k, "ci_low": 0, "ci_high": 0.5, "chance": 0.0,
             "p": p, "p_max": p, "n_null": 99, "n_rows": 100} for k in range(3)]  # fmt: skip
    path = block.main.file.path.with_name(f"{block.main.stem}_similarity.tsv")
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False, na_rep="n/a")
    section = similarity_section(block, Album(tmp_path, "figures"))
    assert "CKA = 0.200 (layer 2, all)" in section.sentences[0]
    assert said in section.sentences[1]


def test_nothing_without_tables(tmp_path):
    block = bare_block(tmp_path, "sub-01_task-a", "small")
    assert similarity_section(block, Album(tmp_path, "figures")) is None
    assert context(tmp_path) == {}
