import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.dataset.stimuli import find_presentations
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import dataset, ieeg_run, write_wav


def present(root):
    index = find_recordings(root, derivatives=(), selection=Selection(), modalities=("ieeg",))
    return find_presentations(index.recordings, bids_dir=root)


def tree(tmp_path, *names, events=None):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "souls", events=events)
    for seed, name in enumerate(names):
        write_wav(root / "stimuli" / name, 4.0, seed=seed)
    return root


@pytest.mark.parametrize("name", ["souls.wav", "Sou_ls.wav", "sub/so-uls.wav", "souls_audio.wav"])
def test_a_stimulus_called_like_the_task_is_assumed_from_0(tmp_path, name):
    found = present(tree(tmp_path, name, "naked.wav"))
    (p,) = found.presentations
    assert p.stimulus.path.name == name.split("/")[-1]
    assert (p.rule, p.onset_s, p.onset_assumed) == ("task name, assumed onset 0", 0.0, True)
    assert any("assumed to start at 0 s" in note for note in found.notes)


def test_names_that_only_begin_alike_are_not_taken(tmp_path):
    with pytest.raises(BrainAlignError, match="no recording has a stimulus") as caught:
        present(tree(tmp_path, "souls2.wav", "naked.wav"))
    assert "no stimulus is called souls" in str(caught.value)


def test_of_two_names_alike_the_exact_one_counts_and_else_none(tmp_path):
    exact = tree(tmp_path / "exact", "souls.wav", "SOULS_audio.wav")
    assert present(exact).presentations[0].stimulus.name == "souls"
    with pytest.raises(BrainAlignError, match="no recording has a stimulus") as caught:
        present(tree(tmp_path / "two", "Souls.wav", "SOULS.wav"))
    assert "several stimuli are called like its task" in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "onset", "assumed"),
    [
        ("7.5\t4.0\tstory\n", 7.5, False),
        ("1\t2.0\tfixation\n7.5\t4.1\tstory\n", 7.5, False),  # the row that lasts as long
        ("7.5\tn/a\tstory\n", 7.5, False),
        ("1\t4\tstory\n9\t4\tstory\n", 0.0, True),  # which of the two?
        ("1\t30\tblock\n", 0.0, True),  # lasts far longer than the sound
        ("", 0.0, True),
    ],
)
def test_the_onset_is_that_of_the_one_event_that_fits(tmp_path, rows, onset, assumed):
    root = tree(tmp_path, "souls.wav", "naked.wav", events="onset\tduration\ttrial_type\n" + rows)
    (p,) = present(root).presentations
    assert (p.onset_s, p.onset_assumed) == (onset, assumed)
    assert p.rule == ("task name, assumed onset 0" if assumed else "task name")
