import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.dataset.stimuli import find_presentations
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import EVENTS, dataset, ieeg_run, write, write_wav

WORDS = "onset\tduration\tword\n0.5\t0.1\thi\n"


@pytest.fixture
def root(tmp_path):
    root = dataset(tmp_path / "data")
    for sub in ("01", "02"):
        ieeg_run(root, sub, "a", run="01")
    write_wav(root / "stimuli/one.wav", 1.0, seed=1)
    write_wav(root / "stimuli/sub folder/two.wav", 2.0, seed=2)
    return root


def present(root, text=None):
    table = write(root.parent / "map.tsv", text) if text is not None else None
    index = find_recordings(root, derivatives=(), selection=Selection(), modalities=("ieeg",))
    return find_presentations(index.recordings, bids_dir=root, stimuli_map=table)


def heard(root, text):
    return sorted(
        (p.recording.participant, p.stimulus.name, p.onset_s)
        for p in present(root, text).presentations
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stim_file\none.wav\n", [("01", "one", 0.0), ("02", "one", 0.0)]),
        ("sub\tstim_file\tonset\n01\tone.wav\t1.5\n", [("01", "one", 1.5)]),
        ("sub\trun\tstim_file\nsub-02\trun-1\tone.wav\n", [("02", "one", 0.0)]),
        (
            "sub\tstim_file\nn/a\tone.wav\n02\tstimuli/sub folder/two.wav\n",
            [("01", "one", 0.0), ("02", "one", 0.0), ("02", "two", 0.0)],
        ),
        (
            "recording\tstim_file\tonset\nsub-01_task-a_run-01\tone.wav\t2\n"
            "sub-01_task-a_run-01\tone.wav\t9\nsub-01_task-a_run-01\tone.wav\t9\n",
            [("01", "one", 2.0), ("01", "one", 9.0)],
        ),
        ("recording\tstim_file\nsub-02_task-a_run-01_ieeg.edf\tone.wav\n", [("02", "one", 0.0)]),
    ],
)
def test_rows_fit_recordings_by_any_entities(root, text, expected):
    assert heard(root, text) == expected


def test_what_it_says_about_a_stimulus_holds_for_events_too(root):
    events = EVENTS.replace("story", "one")
    write(root / "sub-01/ieeg/sub-01_task-a_run-01_events.tsv", events)
    write(root.parent / "words.tsv", WORDS)
    found = present(
        root,
        "task\tstim_file\tonset\ttranscript\tcontent_group\tlanguage\n"
        "a\tone.wav\t7\twords.tsv\ttale\tfr\n",
    )
    by_events, by_map = found.presentations
    assert (by_events.rule, by_events.onset_s) == ("events stim_file", 2.5)
    assert (by_map.rule, by_map.onset_s) == ("stimuli map", 7.0)
    for presentation in found.presentations:
        assert presentation.content_group == "tale"
        assert presentation.stimulus.language == "fr"
        assert presentation.stimulus.words.path == root.parent / "words.tsv"
    assert any("events.tsv names the stimulus" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("taks\tstim_file\na\tone.wav\n", 65, "unknown column 'taks'(.|\n)*rename it task"),
        ("task\tstim_file\n", 65, "has only a header"),
        ("task\tstim_file\na\tn/a\n", 65, "line 2: stim_file is 'n/a'"),
        ("task\tstim_file\na\tone.mov\n", 65, "line 2: stim_file is 'one.mov'"),
        ("stim_file\tonset\none.wav\tinf\n", 65, "line 2: onset is 'inf'"),
        ("stim_file\n../../one.wav\n", 65, "lies outside the dataset"),
        ("stim_file\ttranscript\none.wav\t/etc/passwd\n", 65, "lies outside the dataset"),
        ("stim_file\tlanguage\none.wav\ten\none.wav\tde\n", 65, "gives one.wav 2 languages"),
        ("stim_file\ttranscript\none.wav\tgone.tsv\n", 66, "gone.tsv does not exist"),
        ("stim_file\nonne.wav\n", 66, "did you mean one.wav"),
        ("task\tstim_file\nb\tone.wav\n", 66, "map.tsv has no row that fits it"),
    ],
)
def test_maps_that_cannot_be_followed(root, text, code, message):
    with pytest.raises(BrainAlignError, match=message) as caught:
        present(root, text)
    assert caught.value.exit_code == code


def test_an_absent_map_is_missing_input(root):
    index = find_recordings(root, derivatives=(), selection=Selection(), modalities=("ieeg",))
    with pytest.raises(BrainAlignError, match="does not exist") as caught:
        find_presentations(index.recordings, bids_dir=root, stimuli_map=root.parent / "gone.tsv")
    assert caught.value.exit_code == 66


def test_all_missing_stimuli_are_named_at_once(root):
    with pytest.raises(BrainAlignError) as caught:
        present(root, "sub\tstim_file\n01\tx.wav\n02\ty.wav\n")
    assert "stimuli/x.wav of sub-01_task-a_run-01 is missing" in str(caught.value)
    assert "stimuli/y.wav of sub-02_task-a_run-01 is missing" in str(caught.value)


def test_two_stimuli_of_one_name_are_refused(root):
    write_wav(root / "stimuli/other/one.wav", 1.0)
    with pytest.raises(BrainAlignError, match="two stimuli are called one") as caught:
        present(root, "sub\tstim_file\n01\tone.wav\n02\tother/one.wav\n")
    assert caught.value.exit_code == 65


def test_words_of_another_clock_are_said(root):
    write(root / "stimuli/one_words.tsv", WORDS + "50\t0.1\tlate\nn/a\tn/a\tum\n")
    notes = " ".join(present(root, "stim_file\none.wav\n").notes)
    assert "1 words of one_words.tsv begin after the end of one.wav" in notes
    assert "1 of the 3 words of one_words.tsv have no time" in notes


def test_a_stimuli_folder_that_is_a_link_out_of_the_dataset_is_refused(root):
    (root / "stimuli").rename(root.parent / "elsewhere")
    (root / "stimuli").symlink_to(root.parent / "elsewhere")
    with pytest.raises(BrainAlignError, match="lies outside the dataset"):
        present(root, "stim_file\none.wav\n")


def test_links_that_only_look_like_git_annex_are_refused(root):
    secret = write_wav(root.parent / "secret.wav", 1.0)
    (root / ".git/annex/objects").mkdir(parents=True)
    (root / "stimuli/s.wav").symlink_to("../.git/annex/objects/../../../../" + secret.name)
    with pytest.raises(BrainAlignError, match="lies outside the dataset"):
        present(root, "stim_file\ns.wav\n")
