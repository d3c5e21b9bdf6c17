"""Whisper base: what its layers tell of real speech (LibriVox), and of espeak with its phones."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest

from bids_brainalign.config.schema import Probes
from bids_brainalign.dataset.types import Annotations, Presentation, Recording, Stimulus
from bids_brainalign.simulate import demo_audio
from bids_brainalign.simulate.demo_audio import demo_stories
from bids_brainalign.store.digest import sha256_of
from bids_brainalign.workflow.extraction import feature_steps as extract
from bids_brainalign.workflow.fits import pool_fits
from bids_brainalign.workflow.probes import feature_steps, probe_data, probe_step
from bids_brainalign.workflow.spaces import list_spaces
from tests.workflow.test_spaces import make_config

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture(scope="module")
def table(shared, tmp_path_factory):
    """Probes of four stories of 75 s, and of five LibriVox sentences."""
    folder = tmp_path_factory.mktemp("real")
    corpus = folder / "librivox"
    corpus.mkdir()
    names = sorted(p.name for p in (shared / "data" / "librivox").glob("*.wav"))
    for name in names:
        (corpus / name).write_bytes((shared / "data" / "librivox" / name).read_bytes())
    (corpus / "clips.tsv").write_text("\n".join(["file\tsentence", *(f"{n}\t{n}" for n in names)]))
    presentations = []
    for index, story in enumerate(demo_stories()[:4]):
        path = Path(str(files(demo_audio))) / f"{story.name}.ogg"
        words, phones = (
            Annotations(t.set_axis(["onset", "duration", "label"], axis=1), path)
            for t in (story.words, story.phones)
        )
        seconds = len(story.wave) / 16_000
        stimulus = Stimulus(story.name, path, seconds, sha256_of(path), words, "en", phones)
        run = Recording("01", None, "s", str(index), "ieeg", folder / f"{index}.edf", "ieeg", ())
        presentations.append(
            Presentation(run, stimulus, 0.0, "stim_file", story.name, ((0.0, seconds),))
        )
    fits = pool_fits(presentations)
    config = make_config(folder, shared / "models" / "whisper-base")
    probes = Probes(
        kinds=("mfcc", "mel", "phones", "words"), data=(("librivox", corpus),), n_null=100,
        min_tokens=4,
    )  # fmt: skip
    config = replace(config, probes=probes)
    spaces = [s for s in list_spaces(config) if s.kind in {"model", "untrained"}]
    for space in spaces:
        for step in extract(config, space, [(p.stimulus, 50.0) for p in presentations]):
            step.work()
    data = probe_data(config, fits)
    for step in feature_steps(config, spaces, data):
        step.work()
    found = [pd.read_csv(probe_step(config, s, data).work()[0], sep="\t", na_values="n/a")
             for s in spaces]  # fmt: skip
    both = pd.concat(found)
    print(both.pivot_table(index=["data", "probe", "metric", "model"], columns="layer",
                           values="score").round(3).to_string())  # fmt: skip
    return both


def rows(table, data, probe, metric, model="small"):
    some = table[(table["data"] == data) & (table["probe"] == probe) & (table["model"] == model)]
    return some[some["metric"] == metric].set_index("layer")


def test_sound_is_read_from_real_speech(table):
    found = rows(table, "librivox", "mel", "r")
    assert found["score"].max() > 0.6
    assert (found["p_max"] < 0.05).any()


def test_sound_fades_with_depth(table):
    found = rows(table, "stimuli", "mfcc", "r")["score"]
    assert found.idxmax() <= 4
    assert found.loc[6] < found.max()


@pytest.mark.parametrize(("probe", "metric"), [("phones", "f1_macro"), ("words", "f1_macro")])
def test_training_adds_phones_and_words(table, probe, metric):
    found = rows(table, "stimuli", probe, metric)
    twin = rows(table, "stimuli", probe, metric, "small:untrained")
    assert (found["p_max"] < 0.05).any()
    assert found["score"].max() > twin["score"].max()
