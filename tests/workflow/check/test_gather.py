"""What a check finds, on small trees and on the real ones."""

import json
from collections import Counter
from pathlib import Path

import pytest

from bids_brainalign.config.schema import Config, Paths, Selection
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.check.facts import folds_of
from bids_brainalign.workflow.check.gather import check
from tests.dataset.real_trees import pointer, real_tree
from tests.dataset.trees import EVENTS, dataset, fmriprep, ieeg_run, write, write_wav


def look(root: Path, *, stimuli_map=None, derivatives=(), database=None, **selection):
    paths = Paths(
        root, root / "out", root / "work", derivatives=derivatives, stimuli_map=stimuli_map,
        bids_database_dir=database,
    )  # fmt: skip
    return check(Config("participant", paths, selection=Selection(**selection)))


def raw_bold(root, sub, task, events=EVENTS):
    func = root / f"sub-{sub}" / "func"
    write(func / f"sub-{sub}_task-{task}_events.tsv", events)
    return write(func / f"sub-{sub}_task-{task}_bold.nii.gz", "x")


def everything(root):
    return {(p, p.lstat().st_mtime_ns) for p in root.rglob("*")}


def test_a_good_recording_is_ready_and_nothing_is_written(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS)
    write_wav(root / "stimuli/story.wav", 4.0)
    before = everything(tmp_path)
    facts = look(root)
    assert everything(tmp_path) == before
    assert [run.recording.name for run in facts.ready] == ["sub-01_task-a"]
    assert facts.exit_code == ExitCode.OK
    assert facts.runs[0].n_channels == 1


def test_one_recording_of_many_is_enough_for_exit_code_0(tmp_path):
    root = dataset(tmp_path)
    for sub in ("01", "02"):
        ieeg_run(root, sub, "a", events=EVENTS)
    (root / "sub-02/ieeg/sub-02_task-a_channels.tsv").unlink()
    write_wav(root / "stimuli/story.wav", 4.0)
    facts = look(root)
    assert [run.recording.participant for run in facts.ready] == ["01"]
    assert facts.exit_code == ExitCode.OK
    assert "no channels.tsv" in facts.runs[1].problems[0]


def test_wrong_files_alone_are_a_data_error(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS)
    write(root / "sub-01/ieeg/sub-01_task-a_channels.tsv", "name\tunits\nG1\tuV\n")
    write_wav(root / "stimuli/story.wav", 4.0)
    assert look(root).exit_code == ExitCode.DATA_ERROR


@pytest.mark.parametrize("what", ["recording", "audio", "words", "events"])
def test_a_pointer_anywhere_is_told_with_its_rule(tmp_path, what):
    root = dataset(tmp_path)
    recording = ieeg_run(root, "01", "a", events=EVENTS)
    audio = write_wav(root / "stimuli/story.wav", 4.0)
    events = recording.with_name("sub-01_task-a_events.tsv")
    words = root / "stimuli/story_words.tsv"
    path = {"recording": recording, "audio": audio, "words": words, "events": events}[what]
    path.unlink(missing_ok=True)
    pointer(path, root)
    facts = look(root)
    assert facts.pointers == (path,)
    assert facts.ready == ()
    assert facts.exit_code == ExitCode.MISSING_INPUT
    if what != "events":
        assert facts.runs[0].heard[0].rule == "events stim_file"


def test_raw_fmri_is_matched_although_it_can_not_run_yet(tmp_path):
    root = dataset(tmp_path)
    for task in ("a", "b"):
        raw_bold(root, "01", task)
    fmriprep(root, "01", "a")
    write_wav(root / "stimuli/story.wav", 4.0)
    facts = look(root)
    states = {run.recording.task: (run.prepared, run.heard[0].path.name) for run in facts.runs}
    assert states == {"a": (True, "story.wav"), "b": (False, "story.wav")}
    assert len(facts.ready) == 1
    assert len(facts.able) == 2


def test_missing_and_unreadable_sounds_stand_in_the_way(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS)
    assert "story.wav" in look(root).sounds[0].problem
    write(root / "stimuli/story.wav", "no audio")
    facts = look(root)
    assert "can't be read as audio" in facts.sounds[0].problem
    assert facts.able == ()


def test_copies_are_known_by_their_annex_key_and_by_their_bytes(tmp_path):
    root = dataset(tmp_path)
    names = ("one", "two", "three", "four")
    for name in names:
        ieeg_run(root, "01", name, events=EVENTS.replace("story", name))
    pointer(root / "stimuli/one.wav", root, content="same")
    pointer(root / "stimuli/two.wav", root, content="same")
    write_wav(root / "stimuli/three.wav", 4.0, seed=1)
    write_wav(root / "stimuli/four.wav", 4.0, seed=1)
    groups = {s.path.stem: s.group for s in look(root).sounds}
    assert groups["one"] == groups["two"] != groups["three"] == groups["four"]


def test_transcripts_join_even_while_the_audio_is_not_here(tmp_path):
    root = dataset(tmp_path)
    words = [f"w{i}" for i in range(100)]
    for name, text in (("tale", words), ("elat", words[50:] + words[:50])):
        ieeg_run(root, "01", name, events=EVENTS.replace("story", name))
        pointer(root / f"stimuli/{name}.wav", root)
        lines = "".join(f"{i}\t.1\t{word}\n" for i, word in enumerate(text))
        write(root / f"stimuli/{name}_words.tsv", "onset\tduration\tword\n" + lines)
    facts = look(root)
    assert len({s.group for s in facts.sounds}) == 1
    assert "share" in facts.notes[0]


def test_the_map_counts(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    write_wav(root / "stimuli/one.wav", 4.0)
    write_wav(root / "stimuli/two.wav", 4.0, seed=1)
    table = write(tmp_path / "m.tsv", "task\tstim_file\tonset\tcontent_group\na\ttwo.wav\t3\tg\n")
    facts = look(root, stimuli_map=table)
    assert (facts.runs[0].heard[0].rule, facts.sounds[0].group) == ("stimuli map", "g")


def test_errors_that_stop_a_run_stop_a_check(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    with pytest.raises(BrainAlignError) as caught:
        look(root, tasks=("b",))
    assert caught.value.exit_code == ExitCode.NOTHING_SELECTED
    (root / "dataset_description.json").unlink()
    with pytest.raises(BrainAlignError) as caught:
        look(root)
    assert caught.value.exit_code == ExitCode.INVALID_INPUT
    with pytest.raises(BrainAlignError) as caught:
        look(tmp_path / "absent")
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


@pytest.mark.shared
def test_narratives(shared, tmp_path):
    root = real_tree(shared, "ds002345", tmp_path / "ds002345")
    facts = look(root)
    listed = (shared / "data/ds002345/FILES.txt").read_text().split()
    assert len(facts.runs) == sum(name.endswith("_bold.nii.gz") for name in listed) == 873
    assert {h.rule for run in facts.runs for h in run.heard} == {"events stim_file"}
    pieman = [r for r in facts.runs if r.recording.name.startswith("sub-001_task-pieman")]
    assert [r.recording.run for r in pieman] == ["1", "2"]
    assert {h.path.name for r in pieman for h in r.heard} == {"pieman_audio.wav"}
    # Rows of music and of the story are of one wav.
    assert [row.onset_s for row in pieman[0].heard[0].rows] == [0.0, 15.0]
    groups = {s.path.stem: s.group for s in facts.sounds}
    scrambled = [n for n in groups if n.startswith("notthefall")]
    assert len(scrambled) == 3
    assert len({groups[n] for n in scrambled}) == 1
    assert groups["pieman_audio"] != groups["tunnel_audio"]
    assert facts.exit_code == ExitCode.MISSING_INPUT
    assert all(s.pointer for s in facts.sounds)
    # One participant heard only the story and its scrambled twin: no folds can part them.
    assert len(set(folds_of(facts)["329", "", "fmri"])) < len(folds_of(facts)["329", "", "fmri"])


@pytest.mark.shared
def test_lebel(shared, tmp_path):
    root = real_tree(shared, "ds003020", tmp_path / "ds003020")
    facts = look(root, database=tmp_path / "db")
    rules = Counter(h.rule for run in facts.runs for h in run.heard)
    assert rules == {"task name, onset by the code published with the data": 440}
    assert len(facts.runs) == len(facts.able) == 440
    assert {h.rows[0].onset_s for run in facts.runs for h in run.heard} == {10.0}
    assert {run.recording.metadata["RepetitionTime"] for run in facts.runs} == {2}
    assert not any(run.problems for run in facts.runs)
    # Localizers, and one auditory localizer that is called like a sound.
    left_out = {name.split("_task-")[1].split("_")[0] for name, _ in facts.survey.skipped}
    assert all("Localizer" in task for task in left_out)
    assert (len(facts.sounds), facts.n_audio) == (84, 85)
    assert facts.responses == (str(root / "derivative/preprocessed_data"), 440, 9)
    assert sum(path.suffix == ".hf5" for path in facts.pointers) == 440
    assert sum(path.suffix == ".TextGrid" for path in facts.pointers) == 84
    again = look(root, database=tmp_path / "db")
    assert again.runs == facts.runs


@pytest.mark.shared
def test_podcast(shared, tmp_path):
    root = real_tree(shared, "ds005574", tmp_path / "ds005574")
    facts = look(root)
    assert len(facts.runs) == 9
    assert {h.onset_assumed for run in facts.runs for h in run.heard} == {True}
    # The number of good, localised electrodes of the dataset's paper.
    assert sum(run.n_channels or 0 for run in facts.runs) == 1268
    assert {run.recording.space for run in facts.runs} == {"MNI152NLin2009aSym"}
    assert len(facts.sounds[0].words.table) == 5136
    assert [p.suffix for p in facts.pointers] == [".wav"] + [".edf"] * 9


@pytest.mark.shared
def test_podcast_under_another_task_label_is_matched_by_length(shared, tmp_path):
    """Rule 5: nothing names the sound, but it is the only one and as long as the recording."""
    root = real_tree(shared, "ds005574", tmp_path / "ds005574")
    (root / "stimuli/podcast.wav").unlink()
    write_wav(root / "stimuli/monkey.wav", 1800.0, rate=1000)
    facts = look(root)
    durations = json.loads((root / "sub-02/ieeg/sub-02_task-podcast_ieeg.json").read_text())
    assert durations["RecordingDuration"] == 1799.998046875
    assert {h.rule for run in facts.runs for h in run.heard} == {"assumed onset 0"}
