"""An output tree of speech production, with made-up numbers in the workflow's own columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.group.production import DIFFERENCE_COLUMNS, SCORE_COLUMNS
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.production.scores import R2_EDGES
from bids_brainalign.workflow.production import structure_tables, tables
from bids_brainalign.workflow.production.group import PARTICIPANTS
from bids_brainalign.workflow.production.words import COLUMNS as WORDS

Array64 = NDArray[np.float64]

NULL, PLANTED = 0.0, 0.45
EMBEDDINGS = {"fasttext": NULL, "gpt2": PLANTED, "wav2vec2": 0.25, "fasttext+gpt2": 0.4}
"""Correlation of predictions with what is about words."""
LABELS = {"fasttext+gpt2": "fasttextAndGpt2"}
REGIONS = {"STG": 0.34, "PreCG": 0.2, "Insula": 0.16, "Hippocampus": 0.14, "SMG": 0.1, "n/a": 0.06}
MAPPINGS = {"ridge": "", "multi-task": "MultiTask", "elastic-net": "ElasticNet"}
FOLDS = ("k-fold", "leave-one-word-out")
SETTINGS = "0123456789abcdef"
GROUP_COLUMNS = {
    "participants": PARTICIPANTS,
    "reconstruction": SCORE_COLUMNS,
    "differences": DIFFERENCE_COLUMNS,
}


@dataclass(frozen=True)
class Size:
    """Of one participant's data."""

    n_words: int = 30
    n_channels: int = 12
    n_layers: int = 4


@dataclass(frozen=True)
class Speaker:
    """One participant whose tables are made up."""

    folder: Path
    stem: str
    size: Size
    rng: np.random.Generator
    mean: Array64
    """(n_channels,) what a predictor knows that ignores the word."""
    signal: Array64
    """(n_words, n_channels) what is about words."""

    def put(
        self, label: str, suffix: str, frame: pd.DataFrame, columns: Mapping[str, tables.Column],
        extra: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        assert frame.empty or set(columns) == set(frame.columns), set(columns) ^ set(frame.columns)
        path = self.folder / f"{self.stem}_desc-{label}_{suffix}.tsv"
        write_tsv(path, frame.reindex(columns=list(columns)), columns, extra=extra)


def label_of(embedding: str, mapping: str = "ridge") -> str:
    return f"{LABELS.get(embedding, embedding)}{MAPPINGS[mapping]}"


def write_speaker(
    output: Path,
    participant: str = "01",
    *,
    embeddings: Mapping[str, float] | None = None,
    mappings: tuple[str, ...] = tuple(MAPPINGS),
    size: Size | None = None,
    seed: int = 1,
    realign: bool = True,
    sound: bool = True,
    task: str = "wordProduction",
) -> Path:
    """Write all tables of one participant; gives their folder."""
    size, rng = size or Size(), np.random.default_rng(seed)
    folder = output / f"sub-{participant}" / "ieeg"
    speaker = Speaker(
        folder=folder,
        stem=f"sub-{participant}_task-{task}",
        size=size,
        rng=rng,
        mean=np.exp(rng.normal(0, 1, size.n_channels)),
        signal=rng.normal(0, 1, (size.n_words, size.n_channels)),
    )
    words = write_words(speaker, sound=sound)
    if sound:
        _write_sound_checks(speaker)
    chosen = EMBEDDINGS if embeddings is None else embeddings
    for name, effect in chosen.items():
        for mapping in mappings:
            write_fit(speaker, words, name, mapping, effect)
        if "+" not in name:
            _write_structure(speaker, name, effect)
        if realign:
            about = {"embedding": name, "layer": "n/a", "mapping": "ridge"}
            label = f"{label_of(name)}Realigned"
            made = _scores(speaker, about, min(0.9, 1.2 * effect), "realigned")
            speaker.put(
                label, "reconstruction", made, tables.SCORES,
                _sidecar(about, effect, size) | {"ShiftSeconds": 0.034},
            )  # fmt: skip
    _write_geometry(speaker, chosen)
    return folder


def write_words(speaker: Speaker, *, sound: bool = True) -> pd.DataFrame:
    """Table of words; two of them can't be used."""
    n, rng = speaker.size.n_words, speaker.rng
    cue = 4.0 + 3.0 * np.arange(n + 2)
    latency = rng.gamma(9, 0.07, n + 2)
    reason = np.full(n + 2, "n/a", dtype=object)
    reason[3], reason[n // 2] = "no sound after the cue", "no sound after the cue"
    used = reason == "n/a"
    frame = pd.DataFrame(
        {
            "recording": speaker.stem,
            "word": [f"woord{i:02d}" for i in range(n + 2)],
            "role": "speak",
            "content_group": "",
            "cue": cue,
            "onset": np.where(used, cue + (latency if sound else 0), np.nan),
            "offset": np.where(used, cue + latency + 0.5, np.nan),
            "latency": np.where(used & sound, latency, np.nan),
            "duration": rng.gamma(20, 0.025, n + 2),
            "loudness": rng.normal(-30, 3, n + 2) if sound else np.nan,
            "n_letters": rng.integers(3, 9, n + 2),
            "n_phones": np.nan,
            "used": used,
            "reason": reason,
        }
    )
    speaker.put(
        "production", "words", frame, WORDS,
        {
            "Rule": ["Words come from the text track of the NWB file (acquisition/Stimulus)."],
            "Notes": ["Words shorter than 50 ms on the track were joined to the one before."],
            "Onset": "Windows count from the onset of the word in the sound." if sound
            else "Windows count from the cue: there is no sound.",
            "Sound": "The sound of the participant is acquisition/Audio (48 kHz)." if sound
            else "No sound of the participant was found.",
        },
    )  # fmt: skip
    return frame[used]


def _write_sound_checks(speaker: Speaker) -> None:
    n, rng = speaker.size.n_channels, speaker.rng
    names = channel_names(n)
    lag = 0.034 + rng.normal(0, 0.006, n + 1)
    lag[::4] = rng.uniform(-0.4, 0.4, len(lag[::4]))
    lag[-1] = 0.034
    p = np.full(n + 1, 0.001)
    p[::4] = rng.uniform(0.2, 0.9, len(p[::4]))
    p[-1] = 0.0005
    synchrony = pd.DataFrame(
        {
            "recording": speaker.stem, "name": [*names, "all"], "lag": lag,
            "ci_low": np.append(np.full(n, np.nan), lag[-1] - 0.012),
            "ci_high": np.append(np.full(n, np.nan), lag[-1] + 0.012),
            "r": np.where(p < 0.05, 0.3, 0.02), "p": p,
            "flagged": np.arange(n + 1) == n,
        }
    )  # fmt: skip
    speaker.put(
        "production", "synchrony", synchrony, structure_tables.SYNCHRONY,
        {"Sentences": ["High gamma follows the sound by 34 ms (95 % interval 22 to 46 ms): more "
                       "than 25 ms. --realign shifts onsets by it and shows both."]},
    )  # fmt: skip
    flagged = np.arange(n) == 1
    contamination = pd.DataFrame(
        {
            "recording": speaker.stem, "name": names, "statistic": np.where(flagged, 0.41, 0.01),
            "lag": np.where(flagged, 0.001, np.nan), "p": np.where(flagged, 0.0005, 0.5),
            "r_waveform": np.where(flagged, 0.2, 0.01),
            "p_waveform": np.where(flagged, 1e-9, 0.6),
            "q_fdr": np.where(flagged, 0.006, 0.8), "flagged": flagged,
        }
    )  # fmt: skip
    speaker.put(
        "production", "contamination", contamination, structure_tables.CONTAMINATION,
        {"Sentences": ["Channels were looked at from 20 to 300 Hz; flagged ones take part."]},
    )  # fmt: skip


def channel_names(n: int) -> list[str]:
    return [f"L{'ABCDEFGHIJKLM'[i // 10]}{i % 10 + 1}" for i in range(n)]


def write_fit(
    speaker: Speaker, words: pd.DataFrame, name: str, mapping: str, effect: float
) -> None:
    """Tables of one embedding by one mapping."""
    about = {"embedding": name, "layer": "n/a" if "fasttext" in name else "11", "mapping": mapping}
    label, extra = label_of(name, mapping), _sidecar(about, effect, speaker.size)
    if mapping != "ridge":
        extra = {k: v for k, v in extra.items() if k not in {"Answer", "Verdict"}}
    speaker.put(
        label, "reconstruction", _scores(speaker, about, effect, tables.RESPONSE), tables.SCORES,
        extra,
    )  # fmt: skip
    speaker.put(label, "wordscores", _words(speaker, about, words, effect), tables.WORDS, extra)
    speaker.put(label, "channelscores", _channels(speaker, about, effect), tables.CHANNELS, extra)
    speaker.put(label, "r2bins", _bins(speaker, about, effect), tables.BINS, extra)
    if mapping == "ridge":
        speaker.put(label, "plainpredictors", _plain(about, effect), tables.TWINS, extra)
    else:
        speaker.put(label, "penalties", _penalties(about, effect), tables.PENALTIES, extra)


def _sidecar(about: Mapping[str, str], effect: float, size: Size) -> dict[str, object]:
    found = effect > 0.1
    opening = "There is evidence" if found else "There is no evidence"
    p = 0.002 if found else 0.43
    reasons = [
        f"Mean-removed pattern correlation {effect:.3f} against {null}: -0.001 on average, "
        f"p = {p:g} (499 draws)."
        for null in ("shuffled words", "random embeddings", "shifted trials")
    ]
    return {
        "Embedding": about["embedding"],
        "Layer": about["layer"],
        "Mapping": about["mapping"],
        "EmbeddingDescription": f"{about['embedding']}: vectors of words.",
        "Method": f"Mean high gamma (dutch2022) from 0 to 1 s after the onset of each word was "
        f"predicted from its embedding by {about['mapping']}.",
        "NumberOfWords": size.n_words,
        "NumberOfDimensions": 300,
        "SettingsDigest": SETTINGS,
        "Notes": ["Common average reference.", "Not compared with number of phones."],
        "Answer": "evidence" if found else "no evidence",
        "Verdict": " ".join([f"{opening} that the embeddings of words predict the responses.",
                             *reasons]),
    }  # fmt: skip


def _predicted(speaker: Speaker, effect: float) -> tuple[Array64, Array64, Array64]:
    """Responses, predictions, and predictions of the train mean; each (n_words, n_channels)."""
    noise = np.random.default_rng(7).normal(0, 1, speaker.signal.shape)
    said = 0.5 * (effect * speaker.signal + np.sqrt(1 - effect**2) * noise)
    sd = 0.3 * speaker.mean
    plain = np.broadcast_to(speaker.mean, said.shape)
    return plain + sd * speaker.signal, plain + 0.4 * sd * said, np.asarray(plain)


def _per_word(speaker: Speaker, effect: float) -> dict[str, Array64]:
    y, said, plain = _predicted(speaker, effect)
    total = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return {
        "pcc": _r(y, said),
        "pcc_train_mean": _r(y, plain),
        "r2": 1 - ((y - said) ** 2).sum(axis=1) / total,
        "r2_train_mean": 1 - ((y - plain) ** 2).sum(axis=1) / total,
        "pattern_r": _r((y - plain) / speaker.mean, (said - plain) / speaker.mean),
        "rank": np.clip(0.5 + 0.6 * effect + speaker.rng.normal(0, 0.1, len(y)), 0, 1),
    }


def _r(a: Array64, b: Array64) -> Array64:
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)])


def _scores(
    speaker: Speaker, about: Mapping[str, str], effect: float, window: str
) -> pd.DataFrame:
    mine = _per_word(speaker, effect)
    p = 0.002 if effect > 0.1 else 0.43
    rows = []
    for folds in FOLDS:
        first = {**about, "folds": folds, "window": window, "n_words": speaker.size.n_words,
                 "n_channels": speaker.size.n_channels, "n_draws": 0}  # fmt: skip
        for name in ("pcc", "r2"):
            rows.append({
                **first, "score": name, "value": mine[name].mean(),
                "train_mean": mine[f"{name}_train_mean"].mean(), "sd_over_words": mine[name].std(),
            })  # fmt: skip
        for name, value, chance in _corrected(effect, mine["pattern_r"].mean()):
            hidden = folds != "k-fold" and name == "channel_r"
            row = {**first, "score": name, "value": np.nan if hidden else value,
                   "train_mean": np.nan if hidden else chance}  # fmt: skip
            if folds == "k-fold":
                row |= {"p_shuffled": p, "null_mean": chance - 0.003, "n_draws": 499}
                row |= {"p_random": p, "p_shifted": p} if about["mapping"] == "ridge" else {}
            rows.append(row)
    if about["mapping"] == "ridge":
        for name, value, chance in _corrected(0.0, 0.004):
            rows.append({
                **first, "folds": "k-fold", "window": "before the cue", "score": name,
                "value": value, "train_mean": chance, "p_shuffled": 0.38, "null_mean": chance,
                "n_draws": 499,
            })  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(tables.SCORES))


def _corrected(effect: float, pattern_r: float) -> list[tuple[str, float, float]]:
    return [
        ("pattern_r", float(pattern_r), 0.0),
        ("skill", 0.4 * effect**2 - 0.002, 0.0),
        ("two_vs_two", min(1.0, 0.5 + effect), 0.5),
        ("rank", 0.5 + 0.6 * effect, 0.5),
        ("channel_r", 0.8 * effect, 0.0),
    ]


def _words(
    speaker: Speaker, about: Mapping[str, str], words: pd.DataFrame, effect: float
) -> pd.DataFrame:
    mine = words[["recording", "word", "onset"]].reset_index(drop=True).assign(**about)
    mine = mine.assign(**_per_word(speaker, effect), sd_observed=1.0, sd_predicted=0.2)
    return pd.concat([mine.assign(folds=folds) for folds in FOLDS], ignore_index=True)


def _channels(speaker: Speaker, about: Mapping[str, str], effect: float) -> pd.DataFrame:
    n = speaker.size.n_channels
    still = np.arange(n) == n - 1
    return pd.DataFrame(
        {
            "name": channel_names(n), "type": "SEEG", "hemisphere": "L",
            "region": regions_of(n), **about, "folds": "k-fold",
            "skill": np.where(still, np.nan, 0.3 * effect**2), "channel_r": 0.8 * effect,
            "penalty": 10.0, "l1_ratio": 0.0, "non_zero": 300.0,
            "response_mean": np.where(still, np.nan, speaker.mean),
            "response_sd": np.where(still, np.nan, 0.3 * speaker.mean),
        }
    )  # fmt: skip


def regions_of(n: int) -> list[str]:
    counts = [max(1, round(share * n)) for share in REGIONS.values()]
    names = [name for name, count in zip(REGIONS, counts, strict=True) for _ in range(count)]
    return (names + ["n/a"] * n)[:n]


def _bins(speaker: Speaker, about: Mapping[str, str], effect: float) -> pd.DataFrame:
    mine, edges = _per_word(speaker, effect), np.array(R2_EDGES)
    share, plain = (
        np.histogram(mine[k], edges)[0] / len(mine[k]) for k in ("r2", "r2_train_mean")
    )
    frame = pd.DataFrame(
        {"r2_from": edges[:-1], "r2_to": edges[1:], "share": share, "share_train_mean": plain}
    )
    return pd.concat([frame.assign(**about, folds=folds) for folds in FOLDS], ignore_index=True)


def _plain(about: Mapping[str, str], effect: float) -> pd.DataFrame:
    names = ("trial index", "word duration", "word loudness", "number of letters")
    rows = [
        {
            **about, "folds": "k-fold", "predictor": name, "pattern_r": 0.02 * i, "skill": -0.01,
            "two_vs_two": 0.5 + 0.01 * i, "rank": 0.5, "channel_r": 0.01,
            "gain": 0.2 * effect**2 - 0.004, "p_gain": 0.0005 if effect > 0.1 else 0.6,
        }
        for i, name in enumerate(names)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _penalties(about: Mapping[str, str], effect: float) -> pd.DataFrame:
    rows = []
    for ratio in (0.1, 0.5, 0.9):
        for step, alpha in enumerate((1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)):
            grown = step / 6
            rows.append({
                **about, "folds": "k-fold", "alpha": alpha, "l1_ratio": ratio,
                "non_zero": 250 * grown**1.5 * (1.1 - ratio),
                "pcc": 0.931 - 0.01 * grown + 0.015 * effect, "pcc_train_mean": 0.931,
                "r2": 0.8 - 0.03 * grown, "r2_train_mean": 0.8,
                "pattern_r": effect * np.sin(np.pi * min(1, 0.1 + 0.8 * grown)), "skill": 0.0,
                "two_vs_two": 0.5 + effect * grown, "rank": 0.5, "channel_r": 0.0,
            })  # fmt: skip
    return pd.DataFrame(rows)


def _write_structure(speaker: Speaker, name: str, effect: float) -> None:
    layers = ["n/a"] if name == "fasttext" else [str(i) for i in range(speaker.size.n_layers)]
    time = np.arange(-0.475, 1.5, 0.05)
    courses, peaks = [], []
    for number, layer in enumerate(layers):
        at = 0.2 + 0.03 * number
        height = effect * (0.4 + 0.6 * number / max(1, len(layers) - 1))
        curve = height * np.exp(-(((time - at) / 0.2) ** 2))
        curve = curve + speaker.rng.normal(0, 0.015, len(time))
        p = np.where(curve > 0.12, 0.002, 0.6)
        courses.append(pd.DataFrame({
            "embedding": name, "layer": layer, "time": time, "pattern_r": curve,
            "two_vs_two": 0.5 + curve / 2, "p": p, "p_all": np.minimum(1, 3 * p),
        }))  # fmt: skip
        best = float(time[curve.argmax()])
        peaks.append({"embedding": name, "layer": layer, "peak": best, "ci_low": best - 0.05,
                      "ci_high": best + 0.1, "pattern_r": curve.max(), "p": p.min()})  # fmt: skip
    label = label_of(name)
    about: dict[str, object] = {"SettingsDigest": SETTINGS}
    speaker.put(label, "timecourse", pd.concat(courses), structure_tables.TIMECOURSE, about)
    said: dict[str, object] = about | (
        {"Slope": {"slope_s_per_layer": 0.03, "p": 0.01, "n_layers": len(layers)}}
        if len(layers) > 1
        else {"Sentences": ["One layer: no slope."]}
    )
    speaker.put(label, "peaks", pd.DataFrame(peaks), structure_tables.PEAKS, said)
    counts = pd.Series(regions_of(speaker.size.n_channels)).value_counts(sort=False)
    noise = speaker.rng.normal(0, 0.01, len(counts))
    regions = pd.DataFrame({
        "embedding": name, "layer": layers[-1], "mapping": "ridge", "region": counts.index,
        "n_channels": counts.to_numpy(),
        "pattern_r": effect * counts.to_numpy() / counts.max() + noise,
        "skill": 0.0, "two_vs_two": 0.5 + effect / 2, "rank": 0.5 + effect / 3,
        "pattern_r_matched": effect,
    })  # fmt: skip
    speaker.put(label, "regions", regions, structure_tables.REGIONS,
                about | {"Relation": {"r": 0.7, "p": 0.04, "n": len(counts)},
                         "Sentences": ["Too few electrodes, and not scored: SMG."]})  # fmt: skip


def _write_geometry(speaker: Speaker, embeddings: Mapping[str, float]) -> None:
    rows = [
        {"embedding": name, "layer": "n/a", "cka": 0.3 * effect, "p": 0.002 if effect else 0.4,
         "pattern_r": effect}
        for name, effect in embeddings.items()
    ]  # fmt: skip
    extra: dict[str, object] = {"SettingsDigest": SETTINGS} | (
        {"Relation": {"r": 0.8, "p": 0.33, "n": len(rows)}}
        if len(rows) >= 4
        else {"Sentences": [f"{len(rows)} embeddings are too few to relate geometry to scores."]}
    )
    speaker.put("production", "geometry", pd.DataFrame(rows), structure_tables.GEOMETRY, extra)


def write_group(output: Path, people: Mapping[str, Mapping[str, float]]) -> None:
    """Tables of the group level: participant → embedding → effect."""
    rng = np.random.default_rng(3)
    rows = []
    for participant, effects in people.items():
        for name, effect in effects.items():
            for score, value, twin in [
                ("pcc", 0.93 + 0.01 * effect, 0.931), ("r2", 0.85 + 0.01 * effect, 0.851),
                *_corrected(effect, effect + rng.normal(0, 0.02)),
            ]:  # fmt: skip
                rows.append({
                    "participant": participant, "session": "n/a", "embedding": name,
                    "mapping": "ridge",
                    "folds": "k-fold", "score": score, "value": value, "train_mean": twin,
                    "null_mean": np.nan if score in {"pcc", "r2"} else twin,
                    "answer": "evidence" if effect > 0.1 else "no evidence",
                })  # fmt: skip
    everyone = pd.DataFrame(rows)
    _put_group(output, "participants", everyone)
    enough, keys = len(people) >= 5, ["embedding", "mapping", "folds", "score"]
    means = []
    for key, part in everyone.groupby(keys, sort=False):
        corrected = key[3] not in {"pcc", "r2"}
        means.append(dict(zip(keys, key, strict=True)) | {
            "n_participants": len(part), "n_evidence": (part["answer"] == "evidence").sum(),
            **_interval_of(part["value"], enough=enough, tested=corrected),
            "mean_train_mean": part["train_mean"].mean(),
            "mean_null": part["null_mean"].mean(),
            **_above_of(part["value"] - part["null_mean"], enough=enough),
        })  # fmt: skip
    _put_group(output, "reconstruction", pd.DataFrame(means))
    wide = everyone[everyone["score"] == "pattern_r"].pivot_table(
        index="participant", columns="embedding", values="value"
    )
    pairs = [(a, b) for i, a in enumerate(wide) for b in list(wide)[i + 1 :]]
    differences = [
        {"embedding_a": a, "embedding_b": b, "mapping": "ridge", "folds": "k-fold",
         "score": "pattern_r", "n_participants": len(wide),
         **_interval_of(wide[a] - wide[b], enough=enough, tested=True)}
        for a, b in pairs
    ]  # fmt: skip
    _put_group(output, "differences", pd.DataFrame(differences))


def _above_of(values: pd.Series, *, enough: bool) -> dict[str, object]:
    found = _interval_of(values, enough=enough and bool(values.notna().any()), tested=False)
    return {
        "above_null": found["mean"], "above_low": found["ci_low"], "above_high": found["ci_high"]
    }  # fmt: skip


def _interval_of(values: pd.Series, *, enough: bool, tested: bool) -> dict[str, object]:
    half = 2 * values.std() / np.sqrt(len(values))
    p = 0.003 if abs(values.mean()) > half else 0.5
    return {
        "mean": values.mean(), "ci_low": values.mean() - half if enough else np.nan,
        "ci_high": values.mean() + half if enough else np.nan,
        "interval_kind": "t" if enough else "none", "p": p if enough and tested else np.nan,
        "q_fdr": p if enough and tested else np.nan,
    }  # fmt: skip


def _put_group(output: Path, suffix: str, frame: pd.DataFrame) -> None:
    columns = GROUP_COLUMNS[suffix]
    assert frame.empty or set(columns) == set(frame.columns), set(columns) ^ set(frame.columns)
    path = output / "group" / f"desc-production_{suffix}.tsv"
    write_tsv(path, frame.reindex(columns=list(columns)), columns)
