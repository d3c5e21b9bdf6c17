"""Who may be scored with a tuned model, by what it has heard."""

from pathlib import Path

import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.tuned_facts import require_same_roles, same_stories, why_not

BASE = Space("w2v", "model", Path("w2v"), "abc")
SETTINGS = {"epochs": 3, "targets": "whole", "test_stories": (), "lora_modules": ("q", "k")}


def stories(**roles):
    return [
        {"name": name, "sha256": f"sha-{name}", "content_group": name, "role": role}
        for name, role in roles.items()
    ]


def facts(**changed):
    return {
        "BaseDigest": "abc",
        "Settings": {**SETTINGS, "lora_modules": ["q", "k"]},
        "Stories": stories(a="train", b="validation", c="test"),
    } | changed


def reason(own, told):
    return why_not(told, BASE, SETTINGS, own)


def test_a_model_that_met_no_test_story_may_be_scored():
    assert reason(stories(a="train", b="validation", c="test"), facts()) == ""
    assert reason(stories(a="validation", c="train", d="test"), facts()) == ""


@pytest.mark.parametrize(("name", "word"), [("a", "trained"), ("b", "chosen")])
def test_a_model_that_met_a_test_story_may_not(name, word):
    found = reason(stories(**{name: "test", "d": "train"}), facts())
    assert found == f"its model was {word} on {name}, which is scored here"


def test_stories_are_the_same_by_audio_or_content_too():
    (other,) = stories(x="test")
    assert same_stories([other | {"sha256": "sha-a"}], stories(a="train")) == ["x"]
    assert same_stories([other | {"content_group": "a"}], stories(a="train")) == ["x"]
    assert same_stories([other], stories(a="train")) == []
    assert "trained on x" in reason([other | {"sha256": "sha-a"}], facts())


def test_other_settings_and_originals_are_named():
    own = stories(c="test")
    told = facts(Settings={"epochs": 5, "targets": "AG", "test_stories": ["c"],
                           "lora_modules": ["q", "k"]})  # fmt: skip
    assert reason(own, told) == "its model was tuned with other settings: epochs, targets"
    assert reason(own, facts(BaseDigest="other")) == "its model was tuned from another w2v"
    assert "nothing tells" in reason(own, {})


def test_roles_must_agree_for_a_common_training():
    require_same_roles({"sub-01": stories(a="train", b="test"), "sub-02": stories(b="test")})
    for one, other in (("test", "train"), ("validation", "train"), ("test", "validation")):
        for swap in (False, True):
            pair = {"sub-01": stories(a=one), "sub-02": stories(a=other)}
            if swap:
                pair = dict(zip(pair, reversed(pair.values()), strict=True))
            with pytest.raises(BrainAlignError, match="can't be tuned on together") as caught:
                require_same_roles(pair)
            assert "sub-01" in str(caught.value)
            assert "sub-02" in str(caught.value)
