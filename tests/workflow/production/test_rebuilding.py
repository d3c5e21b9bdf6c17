"""What rebuilding says of planted and of missing information."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.inputs import Preparation
from bids_brainalign.workflow.production import tables
from bids_brainalign.workflow.production.rebuilding import (
    Rebuilt,
    is_continuous,
    least_shift,
    plan_folds,
    rebuild,
)
from tests.workflow.production.spoken import SETTINGS, planted

ABOUT = {"embedding": "vectors", "layer": "0", "mapping": "ridge"}


def rebuilt(share: float, mapping: str = "ridge", seed: int = 0, **settings: object) -> Rebuilt:
    material, embedding = planted(share, seed=seed)
    chosen = dataclasses.replace(SETTINGS, **settings)  # type: ignore[arg-type]
    return rebuild(chosen, material, embedding, mapping, preparation=Preparation(), seed=seed)


@pytest.fixture(scope="module")
def half() -> Rebuilt:
    return rebuilt(0.5)


def score(found: Rebuilt, name: str, folds: str = "k-fold", column: str = "value") -> float:
    material, _ = planted(0.5)
    table = tables.score_table(ABOUT, found, material, window=tables.RESPONSE)
    chosen = table[(table["score"] == name) & (table["folds"] == folds)]
    return float(chosen[chosen["window"] == tables.RESPONSE][column].iloc[0])


def test_half_of_the_variance_is_evidence(half: Rebuilt) -> None:
    assert half.verdict is not None
    assert half.verdict.answer == "evidence"
    assert score(half, "pattern_r") > 0.3
    assert score(half, "two_vs_two") > 0.85
    assert score(half, "pattern_r", column="p_shuffled") == pytest.approx(0.01)


def test_nothing_is_no_evidence_however_high_the_published_score() -> None:
    found = rebuilt(0.0, seed=3)
    assert found.verdict is not None
    assert found.verdict.answer == "no evidence"
    material, _ = planted(0.0, seed=3)
    table = tables.score_table(ABOUT, found, material, window=tables.RESPONSE)
    rows = table[(table["folds"] == "k-fold") & (table["window"] == tables.RESPONSE)]
    rows = rows.set_index("score")
    assert rows.loc["pcc", "value"] > 0.85
    assert abs(rows.loc["pcc", "value"] - rows.loc["pcc", "train_mean"]) < 0.01
    assert abs(rows.loc["pattern_r", "value"]) < 0.1


def test_correlation_over_single_words_is_never_written(half: Rebuilt) -> None:
    assert np.isnan(score(half, "channel_r", "leave-one-word-out"))
    assert np.isnan(score(half, "channel_r", "leave-one-word-out", "train_mean"))
    assert score(half, "channel_r") > 0.2


def test_every_published_score_stands_beside_its_twin(half: Rebuilt) -> None:
    material, _ = planted(0.5)
    table = tables.score_table(ABOUT, half, material, window=tables.RESPONSE)
    published = table[table["score"].isin(["pcc", "r2"])]
    assert len(published) == 4
    assert published["train_mean"].notna().all()
    for made in (
        tables.word_table(ABOUT, half, material),
        tables.penalty_table(ABOUT, rebuilt(0.5, "multi-task")),
    ):
        assert made[["pcc", "pcc_train_mean", "r2", "r2_train_mean"]].notna().all(axis=None)
    shares = tables.bin_table(ABOUT, half, material)
    sums = shares.groupby("folds")[["share", "share_train_mean"]].sum()
    assert np.allclose(sums.to_numpy(), 1.0)


def test_responses_that_know_the_word_before_its_cue_are_no_evidence() -> None:
    material, embedding = planted(0.5)
    early = dataclasses.replace(material, baseline=material.response.copy())
    found = rebuild(SETTINGS, early, embedding, "ridge", preparation=Preparation(), seed=0)
    assert found.verdict is not None
    assert found.verdict.answer == "no evidence"
    assert "before the cue" in found.verdict.text


def test_a_response_to_duration_is_not_one_to_meaning() -> None:
    material, embedding = planted(0.0)
    duration = material.words["duration"].to_numpy()
    about = (duration - duration.mean()) / duration.std()
    loud = dataclasses.replace(
        material, response=material.response * (1 + 0.5 * about[:, np.newaxis])
    )
    longer = embedding.copy()
    longer[:, 0] = about + 0.3 * embedding[:, 1]
    found = rebuild(SETTINGS, loud, longer, "ridge", preparation=Preparation(), seed=0)
    assert found.verdict is not None
    assert found.verdict.answer == "no evidence"
    assert "word duration" in found.verdict.text


def test_blocks_of_words_that_come_again_are_no_evidence() -> None:
    """Twelve words in each of eight blocks that are held out: any vectors tell them apart."""
    material, _ = planted(0.0, n_words=96)
    rng = np.random.default_rng(0)
    said, vectors = rng.standard_normal((2, 12, 16))
    types = np.tile(np.arange(12), 8)
    words = material.words.assign(
        word=[f"word{t}" for t in types], content_group=[f"block{i // 12}" for i in range(96)]
    )
    again = dataclasses.replace(
        material, words=words, response=5 + said[types] + rng.standard_normal((96, 16))
    )
    found = rebuild(SETTINGS, again, vectors[types], "ridge", preparation=Preparation(), seed=0)
    assert found.nulls[0].observed[0] > 0.2
    assert found.nulls[0].p[0] > 0.05
    assert found.verdict is not None
    assert found.verdict.answer == "no evidence"


@pytest.mark.parametrize("n_words", [10, 15, 20])
def test_few_words_are_scored_without_r_of_channels(n_words: int) -> None:
    material, embedding = planted(0.5, n_words=n_words)
    found = rebuild(SETTINGS, material, embedding, "ridge", preparation=Preparation(), seed=0)
    table = tables.score_table(ABOUT, found, material, window=tables.RESPONSE)
    rows = table[(table["folds"] == "k-fold") & (table["window"] == tables.RESPONSE)]
    rows = rows.set_index("score")["value"]
    assert np.isfinite(rows[["pcc", "pattern_r", "two_vs_two"]]).all()
    assert np.isnan(rows["channel_r"])
    assert len(tables.channel_table(ABOUT, found, material)) == 16


def test_stories_are_groups_and_three_are_enough() -> None:
    material, _ = planted(0.5, n_words=90, step_s=0.4)
    words = material.words
    stories = words.assign(content_group=[f"story{i // 30}" for i in range(90)])
    plan = plan_folds(
        SETTINGS, dataclasses.replace(material, words=stories), over="k-fold", seed=0
    )
    assert len(plan.folds) == 3
    two = words.assign(content_group=[f"story{i // 45}" for i in range(90)])
    with pytest.raises(BrainAlignError, match="2 groups of words that are held out together"):
        plan_folds(SETTINGS, dataclasses.replace(material, words=two), over="k-fold", seed=0)


def test_a_baseline_of_two_channels_costs_nothing_else() -> None:
    material, embedding = planted(0.5)
    still = np.full_like(material.baseline, np.nan)
    still[:, :2] = material.baseline[:, :2]
    found = rebuild(
        SETTINGS, dataclasses.replace(material, baseline=still), embedding, "ridge",
        preparation=Preparation(), seed=0,
    )  # fmt: skip
    assert found.verdict is not None
    assert found.verdict.answer == "undecided"


def test_elastic_nets_have_shuffles_and_penalties_but_no_verdict() -> None:
    found = rebuilt(0.5, "multi-task")
    assert found.verdict is None
    assert [null.name for null in found.nulls] == ["shuffled words"]
    assert len(found.grid) == 21
    assert score(found, "pattern_r") > 0.25


def test_channels_that_do_not_vary_are_left_out_alone() -> None:
    material, embedding = planted(0.5)
    response = material.response.copy()
    response[:, 3] = 7.0
    flat = dataclasses.replace(material, response=response)
    found = rebuild(SETTINGS, flat, embedding, "ridge", preparation=Preparation(), seed=0)
    table = tables.channel_table(ABOUT, found, flat)
    assert table["skill"].isna().tolist() == [row == 3 for row in range(16)]
    assert found.verdict is not None
    assert found.verdict.answer == "evidence"


def test_too_few_words_are_refused_with_their_number() -> None:
    material, embedding = planted(0.5, n_words=3)
    with pytest.raises(BrainAlignError, match="3 different words are too few"):
        rebuild(SETTINGS, material, embedding, "ridge", preparation=Preparation(), seed=0)


def test_repetitions_of_a_word_are_held_out_together_whatever_their_case() -> None:
    material, _ = planted(0.5, n_words=40)
    words = material.words.copy()
    words.loc[20:, "word"] = words["word"][:20].str.upper().to_list()
    plan = plan_folds(SETTINGS, dataclasses.replace(material, words=words), over="k-fold", seed=0)
    for fold in plan.folds:
        assert {row % 20 for row in fold.outer.test}.isdisjoint(
            {row % 20 for row in fold.outer.train}
        )


def test_running_speech_is_held_out_in_stretches_with_gaps() -> None:
    material, _ = planted(0.5, n_words=120, step_s=0.35)
    assert is_continuous(SETTINGS, material)
    plan = plan_folds(SETTINGS, material, over="k-fold", seed=0)
    onset = material.words["onset"].to_numpy()
    for fold in plan.folds:
        assert np.ptp(fold.outer.test) == len(fold.outer.test) - 1
        nearest = np.abs(onset[fold.outer.train][:, np.newaxis] - onset[fold.outer.test]).min()
        assert nearest > 1.2 - 1e-9  # a window and both ends of the filters


def test_words_that_come_again_in_running_speech_are_held_out_by_their_stretch() -> None:
    material, _ = planted(0.5, n_words=120, step_s=0.4)
    words = material.words.assign(word=[f"word{row % 15}" for row in range(120)])
    plan = plan_folds(SETTINGS, dataclasses.replace(material, words=words), over="k-fold", seed=0)
    assert len(plan.folds) == 10
    assert all(np.ptp(fold.outer.test) == len(fold.outer.test) - 1 for fold in plan.folds)
    assert len(np.unique(plan.content)) == 120
    assert len(np.unique(plan.types)) == 15


@pytest.mark.parametrize(("step_s", "n_words", "expected"), [
    (3.0, 80, 1),  # windows of one second and both ends of the filters don't overlap
    (0.5, 80, 3),
    (0.4, 80, 3),
    (0.11, 80, 11),
    (0.1, 20, 5),  # a quarter of the words at the most
])  # fmt: skip
def test_trials_are_shifted_beyond_windows_that_overlap(
    step_s: float, n_words: int, expected: int
) -> None:
    material, _ = planted(0.5, n_words=n_words, step_s=step_s)
    assert least_shift(n_words, material) == expected


def test_recordings_that_differ_are_told_by_the_place_of_words() -> None:
    """Channels are louder in every other recording: no curve over all words says that."""
    material, embedding = planted(0.0)
    run = np.arange(80) // 20
    louder = 1 + 0.5 * (run % 2)[:, np.newaxis] * np.linspace(-1, 1, 16)
    differing = dataclasses.replace(
        material, words=material.words.assign(run=run), response=material.response * louder
    )
    told = embedding.copy()
    told[:, 0] = 3 * (run % 2) + 0.3 * embedding[:, 1]
    found = rebuild(SETTINGS, differing, told, "ridge", preparation=Preparation(), seed=0)
    place = next(twin for twin in found.twins if twin.name == "trial index")
    assert place.statistics[0] > 0.3
    assert place.p_gain > 0.05


def test_running_speech_is_not_asked_what_came_before_its_words() -> None:
    material, embedding = planted(0.5, n_words=120, step_s=0.4)
    found = rebuild(SETTINGS, material, embedding, "ridge", preparation=Preparation(), seed=0)
    assert found.baseline is None
    assert found.verdict is not None
    assert found.verdict.answer == "evidence"


def test_passages_are_held_out_whole() -> None:
    material, _ = planted(0.5, n_words=60)
    words = material.words.assign(content_group=[f"p{row // 4}" for row in range(60)])
    plan = plan_folds(SETTINGS, dataclasses.replace(material, words=words), over="k-fold", seed=0)
    for fold in plan.folds:
        assert {row // 4 for row in fold.outer.test}.isdisjoint(
            {row // 4 for row in fold.outer.train}
        )
