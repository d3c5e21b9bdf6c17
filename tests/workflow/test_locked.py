"""Averages around onsets, against a loop over events and planted responses to one class."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.dataset.types import Annotations
from bids_brainalign.phonemes.classes import PhoneClasses
from bids_brainalign.reports.figures.canvas import svg
from bids_brainalign.reports.figures.onset_response import onset_response
from bids_brainalign.workflow.extraction import feature_steps
from bids_brainalign.workflow.fits import pool_fits
from bids_brainalign.workflow.locked import locked_step, locked_table, phone_classes
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from bids_brainalign.workflow.spaces import Space
from tests.workflow.planted import make_fit

LOWLEVEL = Space("lowlevel", "lowlevel", None, "")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Electrode E00 answers 120 ms after every vowel, E01 after every [s]."""
    folder = tmp_path_factory.mktemp("locked")
    planted = make_fit(folder, "ieeg", seconds=(60, 60), null=True)
    rng = np.random.default_rng(3)
    presentations = []
    for p in planted.fit.presentations:
        onsets = np.sort(rng.uniform(0, 59, 300))
        labels = rng.choice(["a", "iː", "s", "m", "t͡ʃ", "?"], 300)
        table = pd.DataFrame({"onset": onsets, "duration": 0.08, "label": labels})
        stimulus = replace(p.stimulus, phones=Annotations(table, p.stimulus.path))
        presentations.append(replace(p, stimulus=stimulus))
    (fit,) = pool_fits(presentations)
    for step in feature_steps(
        planted.config, LOWLEVEL, [(p.stimulus, 50.0) for p in presentations]
    ):
        step.work()
    for recording in fit.recordings:
        path = response_path(planted.config, fit, recording)
        response = load_response(path)
        (p,) = fit.of(recording)
        data = 0.3 * rng.standard_normal(response.data.shape)
        for target, phones in ((0, ["a", "iː"]), (1, ["s"])):
            table = p.stimulus.phones.table
            times = p.onset_s + table["onset"][table["label"].isin(phones)] + 0.12
            for t in times:
                data[:, target] += np.exp(-0.5 * ((response.times - t) / 0.03) ** 2)
        save_response(path, replace(response, data=data.astype(np.float32)))
    return planted.config, fit


def test_responses_follow_the_class_they_were_planted_for(spoken):
    config, fit = spoken
    table = locked_table(config, fit, PhoneClasses(), LOWLEVEL)
    kinds = list(table["locked_to"].unique())
    assert kinds == [
        "stimulus onset", "word onset", "speech onset", "vowel phone", "nasal phone",
        "fricative phone", "affricate phone",
    ]  # fmt: skip
    n = table.groupby("locked_to")["n"].first()
    labels = pd.concat([p.stimulus.phones.table["label"] for p in fit.presentations])
    # A few lie too near to the end of the recording.
    assert 0 <= (labels == "s").sum() - n["fricative phone"] <= 4
    peaks = {}
    for target, kind in (("E00", "vowel phone"), ("E01", "fricative phone")):
        rows = table[(table["target"] == target) & (table["locked_to"] == kind)]
        curve = rows.set_index("time_s")["mean"]
        peaks[kind] = curve.idxmax()
        other = table[(table["target"] == "E02") & (table["locked_to"] == kind)]
        assert curve.max() > 4 * other["mean"].abs().max()
    assert all(abs(time - 0.12) <= 0.02 for time in peaks.values())


def test_averages_equal_a_loop_over_events(spoken):
    config, fit = spoken
    table = locked_table(config, fit, PhoneClasses(), LOWLEVEL)
    rows = table[(table["locked_to"] == "nasal phone") & (table["target"] == "E03")]
    epochs = []
    for recording in fit.recordings:
        response = load_response(response_path(config, fit, recording))
        signal = response.data[:, 3]
        signal = (signal - signal.mean()) / signal.std()
        (p,) = fit.of(recording)
        phones = p.stimulus.phones.table
        for onset in phones["onset"][phones["label"] == "m"] + p.onset_s:
            wanted = onset + rows["time_s"].to_numpy()
            if wanted[0] >= response.times[0] and wanted[-1] <= response.times[-1]:
                epochs.append(np.interp(wanted, response.times, signal))
    assert rows["n"].iloc[0] == len(epochs)
    np.testing.assert_allclose(rows["mean"], np.mean(epochs, axis=0), atol=1e-4)
    sem = np.std(epochs, axis=0, ddof=1) / np.sqrt(len(epochs))
    np.testing.assert_allclose(rows["sem"], sem, rtol=1e-3)


def test_the_users_classes_replace_ours(spoken, tmp_path):
    config, fit = spoken
    path = tmp_path / "classes.tsv"
    path.write_text("phone\tclass\na\topen\niː\tclose\na\tvoiced\nm\tvoiced\n")
    config = replace(config, paths=replace(config.paths, phone_classes=path))
    table = locked_table(config, fit, phone_classes(config), LOWLEVEL)
    n = table.groupby("locked_to")["n"].first()
    assert {"open phone", "close phone", "voiced phone"} < set(n.index)
    assert "vowel phone" not in n.index
    assert n["voiced phone"] > n["open phone"]


def test_classes_share_one_panel_of_the_figure(spoken):
    config, fit = spoken
    figure = onset_response(locked_table(config, fit, PhoneClasses(), LOWLEVEL))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 4
    assert titles[3] == "phones by class"
    labels = [text.get_text() for text in figure.axes[3].get_legend().get_texts()]
    assert [label.split(" (")[0] for label in labels] == [
        "vowel", "nasal", "fricative", "affricate",
    ]  # fmt: skip
    assert svg(figure).startswith("<svg")


def test_fmri_has_no_averages_per_phone(tmp_path):
    planted = make_fit(tmp_path, "fmri", seconds=(120, 120))
    table = locked_table(planted.config, planted.fit, PhoneClasses(), LOWLEVEL)
    assert set(table["locked_to"]) == {"word onset"}  # 3 s before the stimulus are too few


def test_what_moves_a_speech_onset_changes_the_key(spoken):
    config, fit = spoken

    def key(**changes):
        first, *others = fit.presentations
        words = first.stimulus.words
        kept = {k: v for k, v in changes.items() if k in ("table", "n_untimed")}
        stimulus = replace(first.stimulus, words=replace(words, **kept))
        segments = changes.get("segments", first.segments)
        (new,) = pool_fits([replace(first, stimulus=stimulus, segments=segments), *others])
        return locked_step(config, new, LOWLEVEL).inputs

    words = fit.presentations[0].stimulus.words.table
    keys = [
        key(),
        key(table=words.assign(duration=words["duration"] + 0.1)),
        key(n_untimed=3),
        key(segments=((0.0, 30.0),)),
    ]
    assert all(a != b for i, a in enumerate(keys) for b in keys[:i])
    assert key() == key()
