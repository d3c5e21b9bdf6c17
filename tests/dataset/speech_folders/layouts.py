"""Tiny folders in the true layouts of speech corpora."""

import numpy as np
import soundfile

RATE = 16_000
TONES = {"h#": 0, "sh": 3000, "iy": 300, "hv": 800, "ae": 700, "dcl": 0, "d": 1800, "y": 250,
         "axr": 500, "s": 4500, "uw": 350, "pau": 0}  # fmt: skip


def sound(rng, seconds=1.0, tone=300):
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * tone * t) + 0.01 * rng.standard_normal(len(t))).astype("f4")


def write(path, wave, *, sphere=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    if sphere:
        soundfile.write(path, wave, RATE, format="NIST", subtype="PCM_16")
    else:
        soundfile.write(path, wave, RATE)


def timit(root, *, groups=3, tests=1, sphere=True, upper=True):
    """Groups of two speakers who read the same two SX; each has an SI of its own, and both SA."""
    rng = np.random.default_rng(0)
    for half, first, n in (("TRAIN", 0, groups), ("TEST", 100, tests)):
        for g in range(first, first + n):
            for speaker in (f"FAA{g % 10}{half[1]}", f"MBB{g % 10}{half[1]}"):
                folder = root / half / "DR1" / speaker
                for stem in ("SA1", "SA2", f"SX{g}", f"SX{g + 90}", f"SI{g}{ord(speaker[0])}"):
                    _timit_sentence(rng, folder, stem, sphere=sphere)
    if not upper:
        for path in sorted(root.rglob("*"), reverse=True):
            path.rename(path.with_name(path.name.lower()))


def _timit_sentence(rng, folder, stem, *, sphere):
    phones = ["h#", *rng.choice([p for p in TONES if p != "h#"], size=8), "h#"]
    waves = [sound(rng, 0.15, TONES[p]) for p in phones]
    edges = np.cumsum([0, *map(len, waves)])
    write(folder / f"{stem}.WAV", np.concatenate(waves), sphere=sphere)
    lines = [f"{a} {b} {p}" for a, b, p in zip(edges, edges[1:], phones, strict=False)]
    (folder / f"{stem}.PHN").write_text("\n".join(lines) + "\n")
    middle = edges[len(edges) // 2]
    (folder / f"{stem}.WRD").write_text(f"2400 {middle} she\n{middle} {edges[-2]} had\n")


def librispeech(root, *, subsets=("train-clean-100", "dev-clean", "test-clean"), speakers=2):
    rng = np.random.default_rng(1)
    number = 10
    for subset in subsets:
        for _ in range(speakers):
            number += 1
            for chapter in (number * 10, number * 10 + 1):
                folder = root / subset / str(number) / str(chapter)
                lines = []
                for k in range(2):
                    name = f"{number}-{chapter}-{k:04d}"
                    write(folder / f"{name}.flac", sound(rng, 1.0, 20 * number))
                    lines.append(f"{name} SHE HAD")
                (folder / f"{number}-{chapter}.trans.txt").write_text("\n".join(lines) + "\n")


GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1
        intervals: size = 1
        intervals [1]:
            xmin = 0.2
            xmax = 0.6
            text = "she"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0.2
            xmax = 0.4
            text = "SH"
        intervals [2]:
            xmin = 0.4
            xmax = 0.6
            text = "IY1"
"""


def speech_commands(root, *, words=("yes", "no"), speakers=8):
    rng = np.random.default_rng(2)
    lists = {"validation_list.txt": [], "testing_list.txt": []}
    for word in words:
        for s in range(speakers):
            name = f"{word}/{s:08x}_nohash_0.wav"
            write(root / name, sound(rng, 1.0, 400 if word == "yes" else 1500))
            if s % 4 == 2:
                lists["validation_list.txt"].append(name)
            if s % 4 == 3:
                lists["testing_list.txt"].append(name)
    write(root / "_background_noise_" / "pink_noise.wav", sound(rng, 2.0, 0))
    for name, lines in lists.items():
        (root / name).write_text("\n".join(lines) + "\n")


def crema_d(root, *, actors=9, sentences=("DFA", "IEO", "TIE", "IWW", "TAI", "MTI")):
    rng = np.random.default_rng(3)
    tones = {"ANG": 2000, "SAD": 200, "NEU": 600}
    for actor in range(1001, 1001 + actors):
        for sentence in sentences:
            for emotion, tone in tones.items():
                name = f"{actor}_{sentence}_{emotion}_XX.wav"
                write(root / "AudioWAV" / name, sound(rng, 0.6, tone))
