"""First looks from stored responses to tables: planted speech responses and planted drift."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.dataset.types import Annotations
from bids_brainalign.workflow import first_looks
from bids_brainalign.workflow.extraction import feature_steps
from bids_brainalign.workflow.fits import pool_fits
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from bids_brainalign.workflow.sound import envelope_of
from bids_brainalign.workflow.spaces import Space
from tests.workflow.planted import make_fit

LOWLEVEL = Space("lowlevel", "lowlevel", None, "")


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """E00 answers words with pauses between them; E01 follows the envelope and drifts by 60 ms."""
    folder = tmp_path_factory.mktemp("looks")
    planted = make_fit(folder, "ieeg", seconds=(240,), n_targets=8, null=True)
    (p,) = planted.fit.presentations
    rng = np.random.default_rng(0)
    onsets = np.cumsum(rng.choice([0.35, 2.0], 200, p=[0.6, 0.4])) + 1
    onsets = onsets[onsets < 235]
    table = pd.DataFrame({"onset": onsets, "duration": 0.3, "label": "w"})
    stimulus = replace(p.stimulus, words=Annotations(table, p.stimulus.path))
    (fit,) = pool_fits([replace(p, stimulus=stimulus)])
    for step in feature_steps(planted.config, LOWLEVEL, [(stimulus, 50.0)]):
        step.work()
    path = response_path(planted.config, fit, p.recording)
    response = load_response(path)
    data = rng.standard_normal(response.data.shape)
    clock = response.times - p.onset_s - 0.1
    for start in onsets:
        data[(clock >= start) & (clock < start + 0.3), 0] += 1.0
    envelope = np.nan_to_num(envelope_of(planted.config, fit, p.recording, response, LOWLEVEL))
    late = 0.15 + 0.09 * (response.times - response.times[0]) / np.ptp(response.times)
    heard = np.interp(response.times - late, response.times, envelope)
    data[:, 1:3] += 2 * ((heard - heard.mean()) / heard.std())[:, None]
    save_response(path, replace(response, data=data.astype(np.float32)))
    return planted.config, fit


def test_tables_and_warning(looked, caplog):
    config, fit = looked
    step = first_looks.first_looks_step(config, fit, LOWLEVEL)
    written = step.work()
    assert sorted(path.name for path in written) == [
        "sub-01_task-story0_desc-silence_contrast.json",
        "sub-01_task-story0_desc-silence_contrast.tsv",
        "sub-01_task-story0_desc-sound_lags.json",
        "sub-01_task-story0_desc-sound_lags.tsv",
    ]
    contrast = pd.read_csv(written[0], sep="\t", na_values="n/a").set_index("target")
    assert contrast.loc["E00", "q_fdr"] < 0.01
    assert contrast.loc["E00", "d"] > 0.5
    assert (contrast.loc["E03":, "q_fdr"] > 0.05).all()
    assert set(contrast["labels_from"]) == {"words"}
    lags = pd.read_csv(written[2], sep="\t", na_values="n/a").iloc[0]
    # 60 ms: two thirds of 90 ms over the whole recording.
    assert lags["drift_s"] == pytest.approx(0.06, abs=0.015)
    assert lags["flagged"]
    first_looks.warn_of_drift(config, fit)
    assert "drift apart by" in caplog.text
    assert "--stimuli-map" in caplog.text


def test_onsets_of_speech_follow_silence(looked):
    from bids_brainalign.workflow.locked import locked_table, phone_classes

    config, fit = looked
    table = locked_table(config, fit, phone_classes(config), LOWLEVEL)
    rows = table[(table["locked_to"] == "speech onset") & (table["target"] == "E00")]
    curve = rows.set_index("time_s")["mean"]
    assert curve[(curve.index > 0.12) & (curve.index < 0.38)].min() > 0.4
    assert curve[curve.index < 0.05].max() < 0.4
    onsets = fit.presentations[0].stimulus.words.table["onset"].to_numpy()
    assert rows["n"].iloc[0] == 1 + (np.diff(onsets) > 1).sum()
