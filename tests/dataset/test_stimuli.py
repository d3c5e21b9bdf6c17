import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.dataset.stimuli import find_presentations
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.trees import EVENTS, dataset, ieeg_run, write, write_wav

HEADER = "onset\tduration\ttrial_type\tstim_file\n"


def present(root, *, stimuli_map=None):
    index = find_recordings(
        root, derivatives=(), selection=Selection(), modalities=("ieeg", "fmri")
    )
    return find_presentations(index.recordings, bids_dir=root, stimuli_map=stimuli_map)


def test_stim_file_gives_stimulus_onset_and_words(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS)
    write_wav(root / "stimuli/story.wav", 4.0)
    write(root / "stimuli/story_words.tsv", "onset\tduration\tword\n1.0\t.2\tb\n0.5\t.2\ta\n")
    (p,) = present(root).presentations
    assert (p.onset_s, p.rule, p.stimulus.duration_s) == (2.5, "events stim_file", 4.0)
    assert p.stimulus.words.table["label"].tolist() == ["a", "b"]


def test_leading_stimuli_folder_is_tolerated(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS.replace("story.wav", "stimuli/story.wav"))
    write_wav(root / "stimuli/story.wav", 4.0)
    assert present(root).presentations[0].stimulus.name == "story"


def test_rows_of_one_wav_are_segments_of_one_presentation(tmp_path):
    """Narratives: music from 0 to 13 s and story from 15 s of the same wav."""
    root = dataset(tmp_path)
    rows = "0.0\t13.0\tmusic\tpie.wav\n15.0\t422.0\tstory\tpie.wav\n"
    ieeg_run(root, "01", "pieman", events=HEADER + rows)
    write_wav(root / "stimuli/pie.wav", 450, rate=1000)
    (p,) = present(root).presentations
    assert p.onset_s == 0.0
    assert p.segments == ((0.0, 13.0), (15.0, 437.0))


def test_rows_that_outlast_the_audio_are_repeats(tmp_path):
    root = dataset(tmp_path)
    rows = "1.0\t4.0\tstory\ts.wav\n20.0\t4.0\tstory\ts.wav\n"
    ieeg_run(root, "01", "a", events=HEADER + rows)
    write_wav(root / "stimuli/s.wav", 4.0)
    found = present(root).presentations
    assert [p.onset_s for p in found] == [1.0, 20.0]
    assert len({p.content_group for p in found}) == 1


def test_the_map_serves_recordings_without_events(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "podcast")
    ieeg_run(root, "02", "other")
    write_wav(root / "stimuli/podcast.wav", 4.0)
    write(root / "stimuli/t.tsv", "word\tstart\tend\nHi\t1.5\t1.8\nyou\t0.2\t0.4\n")
    table = write(
        tmp_path / "map.tsv",
        "task\tstim_file\tonset\ttranscript\tcontent_group\n"
        "podcast\tpodcast.wav\t0.5\tstimuli/t.tsv\tmonkey\n",
    )
    found = present(root, stimuli_map=table)
    (p,) = found.presentations
    assert (p.onset_s, p.rule, p.content_group) == (0.5, "stimuli map", "monkey")
    assert p.stimulus.words.table["onset"].tolist() == [0.2, 1.5]
    assert found.skipped[0][0] == "sub-02_task-other"
    assert "map.tsv has no row" in found.skipped[0][1]


def test_events_come_before_the_map(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS)
    write_wav(root / "stimuli/story.wav", 4.0)
    table = write(tmp_path / "m.tsv", "task\tstim_file\tonset\na\tstory.wav\t9\n")
    assert present(root, stimuli_map=table).presentations[0].onset_s == 2.5


def test_same_audio_under_two_names_is_one_content_group(tmp_path):
    root = dataset(tmp_path)
    for task, seed in (("a", 1), ("b", 1), ("c", 2)):
        ieeg_run(root, "01", task, events=EVENTS.replace("story", task))
        write_wav(root / f"stimuli/{task}.wav", 4.0, seed=seed)
    found = present(root)
    groups = {p.stimulus.name: p.content_group for p in found.presentations}
    assert groups["a"] == groups["b"] != groups["c"]
    assert "have the same audio" in found.notes[0]


def test_shared_text_is_one_content_group(tmp_path):
    root = dataset(tmp_path)
    words = [f"w{i}" for i in range(100)]
    scrambled = words[50:] + words[:50]
    for task, text in (("a", words), ("b", scrambled), ("c", [f"x{i}" for i in range(100)])):
        ieeg_run(root, "01", task, events=EVENTS.replace("story", task))
        write_wav(root / f"stimuli/{task}.wav", 4.0, seed=ord(task))
        lines = "".join(f"{i / 30}\t.01\t{word}\n" for i, word in enumerate(text))
        write(root / f"stimuli/{task}_words.tsv", "onset\tduration\tword\n" + lines)
    found = present(root)
    groups = {p.stimulus.name: p.content_group for p in found.presentations}
    assert groups["a"] == groups["b"] != groups["c"]
    assert "share" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("../secret.wav", 65, "lies outside the dataset's stimuli folder"),
        ("/etc/secret.wav", 65, "lies outside the dataset's stimuli folder"),
        ("absent.wav", 66, "stimuli/ holds story.wav"),
    ],
)
def test_bad_stimulus_names(tmp_path, name, code, message):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS.replace("story.wav", name))
    write_wav(root / "stimuli/story.wav", 4.0)
    with pytest.raises(BrainAlignError, match=message) as caught:
        present(root)
    assert caught.value.exit_code == code


def test_link_that_leaves_the_dataset_is_refused(tmp_path):
    root = dataset(tmp_path / "data")
    ieeg_run(root, "01", "a", events=EVENTS)
    outside = write_wav(tmp_path / "outside.wav", 4.0)
    (root / "stimuli").mkdir()
    (root / "stimuli/story.wav").symlink_to(outside)
    with pytest.raises(BrainAlignError, match="lies outside"):
        present(root)


def test_pointer_says_which_command_gets_it(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS)
    (root / "stimuli").mkdir()
    target = "../.git/annex/objects/aa/bb/SHA256E-s5--ff.wav"
    (root / "stimuli/story.wav").symlink_to(target)
    with pytest.raises(BrainAlignError) as caught:
        present(root)
    assert str(caught.value) == (
        "stimuli/story.wav is not downloaded (DataLad pointer). Run: datalad get stimuli/story.wav"
    )
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_unreadable_audio_is_a_data_error(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS)
    write(root / "stimuli/story.wav", "this is no sound")
    with pytest.raises(BrainAlignError, match="can't be read as audio") as caught:
        present(root)
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_no_stimulus_anywhere_shows_an_example_map(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "podcast")
    with pytest.raises(BrainAlignError, match="no recording has a stimulus") as caught:
        present(root)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert "no events.tsv" in str(caught.value)
    assert "--stimuli-map" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task\tonset\na\t0\n", "needs a column stim_file"),
        ("task\tstim_file\tonset\na\tstory.wav\tsoon\n", "not a number of seconds"),
        ("task\tstim_file\na\n", "line 2: 1 fields, but the header has 2"),
    ],
)
def test_bad_maps_are_named(tmp_path, text, message):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    write_wav(root / "stimuli/story.wav", 4.0)
    with pytest.raises(BrainAlignError, match=message) as caught:
        present(root, stimuli_map=write(tmp_path / "m.tsv", text))
    assert caught.value.exit_code == ExitCode.DATA_ERROR


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("onset\tword\n1\ta\n", "no column offset or end or stop"),
        ("onset\tduration\tword\n1\t-1\ta\n", "line 2: a word ends before it starts"),
        ("onset\tduration\tword\nx\t1\ta\n", "line 2: onset is 'x', no number"),
    ],
)
def test_bad_word_tables_are_named(tmp_path, text, message):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=EVENTS)
    write_wav(root / "stimuli/story.wav", 4.0)
    write(root / "stimuli/story_words.tsv", text)
    with pytest.raises(BrainAlignError, match=message):
        present(root)


@pytest.mark.shared
def test_real_narratives_events_and_transcript(shared, tmp_path):
    root = dataset(tmp_path)
    source = shared / "data/ds002345/sub-001/func"
    for run in ("1", "2"):
        text = (source / f"sub-001_task-pieman_run-{run}_events.tsv").read_text()
        ieeg_run(root, "001", "pieman", run=run, events=text)
    write_wav(root / "stimuli/pieman_audio.wav", 450, rate=1000)
    found = present(root).presentations
    assert len(found) == 2
    assert {p.content_group for p in found} == {"pieman_audio"}
    assert found[0].segments[1] == (15.0, 437.0)


@pytest.mark.shared
def test_real_transcript_is_sorted_and_complete(shared):
    from bids_brainalign.dataset.annotations import read_words

    words = read_words(shared / "data/ds005574/stimuli/spectral/transcript.tsv").table
    assert len(words) == 5136
    assert words["onset"].is_monotonic_increasing
    assert words["label"].iloc[0] == "Act"


def test_of_many_assumptions_a_few_are_said_in_full(tmp_path):
    root = dataset(tmp_path)
    for number in range(20):
        ieeg_run(root, f"{number:02d}", "story")
    write_wav(root / "stimuli/story.wav", 4.0)
    notes = present(root).notes
    assert sum("assumed to start at 0 s" in note for note in notes) == 6
    assert "… and 14 more recordings alike." in notes


def test_a_recording_much_longer_than_its_sound_makes_the_onset_doubtful(tmp_path):
    root = dataset(tmp_path)
    path = ieeg_run(root, "01", "story")
    path.write_bytes((b"0".ljust(236) + b"30".ljust(8) + b"1".ljust(8)).ljust(512))
    write_wav(root / "stimuli/story.wav", 4.0)
    assert "the recording lasts 26 s longer" in present(root).notes[0]
