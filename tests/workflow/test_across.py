"""Tuning across participants: one model for all, transfer, and the group's tables."""

import json
import re
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Probes
from bids_brainalign.config.variants import variants_of
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.models import open_model
from bids_brainalign.store.steps import StepCache
from bids_brainalign.tuning.training_log import TrainingLog
from bids_brainalign.workflow import tuning, tuning_together
from bids_brainalign.workflow.front_matter import write_front_matter
from bids_brainalign.workflow.group import group_steps
from bids_brainalign.workflow.pages import participant_page_step
from bids_brainalign.workflow.probing import probe_models
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from bids_brainalign.workflow.tuning import tuning_step
from bids_brainalign.workflow.tuning_steps import tuned_space, tuning_steps
from bids_brainalign.workflow.tuning_together import require_together, together_step
from bids_brainalign.workflow.tuning_transfer import transfer_steps
from tests.workflow.people import N_PLANTED, SETTINGS, make_people, run, write_model

LABEL = "w2vTuned"
BOTH = replace(SETTINGS, variants=("tuned", "together"), transfer=True)
SHORT = replace(BOTH, epochs=1)
TEXT = {"tuned_on": str, "scored_on": str}


def read(path):
    return pd.read_csv(path, sep="\t", na_values="n/a", keep_default_na=False, dtype=TEXT)


def table(config, fit, kind, label=LABEL):
    return read(config.paths.output_dir / fit.name.file(f"{kind}.tsv", analysis=label))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two participants after a short run."""
    folder = tmp_path_factory.mktemp("pair")
    follows = {"01": 1, "02": 1}
    config, fits, spaces = make_people(folder, tuning=SHORT, n_stories=5, seconds=16,
                                       follows=follows)  # fmt: skip
    return run(config, fits, spaces), config, fits, spaces


def test_everything_is_done_and_a_second_run_has_nothing_to_do(pair):
    first, config, fits, spaces = pair
    # Features of models are made once for all who heard the same stories.
    assert {status for name, status in first.items() if not name.startswith("features")} == {
        "done"
    }
    assert set(run(config, fits, spaces).values()) == {"reused"}
    assert not list((config.paths.work_dir / "tuning").iterdir())


def test_one_model_of_two_participants_lies_in_the_group_folder(pair):
    _, config, fits, _ = pair
    folder = config.paths.output_dir / "group/models/desc-w2vTogether_ieeg"
    assert open_model(folder).n_layers == 3
    assert "(sub-01, sub-02)" in (folder / "README.md").read_text()
    facts = json.loads((folder / "tuning.json").read_text())
    assert facts["Participants"] == ["01", "02"]
    assert {story["participant"] for story in facts["Stories"]} == {"01", "02"}
    roles = [story["role"] for story in facts["Stories"]]
    assert [roles.count(role) for role in ("train", "validation", "test")] == [6, 2, 2]
    log = read(folder / "training_log.tsv")
    own = read(config.paths.output_dir / "sub-01/models"
               / f"{fits[0].name.stem}_desc-w2vTuned_ieeg/training_log.tsv")  # fmt: skip
    assert len(log) == 2 * len(own)  # an update per stretch and participant


def test_the_common_epoch_is_chosen_by_the_mean_over_participants(pair):
    """Epoch 0 is the original for all: its score is the mean of those of each alone."""
    _, config, fits, _ = pair
    out = config.paths.output_dir
    alone = [
        read(out / f"sub-{fit.participant}/models/{fit.name.stem}_desc-w2vTuned_ieeg/epochs.tsv")
        for fit in fits
    ]
    common = read(out / "group/models/desc-w2vTogether_ieeg/epochs.tsv")
    first = [one["r_validation"][0] for one in alone]
    assert first[0] != first[1]
    np.testing.assert_allclose(common["r_validation"][0], np.mean(first), atol=1e-5)


def test_the_common_model_is_held_against_the_original_and_the_tuned_one_against_it(pair):
    _, config, fits, _ = pair
    for fit in fits:
        found = table(config, fit, "tuning")
        assert list(dict.fromkeys(found["reference"])) == ["w2v", "w2v:together"]
        common = table(config, fit, "tuning", "w2vTogether")
        assert set(common["reference"]) == {"w2v"}
        np.testing.assert_allclose(
            common["r"], found.loc[found["reference"] == "w2v:together", "r_reference"], atol=1e-6
        )


def test_the_common_model_is_probed_once_and_shown_on_pages(pair):
    _, config, fits, spaces = pair
    out = config.paths.output_dir
    probed = replace(
        config, probes=Probes(kinds=("mfcc",), n_null=10, n_bootstrap=20),
        control=replace(config.control, steps=("features",)),
    )  # fmt: skip
    before = participant_page_step(config, "01").inputs
    units = probe_models(probed, fits, spaces, "run")
    assert {unit.status for unit in units} <= {"done", "reused"}
    assert {path.name for path in out.glob("group/*w2vT*_probes.tsv")} == {
        "desc-w2vTogetherIeeg_probes.tsv", "desc-w2vTunedSub01_probes.tsv",
        "desc-w2vTunedSub02_probes.tsv",
    }  # fmt: skip
    assert [unit.name for unit in units if "together" in unit.name and "change" in unit.name] == [
        "probe changes w2v:together:ieeg w2v"
    ]
    about = {"Name": "pair", "BIDSVersion": "1.9.0"}
    (config.paths.bids_dir / "dataset_description.json").write_text(json.dumps(about))
    write_front_matter(probed, fits, spaces)
    described = set(read(out / "descriptions.tsv")["desc_id"])
    made = [path.name.rpartition("_")[0] for path in out.glob("group/desc-w2vT*.tsv")]
    assert set(made) <= described
    assert not any(re.search(r"Together(Sub|AndW)", label) for label in described)
    participant_page_step(config, "02").work()
    page, figures = (out / "sub-02.html").read_text(), out / "sub-02/figures"
    assert "This model was tuned on sub-01, sub-02 in turn" in page
    assert "MFCCs are read from the layers of tuned, original, together." in page
    for kind in ("epochs", "gradients", "mfcc"):
        assert list(figures.glob(f"{fits[1].name.stem}_desc-w2vTogether_{kind}.*"))
    after = participant_page_step(config, "01").inputs
    assert before["shared"] != after["shared"]
    # What the page shows of the group's folder makes it anew.
    epochs = out / "group/models/desc-w2vTogether_ieeg/epochs.tsv"
    kept = epochs.read_bytes()
    try:
        epochs.write_text("epoch\tr_validation\tchosen\n")
        assert participant_page_step(config, "01").inputs["shared"] != after["shared"]
    finally:
        epochs.write_bytes(kept)


def test_a_common_model_is_not_scored_where_its_training_failed(pair):
    """That of an earlier run lies there still."""
    first, config, fits, spaces = pair
    trained = {name for name in first if name.startswith("tuning group")}
    assert trained
    for before in (trained, set()):
        succeeded, steps = set(before), []
        for step in tuning_steps(config, fits[0], spaces, succeeded):
            steps.append(step)
            succeeded.add(step.name)
        (against,) = [s for s in steps if s.name.endswith("w2v:tuned") and "compared" in s.inputs]
        names = [name for name, _ in against.inputs["compared"]]
        assert names == ["w2v:tuned", "w2v", *(["w2v:together"] if before else [])]
        assert any("w2v:together" in step.name for step in steps) == bool(before)


def test_transfer_scores_the_models_of_others_like_the_own_one(pair):
    _, config, fits, _ = pair
    for fit, other in (fits, fits[::-1]):
        found, own = table(config, fit, "transfer"), table(config, fit, "tuning")
        original = found[found["reference"] == "w2v"]
        mine = original[original["tuned_on"] == fit.participant]
        alone = own[own["reference"] == "w2v"]
        # Drawn blocks and shifts are the same, so intervals and p are, too.
        for column in ("r", "r_reference", "delta_r", "ci_low", "p", "q_fdr"):
            np.testing.assert_allclose(mine[column], alone[column], atol=2e-6)
        theirs = original[original["tuned_on"] == other.participant]
        against = found[found["reference"] == "w2v:tuned"]
        assert set(against["tuned_on"]) == {other.participant}
        np.testing.assert_allclose(theirs["r_reference"], mine["r_reference"])
        np.testing.assert_allclose(against["r_reference"], mine["r"])
        np.testing.assert_allclose(against["r"], theirs["r"])
        assert found["reason"].isna().all()


def test_a_model_transfers_to_those_whose_brains_follow_it_and_to_no_others(pair):
    """In the place of the model tuned on 02: the one that responses of 01 follow, and another."""
    _, config, fits, spaces = pair
    weights = (
        config.paths.output_dir / "sub-02/models" / f"{fits[1].name.stem}_desc-w2vTuned_ieeg"
        / "model.safetensors"
    )  # fmt: skip
    folder = config.paths.output_dir.parent
    write_model(folder / "changed2", change=1.0, which=2)
    kept, gain = weights.read_bytes(), {}
    try:
        for which in (1, 2):
            weights.write_bytes((folder / f"changed{which}/model.safetensors").read_bytes())
            done: set[str] = set()
            for step in transfer_steps(config, fits[0], spaces, done):
                step.work()
                done.add(step.name)
            found = table(config, fits[0], "transfer")
            assert set(found["reference"]) == {"w2v"}  # the own model was not among what is done
            gain[which] = found["delta_r"].to_numpy()
    finally:
        weights.write_bytes(kept)
        run(config, fits, spaces)  # puts back what the other tests look at
    assert gain[1][:N_PLANTED].mean() > 0.02
    assert gain[2][:N_PLANTED].mean() < 0
    assert np.abs(gain[1][N_PLANTED:]).max() < 0.1


def test_a_participant_alone_is_scored_with_what_lies_in_the_output(pair):
    first, config, fits, spaces = pair
    alone = replace(config, tuning=replace(SHORT, variants=("tuned",)))
    name = next(name for name in first if name.startswith("transfer sub-02"))
    assert run(alone, fits[1:], spaces)[name] == "reused"


def test_models_that_met_the_test_story_are_left_out_with_the_reason(pair):
    _, config, fits, spaces = pair
    trained = [
        story["name"]
        for story in json.loads(
            (config.paths.output_dir / "sub-01/models"
             / f"{fits[0].name.stem}_desc-w2vTuned_ieeg/tuning.json").read_text()
        )["Stories"]
        if story["role"] == "train"
    ]  # fmt: skip
    for changed, reason in (
        ({"test_stories": (trained[0],)}, f"trained on {trained[0]}, which is scored here"),
        ({"epochs": 2}, "tuned with other settings: epochs"),
    ):
        other = replace(config, tuning=replace(SHORT, **changed))
        (step,) = transfer_steps(other, fits[1], spaces, ())
        path = step.work()[0]
        found = read(path)
        try:
            assert set(found["tuned_on"]) == {"01"}
            assert found["reason"].str.endswith(reason).all()
            assert found[["r", "delta_r", "p", "q_fdr"]].isna().all(axis=None)
        finally:
            run(config, fits, spaces)  # puts back what the other tests look at


def test_the_group_has_gains_transfer_and_a_page(pair):
    _, config, fits, _ = pair
    steps, _ = group_steps(config)
    cache = StepCache(
        config.paths.work_dir, roots=(config.paths.output_dir, config.paths.work_dir)
    )
    for step in steps:
        cache.run(step)
    group = config.paths.output_dir / "group"
    gains = read(group / f"desc-{LABEL}_tuning.tsv")
    own = [table(config, fit, "tuning") for fit in fits]
    for reference in ("w2v", "w2v:together"):
        row = gains[(gains["reference"] == reference) & (gains["region"] == "all")].iloc[0]
        means = [t.loc[t["reference"] == reference, "delta_r"].mean() for t in own]
        np.testing.assert_allclose(row["delta_r"], np.mean(means), atol=1e-6)
        assert row["n_participants"] == 2
    cells = read(group / f"desc-{LABEL}_transfer.tsv")
    cells = cells[(cells["kind"] == "cell") & (cells["region"] == "all")]
    for fit in fits:
        found = table(config, fit, "transfer")
        for tuned_on, part in found[found["reference"] == "w2v"].groupby("tuned_on"):
            row = cells[(cells["tuned_on"] == tuned_on) & (cells["scored_on"] == fit.participant)]
            np.testing.assert_allclose(row["delta_r"], part["delta_r"].mean(), atol=1e-6)
    page = (config.paths.output_dir / "group.html").read_text()
    assert "Did tuning help? w2v:tuned" in page
    assert "Transfer between participants: w2v:tuned" in page


def test_pages_show_transfer_and_regions_tuned_on(pair):
    """Tables of a second model, as ``--compare targets=left`` would have written them."""
    _, config, fits, _ = pair
    made, out = [], config.paths.output_dir
    try:
        for fit in fits:
            path = out / fit.name.file("tuning.tsv", analysis=LABEL)
            for one in (path, path.with_suffix(".json")):
                text = one.read_text().replace("w2v:tuned\t", "w2v:tuned:targets=left\t")
                made.append(one.with_name(one.name.replace(LABEL, "w2vTunedTargetsLeft")))
                made[-1].write_text(text)
        participant_page_step(config, "01").work()
        for step in group_steps(config)[0]:
            step.work()
    finally:
        for path in (*made, *out.glob("group/desc-w2vTunedTargetsLeft_tuning.*")):
            path.unlink()
    page, group = (out / "sub-01.html").read_text(), (out / "group.html").read_text()
    assert "Models that were tuned on others" in page
    assert "sub-01 (this participant)" in page
    for text in (page, group):
        _, section = text.split("Tuned on one region, scored in another", 1)
        table = section.split("</table>")[0]
        assert ">whole<" in table
        assert ">left<" in table


def test_one_participant_is_not_together(pair):
    _, config, fits, _ = pair
    require_together(config, fits)
    with pytest.raises(BrainAlignError, match="together needs two participants") as caught:
        require_together(config, fits[:1])
    assert caught.value.exit_code == ExitCode.USAGE
    require_together(replace(config, tuning=SETTINGS), fits[:1])


def test_participants_with_other_stories_must_share_their_roles(pair):
    _, config, fits, spaces = pair
    fewer = replace(fits[1], recordings=fits[1].recordings[:4],
                    presentations=fits[1].presentations[:4])  # fmt: skip
    variant = next(v for v in variants_of(config.tuning) if v.kind == "together")
    space = tuned_space(config, spaces)
    with pytest.raises(BrainAlignError, match="can't be tuned on together"):
        together_step(config, [fits[0], fewer], space, spaces, variant).work()


def test_the_common_training_sees_what_each_training_alone_sees(pair, monkeypatch):
    """Audio, delays and responses of every batch, of one participant or the other."""
    _, config, fits, spaces = pair
    variants = {v.name: v for v in variants_of(config.tuning)}
    space, seen = tuned_space(config, spaces), []

    def stop(config, backbone, batches, *, n_targets):
        for index in range(len(batches)):
            one = batches.batch(0, index)
            tensors = (one.clips, one.n_valid, one.delays, one.responses)
            seen.append(sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest())
        raise KeyboardInterrupt

    steps = [tuning_step(config, fit, space, spaces, variants["tuned"]) for fit in fits]
    steps.append(together_step(config, fits, space, spaces, variants["together"]))
    monkeypatch.setattr(tuning, "response_task", stop)
    monkeypatch.setattr(tuning_together, "response_task", stop)
    for step in steps:
        with pytest.raises(KeyboardInterrupt):
            step.work()
    half = len(seen) // 2
    assert half > 2
    assert sorted(seen[:half]) == sorted(seen[half:])


def test_participants_recorded_on_other_clocks_are_not_tuned_on_together(pair):
    """Every second sample of the second one: the common readout would follow neither."""
    _, config, fits, spaces = pair
    variant = next(v for v in variants_of(config.tuning) if v.kind == "together")
    paths = [response_path(config, fits[1], recording) for recording in fits[1].recordings]
    whole = [load_response(path) for path in paths]
    try:
        for path, one in zip(paths, whole, strict=True):
            half = slice(None, None, 2)
            data, times, left_out = np.asarray(one.data)[half], one.times[half], one.censored[half]
            save_response(path, replace(one, data=data, times=times, censored=left_out))
        with pytest.raises(BrainAlignError, match=r"every 0\.04 s and every 0\.02 s") as caught:
            together_step(config, fits, tuned_space(config, spaces), spaces, variant).work()
    finally:
        for path, one in zip(paths, whole, strict=True):
            save_response(path, one)
    assert "--participant-label" in caught.value.fix


def test_an_interrupted_common_training_ends_as_it_would_have(pair, monkeypatch):
    """Killed in the middle of an epoch, then started again: same losses, scores and weights."""
    _, config, fits, spaces = pair
    variant = next(v for v in variants_of(config.tuning) if v.kind == "together")
    variant = replace(variant, settings=replace(variant.settings, checkpoint_updates=5))
    space = tuned_space(config, spaces)
    folder = config.paths.output_dir / "group/models/desc-w2vTogether_ieeg"
    files = ("model.safetensors", "training_log.tsv", "epochs.tsv", "tuning.json", "README.md")
    whole = {name: (folder / name).read_bytes() for name in files}
    append, seen = TrainingLog.append, []

    def killed(self, row):
        seen.append(row.update)
        if len(seen) == 13:
            raise KeyboardInterrupt
        append(self, row)

    monkeypatch.setattr(TrainingLog, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        together_step(config, fits, space, spaces, variant).work()
    together_step(config, fits, space, spaces, variant).work()
    assert seen[:16] == [*range(1, 14), 11, 12, 13]  # from the checkpoint after update 10
    assert {name: (folder / name).read_bytes() for name in files} == whole


@pytest.mark.slow
def test_what_is_learnt_from_one_brain_helps_others_that_follow_the_same(tmp_path):
    """Responses of 01 and 02 follow one changed model, those of 03 another.

    Found when this was written: own models gain .011 and .011, those of each other .013 and .009,
    that of 03 loses .011 and .010; the one tuned on both gains .018 and .018.
    """
    config, fits, spaces = make_people(tmp_path, tuning=BOTH)
    # One model for the two that are alike; 03 comes alone, as a job of its own.
    done = run(config, fits[:2], spaces)
    alone = replace(config, tuning=replace(BOTH, variants=("tuned",)))
    done |= run(alone, fits[2:], spaces)
    done |= run(alone, fits[:2], spaces)
    assert not {name: status for name, status in done.items() if status.startswith("failed")}
    gain = {}
    for fit in fits:
        found = planted(table(config, fit, "transfer"))
        for tuned_on, part in found[found["reference"] == "w2v"].groupby("tuned_on"):
            gain[tuned_on, fit.participant] = float(part["delta_r"].mean())
    assert len(gain) == 9
    assert min(gain["01", "02"], gain["02", "01"]) > 0.005
    assert max(gain["03", "01"], gain["03", "02"], gain["01", "03"], gain["02", "03"]) < 0
    together = [
        planted(table(config, fit, "tuning", "w2vTogether"))["delta_r"].mean() for fit in fits[:2]
    ]
    assert np.mean(together) >= np.mean([gain["01", "01"], gain["02", "02"]])


@pytest.mark.slow
def test_nothing_is_found_where_responses_follow_no_model(tmp_path):
    config, fits, spaces = make_people(
        tmp_path, tuning=BOTH, follows={"01": 1, "02": 1}, noise=1000.0
    )
    run(config, fits, spaces)
    for fit in fits:
        tables = [table(config, fit, "transfer"), table(config, fit, "tuning", "w2vTogether")]
        for found in tables:
            assert (found["q_fdr"] > 0.05).all()
            assert found["delta_r"].abs().mean() < 0.05


def planted(found):
    """Rows of targets that follow a model."""
    return found[found["target"].isin([f"E{k:02d}" for k in range(N_PLANTED)])]
