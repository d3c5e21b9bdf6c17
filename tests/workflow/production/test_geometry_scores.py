"""Which scores stand beside the geometry of embeddings, and when it is made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.dataset.spoken_words import SpokenWords
from bids_brainalign.dataset.types import Recording
from bids_brainalign.outputs.names import fit_name
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.geometry import geometry_step
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.tables import SCORES
from tests.workflow.production.spoken import config, planted, vectors

NAMES = ("one", "two", "three", "four")


def step_of(folder: Path, settings: str, **production: object) -> Step:
    """Geometry of four embeddings whose tables of scores say that they are of run ``now``.

    The table of ``four`` was left by a run before.
    """
    chosen = config(folder, **production)
    recording = Recording("01", None, "words", None, "ieeg", Path("a.edf"), "ieeg", ())
    who = Speaker(fit_name([recording]), (recording,), (SpokenWords(pd.DataFrame(), "", ()),))
    for number, name in enumerate(NAMES):
        row = dict.fromkeys(SCORES, "n/a") | {
            "embedding": name, "score": "pattern_r", "folds": "k-fold",
            "window": "after the onset", "value": 0.1 * number,
        }  # fmt: skip
        path = chosen.paths.output_dir / who.name.file("reconstruction.tsv", analysis=name)
        of = "before" if name == "four" else "now"
        write_tsv(path, pd.DataFrame([row]), SCORES, extra={"SettingsDigest": of})
    material, values = planted(0.5, n_words=30)
    embeddings = {name: vectors(values + number) for number, name in enumerate(NAMES)}
    return geometry_step(chosen, who, material, embeddings, identity="i", settings=settings)


def test_scores_of_an_earlier_run_are_not_compared(tmp_path: Path) -> None:
    table, sidecar = step_of(tmp_path, "now").work()
    scores = pd.read_csv(table, sep="\t", na_values="n/a").set_index("embedding")["pattern_r"]
    np.testing.assert_allclose(scores[["one", "two", "three"]], [0, 0.1, 0.2])
    assert np.isnan(scores["four"])
    assert "3 embeddings are too few" in sidecar.read_text("utf-8")


def test_geometry_is_made_anew_where_speech_is_taken_otherwise(tmp_path: Path) -> None:
    """Of running speech, means of words are compared."""
    one = step_of(tmp_path, "now", speech="words")
    other = step_of(tmp_path, "now", speech="continuous")
    assert one.inputs != other.inputs
