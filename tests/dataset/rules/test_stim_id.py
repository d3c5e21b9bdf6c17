import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.dataset.stimuli import find_presentations
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.trees import dataset, ieeg_run, write, write_wav

HEADER = "onset\tduration\ttrial_type\tstim_id\n"
CATALOGUE = "stimulus_id\ttype\tURL\tpresent\n"


def present(root):
    index = find_recordings(root, derivatives=(), selection=Selection(), modalities=("ieeg",))
    return find_presentations(index.recordings, bids_dir=root)


def tree(tmp_path, events, catalogue=CATALOGUE + "stim-tale\taudio\tn/a\ttrue\n"):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events=HEADER + events)
    write(root / "stimuli/stimuli.tsv", catalogue)
    return root


@pytest.mark.parametrize("label", ["stim-tale", "tale"])
def test_the_identifier_leads_to_the_audio_file(tmp_path, label):
    root = tree(tmp_path, f"2.5\t4.0\tstory\t{label}\n")
    write_wav(root / "stimuli/sounds/stim-tale_audio.wav", 4.0)
    write_wav(root / "stimuli/stim-other_audio.wav", 4.0, seed=1)
    (p,) = present(root).presentations
    assert (p.rule, p.onset_s, p.stimulus.name) == ("events stim_id", 2.5, "stim-tale_audio")
    assert not p.onset_assumed


def test_it_comes_before_stim_file(tmp_path):
    root = dataset(tmp_path)
    header = "onset\tduration\tstim_file\tstim_id\n"
    ieeg_run(root, "01", "a", events=header + "2\t4\tother.wav\tstim-tale\n")
    write(root / "stimuli/stimuli.tsv", CATALOGUE + "stim-tale\taudio\tn/a\ttrue\n")
    write_wav(root / "stimuli/stim-tale_audio.wav", 4.0)
    write_wav(root / "stimuli/other.wav", 4.0)
    assert [p.stimulus.name for p in present(root).presentations] == ["stim-tale_audio"]


def test_start_and_stop_rows_mark_one_presentation(tmp_path):
    """The draft's own example: short rows at the start and at the stop of a stimulus."""
    root = tree(tmp_path, "3\t0.5\tstart\tstim-tale\n7\t0.5\tstop\tstim-tale\n")
    write_wav(root / "stimuli/stim-tale_audio.wav", 4.0)
    (p,) = present(root).presentations
    assert (p.onset_s, p.segments) == (3.0, ((0.0, 4.0),))


def test_images_are_passed_over_and_parts_are_told_apart(tmp_path):
    catalogue = CATALOGUE + "stim-face\timage\tn/a\ttrue\nstim-tale\taudio\tn/a\ttrue\n"
    events = "1\t1\tpicture\tstim-face\n2\t4\tstory\tstim-tale_part-2\n"
    root = tree(tmp_path, events, catalogue)
    for part in "12":
        write_wav(root / f"stimuli/stim-tale_part-{part}_audio.wav", 4.0, seed=int(part))
    (p,) = present(root).presentations
    assert p.stimulus.name == "stim-tale_part-2_audio"


def test_a_stimulus_in_parts_needs_the_part_named(tmp_path):
    root = tree(tmp_path, "2\t4\tstory\tstim-tale\n")
    for part in "12":
        write_wav(root / f"stimuli/stim-tale_part-{part}_audio.wav", 4.0, seed=int(part))
    with pytest.raises(BrainAlignError) as caught:
        present(root)
    assert "stim_id tale has several sounds" in str(caught.value)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("stim-tale\taudio\thttps://x.org/t.wav\tfalse", "get it (from https://x.org/t.wav)"),
        ("stim-tale\taudiovideo\tn/a\ttrue", "is a video: extract its sound"),
        ("stim-tale\taudio\tn/a\ttrue", "has no stimuli/stim-tale_audio.wav"),
        ("stim-song\taudio\tn/a\ttrue", "stim_id tale is not in stimuli/stimuli.tsv"),
    ],
)
def test_why_an_identifier_leads_nowhere(tmp_path, row, message):
    root = tree(tmp_path, "2\t4\tstory\tstim-tale\n", f"{CATALOGUE}{row}\n")
    with pytest.raises(BrainAlignError) as caught:
        present(root)
    assert message in str(caught.value)


def test_language_comes_from_the_catalogue_and_deeper_tables_override(tmp_path):
    root = tree(
        tmp_path, "2\t4\tstory\tstim-tale\n", "stimulus_id\ttype\tlanguage\ntale\taudio\tde\n"
    )
    write_wav(root / "stimuli/swiss/stim-tale_audio.wav", 4.0)
    assert present(root).presentations[0].stimulus.language == "de"
    write(root / "stimuli/swiss/stimuli.tsv", "stimulus_id\tlanguage\nstim-tale\tgsw\n")
    assert present(root).presentations[0].stimulus.language == "gsw"


def test_a_catalogue_without_identifiers_is_an_error(tmp_path):
    root = tree(tmp_path, "2\t4\tstory\tstim-tale\n", "name\ttype\ntale\taudio\n")
    with pytest.raises(BrainAlignError, match="no column stimulus_id"):
        present(root)


def test_annotations_of_bep044_are_words_and_phones(tmp_path):
    root = tree(tmp_path, "2.5\t4.0\tstory\tstim-tale\n")
    write_wav(root / "stimuli/stim-tale_audio.wav", 4.0)
    names = {"words": "word", "phones": "phoneme", "scenes": "scene"}
    for label, column in names.items():
        text = f"onset\tduration\t{column}\n0.5\t0.2\t{label[0]}\n"
        write(root / f"stimuli/stim-tale_annot-{label}_events.tsv", text)
    (p,) = present(root).presentations
    assert p.stimulus.words.table["label"].tolist() == ["w"]
    assert p.stimulus.phones.table["label"].tolist() == ["p"]
