"""Write words.nwb with pynwb, in the layout of SingleWordProductionDutch-iBIDS.

Run with a Python that has pynwb (it is no dependency of the program): ``python make.py``.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from hdmf.backends.hdf5.h5_utils import H5DataIO
from pynwb import NWBHDF5IO, NWBFile, TimeSeries

SFREQ, SOUND_RATE, SECONDS, N_CHANNELS = 1024.0, 48_000.0, 6, 5
SHOWN = (("huis", 1.0, 2.5), ("kaas", 3.0, 4.5), ("kaas", 4.75, 5.75))
"""Word, from, to (s)."""
SPOKEN_S = (1.5, 3.6, 5.1)
"""Each is a tone of 200 Hz for 0.4 s."""


def neural(rng):
    """Counts of 0.1 µV: 1/f² noise with a trend, 50 Hz, and bursts of 110 Hz while speaking."""
    times = np.arange(round(SECONDS * SFREQ)) / SFREQ
    data = np.cumsum(rng.standard_normal((len(times), N_CHANNELS)), axis=0) * 20
    data += 200 * np.sin(2 * np.pi * 50 * times)[:, None] + 300 * times[:, None]
    for start in SPOKEN_S:
        burst = np.exp(-0.5 * ((times - start - 0.2) / 0.1) ** 2) * np.sin(2 * np.pi * 110 * times)
        data += burst[:, None] * 100 * np.arange(1, N_CHANNELS + 1)
    return np.round(data).astype(np.int16)


def sound():
    """Counts of 16 bits."""
    wave = np.zeros(round(SECONDS * SOUND_RATE))
    tone = 8000 * np.sin(2 * np.pi * 200 * np.arange(round(0.4 * SOUND_RATE)) / SOUND_RATE)
    for start in SPOKEN_S:
        first = round(start * SOUND_RATE)
        wave[first : first + len(tone)] = tone
    return np.round(wave).astype(np.int16)


def words():
    """The word on the screen at every neural sample."""
    shown = np.full(round(SECONDS * SFREQ), "", dtype="U8")
    for word, start, stop in SHOWN:
        shown[round(start * SFREQ) : round(stop * SFREQ)] = word
    return shown


def main():
    rng = np.random.default_rng(20220722)
    start = datetime(2020, 1, 1, 12, tzinfo=UTC)
    file = NWBFile("made for a test", "words", start, file_create_date=start)
    packed = {"compression": "gzip", "compression_opts": 9}
    series = (
        ("iEEG", neural(rng), SFREQ, "V", 1e-7),
        ("Stimulus", list(words()), SFREQ, "n/a", 1.0),
        ("Audio", sound(), SOUND_RATE, "n/a", 1.0),
    )
    for name, data, rate, unit, conversion in series:
        stored = H5DataIO(data, **packed)
        file.add_acquisition(
            TimeSeries(name=name, data=stored, rate=rate, unit=unit, conversion=conversion)
        )
    with NWBHDF5IO(Path(__file__).with_name("words.nwb"), "w") as out:
        out.write(file, cache_spec=False)


if __name__ == "__main__":
    main()
