"""Groups of parameters, and the key of a training."""

from __future__ import annotations

import pytest
from torch import nn

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.parameters import parameter_groups, settings_key
from tests.tuning.small_training import Noisy


def test_the_longest_start_of_the_name_counts() -> None:
    model = Noisy()
    groups = parameter_groups(model, [("", 1.0), ("readout.", 2.0), ("readout.bias", 3.0)])
    assert [(g.name, g.learning_rate) for g in groups] == [
        ("all", 1.0), ("readout", 2.0), ("readout.bias", 3.0),
    ]  # fmt: skip
    assert groups[0].parameters == [model.backbone.weight, model.backbone.bias]
    assert groups[1].parameters == [model.readout.weight]
    assert groups[2].parameters == [model.readout.bias]


def test_nothing_to_train() -> None:
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(BrainAlignError, match="nothing of the model is to be trained"):
        parameter_groups(model, [("", 1.0)])


def test_the_key_follows_what_is_trained_not_its_values() -> None:
    def key(model: nn.Module, **options: object) -> str:
        return settings_key(model, {"a": 1, **options}, n_batches=3, key="data")

    assert key(Noisy(seed=1)) == key(Noisy(seed=2))
    other = Noisy()
    other.frozen.requires_grad_(True)
    assert len({key(Noisy()), key(other), key(Noisy(), b=2)}) == 3
