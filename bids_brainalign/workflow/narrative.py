"""What a fit assumed, skipped and did, in sentences for sidecars, reports and the citation."""

from __future__ import annotations

from bids_brainalign.alignment.hrf import FIR
from bids_brainalign.config.schema import WHISPER_WINDOW_S, Config
from bids_brainalign.config.variants import variants_of
from bids_brainalign.dataset.ready_made import HIGH_GAMMA
from bids_brainalign.dataset.stimuli import annotations_used
from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.phonemes.times import ANNOTATED
from bids_brainalign.responses.confounds import DEFAULT_STRATEGY
from bids_brainalign.statistics.multiplicity import bh_reachable
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.model_sentences import speech_model_sentence
from bids_brainalign.workflow.onset import onset_sentences
from bids_brainalign.workflow.phone_times import missing_reason, phone_methods
from bids_brainalign.workflow.spaces import Space, stored_features, windowing_of
from bids_brainalign.workflow.text_features import language_warnings, text_description


def sidecar_fields(config: Config, assembly: Assembly, space: Space) -> dict[str, object]:
    """Fields of the scores' sidecar that the report shows."""
    fit = assembly.fit
    return {
        "Assumptions": [
            *onset_sentences(config, fit),
            *annotations_of(config, fit),
            *assumptions(assembly),
            *feature_notes(config, fit, space),
        ],
        "Skipped": skipped(assembly),
        "ModelDescription": model_description(config, fit, space),
        "Presentations": [
            {
                "recording": p.recording.name,
                "stimulus": p.stimulus.name,
                "onset_s": round(p.onset_s, 6),
                "rule": p.rule,
                "content_group": p.content_group,
            }
            for p in fit.presentations
        ],
        "Methods": methods(config, assembly, space),
    }


def feature_notes(config: Config, fit: Fit, space: Space) -> list[str]:
    """Say what was noted when the features of this fit's stimuli were made."""
    if space.kind == "untrained":  # the same notes stand beside the model's own results
        return []
    stimuli = {p.stimulus.name: p.stimulus for p in fit.presentations}
    sentences = language_warnings(space, list(stimuli.values()))
    for name, stimulus in stimuli.items():
        stored = stored_features(config, space, stimulus, fit.modality)
        sentences += [f"{space.model}, {name}: {note}" for note in stored.notes]
    return sentences


def model_description(config: Config, fit: Fit, space: Space) -> str:
    """Say where the features come from, in a sentence or two."""
    if space.kind == "lowlevel":
        return _lowlevel_description(config, fit)
    if space.kind == "own":
        return "Features given by the user."
    if space.source is None:
        return ""
    if space.reads_text:
        return text_description(config, space)
    return f"{speech_model_sentence(space)} {mode_sentence(config, space)}".strip()


def _lowlevel_description(config: Config, fit: Fit) -> str:
    """Say what the baseline holds, how its phones were found, and why some are missing."""
    text = lowlevel_parts(config)
    found = phone_methods(fit)
    for method in dict.fromkeys(m for m in found.values() if m != ANNOTATED):
        names = [name for name in found if found[name] == method]
        of = names[0] if len(names) == 1 else f"{len(names)} stimuli"
        text += f" Phone onsets of {of} are not annotated: they come from {method}."
    reason = missing_reason(config, fit)
    return text if reason is None else f"{text} Phone onsets are missing: {reason}."


def lowlevel_parts(config: Config) -> str:
    """Say what the baseline is made of."""
    told = {
        "envelope": "envelope",
        "mel": "mel spectrogram",
        "words": "words",
        "phones": "phones",
        "articulation": "articulation of phones",
        "phone-histogram": "histogram of 39 phones",
    }
    parts = [name for name in told if name in config.features.lowlevel]
    sound = " and ".join(told[p] for p in parts if p in ("envelope", "mel"))
    onsets = " and ".join(told[p] for p in parts if p in ("words", "phones"))
    marks = " and ".join(told[p] for p in parts if p in ("articulation", "phone-histogram"))
    text = f"{sound.capitalize()} of the audio"
    if onsets:
        text += f", and (where they are annotated) onsets of {onsets}"
    return f"{text}; {marks}, counted at their onsets." if marks else f"{text}."


def mode_sentence(config: Config, space: Space) -> str:
    """Say how windows lay on the stimulus, where that is not the usual way."""
    windows = windowing_of(config, space)
    if space.reads_words:
        return (
            f"It read the transcript with the audio of {windows.window_s:g} s around each word: a "
            "word's state knows the words before it and itself, no later word, but has heard the "
            "audio after it. States are means over the word's tokens, after reading them, held "
            "from the word's onset to its end."
        )
    if not isinstance(windows, EndingWindows):
        return ""
    lies = f"Windows of {windows.window_s:g} s, one every {windows.stride_s * 1000:g} ms"
    if not windows.causal:
        return f"{lies}, of which the last frame was taken (sliding mode, as published)."
    text = (
        f"{lies}, that end at the frame: no frame has heard what comes after it. Each frame is "
        "held until the next."
    )
    if space.is_whisper and windows.window_s < WHISPER_WINDOW_S:
        text += (
            f" Whisper was trained on windows of {WHISPER_WINDOW_S:g} s and ran here on shorter "
            "ones, with the first of its positions only."
        )
    return text


def assumptions(assembly: Assembly) -> list[str]:
    """Say what was assumed: stimulus rules, references, folds."""
    sentences = []
    rules = sorted({p.rule for p in assembly.fit.presentations})
    sentences.append(f"Stimuli were matched to recordings by: {', '.join(rules)}.")
    seen: set[str] = set()
    for response in assembly.responses:
        seen.update(response.notes)
    sentences += sorted(n for n in seen if not _is_skip(n))
    sentences += [n for n in assembly.notes if not _is_skip(n)]
    if not assembly.plan.whole_runs:
        gap = assembly.plan.hard_gap_s + assembly.plan.soft_gap_s
        sentences.append(f"Folds cut runs; {gap:.1f} s around held-out blocks were left out.")
    else:
        sentences.append("Folds hold out whole runs.")
    if assembly.draws:
        sentences += multiplicity_notes(len(assembly.targets), assembly.draws[0].n_draws)
    return sentences


def annotations_of(config: Config, fit: Fit) -> tuple[str, ...]:
    """Say from which files or methods the words and phones of a fit's stimuli come."""
    stimuli = {p.stimulus.name: p.stimulus for p in fit.presentations}
    return annotations_used(list(stimuli.values()), config.paths.bids_dir.absolute())


def multiplicity_notes(n_targets: int, n_draws: int) -> list[str]:
    """Warn where the draws are too few for one target alone to be declared.

    Parameters
    ----------
    n_targets : int
        Electrodes or voxels that are tested together.
    n_draws : int
        Null draws behind each p value.
    """
    needed = bh_reachable(n_targets, n_draws)
    if needed == 1:
        return []
    return [
        f"With {n_draws} null draws and {n_targets} targets the smallest possible p lets "
        f"Benjamini-Hochberg declare targets only where {needed} or more of them reach it; raise "
        "n_draws in [nulls] of the configuration to find fewer."
    ]


def skipped(assembly: Assembly) -> list[str]:
    """Say what was left out and why."""
    notes = {n for r in assembly.responses for n in r.notes} | set(assembly.notes)
    sentences = sorted(n for n in notes if _is_skip(n))
    for recording, share in zip(assembly.fit.recordings, assembly.censored_share, strict=True):
        if share > 0:
            sentences.append(f"{recording.name}: {share:.1%} of samples with stimulus censored.")
    return sentences


def _signal(config: Config, fit: Fit) -> str:
    """Say what of the electrodes' voltages is predicted."""
    if any(r.prepared == HIGH_GAMMA for r in fit.recordings):
        return f"Ready-made high gamma ({fit.recordings[0].prepared_by})"
    if fit.modality == "eeg" and not config.eeg.high_gamma:
        low, high = config.eeg.band_hz
        return f"The potential of {low:g}–{high:g} Hz (reference: {config.eeg.reference})"
    if fit.modality == "eeg":
        return f"High gamma ({config.eeg.high_gamma}, reference: {config.eeg.reference})"
    band = config.ieeg.band_hz
    what = f"The amplitude of {band[0]:g}–{band[1]:g} Hz" if band else "High gamma"
    return f"{what} ({config.ieeg.high_gamma}, reference: {config.ieeg.reference})"


def _cleaned(config: Config, fit: Fit) -> str:
    """Say what was taken out of BOLD."""
    if fit.recordings[0].kind == "columns":
        return "responses as published: preprocessed, and standardised per story"
    strategy = config.fmri.confounds
    by = "" if strategy == DEFAULT_STRATEGY else f" by nilearn's strategy {strategy}"
    return f"confounds regressed out{by}"


def _is_skip(note: str) -> bool:
    words = ("left out", "dropped", "skipped", "excluded", "not used")
    return any(word in note.lower() for word in words)


def methods(config: Config, assembly: Assembly, space: Space) -> str:
    """Methods paragraph of one analysis."""
    plan, fit = assembly.plan, assembly.fit
    interval = assembly.interval_s
    first, last = min(assembly.delays) * interval, max(assembly.delays) * interval
    if fit.modality != "fmri":
        own = config.electrodes(fit.modality)
        response = (
            f"{_signal(config, fit)} at "
            f"{1 / interval:g} Hz was predicted from features at {len(assembly.delays)} lags from "
            f"{first * 1000:.0f} to {last * 1000:.0f} ms, each layer reduced to at most "
            f"{own.n_components} principal components fitted on training data."
        )
    elif config.fmri.hrf != FIR:
        response = (
            f"BOLD (TR {interval:g} s; confounds regressed out) was predicted from features "
            f"convolved with the canonical haemodynamic response {config.fmri.hrf!r} of nilearn "
            "and resampled with a 3-lobe Lanczos filter, without delays."
        )
    else:
        response = (
            f"BOLD (TR {interval:g} s; {_cleaned(config, fit)}) was predicted from features "
            f"resampled with a 3-lobe Lanczos filter, at delays from {first:g} to {last:g} s."
        )
    n_alphas = len(config.ridge.alphas)
    null = "" if not assembly.draws else (
        f" Null distributions: {assembly.draws[0].n_draws} draws of "
        f"{assembly.draws[0].kind if assembly.draws[0].kind != 'shift' else 'circular shift'}s of "
        "each held-out fold, widened by the square root of two where folds train each other."
    )  # fmt: skip
    return (
        f"{response} Ridge regression per target; penalty ({n_alphas} values from "
        f"{min(config.ridge.alphas):g} to {max(config.ridge.alphas):g}) and layer were chosen on "
        f"inner folds, scores come from {len(plan.folds)} outer fold(s) ({plan.kind})."
        f"{null}{_compared(config, space)}"
    )


def _compared(config: Config, space: Space) -> str:
    """Say what a model is held against."""
    if space.kind == "lowlevel":
        return ""
    tuned = space.name.partition(":")[2] in {v.name for v in variants_of(config.tuning)}
    twin = config.features.untrained and space.kind == "model" and not tuned
    random = ", and with the same architecture with random weights" if twin else ""
    return f" The model is compared with low-level features by two-band ridge{random}."
