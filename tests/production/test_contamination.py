"""A leak of the voice is found, at its lag; high gamma that follows speech is none, nor is hum."""

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.contamination import contamination
from bids_brainalign.production.fine_spectra import make_bins, neural_detail, sound_detail
from bids_brainalign.production.lags import draw_shifts
from tests.production.voices import VOLTAGE_HZ, harmonics, hum, story, voltages

N_SAMPLES = 120 * VOLTAGE_HZ
VOICES = ("harbour", "lantern", "synthetic")


def voice(name, seconds=120):
    return (
        harmonics(np.random.default_rng(9), seconds)
        if name == "synthetic"
        else story(name, seconds)
    )


def looked_at(sound, channels, **options):
    usable = np.ones(len(sound), dtype=bool)
    rng = np.random.default_rng(0)
    options = {"sfreq_hz": float(VOLTAGE_HZ), "n_resamples": 300, "rng": rng} | options
    return contamination(sound, iter(channels), options.pop("usable", usable), **options)


def decibels(level):
    """Share of a voice in a channel, in amplitude, of its power between 70 and 170 Hz."""
    return 10 ** (level / 20)


@pytest.mark.parametrize("name", VOICES)
def test_a_leak_is_found_at_the_lag_of_the_clocks_beside_high_gamma_at_its_own(name):
    """A tenth of the power; the clocks are 83 ms apart, and high gamma comes 150 ms later."""
    sound, rng = voice(name), np.random.default_rng(1)
    leak = np.roll(sound, round(0.083 * VOLTAGE_HZ)) * decibels(-10)
    clean = [voltages(rng, sound, high_gamma=g, delay_s=0.233) for g in (0, 0.4, 0.8, 0.8)]
    dirty = [voltages(rng, sound, high_gamma=g, delay_s=0.233) + leak for g in (0, 0.4, 0.8)]
    found = looked_at(sound, [*dirty, *clean])
    assert found.flagged.tolist() == [True] * 3 + [False] * 4
    np.testing.assert_allclose(found.lag_s[:3], 0.083, atol=0.015)
    assert found.leak.low_s < 0.083 + 0.003
    assert found.leak.high_s > 0.083 - 0.003
    assert found.leak.high_s - found.leak.low_s < 0.02
    assert found.leak.p < 0.01
    np.testing.assert_allclose(found.q, false_discovery_control(found.p))


def test_without_a_shift_the_diagonal_stands_out():
    sound, rng = voice("lantern"), np.random.default_rng(1)
    noise = voltages(rng, sound)
    found = looked_at(sound, [noise + decibels(-10) * sound, noise])
    n = len(found.frequencies_hz)
    off = found.matrix[0][~np.eye(n, dtype=bool)]
    assert found.contrast[0] == pytest.approx(found.diagonal[0].mean() - off.mean())
    assert found.contrast[0] > 5 * abs(found.contrast[1])
    assert np.abs(found.matrix).max() <= 1
    assert found.p_zero[0] <= 0.001
    assert found.r_zero[0] == pytest.approx(found.r[0], rel=0.05)
    assert abs(found.lag_s[0]) < 0.01


def test_r_and_p_are_those_of_fine_spectra_shifted_frame_by_frame():
    """Against numpy: frames and bins in one long row; p in blocks that are rolled one by one."""
    sound, rng = voice("harbour", 70), np.random.default_rng(3)
    channel = voltages(rng, sound) + decibels(-19) * np.roll(sound, 20)
    found = looked_at(sound, [channel], max_lag_s=0.2, n_draws=60)
    usable = np.ones(len(sound), dtype=bool)
    bins = make_bins(usable, float(VOLTAGE_HZ), band_hz=(70.0, 170.0), line_hz=50.0)
    a = sound_detail(*bins.powers(sound), bins)
    b = neural_detail(bins.powers(channel)[0], bins)
    around = range(-20, 21)
    r = [np.corrcoef(np.roll(a, k, axis=0).ravel(), b.ravel())[0, 1] for k in around]
    assert found.r[0] == pytest.approx(max(r))
    assert found.r_zero[0] == pytest.approx(r[20])
    assert abs(found.lag_s[0] - around[int(np.argmax(r))] / 100) <= 0.005
    shifts = draw_shifts(bins.known, 20, n_draws=60, rng=np.random.default_rng(0))
    assert shifts.offsets.shape == (60, 8)

    def summed(offsets, lag):
        n, total = shifts.length, 0.0
        for block, offset in enumerate(offsets):
            x, y = (part[block * n : (block + 1) * n] for part in (a, b))
            moved = np.roll(x - x.mean(axis=0), offset + lag, axis=0)
            total += (moved * (y - y.mean(axis=0))).sum()
        return total

    highest = [max(summed(offsets, lag) for lag in around) for offsets in shifts.offsets]
    zero = [summed(offsets, 0) for offsets in shifts.offsets]
    nowhere = np.zeros(8, dtype=int)
    top = max(summed(nowhere, lag) for lag in around)
    assert found.p[0] == pytest.approx((1 + np.sum(np.array(highest) >= top)) / 61)
    expected = (1 + np.sum(np.array(zero) >= summed(nowhere, 0))) / 61
    assert found.p_zero[0] == pytest.approx(expected)


def false_alarms(name, make, n, **options):
    """How many of n clean channels have p of at most .05."""
    sound, rng = voice(name), np.random.default_rng(5)
    placed, channels = make(rng, sound, n)
    return int((looked_at(placed, channels, **options).p <= 0.05).sum())


def following(rng, sound, n):
    return sound, (voltages(rng, sound, high_gamma=0.8, delay_s=0.0, steep=True) for _ in range(n))


def delayed_by_100_ms(rng, sound, n):
    return sound, (voltages(rng, sound, high_gamma=0.8, steep=k % 2) for k in range(n))


def humming(rng, sound, n):
    """The same mains in the sound and, ten times the background, in the channel."""
    same = hum(rng, len(sound))
    return sound + 0.1 * same, (voltages(rng, sound) + 10 * same for _ in range(n))


def hums(rng, sound, n):
    return (humming(rng, sound, 1) for _ in range(n))


def silent_about(rng, sound, n):
    return sound, (voltages(rng, sound) for _ in range(n))


@pytest.mark.parametrize("make", [following, humming])
@pytest.mark.parametrize("name", VOICES)
def test_high_gamma_that_follows_speech_and_mains_hum_are_no_leak(name, make):
    assert false_alarms(name, make, 8) <= binom.ppf(0.999, 8, 0.05)


def test_mains_hum_would_be_taken_for_a_leak_if_its_bins_stayed():
    assert false_alarms("lantern", humming, 8, line_hz=None) == 8


@pytest.mark.slow
@pytest.mark.parametrize("make", [silent_about, following, delayed_by_100_ms])
@pytest.mark.parametrize("name", VOICES)
def test_a_clean_channel_has_a_small_p_in_one_of_twenty(name, make):
    assert false_alarms(name, make, 150) <= binom.ppf(0.999, 150, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", VOICES)
def test_of_recordings_with_hum_one_of_twenty_has_a_small_p(name):
    """Channels of one recording share their hum: each has a recording of its own."""
    sound, rng = voice(name), np.random.default_rng(5)
    found = [looked_at(x, channels, n_resamples=20).p for x, channels in hums(rng, sound, 150)]
    assert (np.concatenate(found) <= 0.05).sum() <= binom.ppf(0.999, 150, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "level"), [("harbour", -14), ("lantern", -20), ("synthetic", -16)]
)
def test_faint_leaks_are_found_in_nine_of_ten_channels(name, level):
    sound, rng = voice(name, 300), np.random.default_rng(6)
    channels = (voltages(rng, sound, high_gamma=0.4) + decibels(level) * sound for _ in range(40))
    assert (looked_at(sound, channels).p <= 0.05).mean() >= 0.9


def test_gaps_and_channels_that_do_not_vary():
    sound, rng = voice("harbour"), np.random.default_rng(2)
    channels = [voltages(rng, sound) + decibels(-8) * sound for _ in range(2)]
    usable = np.ones(N_SAMPLES, dtype=bool)
    usable[20 * VOLTAGE_HZ : 30 * VOLTAGE_HZ] = False
    torn = [np.where(usable, channel, 1e6 * rng.standard_normal()) for channel in channels]
    silent = [np.zeros(N_SAMPLES), np.full(N_SAMPLES, np.nan)]
    found = looked_at(np.where(usable, sound, 500.0), [*torn, *silent], usable=usable)
    whole = looked_at(sound, channels)
    assert found.flagged.tolist() == [True, True, False, False]
    np.testing.assert_allclose(found.r[:2], whole.r, atol=0.03)
    assert np.isnan(found.p[2:]).all()
    assert np.isnan(found.matrix[2:]).all()


def test_what_cannot_be_looked_for_is_refused():
    sound = voice("harbour", 70)
    with pytest.raises(BrainAlignError, match="sound does not vary"):
        looked_at(np.zeros(len(sound)), [sound])
    with pytest.raises(BrainAlignError, match="no channel"):
        looked_at(sound, [])
    with pytest.raises(BrainAlignError, match="No channel varies"):
        looked_at(sound, [np.zeros(len(sound))])
    short = sound[: 10 * VOLTAGE_HZ + 100]
    with pytest.raises(BrainAlignError, match="10 s of usable recording"):
        looked_at(short, [short])
