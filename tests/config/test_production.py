"""Settings of speech production that no run can use."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_brainalign.config.checks import check_values
from bids_brainalign.config.production import Production, draws_of
from bids_brainalign.config.schema import Config, Features, Paths
from bids_brainalign.errors import BrainAlignError, ExitCode


def config(models: tuple[str, ...] = ("a", "b"), **production: object) -> Config:
    return Config(
        "participant",
        Paths(Path("/data"), Path("/out"), Path("/work")),
        features=Features(models=tuple((name, "/m") for name in models)),
        production=Production(**production),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("setting", "fragment"),
    [
        ({"window_s": (1.0, 0.0)}, "production.window_s = (1.0, 0.0) must be two rising numbers"),
        ({"window_s": (1.0,)}, "must be two rising numbers of seconds"),
        ({"baseline_s": (-0.5, 0.1)}, "must be before the cue"),
        ({"bin_s": 3.0}, "at most the reach of course_s (2 s)"),
        ({"explained": 0.0}, "above 0 and at most 1"),
        ({"ridge_draws": 18}, "fewer draws can't give p = .05"),
        ({"n_folds": 1}, "2 or more"),
        ({"mappings": ("rigde",)}, "did you mean ridge?"),
        ({"folds": ("leave-one-word-out",)}, "with k-fold, which the nulls use"),
        ({"onset": "voice"}, "production.onset = voice"),
        ({"layer": "middle"}, "production.layer = middle"),
        ({"combine": ("a+c",)}, "NAMEs of --models with + between them, of a, b"),
        ({"combine": ("a",)}, "with + between them"),
        ({"max_lag_s": 0.0}, "above 0 and at most 10 s"),
        ({"roles": ()}, "at least one"),
    ],
)
def test_refused(setting: dict[str, object], fragment: str) -> None:
    with pytest.raises(BrainAlignError) as caught:
        check_values(config(**setting))
    assert fragment in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_accepted() -> None:
    check_values(config(layer="7", combine=("a+b", "a:running+b"), text_context=("running",)))


def test_draws_of_each_mapping() -> None:
    settings = Production(ridge_draws=100, multi_task_draws=50, elastic_net_draws=20)
    assert [draws_of(settings, m) for m in settings.mappings] == [100, 50, 20]


@pytest.mark.parametrize(
    ("setting", "steps_s", "continuous"),
    [
        ({}, [3.0, 3.0, 2.5], False),
        ({}, [0.4, 0.3, 2.0, 0.5], True),
        ({"window_s": (0.0, 0.2)}, [0.4, 0.3, 2.0, 0.5], True),  # however short the window
        ({"window_s": (0.0, 4.0)}, [3.0, 3.0, 2.5], True),  # windows overlap
        ({"speech": "words"}, [0.4, 0.3], False),
        ({"speech": "continuous"}, [3.0], True),
        ({}, [], False),
    ],
)
def test_words_that_follow_fast_are_continuous_speech(
    setting: dict[str, object], steps_s: list[float], continuous: bool
) -> None:
    assert Production(**setting).runs_on(steps_s) == continuous  # type: ignore[arg-type]
