"""What types can't say: choices and ranges of values, wherever they came from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from bids_brainalign.config.production import CONTEXTS
from bids_brainalign.config.production import choices as production_choices
from bids_brainalign.config.production import ranges as production_ranges
from bids_brainalign.config.schema import (
    WHISPER_WINDOW_S,
    Config,
    Control,
    Decoding,
    Eeg,
    Features,
    Ieeg,
    Mlp,
    Recurrent,
)
from bids_brainalign.config.toml import nearest
from bids_brainalign.config.tuning_checks import choices as tuning_choices
from bids_brainalign.config.tuning_checks import ranges as tuning_ranges
from bids_brainalign.config.variants import variant_label, variants_of
from bids_brainalign.errors import BrainAlignError, ExitCode

LEVELS = ("participant", "group")
REFERENCES = ("none", "car", "car-device", "bipolar", "laplacian")
HIGH_GAMMA = ("filterbank", "podcast2025", "dutch2022", "multitaper", "morlet")
STEPS = Control.steps
PHONE_TIMES = ("auto", "annotated", "align")
HRFS = ("fir", "glover", "spm")
SAVE = ("predictions", "weights")
ENCODERS = ("ridge", "gru", "lstm", "attention", "recurrent", "mlp")
LAYER_POLICIES = ("selected", "all")
MODALITIES = ("ieeg", "eeg", "fmri")
CONFOUNDS = ("default", "simple", "scrubbing", "compcor", "ica_aroma")
EEG_REFERENCES = ("average", "none")
DECODERS = ("ridge", "gru")
DECODED_UNITS = ("segment", "word")
FEATURE_MODES = ("dense", "sliding", "causal")
LOWLEVEL_PARTS = ("envelope", "mel", "words", "phones", "articulation", "phone-histogram")
TEXT_POOLING = ("last", "mean")
LAG_MODES = ("continuous", "word")
CHOSEN_BY = ("correlation", "r2")
SOLVERS = ("own", "himalaya")
SCORINGS = ("fp32", "bf16")
CEILING_SELECTIONS = ("none", "halves", "published")
PROBES = (
    "mfcc", "mel", "phones", "words", "vectors", "sentence-type", "speaker", "emotion", "intent",
)  # fmt: skip
PRECISIONS = ("fp32", "bf16", "fp16")
RECORDING_LABELS = ("onset", "phones", "production", "repeats", "responses", "silence", "sound")
"""``desc-`` labels of outputs that belong to no model."""
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
LABEL = re.compile(r"[A-Za-z0-9._-]+")
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


ATLASES = ("destrieux", "harvard-oxford", "aal", "schaefer", "freesurfer", "seitzman")
ATLAS_IMAGES = (".nii", ".nii.gz", ".mgz")
MESH_ATLASES = (".annot", ".label.gii", ".dlabel.nii")
PARCELS = ("whole", "left", "right", "all", "n/a")
"""Names that regions of interest can't have."""


def is_atlas_path(name: str) -> bool:
    """Whether an atlas is given by its file or folder, and not by name."""
    return name.endswith((*ATLAS_IMAGES, *MESH_ATLASES)) or "/" in name or name in (".", "..")


def is_mesh_atlas(name: str) -> bool:
    """Whether the atlas labels vertices or grayordinates."""
    return name.endswith(MESH_ATLASES)


def check_values(config: Config) -> None:
    """Refuse values that no run can use.

    Raises
    ------
    BrainAlignError
        With exit code 64.
    """
    for key, value, choices in _choices(config):
        if value not in choices:
            raise _error(key, value, "", nearest(value, choices))
    for key, number, rule, holds in _ranges(config):
        if not holds:
            raise _error(key, number, f" must be {rule}", "")
    if not LANGUAGE.fullmatch(config.language):
        raise _error("language", config.language, "", "write a tag such as en, nl or zh-Hant")
    if not DEVICE.fullmatch(config.resources.device):
        raise _error("resources.device", config.resources.device, "", "auto, cpu, cuda or cuda:0")
    _check_names(config)


def check_level(level: str) -> None:
    """Refuse an unknown analysis level, with exit code 17."""
    if level not in LEVELS:
        raise BrainAlignError(
            f"Unknown analysis level {level!r}.",
            fix="write participant or group as third argument, after BIDS_DIR and OUTPUT_DIR",
            exit_code=ExitCode.UNKNOWN_LEVEL,
        )


def _check_names(config: Config) -> None:
    """Names become labels in file names; two must not become one."""
    taken = {"lowlevel": "lowlevel, the name of the baseline"}
    taken |= {label: f"{label}, a table about the recordings" for label in RECORDING_LABELS}
    names = [name for name, _ in (*config.features.models, *config.paths.features)]
    variants = [variant.name for variant in variants_of(config.tuning)]
    for name in names:
        label = re.sub(r"[^A-Za-z0-9]", "", name)
        if not LABEL.fullmatch(name) or not label:
            raise _error("NAME", name, " must be letters, digits, '.', '_' and '-'", "")
        if label in taken:
            raise _error(
                "NAME", name, f" would be written as desc-{label}, as {taken[label]}", "rename it"
            )
        taken |= {label: name, f"{label}Untrained": f"the untrained twin of {name}"}
        taken |= {f"{label}{e.capitalize()}": f"{name} with {e}" for e in config.encoders}
        for mode in FEATURE_MODES[1:]:
            for end in ("", "Untrained"):
                taken[f"{label}{mode.capitalize()}{end}"] = f"{name} in {mode} mode"
        for variant in variants:
            taken[f"{label}{variant_label(variant)}"] = f"{name}, {variant}"
        for end in ("Alone", "Running"):
            taken[f"{label}{end}"] = f"words of {name}"
        for end in ("", "Untrained"):
            taken[f"{label}Decoder{end}"] = f"the decoder of {name}"


def _choices(config: Config) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield "ieeg.reference", config.ieeg.reference, REFERENCES
    yield "ieeg.high_gamma", config.ieeg.high_gamma, HIGH_GAMMA
    yield "fmri.hrf", config.fmri.hrf, HRFS
    yield "phonemes.times", config.phonemes.times, PHONE_TIMES
    yield "fmri.confounds", config.fmri.confounds, CONFOUNDS
    yield "eeg.reference", config.eeg.reference, EEG_REFERENCES
    yield "eeg.high_gamma", config.eeg.high_gamma, ("", *HIGH_GAMMA)
    yield "resources.precision", config.resources.precision, PRECISIONS
    yield "ridge.choose_by", config.ridge.choose_by, CHOSEN_BY
    yield "ridge.solver", config.ridge.solver, SOLVERS
    yield "ridge.scoring", config.ridge.scoring, SCORINGS
    yield "ceiling.select", config.ceiling.select, CEILING_SELECTIONS
    yield "recurrent.layers", config.recurrent.layers, LAYER_POLICIES
    for encoder in config.encoders:
        yield "encoders", encoder, ENCODERS
    for part in config.features.lowlevel:
        yield "features.lowlevel", part, LOWLEVEL_PARTS
    yield "features.text_pooling", config.features.text_pooling, TEXT_POOLING
    for mode in config.features.mode:
        yield "features.mode", mode, FEATURE_MODES
    for mode in config.lags.modes:
        yield "lags.modes", mode, LAG_MODES
    yield "decoding.unit", config.decoding.unit, DECODED_UNITS
    for decoder in config.decoding.decoders:
        yield "decoding.decoders", decoder, DECODERS
    atlas = config.anatomy.atlas
    if atlas is not None and not is_atlas_path(atlas):
        yield "anatomy.atlas", atlas, ATLASES
    for probe in config.probes.kinds:
        yield "probes.kinds", probe, PROBES
    for what in config.save:
        yield "save", what, SAVE
    for step in config.control.steps:
        yield "control.steps", step, STEPS
    for modality in config.modalities:
        yield "modalities", modality, MODALITIES
    yield from tuning_choices(config.tuning)
    yield from production_choices(config.production)


def _ranges(config: Config) -> Iterator[tuple[str, object, str, bool]]:
    """Key, value, rule in words, and whether it holds."""
    features, ieeg, fmri = config.features, config.ieeg, config.fmri
    eeg = config.eeg
    lags = config.lags
    resources, ridge, folds = config.resources, config.ridge, config.folds
    positive = {
        "features.hop_s": features.hop_s,
        "features.waveform_window_s": features.waveform_window_s,
        "features.waveform_hop_s": features.waveform_hop_s,
        "features.ieeg_rate_hz": features.ieeg_rate_hz,
        "features.fmri_rate_hz": features.fmri_rate_hz,
        "features.n_mels": features.n_mels,
        "features.sliding_window_s": features.sliding_window_s,
        "features.text_words_per_pass": features.text_words_per_pass,
        "ieeg.lag_step_s": ieeg.lag_step_s,
        "ieeg.n_components": ieeg.n_components,
        "eeg.lag_step_s": eeg.lag_step_s,
        "eeg.n_components": eeg.n_components,
        "eeg.rate_hz": eeg.rate_hz,
        "lags.step_s": lags.step_s,
        "lags.word_step_s": lags.word_step_s,
        "lags.word_window_s": lags.word_window_s,
        "lags.n_components": lags.n_components,
        "fmri.high_pass_s": fmri.high_pass_s,
        "anatomy.limit_mm": config.anatomy.limit_mm,
        "anatomy.strip_limit_mm": config.anatomy.strip_limit_mm,
        "anatomy.sphere_mm": config.anatomy.sphere_mm,
        "ridge.fixed_alpha": ridge.fixed_alpha,
        "folds.max_inner": folds.max_inner,
        "phonemes.window_s": config.phonemes.window_s,
        "phonemes.min_tokens": config.phonemes.min_tokens,
        "nulls.n_draws": config.nulls.n_draws,
        "resources.nprocs": resources.nprocs,
        "resources.omp_nthreads": resources.omp_nthreads,
        "resources.batch_size": resources.batch_size,
        **_recurrent_sizes(config.recurrent),
        **_mlp_sizes(config.mlp),
        **{f"timescale.jitter_s[{i}]": s for i, s in enumerate(config.timescale.jitter_s)},
    } | {f"ridge.alphas[{i}]": alpha for i, alpha in enumerate(ridge.alphas)}
    if resources.mem_gb is not None:
        positive["resources.mem_gb"] = resources.mem_gb
    for key, value in positive.items():
        yield key, value, "above 0", 0 < value < math.inf
    not_negative = {
        "random_seed": config.random_seed,
        "features.margin_s": features.margin_s,
        "features.text_context_words": features.text_context_words,
        "features.waveform_margin_s": features.waveform_margin_s,
        "features.blend_s": features.blend_s,
        "ieeg.trim_start_s": ieeg.trim_start_s,
        "eeg.trim_start_s": eeg.trim_start_s,
        "fmri.trim_start_s": fmri.trim_start_s,
        "ridge.top_layers": ridge.top_layers,
        "fmri.smoothing_fwhm_mm": fmri.smoothing_fwhm_mm,
        "recurrent.weight_decay": config.recurrent.weight_decay,
        "recurrent.null_fits": config.recurrent.null_fits,
        **{f"mlp.weight_decays[{i}]": d for i, d in enumerate(config.mlp.weight_decays)},
    }
    for key, value in not_negative.items():
        yield key, value, "0 or more", 0 <= value < math.inf
    shares = {
        "folds.soft_gap_share": folds.soft_gap_share,
        "folds.transcript_overlap": folds.transcript_overlap,
        "nulls.censored_limit": config.nulls.censored_limit,
        "ceiling.threshold": config.ceiling.threshold,
        "recurrent.dropout": config.recurrent.dropout,
        "recurrent.validation_share": config.recurrent.validation_share,
    } | {f"ridge.band_weights[{i}]": weight for i, weight in enumerate(ridge.band_weights)}
    for key, value in shares.items():
        yield key, value, "between 0 and 1", 0 <= value <= 1
    tiers = {"word": config.stimuli.word_tiers, "phone": config.stimuli.phone_tiers}
    for kind, names in tiers.items():
        yield f"stimuli.{kind}_tiers", names, "at least one name", bool(names)
    yield "features.mode", features.mode, "at least one", bool(features.mode)
    rule = "with envelope, by which sound and silence are told apart"
    yield "features.lowlevel", features.lowlevel, rule, "envelope" in features.lowlevel
    stride, window = features.causal_stride_s, features.causal_window_s
    yield "features.causal_stride_s", stride, "from 0.02 to 10 s", 0.02 <= stride <= 10
    most = f"from causal_stride_s to {WHISPER_WINDOW_S:g} s"
    yield "features.causal_window_s", window, most, stride <= window <= WHISPER_WINDOW_S
    yield "ridge.alphas", ridge.alphas, "at least one number", bool(ridge.alphas)
    yield "modalities", config.modalities, "at least one", bool(config.modalities)
    yield from tuning_ranges(config.tuning)
    yield from production_ranges(config.production)
    yield from _combined(config)
    for name, labels in config.rois.own:
        free = bool(LABEL.fullmatch(name)) and name not in (*PARCELS, *config.rois.sets)
        rule = "letters, digits, '.', '_' and '-', and no name that is taken"
        yield "rois.own, the name", name, rule, free
        yield f"rois.own.{name}", labels, "at least one label", bool(labels)
    yield "control.steps", config.control.steps, "at least one", bool(config.control.steps)
    for prefix, low, high in (
        ("", lags.min_s, lags.max_s),
        ("word_", lags.word_min_s, lags.word_max_s),
    ):
        yield f"lags.{prefix}max_s", high, f"above lags.{prefix}min_s ({low:g})", high > low
    below = f"above ieeg.lag_min_s ({ieeg.lag_min_s:g})"
    yield "ieeg.lag_max_s", ieeg.lag_max_s, below, ieeg.lag_max_s > ieeg.lag_min_s
    below = f"above eeg.lag_min_s ({eeg.lag_min_s:g})"
    yield "eeg.lag_max_s", eeg.lag_max_s, below, eeg.lag_max_s > eeg.lag_min_s
    rule = f"two rising frequencies below half of eeg.rate_hz ({eeg.rate_hz:g})"
    slow = bool(eeg.band_hz) and _is_band(eeg.band_hz) and eeg.band_hz[1] < eeg.rate_hz / 2
    yield "eeg.band_hz", eeg.band_hz, rule, slow
    below = f"at least fmri.delay_min_s ({fmri.delay_min_s:g})"
    yield "fmri.delay_max_s", fmri.delay_max_s, below, fmri.delay_max_s >= fmri.delay_min_s
    band = ieeg.band_hz
    yield "ieeg.band_hz", band, "two rising frequencies in Hz", _is_band(band)
    dropout, decays = config.mlp.dropout, config.mlp.weight_decays
    yield "mlp.dropout", dropout, "from 0 to below 1", 0 <= dropout < 1
    yield "mlp.weight_decays", decays, "at least one number", bool(decays)
    yield from _windows(features)
    yield from _probes(config)
    yield from _decoding(config.decoding, config.ieeg, config.eeg)


def _decoding(decoding: Decoding, *encoded: Ieeg | Eeg) -> Iterator[tuple[str, object, str, bool]]:
    for name in ("lag_step_s", "n_components", "segment_s", "step_s", "max_segments",
                 "gru_hidden", "gru_seeds", "gru_epochs", "transcribe_windows"):  # fmt: skip
        value = getattr(decoding, name)
        yield f"decoding.{name}", value, "above 0", 0 < value < math.inf
    for name in ("electrode_components", "apart_s"):
        value = getattr(decoding, name)
        yield f"decoding.{name}", value, "0 or more", 0 <= value < math.inf
    below = f"at least decoding.lag_min_s ({decoding.lag_min_s:g})"
    low, high = decoding.lag_min_s, decoding.lag_max_s
    yield "decoding.lag_max_s", high, below, high >= low
    # Folds are shared with encoding, and their gaps are as wide as its lags.
    span = min(e.lag_max_s - e.lag_min_s for e in encoded)
    rule = f"at most lag_min_s plus the span of the lags of encoding ({low + span:g})"
    yield "decoding.lag_max_s", high, rule, high - low <= span + 1e-9
    rule = f"at least one step_s ({decoding.step_s:g})"
    yield "decoding.segment_s", decoding.segment_s, rule, decoding.segment_s >= decoding.step_s
    rule = "with ridge, which chooses the layer for it"
    holds = "gru" not in decoding.decoders or "ridge" in decoding.decoders
    yield "decoding.decoders", decoding.decoders, rule, holds
    rule = "with --decode ridge, which predicts the states"
    holds = not decoding.transcribe or "ridge" in decoding.decoders
    yield "decoding.transcribe", decoding.transcribe, rule, holds


def _probes(config: Config) -> Iterator[tuple[str, object, str, bool]]:
    probes = config.probes
    for name in ("frame_step_s", "segment_s", "min_tokens", "max_rows", "max_clips", "block_s",
                 "n_bootstrap", "similarity_rows"):  # fmt: skip
        value = getattr(probes, name)
        yield f"probes.{name}", value, "above 0", 0 < value < math.inf
    yield "probes.n_null", probes.n_null, "0 or more", probes.n_null >= 0
    rule = "with a file of word vectors (--word-vectors FILE)"
    holds = "vectors" not in probes.kinds or probes.vectors is not None
    yield "probes.kinds", probes.kinds, rule, holds
    rule = "with --probes, which says what is probed on it"
    yield (
        "probes.data",
        [name for name, _ in probes.data],
        rule,
        bool(probes.kinds or not probes.data),
    )
    for name, _ in probes.data:
        fits = bool(LABEL.fullmatch(name)) and name != "stimuli"
        yield "probes.data, the name", name, "letters, digits, '.', '_' and '-', not stimuli", fits
    if config.level == "participant":
        names = [name for name, _ in (*config.features.models, *config.paths.features)]
        for pair in probes.originals:
            rule = f"two models of --models ({', '.join(names) or 'none'})"
            known = set(pair) <= set(names) and pair[0] != pair[1]
            yield "probes.originals", "=".join(pair), rule, known


def _combined(config: Config) -> Iterator[tuple[str, object, str, bool]]:
    """Embeddings side by side must be of this run."""
    names = [name for name, _ in (*config.features.models, *config.paths.features)]
    known = {f"{name}{end}" for name in names for end in ("", *(f":{c}" for c in CONTEXTS))}
    for one in config.production.combine:
        parts = one.split("+")
        rule = f"NAMEs of --models with + between them, of {', '.join(names) or 'none'}"
        holds = len(parts) > 1 and len(set(parts)) == len(parts) and set(parts) <= known
        yield "production.combine", one, rule, holds or config.level == "group"


def _is_band(band_hz: tuple[float, ...]) -> bool:
    """Whether it is empty, or a lower and a higher frequency."""
    return not band_hz or (len(band_hz) == 2 and 0 < band_hz[0] < band_hz[1] < math.inf)


def _recurrent_sizes(recurrent: Recurrent) -> dict[str, float]:
    """Keys whose values must be above 0."""
    names = ("seeds", "hidden", "queries", "epochs", "rows_per_epoch", "batch_rows",
             "learning_rate", "patience", "n_bootstrap", "block_s")  # fmt: skip
    return {f"recurrent.{name}": getattr(recurrent, name) for name in names}


def _mlp_sizes(mlp: Mlp) -> dict[str, float]:
    """Keys whose values must be above 0."""
    names = ("seeds", "hidden", "epochs", "batch_rows", "learning_rate", "patience")
    return {f"mlp.{name}": getattr(mlp, name) for name in names}


def _windows(features: Features) -> Iterator[tuple[str, object, str, bool]]:
    """Windows must overlap by both margins and the cross-fade, or frames would be lost."""
    for prefix, window_s, hop_s, margin_s in (
        ("", WHISPER_WINDOW_S, features.hop_s, features.margin_s),
        ("waveform_", features.waveform_window_s, features.waveform_hop_s,
         features.waveform_margin_s),
    ):  # fmt: skip
        most = window_s - 2 * margin_s - features.blend_s
        rule = f"at most {window_s:g} s less 2 {prefix}margin_s and blend_s ({most:g})"
        yield f"features.{prefix}hop_s", hop_s, rule, hop_s <= most + 1e-9


def _error(key: str, value: object, rule: str, fix: str) -> BrainAlignError:
    what = f"{key} = {value}{rule}." if rule else f"{key} = {value} is not known."
    return BrainAlignError(what, fix=fix, exit_code=ExitCode.USAGE)
