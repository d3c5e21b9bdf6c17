"""The whisper-ecog recipe as a user runs it: every analysis, planted and null."""

import pandas as pd
import pytest

from bids_brainalign.reports.transcription_section import NAMES
from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.stories import synthetic_stories
from tests.cli.simulated import MODEL, run
from tests.small_whisper import write_small_whisper, write_tokenizer

pytestmark = pytest.mark.cli
# The recipe's own settings are for half an hour; these are its steps, in short.
SHORT = """
[ridge]
alphas = [1e3, 1e5, 1e7]
band_weights = [0.5]
[nulls]
n_draws = 200
[lags]
step_s = 0.1
word_step_s = 0.2
[timescale]
jitter_s = [0.1]
[recurrent]
epochs = 4
seeds = 2
rows_per_epoch = 2048
hidden = 8
null_fits = 1
n_bootstrap = 100
block_s = 10
"""


def recipe(folder, *, null=False):
    model = write_tokenized(folder / "model")
    stories = synthetic_stories(3, duration_s=45.0, seed=5)
    simulate_dataset(
        folder, model=MODEL, model_folder=model, ieeg_stories=stories, fmri_stories=[],
        n_participants=1, layers=None, seed=5, null=null,
    )  # fmt: skip
    (folder / "short.toml").write_text(SHORT)
    done = run(
        folder / "bids", folder / "out", "participant", "--recipe", "whisper-ecog", "--transcribe",
        "--models", f"{MODEL}={model}", "--config-file", folder / "short.toml",
        "-w", folder / "work", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out"


def write_tokenized(folder):
    write_small_whisper(folder, seed=5)
    write_tokenizer(folder)
    return folder


def table(out, name):
    path = out / f"sub-01/ieeg/sub-01_task-stories_desc-{name}.tsv"
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return recipe(tmp_path_factory.mktemp("recipe"))


def test_every_analysis_writes_its_table(outputs):
    for name in (
        "small_scores", "smallGru_scores", "smallMlp_scores", "small_encoders", "small_lags",
        "small_lagslopes", "small_combined", "small_variance", "small_timescale",
        "small_references", "small_decoding", "small_transcription", "smallGru_attention",
        "smallAttention_checks", "phones_phonemes", "silence_contrast", "sound_lags",
    ):  # fmt: skip
        assert len(table(outputs, name)), name


def test_what_is_planted_is_decoded_and_gained_by_no_network(outputs):
    row = table(outputs, "small_decoding")
    row = row[(row.fold == "all") & (row.layer == "selected") & (row.score == "two_vs_two")]
    assert row.set_index("model").loc[MODEL, "value"] > 0.7
    encoders = table(outputs, "small_encoders")
    mean = encoders[(encoders.target == "mean over electrodes") & (encoders.reference == "ridge")]
    assert mean.delta_r.abs().max() < 0.03


def test_the_page_shows_every_section(outputs):
    page = (outputs / "sub-01.html").read_text()
    for title in (
        "First looks", "Phones", "Networks and ridge", "What the networks look at", "Time scale",
        "With and without the reference", "Unique and shared variance", "Layers together", "Lags",
        "Decoding: from the electrodes", "Transcription of decoded states",
    ):  # fmt: skip
        assert title in page, title
    assert NAMES["true"] in page
    assert "nan" not in page.split("<footer")[0].replace("dominan", "").replace("nanosec", "")


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is(tmp_path):
    out = recipe(tmp_path, null=True)
    scores = table(out, "small_scores")
    scores = scores[(scores.layer == "selected") & (scores.fold == "all")]
    assert (scores.q_delta < 0.05).mean() <= 0.1
    row = table(out, "small_decoding")
    row = row[(row.fold == "all") & (row.layer == "selected") & (row.score == "two_vs_two")]
    assert row.set_index("model").loc[MODEL, "p"] > 0.01
