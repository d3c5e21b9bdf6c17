"""What a reconstruction is told apart by."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.dataset.types import Recording
from bids_brainalign.outputs.names import fit_name
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.reconstruction import reconstruction_step
from bids_brainalign.workflow.production.speakers import Speaker
from tests.workflow.production.spoken import config, planted, vectors


def step(folder: Path, lag_s: float | None) -> Step:
    material, embedding = planted(0.5, n_words=12)
    recording = Recording("01", None, "words", None, "ieeg", folder / "x.edf", "ieeg", ())
    return reconstruction_step(
        config(folder), Speaker(fit_name([recording]), (recording,), ()), material, "vectors",
        vectors(embedding), "ridge", identity="same", settings="same", lag_s=lag_s,
    )  # fmt: skip


def test_every_lag_is_a_result_of_its_own(tmp_path: Path) -> None:
    """Also lags that look the same in the name of the step, which rounds them."""
    made = [step(tmp_path, lag_s) for lag_s in (None, 0.0501, 0.0502)]
    assert made[1].name == made[2].name
    assert made[1].inputs != made[2].inputs
    assert made[0].inputs != made[1].inputs
    assert made[1].inputs == step(tmp_path, 0.0501).inputs
