"""The model card and ``evaluation.json`` in the model's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TITLES = {
    "espeak": "Synthetic speech: voices and words never trained on",
    "librivox": "People: five LibriVox clips of one reader, never trained on",
}
HEAD = """# Embedded demonstration model

A Whisper encoder ({parameters:,} parameters, positions included; 6 layers, 128 dimensions, 20 ms
frames) trained to name the phone of every frame. It is shipped so that the program runs without a
download. **It is a demonstration model**: it has heard synthetic English only, knows no words, and
is no substitute for a speech model trained on people.

## How it was made
`python -m scripts.train_embedded_model` in the repository (seed {seed}), on two processor cores in
less than an hour. Synthetic voices read random English words (of the CMU Pronouncing Dictionary,
BSD licence; none of it is shipped) and random sentences: many voices of espeak-ng (a GPL program;
its speech is not), and three of flite (`slt`, `rms`, `awb`; BSD-like licence), which were built
from recordings of people. The readings were spoilt at random: other throats (playing speed, warped
frequencies), microphones (spectral tilt and colour), rooms, noise, level; parts were hidden.
Loss: cross-entropy of {n_classes} classes (40 merged English IPA phones and silence) at 50 Hz
through a linear readout on the last layer, first on windows of 6 s at random places in the 30 s,
then on whole windows of 30 s; about one in seven ends in digital silence. The readout is not kept.
The one-layer decoder in the file is there because a Whisper model has one; it is random and never
used. Weights are float16.

Licence: Apache-2.0, as the package. LibriVox recordings were never trained on.

## What it can do
Linear probes (multinomial logistic regression; its penalty, and for mel the context, chosen on a
validation set) trained on frames of other readings by the training voices, scored on frames in
which a phone sounds. "Untrained twin": the same configuration with random weights. "mel": the
model's own input with its neighbouring frames.

What was seen of the LibriVox clips while it was made: a first model, trained on espeak-ng alone,
beat the mel probe by 4 percentage points only on the clips one by one. flite's voices and the
warped frequencies were then added and the model below was trained, once (6 points on the clips one
by one); the table with the clips joined was added after that.
"""
LIBRIVOX_NOTE = """
Phone times of these recordings were not made by hand: {guides} espeak-ng voices spoke each text,
dynamic time warping of MFCCs carried their phone times over, and the median was taken (mean
absolute deviation of a voice from it, for the median phone: {spread:.0f} ms). Errors of these
times lower every row alike. The phone error rate needs no times: the frame guesses, collapsed
(runs of two frames or more), against espeak-ng's American phones of the text.

The clips, 3 to 7 s each, were joined into one recording, as stories go on. {alone}
"""
ALONE = (
    "Each alone in a\nwindow of 30 s, the rest digital silence, which the model rarely met in "
    "training, it names\n{trained} of the frames right (phone error rate {error}), the mel probe "
    "{mel}, the best layer of\nthe twin {twin}."
)


def write_card(folder: Path, results: Mapping[str, Any]) -> None:
    """Write ``evaluation.json`` and ``README.md``."""
    text = json.dumps(results, indent=2, ensure_ascii=False)
    (folder / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    parts = [
        HEAD.format(
            parameters=results["encoder_parameters"],
            seed=results["seed"],
            n_classes=results["n_classes"],
        )
    ]
    for name, scores in results["test_sets"].items():
        if name not in TITLES:
            continue
        parts.append(_section(TITLES[name], scores))
        if name == "librivox":
            spread = 1000 * results["alignment_spread_s"]
            alone = _alone(results["test_sets"]["librivox_alone"]["systems"])
            parts.append(
                LIBRIVOX_NOTE.format(
                    guides=results["alignment_guides"], spread=spread, alone=alone
                )
            )
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _alone(rows: Sequence[Mapping[str, Any]]) -> str:
    kinds = {
        kind: [row for row in rows if row["features"].startswith(kind)]
        for kind in ("trained", "untrained", "mel")
    }
    return ALONE.format(
        trained=_percent(kinds["trained"][-1]["accuracy"]),
        error=_percent(kinds["trained"][-1]["phone_error_rate"]),
        mel=_percent(kinds["mel"][0]["accuracy"]),
        twin=_percent(max(row["accuracy"] for row in kinds["untrained"])),
    )


def _section(title: str, scores: Mapping[str, Any]) -> str:
    with_errors = "phone_error_rate" in scores["systems"][0]
    head = ["features", "frames named right", "95 % interval"]
    head += ["phone error rate"] if with_errors else []
    lines = [
        f"### {title}",
        f"{scores['n_frames']:,} frames, {scores['n_units']} recordings (the intervals are over "
        f"these, by bootstrap); always naming the most frequent phone gives "
        f"{_percent(scores['most_frequent_class'])}.",
        "",
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
    ]
    for row in scores["systems"]:
        low, high = row["ci"]
        cells = [
            row["features"],
            _percent(row["accuracy"]),
            f"{_percent(low)} to {_percent(high)}",
        ]
        if with_errors:
            cells.append(_percent(row["phone_error_rate"]))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Last trained layer minus the best of the others, on the same recordings:", ""]
    for kind in ("untrained", "mel"):
        rivals = [r for r in scores["advantage_of_last_layer"] if r["over"].startswith(kind)]
        rival = min(rivals, key=lambda r: float(r["difference"]))
        low, high = rival["ci"]
        lines.append(
            f"- over {rival['over']}: {100 * rival['difference']:.1f} percentage points "
            f"({100 * low:.1f} to {100 * high:.1f}); better in {rival['units_better']} of "
            f"{scores['n_units']} recordings"
        )
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
