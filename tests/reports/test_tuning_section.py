"""The section on tuning says what helped by which comparison, and what has no control."""

import json

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.reports.figures.tuning_gains import MOST_ROWS, colours_of, tuning_gains
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.tuned_variants import training_of
from bids_brainalign.reports.tuning_section import tuning_section
from tests.reports.fake_outputs import bare_block

PREFIX = "sub-01_task-listen"
SEED = "w2v:tuned:seed=1"


def rows_of(reference, *, q=0.01, delta=0.02, targets=("A1", "A2"), model="w2v:tuned"):
    return [
        {
            "target": name, "target_type": "SEEG", "hemisphere": "L", "region": "n/a",
            "model": model, "reference": reference, "n_targets": 1, "n_samples": 100,
            "r": 0.3, "r_reference": 0.3 - delta, "delta_r": delta, "ci_low": delta - 0.01,
            "ci_high": delta + 0.01, "p": q, "q_fdr": q,
        }
        for name in targets
    ]  # fmt: skip


def shown(folder, rows, *, label="w2vTuned", stability=None):
    folder = folder / "sub-01" / "ieeg"
    folder.mkdir(parents=True)
    path = folder / f"{PREFIX}_desc-{label}_tuning.tsv"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False, na_rep="n/a")
    path.with_suffix(".json").write_text(json.dumps({"Stories": ["one fold"]}))
    if stability is not None:
        name = f"{PREFIX}_desc-{label}_stability.tsv"
        pd.DataFrame(stability).to_csv(folder / name, sep="\t", index=False, na_rep="n/a")
    return tuning_section(bare_block(folder, PREFIX, label), Album(folder, folder))


def test_without_a_table_there_is_no_section(tmp_path):
    assert tuning_section(bare_block(tmp_path, PREFIX, "w2v"), Album(tmp_path, tmp_path)) is None


@pytest.mark.parametrize(
    ("controls", "verdict"),
    [
        ({"w2v": 0.01, "w2v:permuted": 0.01}, "Tuning helped, by all comparisons: "),
        ({"w2v": 0.01, "w2v:permuted": 0.3}, "There is no evidence that tuning helped: "),
        ({"w2v": 0.3, "w2v:permuted": 0.01}, "There is no evidence that tuning helped: "),
        ({"w2v": 0.01, "w2v:features=gpt2": np.nan}, "There is no evidence that tuning helped: "),
        ({"w2v": 0.01}, "without a control, training as such may have done it: "),
    ],
)
def test_help_is_claimed_only_against_everything(tmp_path, controls, verdict):
    """A setting that is compared is no control: what it says changes nothing."""
    rows = [row for name, q in controls.items() for row in rows_of(name, q=q)]
    section = shown(tmp_path, [*rows, *rows_of(SEED, q=0.9)])
    assert verdict in section.sentences[0]
    assert (
        "Beside other settings, for which there is no control: against the model with seed=1"
        in (section.sentences[1])
    )
    assert section.sentences[-1] == "one fold"


def test_controls_are_called_by_what_they_learnt(tmp_path):
    names = ["w2v", "w2v:permuted", "w2v:stimulus", "w2v:features=gpt2"]
    section = shown(tmp_path, [row for name in names for row in rows_of(name)])
    for words in (
        "against the original mean Δr over 2 targets is 0.020, and 2 of 2 rows",
        "against the permuted control",
        "against the control that heard the stories without responses",
        "against the control that learnt features of gpt2",
    ):
        assert words in section.sentences[0]
    assert [table.columns[0] for table in section.tables] == [
        f"against the {training_of(name).called}" for name in names
    ]


def test_the_whole_mask_has_its_interval(tmp_path):
    rows = rows_of("w2v", targets=("whole", "left"))
    section = shown(tmp_path, rows)
    assert "Δr of the whole is 0.020 (95 % interval 0.010 to 0.030)" in section.sentences[0]


def test_a_compared_setting_has_a_section_of_its_own(tmp_path):
    section = shown(tmp_path, rows_of("w2v", model=SEED), label="w2vTunedSeed1")
    assert "This model was tuned with seed=1." in section.sentences


def write_training(folder, scores, *, gradients=False, participants=()):
    """Files of a tuned model that pages show."""
    folder.mkdir(parents=True)
    chosen = [value == max(scores) for value in scores]
    epochs = pd.DataFrame({"epoch": range(len(scores)), "r_validation": scores, "chosen": chosen})
    epochs.to_csv(folder / "epochs.tsv", sep="\t", index=False)
    (folder / "tuning.json").write_text(json.dumps({"Participants": list(participants)}))
    if gradients:
        norms = pd.DataFrame(
            {"epoch": [1, 1, 1, 2, 2, 2], "layer": ["1", "2", "head"] * 2,
             "gradient_norm": [0.1, 0.3, 2, 0.2, 0.5, 1]}
        )  # fmt: skip
        norms.to_csv(folder / "gradient_norms.tsv", sep="\t")


def test_curves_are_drawn_of_what_is_there(tmp_path):
    """Epochs and gradients of two trainings, one of them without gradients."""
    folder = tmp_path / "sub-01" / "models"
    write_training(folder / f"{PREFIX}_desc-w2vTuned_ieeg", [0.1, 0.2, 0.15], gradients=True)
    write_training(folder / f"{PREFIX}_desc-w2vPermuted_ieeg", [0.1, 0.09, 0.08])
    section = shown(tmp_path, [*rows_of("w2v"), *rows_of("w2v:permuted")])
    assert [picture.alt.partition(" of ")[0] for picture in section.pictures] == [
        "Difference", "Score", "Norm"
    ]  # fmt: skip


def test_a_model_of_several_participants_is_neither_control_nor_setting(tmp_path):
    section = shown(
        tmp_path, [*rows_of("w2v"), *rows_of("w2v:permuted"), *rows_of("w2v:together", q=0.9)]
    )
    verdict, shared = section.sentences[:2]
    assert verdict.startswith("Tuning helped, by all comparisons: ")
    assert "several participants" not in verdict
    assert shared.startswith(
        "Beside one model for several participants, which is no control: against the model tuned "
        "on several participants in turn mean Δr over 2 targets is 0.020, and 0 of 2 rows"
    )
    assert not any("settings" in sentence for sentence in section.sentences)
    assert section.tables[2].columns[0] == (
        "against the model tuned on several participants in turn"
    )


def test_the_page_of_a_model_of_several_participants_names_them(tmp_path):
    """Its epochs and gradients lie in the group's folder."""
    write_training(
        tmp_path / "group/models/desc-w2vTogether_ieeg", [0.1, 0.2], gradients=True,
        participants=["01", "02"],
    )  # fmt: skip
    # A participant's own folder of that name is none of ours.
    write_training(
        tmp_path / f"sub-01/models/{PREFIX}_desc-w2vTogether_ieeg", [0.3], participants=["03"]
    )
    section = shown(tmp_path, rows_of("w2v", model="w2v:together"), label="w2vTogether")
    assert "This model was tuned on sub-01, sub-02 in turn, with one readout for all." in (
        section.sentences
    )
    assert [picture.alt.partition(" of ")[0] for picture in section.pictures] == [
        "Difference", "Score", "Norm"
    ]  # fmt: skip


@pytest.mark.parametrize("who", ["Sub01", "Sub01TaskListen"])
def test_probes_of_tuned_models_stand_beside_each_other(tmp_path, who):
    """Of a participant's models, the shared one and the original; not of another participant's."""
    group = tmp_path / "group"
    group.mkdir()
    for label in ("w2v", f"w2vTuned{who}", "w2vPermutedSub02", "w2vTogetherIeeg"):
        rows = [
            {"model": label, "probe": probe, "data": "stimuli", "layer": layer, "metric": "r",
             "score": 0.1 * layer}
            for probe in ("mel", "mfcc") for layer in range(3)
        ]  # fmt: skip
        pd.DataFrame(rows).to_csv(group / f"desc-{label}_probes.tsv", sep="\t", index=False)
    names = ("w2v", "w2v:permuted", "w2v:together")
    section = shown(tmp_path, [row for name in names for row in rows_of(name)])
    assert section.pictures[-1].alt == (
        "How well MFCCs are read from the layers of tuned, original, together."
    )


def test_gains_over_seeds_are_shown(tmp_path):
    stable = {
        "settings": [np.nan, np.nan, "cnn=thawed", "cnn=thawed"], "target": ["A1", "A2"] * 2,
        "n_seeds": 3, "r": 0.3, "r_sd": 0.004, "delta_r": [0.02, 0.01, 0.0, 0.0],
        "delta_r_sd": 0.003, "delta_r_min": 0.015, "epoch_sd": 0.012,
    }  # fmt: skip
    section = shown(tmp_path, rows_of("w2v"), stability=stable)
    plain, thawed = section.tables[-2:]
    assert plain.columns[0] == "3 seeds"
    assert thawed.columns[0] == "3 seeds cnn=thawed"
    assert plain.rows[0] == ("A1", "0.020", "0.003", "0.015", "0.004")
    assert "SD over epochs of the validation score: 0.012." in plain.caption


def test_many_rows_and_trainings_fit_into_the_figure():
    names = ["w2v", "w2v:permuted", *(f"w2v:tuned:seed={k}" for k in range(1, 9))]
    targets = [f"roi{k}" for k in range(40)]
    table = pd.DataFrame([row for n in names for row in rows_of(n, targets=targets)])
    labels = {name: training_of(name).short for name in names}
    (axes,) = tuning_gains(table, labels).axes
    assert len(axes.get_yticks()) == MOST_ROWS
    assert len(axes.get_legend().get_texts()) == len(names)
    colours = colours_of(list(labels.values()))
    assert len({colours[short] for short in labels.values()}) == len(names)
