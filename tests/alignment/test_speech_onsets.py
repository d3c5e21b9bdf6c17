"""Onsets of spoken words against known ones, and against another detector."""

import re
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from bids_brainalign.alignment.sound_level import sound_level
from bids_brainalign.alignment.speech_onsets import RUNNING, SILENT, UNRECORDED, speech_times
from bids_brainalign.simulate.demo_audio import demo_stories
from bids_brainalign.simulate.speech import STOPS
from tests.alignment.spoken import AUDIBLE, EVERY_S, WORDS, clean_words, spoken

RATE = 16_000


def found_in(sound, cues, rate=RATE, **options):
    return speech_times(sound_level([sound], rate), cues, **options)


@pytest.mark.parametrize("pink", [False, True])
@pytest.mark.parametrize(("snr_db", "within_20ms"), [(60, 1.0), (40, 1.0), (30, 0.97), (20, 0.8)])
def test_onsets_in_noise(snr_db, pink, within_20ms):
    sound, cues, onsets, offsets = spoken(snr_db=snr_db, pink=pink)
    found = found_in(sound, cues)
    assert set(found.reasons) == {""}
    error_ms = 1000 * (found.onset_s - onsets)
    assert abs(np.median(error_ms)) < 5
    assert (np.abs(error_ms) < 20).mean() >= within_20ms
    if snr_db >= 40:
        assert abs(error_ms.mean()) < 3
        assert np.abs(1000 * (found.offset_s - offsets)).max() < 30


def test_in_loud_noise_onsets_come_late_but_speech_is_found():
    # Initial fricatives sink into the noise.
    sound, cues, onsets, _ = spoken(snr_db=10)
    found = found_in(sound, cues)
    known = np.isfinite(found.onset_s)
    assert known.mean() > 0.9
    error_ms = 1000 * (found.onset_s - onsets)[known]
    assert 0 < np.median(error_ms) < 60
    assert {r for r, k in zip(found.reasons, known, strict=True) if not k} <= {SILENT}


def test_a_slow_channel_tells_the_onsets_of_voices():
    sound, cues, onsets, _ = spoken(snr_db=50)
    slow = resample_poly(sound, 8, 125)  # 1024 Hz
    found = found_in(slow, cues, 1024.0)
    error_ms = 1000 * (found.onset_s - onsets)
    voiced = [word[0] in "aeiouvnmlrz" and word[:2] != "sh" for word in WORDS]
    assert np.isfinite(error_ms).all()
    assert (np.abs(error_ms[voiced]) < 20).mean() > 0.9
    assert (np.abs(error_ms) < 120).mean() > 0.95


def test_the_shipped_stories_after_their_pauses():
    errors = []
    for story in demo_stories()[:4]:
        onset = story.words["onset"].to_numpy()
        end = onset + story.words["duration"].to_numpy()
        pause = onset[1:] - end[:-1]
        after = np.flatnonzero(pause >= 0.25) + 1
        # espeak-ng's stops begin with a closure that nobody hears.
        phone_at = np.searchsorted(story.phones["onset"].to_numpy(), onset[after] - 1e-3)
        heard = ~story.phones["phone"].iloc[phone_at].str.startswith(STOPS).to_numpy()
        after = after[heard]
        cues = onset[after] - pause[after - 1] / 3
        found = found_in(story.wave, cues, until_s=end[after])
        errors.append(1000 * (found.onset_s - onset[after]))
    error_ms = np.concatenate(errors)
    assert len(error_ms) > 50
    assert np.isfinite(error_ms).mean() > 0.97
    known = error_ms[np.isfinite(error_ms)]
    assert abs(np.median(known)) < 5
    assert (np.abs(known) < 20).mean() > 0.95


def test_another_detector_agrees():
    # WebRTC's, which knows nothing of cues: frames of 10 ms, judged by a Gaussian mixture.
    vad = pytest.importorskip("pocketsphinx").Vad(3, RATE, 0.01)
    sound, cues, _, _ = spoken(snr_db=40)
    found = found_in(sound, cues)
    raw = (sound * 32767).astype(np.int16).tobytes()
    size = vad.frame_bytes
    speech = [vad.is_speech(raw[i : i + size]) for i in range(0, len(raw) - size + 1, size)]
    times = np.arange(len(speech)) * vad.frame_length
    theirs = np.array([times[(times >= cue) & speech][0] for cue in cues])
    difference_ms = 1000 * (found.onset_s - theirs)
    assert abs(np.median(difference_ms)) < 20
    assert np.percentile(np.abs(difference_ms), 90) < 60


def test_loudness_is_the_mean_power_of_the_word():
    sound, cues, onsets, offsets = spoken(snr_db=50)
    found = found_in(sound, cues)
    spectrum_db = []
    for first, stop in zip((onsets * RATE).astype(int), (offsets * RATE).astype(int), strict=True):
        power = np.abs(np.fft.rfft(sound[first:stop])) ** 2
        hertz = np.fft.rfftfreq(stop - first, 1 / RATE)
        band = power[(hertz >= 100) & (hertz <= 7200)].sum()
        spectrum_db.append(10 * np.log10(2 * band / (stop - first) ** 2))
    np.testing.assert_allclose(found.loudness_db, spectrum_db, atol=0.6)
    louder = found_in(2 * sound, cues)
    np.testing.assert_allclose(louder.loudness_db - found.loudness_db, 20 * np.log10(2), atol=1e-3)
    np.testing.assert_array_equal(louder.onset_s, found.onset_s)
    assert louder.noise_db - found.noise_db == pytest.approx(20 * np.log10(2), abs=1e-3)


def test_silence_running_speech_and_missing_sound_have_reasons():
    sound, cues, onsets, offsets = spoken(snr_db=40)
    rng = np.random.default_rng(3)
    quiet = np.std(sound[: RATE // 2])

    def silence(first_s, stop_s):
        part = slice(round(first_s * RATE), round(stop_s * RATE))
        sound[part] = quiet * rng.standard_normal(part.stop - part.start)

    silence(cues[3], cues[4])  # said nothing
    silence(cues[6], cues[7])
    word = clean_words()[6]
    begin = round((cues[6] - 0.15) * RATE)
    sound[begin : begin + len(word)] += word  # spoke before the cue and no more
    late = round((cues[9] - 0.45) * RATE)
    word = clean_words()[8]
    sound[late : late + len(word)] += word  # the word before was late, this one is on time
    sound = sound[: round((cues[-1] - 0.5) * RATE)]
    found = found_in(sound, cues)
    assert (found.reasons[3], found.reasons[6], found.reasons[-1]) == (SILENT, RUNNING, UNRECORDED)
    for values in (found.onset_s, found.offset_s, found.loudness_db):
        assert np.isnan(values[[3, 6, -1]]).all()
    others = np.setdiff1d(np.arange(len(cues) - 1), [3, 6, 8])
    assert all(found.reasons[i] == "" for i in others)
    assert np.abs(found.onset_s - onsets)[others].max() < 0.02
    assert np.abs(found.offset_s - offsets)[np.setdiff1d(others, [5])].max() < 0.05


def test_clicks_and_breaths_are_no_speech():
    sound, cues, onsets, _ = spoken(snr_db=40)
    rng = np.random.default_rng(4)
    peak = np.abs(sound).max()
    for word, cue in enumerate(cues):
        click = round((cue + 0.1) * RATE)
        sound[click : click + 80] += peak * rng.standard_normal(80)  # 5 ms
        if word % 2:
            breath = round((onsets[word] - 0.35) * RATE)
            n = round(0.2 * RATE)
            sound[breath : breath + n] += peak * 0.01 * np.hanning(n) * rng.standard_normal(n)
    found = found_in(sound, cues)
    assert (np.abs(found.onset_s - onsets) < 0.03).mean() > 0.95


def test_digital_silence_clock_and_no_sound():
    sound, cues, onsets, _ = spoken(snr_db=300)
    sound[np.abs(sound) < 1e-4] = 0.0
    level = sound_level([sound], RATE, start_s=100.0)
    found = speech_times(level, cues + 100.0)
    assert np.abs(found.onset_s - 100.0 - onsets).max() < 0.02
    nothing = speech_times(sound_level([], RATE), cues)
    assert set(nothing.reasons) == {UNRECORDED}
    assert np.isnan(nothing.noise_db)
    assert len(speech_times(level, np.zeros(0)).reasons) == 0
    noise = np.random.default_rng(5).standard_normal(20 * RATE)
    found = found_in(noise, np.arange(1.0, 18.0, EVERY_S))
    assert set(found.reasons) == {SILENT}


@pytest.mark.shared
def test_real_voices_after_silence(shared):
    """Read sentences (LibriVox), their words aligned by pocketsphinx."""
    sphinx = pytest.importorskip("pocketsphinx")
    folder = shared / "data" / "librivox"
    said, waves, length_s = [], [], 0.0
    for line in (folder / "transcription").read_text().splitlines():
        text, name = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line).groups()
        wave, rate = soundfile.read(folder / f"{name}.wav", dtype="int16")
        decoder = sphinx.Decoder(samprate=rate, bestpath=False, loglevel="FATAL")
        decoder.set_align_text(text)
        decoder.start_utt()
        decoder.process_raw(wave.tobytes(), full_utt=True)
        decoder.end_utt()
        for part in decoder.seg():
            ends = (part.start_frame / 100, (part.end_frame + 1) / 100)
            said.append((part.word, ends[0] + length_s, ends[1] + length_s))
        waves.append(wave / 32768)
        length_s += len(wave) / rate
    level = sound_level(waves, RATE)
    differences = []
    for (name, start, onset), word in pairwise(said):
        if name.startswith("<") and onset - start >= 0.12 and not word[0].startswith("<"):
            cue, end = np.array([(start + onset) / 2]), np.array([word[2]])
            differences.append(1000 * (speech_times(level, cue, until_s=end).onset_s[0] - onset))
    known = np.array([d for d in differences if np.isfinite(d)])
    assert len(known) >= 4
    # Frames of the aligner are 25 ms long every 10 ms.
    assert np.abs(known).max() < 60


def test_the_clean_words_begin_where_they_are_said_to():
    for wave in clean_words():
        assert np.abs(wave[[0, -1]]).min() > AUDIBLE * np.abs(wave).max()
