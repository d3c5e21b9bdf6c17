"""What each section says is what its tables hold."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from bids_brainalign.production.regions import RegionScores
from bids_brainalign.reports.figures.production_penalties import penalty_curves
from bids_brainalign.reports.figures.production_sound import channel_lags
from bids_brainalign.reports.production.course_section import course_section
from bids_brainalign.reports.production.penalties_section import penalties_section
from bids_brainalign.reports.production.plain_section import plain_section
from bids_brainalign.reports.production.realigned_section import realigned_section
from bids_brainalign.reports.production.results import Production, read_productions
from bids_brainalign.reports.production.scores_section import scores_section
from bids_brainalign.reports.production.sound_section import sound_section
from bids_brainalign.reports.production.spread_section import spread_section
from bids_brainalign.reports.production.structure_section import (
    geometry_section,
    regions_section,
)
from bids_brainalign.reports.production.words_section import words_section
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Section
from bids_brainalign.workflow.production.regional import _relation
from tests.reports.fake_production import write_speaker

STEM = "sub-01_task-wordProduction_desc-"
NULL_AND_PLANTED = {"fasttext": 0.0, "gpt2": 0.4}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("spoken")
    write_speaker(output, embeddings=NULL_AND_PLANTED)
    return output


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Tables of one's own, to be changed."""
    return shutil.copytree(made / "sub-01" / "ieeg", tmp_path / "sub-01" / "ieeg")


def the(folder: Path) -> Production:
    (found,) = read_productions(folder.parents[1], "01")
    return found


def album(folder: Path) -> Album:
    return Album(folder.parents[1], "sub-01/figures")


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{STEM}{name}.tsv", sep="\t", na_values=["n/a"],
                       keep_default_na=False)  # fmt: skip


def put(folder: Path, name: str, changed: pd.DataFrame) -> None:
    changed.to_csv(folder / f"{STEM}{name}.tsv", sep="\t", index=False, na_rep="n/a")


def said(section: Section | None) -> str:
    assert section is not None
    return " ".join(" ".join(section.sentences).split())


def rows(section: Section | None, place: int = 0) -> dict[str, tuple[str, ...]]:
    """First cells joined to a name → the others."""
    assert section is not None
    return {row[0]: row[1:] for row in section.tables[place].rows}


def test_words_are_counted_and_those_left_out_named(folder: Path):
    section = words_section(the(folder), album(folder))
    words = table(folder, "production_words")
    used = words[words["used"].astype(bool)]
    text = said(section)
    assert (
        "32 words in 1 recording; 30 of them (30 different) can be used, 2 were left out" in text
    )
    assert f"median {used['latency'].median():.2f} s" in text
    assert "Words come from the text track of the NWB file" in text
    assert "Windows count from the onset of the word in the sound." in text
    assert rows(section)["no sound after the cue"] == ("2", "woord03, woord15")
    assert [p.path.name for p in section.pictures] == [f"{STEM}production_latency.svg"]


def test_words_that_a_name_could_hide(folder: Path):
    words = table(folder, "production_words").astype({"word": object})
    words.loc[[0, 1, 2], "word"] = ["nan", "true", "1"]
    words.loc[[0, 1, 2], "reason"] = "too short"
    words.loc[[0, 1, 2], "used"] = False
    put(
        folder,
        "production_words",
        words.assign(used=words["used"].map({True: "true", False: "false"})),
    )
    section = words_section(the(folder), album(folder))
    assert rows(section)["too short"] == ("3", "nan, true, 1")


def test_fewer_scored_than_usable_words_are_explained(folder: Path):
    words = table(folder, "production_words")
    more = pd.concat([words, words.iloc[:2].assign(word=["een", "twee"])])
    put(
        folder,
        "production_words",
        more.assign(used=more["used"].map({True: "true", False: "false"})),
    )
    assert "Scores are of 30 of these 32 words." in said(words_section(the(folder), album(folder)))


def test_without_latencies_there_is_no_histogram(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"a": 0.0}, sound=False)
    section = words_section(the(folder), album(folder))
    assert section.pictures == ()
    assert "Latency" not in said(section)
    text = said(sound_section(the(folder), album(folder)))
    assert "No sound of the participant was found." in text
    assert "run together was not checked" in text
    assert "leaked into the electrodes was not checked" in text


def test_sound_flags_are_counted_and_named(folder: Path):
    section = sound_section(the(folder), album(folder))
    assert "more than 25 ms" in said(section)
    assert "1 of 12 channels is flagged: LA2." in said(section)
    assert rows(section) == {"LA2": ("0.410", "0.200", "1 ms", "0.006")}
    leaks = table(folder, "production_contamination")
    put(folder, "production_contamination", leaks.assign(flagged="false"))
    section = sound_section(the(folder), album(folder))
    assert "none of 12 channels is flagged" in said(section)
    assert section.tables == ()


def test_what_flags_a_channel_is_shown_and_called_what_it_is(folder: Path):
    """By the waveform alone: its fine spectrum is no more like the sound's than others'."""
    leaks = table(folder, "production_contamination")
    leaks.loc[leaks["flagged"], ["statistic", "p", "r_waveform"]] = 0.012, 0.4, -0.31
    put(folder, "production_contamination", leaks.assign(flagged=leaks["flagged"].map(str)))
    section = sound_section(the(folder), album(folder))
    cells = section.tables[0]
    shown = dict(zip(cells.columns, cells.rows[0], strict=True))
    assert shown["r of fine spectra"] == "0.012"
    assert shown["r of waveforms"] == "−0.310"
    assert "at the lag at which it is highest" in cells.caption
    assert "unequal" not in cells.caption  # nothing is subtracted
    put(folder, "production_contamination", leaks.drop(columns="r_waveform"))
    assert rows(sound_section(the(folder), album(folder)))["LA2"][1] == "n/a"


def test_rows_that_are_no_channels_are_lines(folder: Path):
    lags = table(folder, "production_synchrony")
    leak = lags[lags["name"] == "all"].assign(name="leak", lag=0.002)
    (axes,) = channel_lags(pd.concat([lags, leak])).axes
    drawn = sum(len(points.get_offsets()) for points in axes.collections
                if isinstance(points, PathCollection))  # fmt: skip
    assert drawn == (~lags["name"].isin(["all"])).sum() == 12
    lines = {line.get_label(): line.get_xdata()[0] for line in axes.lines}
    assert lines["sound that leaks into channels"] == pytest.approx(2)
    assert lines["all channels together"] == pytest.approx(34)


def test_scores_stand_beside_their_twins(folder: Path):
    section = scores_section(the(folder), album(folder))
    cells = section.tables[0]
    assert cells.columns[2:6] == ("PCC", "train mean", "R²", "train mean")
    assert len(cells.rows) == 2 * 3 * 2  # embeddings, mappings, folds
    scores = table(folder, "gpt2_reconstruction")
    mine = scores[(scores["folds"] == "k-fold") & (scores["window"] == "after the onset")]
    mine = mine.set_index("score")
    (row,) = [r for r in cells.rows if r[:2] == ("gpt2", "ridge\nk-fold")]
    for place, name in ((2, "pcc"), (4, "r2")):
        assert row[place] == f"{mine.loc[name, 'value']:.3f}"
        assert row[place + 1] == f"{mine.loc[name, 'train_mean']:.3f}"
    assert row[6] == f"{mine.loc['pattern_r', 'value']:.3f}\np 0.002"
    (single,) = [r for r in cells.rows if r[:2] == ("gpt2", "ridge\nleave-one-word-out")]
    assert single[-1] == "n/a"  # channel r of single words
    assert "1 of 12 channels does not vary and is left out: LB2." in said(section)


def test_every_null_and_the_time_before_the_cue(folder: Path):
    section = scores_section(the(folder), album(folder))
    ridge = section.tables[1].rows[0]
    assert section.tables[1].columns[4:] == (
        "p shuffled words", "p random vectors", "p shifted trials", "Before the cue"
    )  # fmt: skip
    assert ridge[:2] == ("fasttext", "ridge")
    assert ridge[3:] == ("−0.003\n499 draws", "0.430", "0.430", "0.430", "0.004\np 0.380")
    net = section.tables[1].rows[1]
    assert net[5:] == ("n/a", "n/a", "n/a")  # only ridge has them


def test_share_of_words_per_bin_beside_the_twin(folder: Path):
    section = spread_section(the(folder), album(folder))
    assert section is not None
    bins = table(folder, "gpt2_r2bins")
    bins = bins[bins["folds"] == "k-fold"]
    most = bins.loc[bins["share"].idxmax()]
    (row,) = [r for r in section.tables[0].rows if r[:2] == ("gpt2", "ridge\nk-fold")]
    name = f".{10 * most['r2_from']:.0f}–.{10 * most['r2_to']:.0f}"
    cell = row[section.tables[0].columns.index(name)]
    assert cell == f"{100 * most['share']:.0f} | {100 * most['share_train_mean']:.0f} %"
    words = table(folder, "gpt2_wordscores")
    words = words[words["folds"] == "k-fold"]
    (row,) = [r for r in section.tables[1].rows if r[:2] == ("gpt2", "ridge\nk-fold")]
    expected = [words[name].std() for name in ("pcc", "pcc_train_mean", "r2", "r2_train_mean")]
    assert row[2:6] == tuple(f"{value:.3f}" for value in expected)
    assert row[-1] == "0.20"


def test_plain_predictors_beside_the_embedding(folder: Path):
    section = plain_section(the(folder))
    found = rows(section)
    assert found["gpt2"][0] == rows(scores_section(the(folder), album(folder)), 1)["gpt2"][1]
    assert found["gpt2 against word loudness"] == (
        "0.040", "−0.010", "0.520", "0.500", "0.028", "< 0.001"
    )  # fmt: skip
    assert found["fasttext against trial index"][-2:] == ("−0.004", "0.600")


def test_penalties_say_how_far_scores_move(folder: Path):
    section = penalties_section(the(folder), album(folder))
    assert "from strong penalties, which pull the weights to 0" in said(section)
    assert "all weights are 0" not in said(section)
    assert "gpt2: PCC 0.927 to 0.937 (train mean 0.931), pattern r " in said(section)
    assert [p.path.name for p in section.pictures] == [
        f"{STEM}production_penaltiesmultitask.svg",
        f"{STEM}production_penaltieselasticnet.svg",
    ]


def test_peaks_may_lie_before_the_onset_and_are_called_so(folder: Path):
    section = course_section(the(folder), album(folder))
    assert section is not None
    for text in (section.pictures[0].caption, section.tables[0].caption):
        assert "all bins, also those before the onset" in text


def test_course_counts_what_holds_over_all_layers_and_bins(folder: Path):
    section = course_section(the(folder), album(folder))
    course = table(folder, "gpt2_timecourse")
    found = course[course["p_all"] < 0.05]
    assert 0 < len(found) < (course["p"] < 0.05).sum() + 1
    text = said(section)
    assert f"gpt2: {len(found)} of {len(course)} bins are above chance" in text
    assert "fasttext: no bin is above chance" in text
    assert "gpt2: deeper layers peak later: 30.0 ms per layer over 4 layers (p = 0.010)." in text
    assert "fasttext: One layer: no slope." in text
    names = [p.path.name for p in section.pictures]
    assert names == [f"{STEM}gpt2_course.svg", f"{STEM}production_course.svg"]


def test_a_slope_that_may_be_none_is_not_told_as_one(folder: Path):
    path = folder / f"{STEM}gpt2_peaks.json"
    path.write_text(path.read_text().replace('"p": 0.01', '"p": 0.4'))
    text = said(course_section(the(folder), album(folder)))
    assert "gpt2: no evidence that peaks move with the layer: 30.0 ms per layer" in text


def test_geometry_and_its_relation(folder: Path):
    section = geometry_section(the(folder))
    assert rows(section)["gpt2"] == ("0.120", "0.002", "0.400")
    assert "2 embeddings are too few to relate geometry to scores." in said(section)


@pytest.mark.parametrize(
    ("r", "p", "expected"),
    [
        (0.8, 0.01, "gpt2: regions with more channels score higher (rank correlation 0.80 over 6"),
        (-0.8, 0.01, "gpt2: regions with more channels score lower (rank correlation −0.80"),
        (0.8, 0.3, "gpt2: No evidence that number of channels and score go together"),
    ],
)
def test_regions_against_their_channels(folder: Path, r: float, p: float, expected: str):
    path = folder / f"{STEM}gpt2_regions.json"
    path.write_text(path.read_text().replace('"r": 0.7', f'"r": {r}').replace(
        '"p": 0.04', f'"p": {p}'))  # fmt: skip
    section = regions_section(the(folder), album(folder))
    assert expected in said(section)
    assert "gpt2, STG" in rows(section)
    # What holds for all embeddings is said once.
    assert said(section).count("Too few electrodes, and not scored: SMG.") == 1


def test_too_few_regions_are_said(folder: Path):
    for path in folder.glob("*_regions.tsv"):
        path.write_text(path.read_text().partition("\n")[0] + "\n")
    section = regions_section(the(folder), album(folder))
    assert "Too few electrodes, and not scored: SMG." in said(section)
    assert section.pictures == ()


def test_weights_that_hardly_move_look_so_and_missing_scores_are_no_range(folder: Path):
    path = "gpt2MultiTask_penalties"
    still = table(folder, path)
    still["non_zero"] = np.linspace(24.1, 24.5, len(still))
    for axes in penalty_curves({"gpt2": still}).axes[2::3]:
        assert axes.get_ylim()[0] == 0
        assert axes.get_ylim()[1] > 24.5
    put(folder, path, still.assign(pattern_r=np.nan))
    text = said(penalties_section(the(folder), album(folder)))
    assert "pattern r n/a, weights 24 to 24" in text
    assert "n/a to n/a" not in text


def test_without_any_region_the_way_to_regions_is_told(folder: Path):
    for path in folder.glob("*_regions.tsv"):
        path.write_text(path.read_text().partition("\n")[0] + "\n")
        sidecar = json.loads(path.with_suffix(".json").read_text())
        none = RegionScores((), {}, "pattern_r", None, None)
        path.with_suffix(".json").write_text(json.dumps(
            {k: v for k, v in sidecar.items() if k != "Relation"} | _relation(none)))  # fmt: skip
    section = regions_section(the(folder), album(folder))
    assert "No channel has a region" in said(section)
    assert "--atlas" in said(section)
    assert "0 regions" not in said(section)
    assert section.pictures == section.tables == ()


def test_before_and_after_realigning(folder: Path):
    section = realigned_section(the(folder))
    assert "ridge was fitted anew" in said(section)
    assert "everything" not in said(section)
    assert "shifted by 34 ms" in said(section)
    assert list(rows(section)) == ["fasttext, as recorded", "fasttext, shifted",
                                   "gpt2, as recorded", "gpt2, shifted"]  # fmt: skip
    moved = table(folder, "gpt2Realigned_reconstruction")
    moved = moved[(moved["score"] == "two_vs_two") & (moved["window"] == "realigned")].iloc[0]
    assert rows(section)["gpt2, shifted"][3] == f"{moved['value']:.3f}\np 0.002"
    assert rows(section)["gpt2, as recorded"][3] == "0.900\np 0.002"


def test_sections_without_their_tables_are_not_there(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"a": 0.0}, mappings=("ridge",), realign=False)
    for kind in ("timecourse", "peaks", "regions", "plainpredictors", "r2bins", "wordscores",
                 "geometry"):  # fmt: skip
        for path in folder.glob(f"*_{kind}.*"):
            path.unlink()
    production, figures = the(folder), album(folder)
    assert penalties_section(production, figures) is None
    assert course_section(production, figures) is None
    assert regions_section(production, figures) is None
    assert spread_section(production, figures) is None
    assert geometry_section(production) is None
    assert plain_section(production) is None
    assert realigned_section(production) is None
    assert np.isfinite(len(scores_section(production, figures).sentences))
