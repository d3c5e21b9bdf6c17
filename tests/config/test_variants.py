"""Trainings of one run: controls and compared settings."""

import pytest

from bids_brainalign.config.tuning import Tuning
from bids_brainalign.config.variants import settings_of, variant_label, variants_of
from bids_brainalign.errors import BrainAlignError, ExitCode


def names(compare=(), variants=("tuned",), **settings):
    tuning = Tuning(variants=variants, compare=compare, **settings)
    return [variant.name for variant in variants_of(tuning)]


def test_the_tuned_model_comes_first_and_controls_bear_their_names():
    assert names(variants=("permuted", "features:gpt2", "stimulus", "tuned", "permuted")) == [
        "tuned", "permuted", "features=gpt2", "stimulus"
    ]  # fmt: skip
    tuned, _, features, _ = variants_of(
        Tuning(variants=("tuned", "permuted", "features=gpt2", "stimulus"))
    )
    assert features.features == "gpt2"
    assert features.is_control
    assert not tuned.is_control


def test_settings_are_crossed_and_the_run_s_own_are_not_trained_twice():
    assert names(("readout-layer=6,last", "seed=0,1"), readout_layer=6) == [
        "tuned",
        "tuned:seed=1",
        "tuned:readout-layer=last",
        "tuned:readout-layer=last:seed=1",
    ]
    *_, both = variants_of(
        Tuning(variants=("tuned",), compare=("readout-layer=6,last", "seed=0,1"), readout_layer=6)
    )
    assert both.settings.readout_layer == -1
    assert both.settings.seed == 1
    assert both.changed == (("readout_layer", "last"), ("seed", "1"))
    assert names(("learning-rate=1e-4,0.0001",)) == ["tuned", "tuned:learning-rate=1e-4"]


def test_values_have_the_type_of_their_setting():
    found = variants_of(
        Tuning(variants=("tuned",), compare=("regularised=true", "lora-alpha=4", "cnn=thawed"))
    )
    settings = found[-1].settings
    assert settings.regularised is True
    assert settings.lora_alpha == 4.0
    assert isinstance(settings.lora_alpha, float)
    assert settings.cnn == "thawed"
    assert len(list(settings_of(Tuning(variants=("tuned",), compare=("seed=1,2",))))) == 3


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        (("seed",), "is not SETTING=VALUE,VALUE"),
        (("seed=",), "is not SETTING=VALUE,VALUE"),
        (("layer=3",), "layer is no setting of .tuning. that can differ"),
        (("test-stories=a,b",), "test-stories is no setting"),
        (("seed=1.5",), "'1.5' is not a whole number"),
        (("learning-rate=fast",), "'fast' is not a number"),
        (("regularised=yes",), "neither true nor false"),
        (("seed=1", "seed=2"), "give each setting once"),
        (("learning-rate=1e-4,1e4",), "LearningRate1e4"),
    ],
)
def test_what_cannot_be_compared_is_refused(compare, message):
    with pytest.raises(BrainAlignError, match=message) as caught:
        names(compare)
    assert caught.value.exit_code == ExitCode.USAGE


def test_unknown_controls_and_comparisons_without_tuning_are_refused():
    with pytest.raises(BrainAlignError, match="did you mean permuted"):
        names(variants=("tuned", "permute"))
    with pytest.raises(BrainAlignError, match="--recipe brain-tuning"):
        names(("seed=1",), variants=())


def test_labels_are_camel_case():
    assert variant_label("tuned:readout-layer=last") == "TunedReadoutLayerLast"
    assert variant_label("features=gpt2") == "FeaturesGpt2"


def test_a_model_of_all_participants_is_no_control_and_transfer_is_not_compared():
    tuned, together = variants_of(Tuning(variants=("tuned", "together"), transfer=True))
    assert not together.is_control
    assert (tuned.kind, together.kind, together.name) == ("tuned", "together", "together")
    with pytest.raises(BrainAlignError, match="transfer is no setting"):
        names(("transfer=true,false",))
