"""The time told beforehand is of as many decompositions as there will be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bids_brainalign.production.cost import Cost
from bids_brainalign.production.inputs import Preparation
from bids_brainalign.production.ridge import RidgePlan
from bids_brainalign.production.timecourse import layer_lag_map
from bids_brainalign.workflow.production import costs
from bids_brainalign.workflow.production.costs import announce_cost
from bids_brainalign.workflow.production.rebuilding import least_shift, plan_folds, rebuild
from tests.workflow.production.spoken import SETTINGS, planted, vectors

RUNNING = dataclasses.replace(SETTINGS, ridge_draws=39, random_draws=19, course_draws=19)


class Counted:
    """Decompositions of embeddings of so many dimensions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, n_dims: int) -> None:
        self.n = 0
        real = RidgePlan._hat

        def hat(plan: RidgePlan, x: np.ndarray, split: object) -> object:
            self.n += x.shape[1] == n_dims  # plain predictors have few
            return real(plan, x, split)

        monkeypatch.setattr(RidgePlan, "_hat", hat)


@pytest.mark.parametrize("folds", [("k-fold",), ("k-fold", "leave-one-word-out")])
def test_continuous_speech(monkeypatch: pytest.MonkeyPatch, folds: tuple[str, ...]) -> None:
    settings = dataclasses.replace(RUNNING, folds=folds)
    material, embedding = planted(0.3, n_words=60, step_s=0.7)
    plan = plan_folds(settings, material, over="k-fold", seed=0)
    a_fit = len(plan.folds) + sum(len(inner) for inner in plan.selections())
    counted = Counted(monkeypatch, embedding.shape[1])
    rebuild(settings, material, embedding, "ridge", preparation=Preparation(), seed=0)
    layer_lag_map(
        [embedding], material.bins, plan, material.bin_s,
        n_draws=settings.course_draws, rng=np.random.default_rng(0),
        least_shift=least_shift(plan.n_words, material),
    )  # fmt: skip
    n_fits = counted.n / a_fit

    # A minute per fit and per draw: minutes are then fits.
    monkeypatch.setattr(
        costs, "estimated_cost", lambda *_, n_draws, **__: Cost(60.0, 60.0 * n_draws)
    )
    told = costs._ridge_minutes(
        settings, material, vectors(embedding), np.ones(60, dtype=bool), 1, 1
    )
    assert told == pytest.approx(n_fits, rel=0.1)


def test_it_is_told_where_draws_cost_decompositions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "estimated_cost", lambda *_, **__: Cost(60.0, 600.0))
    every = np.ones(60, dtype=bool)
    running, embedding = planted(0.3, n_words=60, step_s=0.7)
    todo = [("ridge", vectors(embedding)), ("multi-task", vectors(embedding))]
    lines = list(announce_cost(RUNNING, running, todo, every))
    assert lines[0] == "multi-task of 1 embeddings: about 12 min of one processor"
    assert lines[1].startswith("ridge and time courses of 1 embeddings: about ")
    one_by_one, _ = planted(0.3, n_words=60)
    assert list(announce_cost(RUNNING, one_by_one, todo, every)) == lines[:1]
    assert not list(announce_cost(RUNNING, one_by_one, todo[:1], every))
