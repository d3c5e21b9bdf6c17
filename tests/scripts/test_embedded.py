import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression

from scripts.embedded.flite import IPA, segments
from scripts.embedded.human import warp
from scripts.embedded.network import MAX_PARAMETERS, build_model, encode, encoder_size
from scripts.embedded.phones import CLASSES, NO_CLASS, class_of, frame_classes
from scripts.embedded.probes import edits, fit_probes, spoken
from scripts.embedded.speech import VARIANTS, random_sentences, read_words, spoil, stretch


def test_frames_take_the_phone_at_their_centre():
    phones = pd.DataFrame(
        {"onset": [0.0, 0.05, 0.11], "duration": [0.05, 0.03, 0.5], "phone": ["iː", "ɬ", "ɑː"]}
    )
    i, a = CLASSES.index("i"), CLASSES.index("ɑ")
    # Centres at 0, 20, 40 | 60 | (80, 100) | 120, 140 ms
    assert list(frame_classes(phones, n_frames=8)) == [i, i, i, NO_CLASS, 0, 0, a, a]


def test_flites_sentences_follow_one_another_and_fit_the_sound():
    printed = "pau:0.2 hh:0.3 ay:0.5 pau:0.6 \npau:0.1 zh:0.4 \n"
    table = segments(printed, duration_s=0.5)  # half of what is printed, to see the scaling
    assert list(table["phone"]) == ["h", "aɪ", "ʒ"]
    np.testing.assert_allclose(table["onset"], [0.1, 0.15, 0.35])
    np.testing.assert_allclose(table["duration"], [0.05, 0.1, 0.15])
    assert all(class_of(phone) != NO_CLASS for phone in [*IPA.values()])


def test_phone_names_of_one_sound_share_a_class_and_none_is_in_two():
    assert class_of("ɔːɹ") == class_of("ɔ") == CLASSES.index("ɔ")
    assert len(CLASSES) == len(set(CLASSES)) == 41


def test_held_out_words_and_voices_are_held_out(tmp_path):
    path = tmp_path / "words"
    path.write_text("\n".join(f"{a}{b}x  PRON" for a in "bcdfghjklm" for b in "aeiouyrstn"))
    words = read_words(path)
    assert {split: len(kept) for split, kept in words.items()} == {
        "train": 90,
        "validation": 5,
        "test": 5,
    }
    assert len(set().union(*words.values())) == 100
    assert len(set().union(*VARIANTS.values())) == sum(map(len, VARIANTS.values()))
    text = random_sentences(words["test"], np.random.default_rng(0), n_words=300).lower()
    assert not set(text.replace(".", "").replace(",", "").replace("?", "").split()) & set(
        words["train"]
    )


def test_playing_faster_moves_the_phones_with_the_sound():
    wave = np.zeros(16_000, dtype=np.float32)
    wave[8_000] = 1.0
    phones = pd.DataFrame({"onset": [0.5], "duration": [0.1], "phone": ["p"]})
    played, times = stretch(wave, phones, percent=80)
    assert np.argmax(played) / 16_000 == pytest.approx(times["onset"][0]) == 0.625


def test_spoiling_keeps_the_time_of_what_is_heard():
    wave = np.zeros(32_000)
    wave[16_000:24_000] = np.random.default_rng(0).standard_normal(8_000)
    heard = spoil(wave, np.random.default_rng(1))
    assert heard.shape == wave.shape
    assert np.abs(heard).max() <= 1
    rms = np.sqrt(np.mean(heard.reshape(-1, 800) ** 2, axis=1))  # every 50 ms
    assert rms[20:30].min() > 2 * rms[:20].max()


def test_warping_finds_a_planted_stretch():
    rng = np.random.default_rng(0)
    slow = np.cumsum(rng.standard_normal((60, 5)), axis=0)
    place = np.sort(rng.integers(0, 60, 100))
    place[0], place[-1] = 0, 59
    rows, columns = warp(cdist(slow, slow[place]))
    assert (rows[0], columns[0], rows[-1], columns[-1]) == (0, 0, 59, 99)
    assert np.all(np.diff(rows) >= 0)
    assert np.all(np.diff(columns) >= 0)
    assert np.mean(np.abs(rows - place[columns])) < 1


def test_phone_errors_are_counted_after_collapsing():
    assert spoken(np.array([0, 0, 5, 5, 5, 2, 5, 5, 0, 0, 7, 7, 0, 0, 7, 7])) == [5, 7, 7]
    assert edits([1, 2, 3], [1, 3]) == 1
    assert edits([], [1, 3]) == 2
    assert edits([4, 1, 5, 3], [1, 2, 3]) == 2


def test_the_probe_is_a_multinomial_logistic_regression():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    x = (rng.standard_normal((600, 4)) + np.eye(4)[y] * 2).astype(np.float32)
    penalty = 0.01
    probe = fit_probes([x], [y], penalties=[penalty])[0]
    kept = slice(None, None, 3)
    scaled = (x - x[kept].mean(0)) / x[kept].std(0)
    # sklearn: ||w||²/2 + C · sum of losses; ours: mean loss + penalty · ||w||².
    oracle = LogisticRegression(C=1 / (2 * penalty * 200), tol=1e-8, max_iter=1000)
    oracle.fit(scaled[kept], y[kept])
    np.testing.assert_array_equal(probe.guess([x])[0], oracle.predict(scaled))
    np.testing.assert_allclose(probe.weights[:, :3].T, oracle.coef_, atol=0.02)


def test_training_runs_the_encoder_that_transformers_runs():
    model = build_model(seed=0).eval()
    assert encoder_size(model) <= MAX_PARAMETERS
    mel = torch.randn(1, 80, 3000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model.encoder(mel).last_hidden_state
        torch.testing.assert_close(encode(model.encoder, mel, offset=0), whole)
        late = encode(model.encoder, mel[:, :, :600], offset=1200)
    assert late.shape == (1, 300, 128)
