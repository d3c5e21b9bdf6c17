import pytest

from bids_brainalign.dataset.annotation_files import AnnotationFiles
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.real_trees import pointer, real_tree
from tests.dataset.test_textgrid import PHONES, WORDS, grid
from tests.dataset.trees import dataset, write

TABLE = "onset\tduration\tword\n1\t.2\t{}\n"


def found(root, stem="tale", **options):
    files = AnnotationFiles(root, **options)
    words = files.words(root / "stimuli" / f"{stem}.wav")
    return None if words is None else words.table["label"].tolist()


def test_the_nearest_of_many_files_counts(tmp_path):
    """Removing them one by one, the next in the documented order is taken."""
    root = dataset(tmp_path)
    ordered = [
        write(root / "stimuli/tale_words.tsv", TABLE.format("own")),
        write(root / "stimuli/tale.TextGrid", grid(("words", [(0, 1, "near")]))),
        write(root / "derivative/TextGrids/tale.TextGrid", grid(("word", [(0, 1, "far")]))),
        write(root / "stimuli/gentle/tale/align.csv", "gentle,gentle,1,2\n"),
        write(root / "stimuli/tale_transcript.csv", "word,start,end\ncsv,1,2\n"),
        write(root / "stimuli/x/transcript.tsv", "word\tstart\tend\nnameless\t1\t2\n"),
    ]
    for path, label in zip(
        ordered, ["own", "near", "far", "gentle", "csv", "nameless"], strict=True
    ):
        assert found(root, only_audio=True) == [label]
        path.unlink()
    assert found(root, only_audio=True) is None


def test_a_nameless_transcript_needs_a_single_sound(tmp_path):
    root = dataset(tmp_path)
    write(root / "stimuli/x/transcript.tsv", "word\tstart\tend\na\t1\t2\n")
    assert found(root) is None


def test_narratives_names_fit(tmp_path):
    """``pieman_audio.wav`` has ``gentle/pieman/align.csv``."""
    root = dataset(tmp_path)
    write(root / "stimuli/gentle/pieman/align.csv", "I,i,1,2\n")
    assert found(root, "pieman_audio") == ["I"]


def test_pauses_among_phones_are_left_out_but_are_words(tmp_path):
    root = dataset(tmp_path)
    labels = ("h#", "pau", "noise", "epi", "s")
    rows = "".join(f"{i}\t.2\t{label}\n" for i, label in enumerate(labels))
    write(root / "stimuli/tale_phones.tsv", f"onset\tduration\tphone\n{rows}")
    write(root / "stimuli/tale_words.tsv", TABLE.format("noise"))
    audio = root / "stimuli/tale.wav"
    assert AnnotationFiles(root).phones(audio).table["label"].tolist() == ["s"]
    assert found(root) == ["noise"]


def test_phones_of_a_textgrid_and_of_tables(tmp_path):
    root = dataset(tmp_path)
    write(root / "stimuli/tale.TextGrid", grid(("words", WORDS), ("phones", PHONES)))
    audio = root / "stimuli/tale.wav"
    assert AnnotationFiles(root).phones(audio).table["label"].tolist() == ["AY1", "R"]
    write(root / "stimuli/tale_phones.tsv", "onset\tduration\tphone\n1\t.1\tS\n")
    assert AnnotationFiles(root).phones(audio).table["label"].tolist() == ["S"]
    custom = AnnotationFiles(root, phone_tiers=("segments",))
    (root / "stimuli/tale_phones.tsv").unlink()
    assert custom.phones(audio) is None


def test_a_pointer_is_passed_over_if_another_file_serves_and_named_if_none_does(tmp_path):
    root = dataset(tmp_path)
    pointer(root / "stimuli/tale_words.tsv", root)
    audio = root / "stimuli/tale.wav"
    assert AnnotationFiles(root).pending(audio) == (root / "stimuli/tale_words.tsv",)
    with pytest.raises(BrainAlignError, match=r"datalad get stimuli/tale_words\.tsv") as caught:
        found(root)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    write(root / "stimuli/tale_transcript.tsv", "word\tstart\tend\nhere\t1\t2\n")
    assert found(root) == ["here"]
    assert AnnotationFiles(root).pending(audio) == ()


@pytest.mark.shared
def test_the_podcast_gets_its_full_transcript_of_words(shared, tmp_path):
    """Three tables lie there: words, words with phones (fewer), and tokens (more)."""
    root = real_tree(shared, "ds005574", tmp_path / "ds005574")
    files = AnnotationFiles(root, only_audio=True)
    words = files.words(root / "stimuli/podcast.wav")
    assert words.path == root / "stimuli/spectral/transcript.tsv"
    assert len(words.table) == 5136
