"""People who read words aloud: what was planted is in the files, and can be found again."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import mne
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.alignment.sound_level import sound_level
from bids_brainalign.alignment.speech_onsets import speech_times
from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.dataset.spoken_words import find_spoken_words
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.production.folds import word_folds
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import across_channels, corrected
from bids_brainalign.responses.high_gamma import high_gamma_amplitude
from bids_brainalign.responses.speech_sound import find_sound
from bids_brainalign.responses.voltages import read_voltages
from bids_brainalign.simulate.production import simulate_production
from bids_brainalign.simulate.production_plan import ProductionPlan
from bids_brainalign.simulate.production_truth import read_production_truth

SMALL = ProductionPlan(
    n_participants=2, n_words=12, n_channels=10, n_flat=1, n_leaking=2, n_few=1, seed=3
)


def simulate(folder, plan):
    truth = simulate_production(folder, plan)
    bids = folder / "bids"
    found = find_recordings(
        bids, derivatives=(), selection=Selection(), modalities=("ieeg",)
    ).recordings
    return SimpleNamespace(folder=folder, bids=bids, truth=truth, recordings=found)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="module", params=["edf", "brainvision"])
def other_format(request, tmp_path_factory):
    plan = replace(SMALL, n_participants=1, n_few=0, n_words=6, file_format=request.param)
    return simulate(tmp_path_factory.mktemp(request.param), plan)


def read_vectors(path):
    rows = (line.split(" ") for line in path.read_text(encoding="utf-8").splitlines())
    return {word: np.array(numbers, dtype=float) for word, *numbers in rows}


def word_responses(recording, onsets_s):
    """Mean high gamma (dutch2022) in the second from each onset, by the program's own reading."""
    voltages = read_voltages(recording, types=("SEEG",))
    parts = []
    for first in range(0, len(voltages.data), 4):
        part = high_gamma_amplitude(
            voltages.data[first : first + 4], voltages.sfreq_hz, method="dutch2022", line_hz=50.0
        )
        times = part.first_s + np.arange(part.data.shape[1]) / part.rate_hz
        inside = [(times >= onset) & (times < onset + 1) for onset in onsets_s]
        parts.append(np.stack([part.data[:, frames].mean(axis=1) for frames in inside]))
    return np.hstack(parts), voltages.channels["name"].tolist()


def scores(recording, speaker, vectors):
    onsets = [word.speech_onset_s for word in speaker.words]
    responses, _ = word_responses(recording, onsets)
    words = [word.word for word in speaker.words]
    folds = word_folds(np.unique(words, return_inverse=True)[1])
    predictions = map_words(np.stack([vectors[w] for w in words]), responses, folds, Ridge())
    found = corrected(responses, predictions)
    return found.summary(), across_channels(responses, predictions).pcc.mean(axis=1)


def test_the_tree_is_that_of_the_dutch_dataset(small):
    stem = "sub-01/ieeg/sub-01_task-wordProduction"
    wanted = (
        "ieeg.nwb ieeg.json channels.tsv events.tsv space-ACPC_electrodes.tsv "
        "space-ACPC_coordsystem.json"
    )
    for name in wanted.split():
        assert (small.bids / f"{stem}_{name}").is_file()
    events = pd.read_csv(small.bids / f"{stem}_events.tsv", sep="\t")
    assert list(events.columns) == ["onset", "duration", "trial_type", "value", "sample"]
    assert (events["sample"] == events["onset"] * 1024).all()
    assert events["trial_type"].value_counts().to_dict() == {"word": 12, "fixation": 12}
    electrodes = pd.read_csv(small.bids / f"{stem}_space-ACPC_electrodes.tsv", sep="\t")
    channels = pd.read_csv(small.bids / f"{stem}_channels.tsv", sep="\t")
    assert electrodes["name"].tolist() == channels["name"].tolist()
    assert electrodes["group"].nunique() == 2
    # Contacts of a shaft lie on a line, evenly spaced.
    shaft = electrodes[electrodes["group"] == "LA"][["x", "y", "z"]].to_numpy()
    steps = np.diff(shaft, axis=0)
    assert np.abs(steps - steps.mean(axis=0)).max() < 0.02
    with h5py.File(small.bids / f"{stem}_ieeg.nwb") as file:
        series = file["acquisition"]
        assert set(series) == {"iEEG", "Audio", "Stimulus"}
        n_times = (2 * 2 + 12 * 3) * 1024
        assert series["iEEG/data"].shape == (n_times, 10)
        assert series["Stimulus/data"].shape == (n_times,)
        assert series["Audio/data"].shape == (n_times * 48_000 // 1024,)
        assert series["Audio/starting_time"].attrs["rate"] == 48_000


@pytest.mark.validator
def test_the_tree_passes_the_validator(small):
    _validate(small.bids)


@pytest.mark.validator
def test_other_formats_pass_the_validator(other_format):
    _validate(other_format.bids)


def _validate(folder):
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [validator, "--ignoreWarnings", str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_words_and_speech_are_found_where_they_were_planted(small):
    for recording, speaker in zip(small.recordings, small.truth.speakers, strict=True):
        found = find_spoken_words(recording).table
        assert found["word"].tolist() == [word.word for word in speaker.words]
        np.testing.assert_allclose(found["cue_s"], [word.cue_s for word in speaker.words])
        np.testing.assert_allclose(found["duration_s"], 2.0)
        sound = find_sound(recording)
        level = sound_level(sound.pieces(), sound.rate_hz, start_s=sound.start_s)
        times = speech_times(level, found["cue_s"].to_numpy())
        onsets = np.array([word.speech_onset_s for word in speaker.words])
        offsets = np.array([word.speech_offset_s for word in speaker.words])
        assert np.abs(times.onset_s - onsets).max() < 0.015
        assert np.abs(times.offset_s - offsets).max() < 0.05
        by_value = find_spoken_words(recording, word_column="value")
        assert by_value.table["word"].tolist() == found["word"].tolist()
        np.testing.assert_allclose(by_value.table["cue_s"], found["cue_s"])
        latency = onsets - found["cue_s"]
        assert latency.between(0.4, 0.9).all()
    few = small.truth.speakers[-1]
    assert len(few.words) == 3


def test_other_formats_have_words_in_events_and_sound_of_their_own(other_format):
    (recording,), (speaker,) = other_format.recordings, other_format.truth.speakers
    found = find_spoken_words(recording)
    assert "column word of" in found.rule
    assert found.table["word"].tolist() == [word.word for word in speaker.words]
    sound = find_sound(recording)
    if recording.path.suffix == ".vhdr":
        assert (sound.rate_hz, sound.feeds_speech_models) == (1024.0, False)
        # Voices are heard at 1024 Hz, initial fricatives are not.
        tolerance_s = 0.15
    else:
        assert (sound.rate_hz, sound.feeds_speech_models) == (48_000.0, True)
        tolerance_s = 0.015
    level = sound_level(sound.pieces(), sound.rate_hz, start_s=sound.start_s)
    times = speech_times(level, found.table["cue_s"].to_numpy())
    onsets = [word.speech_onset_s for word in speaker.words]
    assert np.abs(times.onset_s - onsets).max() < tolerance_s


def test_every_format_holds_the_same_voltages(other_format, tmp_path):
    plan = replace(SMALL, n_participants=1, n_few=0, n_words=6)
    twin = simulate(tmp_path, plan)
    ours = read_voltages(other_format.recordings[0], types=("SEEG",))
    theirs = read_voltages(twin.recordings[0], types=("SEEG",))
    assert ours.channels["name"].tolist() == theirs.channels["name"].tolist()
    # EDF scales each channel to 16 bits of its own.
    np.testing.assert_allclose(ours.data, theirs.data, atol=6e-8)
    raw = mne.io.read_raw(other_format.recordings[0].path, verbose="error")
    assert raw.info["sfreq"] == 1024.0


def test_voltages_look_like_seeg(small):
    voltages = read_voltages(small.recordings[0], types=("SEEG",))
    (speaker, _) = small.truth.speakers
    assert any("1 channel dropped, it is constant" in note for note in voltages.notes)
    alive = [channel for channel in speaker.channels if not channel.flat]
    assert voltages.channels["name"].tolist() == [channel.name for channel in alive]
    scale = np.array([channel.scale for channel in alive])
    spread = np.log(voltages.data.std(axis=1) * 1e6)
    assert np.corrcoef(spread, np.log(scale))[0, 1] > 0.99
    power = np.abs(np.fft.rfft(voltages.data.astype(float), axis=1)) ** 2
    hertz = np.fft.rfftfreq(voltages.data.shape[1], 1 / 1024.0)

    def band(low, high):
        return power[:, (hertz >= low) & (hertz < high)].mean(axis=1)

    # In the channel of largest scale, the hum is small beside the brain.
    assert (band(49.9, 50.1) > 10 * band(52, 55)).all()
    assert (band(1, 2) > 3 * band(4, 8)).all()
    assert (band(80, 95) > 3 * band(190, 240)).all()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    plan = ProductionPlan(n_participants=1, n_words=4, n_channels=4, seed=3)
    first, again = (simulate(tmp_path / name, plan) for name in ("first", "again"))
    files = sorted(p.relative_to(first.folder) for p in first.folder.rglob("*") if p.is_file())
    assert len(files) == 14
    for path in files:
        assert (first.folder / path).read_bytes() == (again.folder / path).read_bytes(), path
    other = simulate(tmp_path / "other", replace(plan, seed=4))
    assert other.truth.speakers[0].words != first.truth.speakers[0].words


def test_ground_truth_says_all_of_it(small):
    assert read_production_truth(small.folder / "ground_truth.json") == small.truth
    vectors = read_vectors(small.folder / "vectors.txt")
    assert {len(v) for v in vectors.values()} == {50}
    (speaker, _) = small.truth.speakers
    chosen = np.stack([vectors[word.word] for word in speaker.words])[:, small.truth.informative]
    for channel in speaker.channels:
        signal = chosen @ np.array(channel.weights)
        score = (np.array(channel.amplitudes) - 1) / small.truth.word_sd
        # √.5 of the signal and √.5 of noise that knows nothing of it.
        slope = np.polyfit(signal - signal.mean(), score, 1)[0]
        assert slope == pytest.approx(np.sqrt(0.5), abs=4 * np.sqrt(0.5 / 12))
        if not channel.flat:
            assert 0.5 < channel.reliability <= 1
            assert channel.share_left == pytest.approx(0.5 * channel.reliability, abs=1e-3)
    assert [c.leak_uv / c.scale for c in speaker.channels] == pytest.approx(
        [4.0] * 2 + [0.0] * 8, rel=1e-2
    )
    assert [c.flat for c in speaker.channels] == [False] * 9 + [True]
    assert any("leaks into 2 channels" in note for note in small.truth.notes)


def test_the_voice_leaks_into_the_channels_that_are_said(small):
    recording, speaker = small.recordings[0], small.truth.speakers[0]
    voltages = read_voltages(recording, types=("SEEG",))
    sound = find_sound(recording)
    n_times = voltages.data.shape[1]
    spectrum = np.fft.rfft(sound.read(0.0, n_times / 1024.0).astype(float))[: n_times // 2 + 1]
    hertz = np.arange(len(spectrum)) * 1024.0 / n_times
    inside = (hertz > 180) & (hertz < 400)  # above high gamma
    voices = np.fft.rfft(voltages.data.astype(float), axis=1)[:, inside]
    cross = np.abs((voices * np.conj(spectrum[inside])).sum(axis=1))
    power = (np.abs(voices) ** 2).sum(axis=1) * (np.abs(spectrum[inside]) ** 2).sum()
    coherence = cross / np.sqrt(power)
    leaking = np.array([c.leak_uv > 0 for c in speaker.channels if not c.flat])
    assert coherence[leaking].min() > 5 * coherence[~leaking].max()


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """Half of the variance is planted."""
    plan = ProductionPlan(n_participants=1, n_words=50, seed=2)
    return simulate(tmp_path_factory.mktemp("half"), plan)


def test_high_gamma_rises_with_the_voice_and_not_before(half):
    (recording,), (speaker,) = half.recordings, half.truth.speakers
    voltages = read_voltages(recording, types=("SEEG",))
    amplitude = high_gamma_amplitude(
        voltages.data, voltages.sfreq_hz, method="dutch2022", line_hz=50.0
    )
    times = amplitude.first_s + np.arange(amplitude.data.shape[1]) / amplitude.rate_hz
    relative = (amplitude.data / amplitude.data.mean(axis=1, keepdims=True)).mean(axis=0)
    level = sound_level(find_sound(recording).pieces(), 48_000.0)
    loud = np.interp(times, level.times_s, np.sqrt(np.sqrt(level.power)))

    def r(lag_s):
        return np.corrcoef(np.interp(times - lag_s, times, loud), relative)[0, 1]

    lags = np.arange(-0.2, 0.21, 0.02)
    assert abs(lags[int(np.argmax([r(lag) for lag in lags]))]) < 0.041
    onsets = np.array([word.speech_onset_s for word in speaker.words])
    course = np.stack([np.interp(onset + np.arange(-0.35, 0.4, 0.05), times, relative)
                       for onset in onsets]).mean(axis=0)  # fmt: skip
    assert course[8:12].mean() > 1.1 * course[:6].mean()


def test_the_planted_share_is_found_and_unrelated_vectors_say_nothing(half):
    (recording,), (speaker,) = half.recordings, half.truth.speakers
    planted, (pcc, twin) = scores(recording, speaker, read_vectors(half.folder / "vectors.txt"))
    assert planted[0] > 0.25  # correlation of patterns
    assert planted[2] > 0.85  # 2-vs-2
    assert pcc > twin > 0.9
    responses, names = word_responses(recording, [word.speech_onset_s for word in speaker.words])
    truth = {channel.name: channel for channel in speaker.channels}
    for name, response in zip(names, responses.T, strict=True):
        r2 = np.corrcoef(truth[name].amplitudes, response)[0, 1] ** 2
        assert r2 == pytest.approx(truth[name].reliability, abs=0.03)
    nothing, (pcc, twin) = scores(
        recording, speaker, read_vectors(half.folder / "vectors_unrelated.txt")
    )
    assert abs(nothing[0]) < 0.12
    assert 0.3 < nothing[2] < 0.7
    assert pcc == pytest.approx(twin, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "pcc", "pattern_r", "skill", "two_vs_two"),
    [(0.0, 0.935, 0.0, 0.0, 0.49), (0.2, 0.937, 0.186, 0.036, 0.859),
     (0.5, 0.950, 0.408, 0.206, 0.970)],
)  # fmt: skip
def test_the_scores_are_those_of_the_research_notes_table(
    tmp_path, share, pcc, pattern_r, skill, two_vs_two
):
    """intracranial-speech.md §6; a tenth of the variance is estimation noise here."""
    plan = ProductionPlan(n_participants=3, n_channels=127, share=share, seed=7)
    world = simulate(tmp_path, plan)
    vectors = read_vectors(tmp_path / "vectors.txt")
    pairs = [
        scores(recording, speaker, vectors)
        for recording, speaker in zip(world.recordings, world.truth.speakers, strict=True)
    ]
    found = np.mean([corrected_scores for corrected_scores, _ in pairs], axis=0)
    raw, twin = np.mean([across for _, across in pairs], axis=0)
    assert raw == pytest.approx(pcc, abs=0.015)
    assert twin == pytest.approx(0.934, abs=0.015)
    assert found[0] == pytest.approx(pattern_r, abs=0.06)
    assert found[1] == pytest.approx(skill, abs=0.04)
    assert found[2] == pytest.approx(two_vs_two, abs=0.06 if share else 0.1)


def test_no_sound_and_repeated_words(tmp_path):
    plan = replace(
        SMALL, n_participants=1, n_few=0, n_words=5, n_repeats=3, with_audio=False, language="nl",
        space="MNI152NLin2009cAsym",
    )  # fmt: skip
    world = simulate(tmp_path, plan)
    (recording,), (speaker,) = world.recordings, world.truth.speakers
    assert find_sound(recording) is None
    words = find_spoken_words(recording).table["word"]
    assert words.value_counts().tolist() == [3] * 5
    assert words.tolist() == [word.word for word in speaker.words]
    assert recording.space == "MNI152NLin2009cAsym"


@pytest.mark.parametrize(
    "wrong",
    [{"share": 1.2}, {"n_words": 2}, {"n_words": 5000}, {"n_channels": 1}, {"n_few": 5},
     {"n_flat": 20, "n_leaking": 10}, {"audio_lag_s": 3.0}, {"n_repeats": 0}],
)  # fmt: skip
def test_impossible_plans_are_refused(wrong):
    with pytest.raises(BrainAlignError, match="can't be simulated with") as caught:
        ProductionPlan(**wrong)
    assert caught.value.exit_code == ExitCode.USAGE
