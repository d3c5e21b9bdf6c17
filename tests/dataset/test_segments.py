import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_brainalign.dataset.segments import Row, find_passes


def passes(*rows, audio):
    found, note = find_passes([Row(*row) for row in rows], audio)
    return [(p.onset_s, p.segments) for p in found], note


def test_music_and_story_of_one_wav_are_one_pass():
    assert passes((3, 13), (18, 422), audio=450.0) == (
        [(3, ((0, 13), (15, 437)))],
        "",
    )


def test_events_rounded_to_seconds_still_fit():
    found, note = passes((0, 13), (15, 422), audio=436.4)
    assert found == [(0, ((0, 13), (15, 436.4)))]
    assert note == ""


def test_the_whole_played_twice():
    found, note = passes((0, 13), (15, 422), (500, 13), (515, 422), audio=440.0)
    assert found == [(0, ((0, 13), (15, 437))), (500, ((0, 13), (15, 437)))]
    assert "start anew at 0, 500 s" in note


def test_a_short_clip_repeated_is_not_one_pass():
    found, _ = passes((1, 0.8), (2, 0.8), (3, 0.8), audio=0.8)
    assert found == [(t, ((0, 0.8),)) for t in (1, 2, 3)]


def test_rows_that_fit_no_pattern_are_said():
    """A pause after 200 s: two rows would fit one pass, the third would not."""
    found, note = passes((0, 200), (230, 200), (460, 200), audio=600.0)
    assert [onset for onset, _ in found] == [0, 230, 460]
    assert "its 3 rows don't fit into the 600.0 s of the audio" in note


def test_a_row_longer_than_its_audio_is_said_and_clipped():
    found, note = passes((5, 437), audio=100.0)
    assert found == [(5, ((0, 100),))]
    assert note == "a row lasts 437 s, but the audio only 100.0 s"


def test_a_row_per_word_is_one_part():
    rows = [(10 + 0.5 * i, 0.3) for i in range(20)]
    assert passes(*rows, audio=30.0) == ([(10, ((0, 9.8),))], "")


def test_unknown_durations_reach_to_the_next_row_or_the_end():
    assert passes((2, None), audio=9.0) == ([(2, ((0, 9),))], "")
    assert passes((2, None), (5, None), audio=9.0) == ([(2, ((0, 9),))], "")


@given(
    st.lists(
        st.tuples(st.floats(-10, 1e4), st.one_of(st.none(), st.floats(0.01, 1e4))),
        min_size=1,
        max_size=8,
    ),
    st.floats(0.1, 2000),
)
def test_segments_always_lie_within_the_audio(rows, audio):
    found, _ = find_passes([Row(*row) for row in rows], audio)
    assert min(p.onset_s for p in found) == min(onset for onset, _ in rows)
    for one in found:
        edges = [edge for segment in one.segments for edge in segment]
        assert edges == sorted(edges)
        assert edges[0] >= 0
        assert edges[-1] <= audio


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "audio", "onset"),
    [
        ("sub-001/func/sub-001_task-pieman_run-1", 450.0, 0.0),
        ("sub-001/func/sub-001_task-tunnel", 1534.0, 3.0),
        ("sub-329/func/sub-329_task-notthefallintact", 572.0, 4.5),
    ],
)
def test_real_narratives_rows_are_one_pass(shared, name, audio, onset):
    lines = (shared / f"data/ds002345/{name}_events.tsv").read_text().splitlines()[1:]
    rows = [tuple(float(x) for x in line.split("\t")[:2]) for line in lines]
    found, note = passes(*rows, audio=audio)
    assert [when for when, _ in found] == [onset]
    assert note == ""
