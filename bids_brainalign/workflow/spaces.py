"""Feature spaces of a run, and the identity of what is stored for them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bids_brainalign.config.schema import WHISPER_WINDOW_S, Config, Features
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.decoder_folder import decoder_facts
from bids_brainalign.features.dense import Windowing
from bids_brainalign.features.embedded import EMBEDDED, embedded_model_folder
from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.fetch import SOURCE_FILE
from bids_brainalign.features.folders import model_facts
from bids_brainalign.features.text_folder import TOKENIZERS, reads_text
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.store.features import FeatureStore, StoredFeatures

LOWLEVEL = "lowlevel"
DECODER = "decoder"
"""Mode of the features of Whisper's decoder: frames are words."""
TEXT = "text"
"""Mode of the features of language models and word vectors: frames are words."""
LOWLEVEL_CONTEXT_S = 0.0125
"""Half of the 25 ms analysis window."""


@dataclass(frozen=True)
class Space:
    """One feature space: a model, its untrained twin, the low-level set, or the user's own."""

    name: str
    """As in the ``model`` column: NAME, ``NAME:untrained`` or ``lowlevel``; features of another
    mode than dense are ``NAME:causal``, ``NAME:causal:untrained``."""
    kind: str
    """``model``, ``untrained``, ``static`` (a vector per word), ``lowlevel`` or ``own``."""
    source: Path | None
    digest: str
    """Digest of the weights; empty where there are none."""
    is_whisper: bool = False
    """Whisper's windows have a fixed length."""
    mode: str = "dense"
    """``dense``, ``sliding``, ``causal``, ``decoder`` or ``text``."""

    @property
    def is_held(self) -> bool:
        """Whether each frame stands until the next one, and never before its time."""
        return self.mode in {"causal", DECODER, TEXT}

    @property
    def is_causal(self) -> bool:
        """Whether no audio after a frame may change it, not even how it is stored."""
        return self.mode == "causal"

    @property
    def reads_words(self) -> bool:
        """Whether these features are made of the stimulus' words, and so need their times."""
        return self.mode in {DECODER, TEXT}

    @property
    def reads_text(self) -> bool:
        """Whether these features are made of words alone, without the sound."""
        return self.mode == TEXT

    @property
    def model(self) -> str:
        """NAME of the model as given."""
        return self.name.partition(":")[0]


def list_spaces(config: Config) -> tuple[Space, ...]:
    """Low-level features first, then every model with its untrained twin, then own features.

    A table of word vectors has no twin.
    """
    spaces = [Space(LOWLEVEL, "lowlevel", None, "")]
    for name, folder in models_of(config):
        memo = config.paths.work_dir / "digests"
        if folder.is_file():
            spaces.append(Space(name, "static", folder, file_digest(folder, memo), mode=TEXT))
            continue
        files = {
            p.name: file_digest(p, memo)
            for p in sorted(folder.iterdir())
            if (p.suffix in {".safetensors", ".json"} or p.name in (*TOKENIZERS, "merges.txt"))
            and p.name != SOURCE_FILE
        }
        text = reads_text(folder)
        whisper = not text and model_facts(folder).is_whisper
        # The twin needs the architecture and the preprocessing, but no weights.
        shape = digest_of({n: d for n, d in files.items() if not n.endswith(".safetensors")})
        modes = (TEXT,) if text else _modes_of(config, folder, is_whisper=whisper)
        for mode in modes:
            spaced = name if mode in {"dense", TEXT} else f"{name}:{mode}"
            spaces.append(Space(spaced, "model", folder, digest_of(files), whisper, mode))
            if config.features.untrained:
                twin = f"{spaced}:untrained"
                spaces.append(Space(twin, "untrained", folder, shape, whisper, mode))
    for name, folder in config.paths.features:
        spaces.append(Space(name, "own", folder, ""))
    if config.features.decoder and not any(s.mode == DECODER for s in spaces):
        raise BrainAlignError(
            "No model of this run has a decoder.",
            where="decoder in [features], --decoder-features",
            fix="give a Whisper (--models NAME=FOLDER or hub id), or leave the option out",
            exit_code=ExitCode.USAGE,
        )
    return tuple(spaces)


def _modes_of(config: Config, folder: Path, *, is_whisper: bool) -> tuple[str, ...]:
    """Feature modes of one model; a decoder is asked of Whispers but the shipped one."""
    modes = tuple(dict.fromkeys(config.features.mode))
    if not (config.features.decoder and is_whisper) or folder == embedded_model_folder():
        return modes
    decoder_facts(folder)  # refuses a folder without tokenizer, before any work
    return (*modes, DECODER)


def usable_spaces(spaces: Sequence[Space], stimuli: Sequence[Stimulus]) -> tuple[Space, ...]:
    """Leave out spaces that read words where they can't read those of some stimulus."""
    return tuple(space for space in spaces if not any(unread(space, s) for s in stimuli))


def unread(space: Space, stimulus: Stimulus) -> str | None:
    """Why a space that reads words can't read those of a stimulus; None if it can."""
    if not space.reads_words:
        return None
    if stimulus.words is None or not len(stimulus.words.table):
        return f"it reads words, and {stimulus.name} has none with times"
    if space.source is None or space.reads_text:
        return None
    languages = decoder_facts(space.source).languages or ("en",)
    if stimulus.language.partition("-")[0].lower() in languages:
        return None
    return f"it doesn't know the language of {stimulus.name} ({stimulus.language})"


def models_of(config: Config) -> tuple[tuple[str, Path], ...]:
    """Models of this run: those given; without any, and without own features, the shipped one."""
    if config.features.models or config.paths.features:
        return tuple((name, Path(source)) for name, source in config.features.models)
    return ((EMBEDDED, embedded_model_folder()),)


def seed_of(config: Config, *parts: str) -> int:
    """Seed of one unit of work, from the master seed and the unit's name."""
    text = "/".join((str(config.random_seed), *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def twin_seed(config: Config, space: Space) -> int:
    """Seed of a model's random weights, the same in every feature mode."""
    return seed_of(config, f"{space.model}:untrained")


def rate_of(config: Config, modality: str) -> float:
    """Frames per second kept for a modality; EEG shares those of iEEG."""
    return config.features.fmri_rate_hz if modality == "fmri" else config.features.ieeg_rate_hz


def feature_key(config: Config, space: Space, stimulus: Stimulus, rate_hz: float) -> str:
    """Identity of stored features: the same audio, model and mode share them across datasets."""
    extra: object = None
    if space.kind == "lowlevel":
        extra = onsets = [
            [] if a is None else a.table["onset"].round(6).tolist()
            for a in (stimulus.words, stimulus.phones)
        ]
        if marked_parts(config) and stimulus.phones is not None:
            onsets.append(stimulus.phones.table["label"].tolist())
    if space.kind == "untrained":
        extra = twin_seed(config, space)
    if space.kind == "own" and space.source is not None:
        from bids_brainalign.features.own import own_feature_files

        memo = config.paths.work_dir / "digests"
        extra = [file_digest(p, memo) for p in own_feature_files(space.source, stimulus.name)]
    if space.reads_words:
        table = None if stimulus.words is None else stimulus.words.table.round(6)
        words = [] if table is None else table[["onset", "duration", "label"]].to_numpy().tolist()
        extra, rate_hz = [extra, words, stimulus.language], 0.0  # frames are words
    elif space.mode != "dense":
        rate_hz = 1 / config.features.causal_stride_s  # frames are as many as windows
    return digest_of(
        [stimulus.sha256, space.kind, space.digest, extra, rate_hz, _options(config, space)]
    )[:24]


def marked_parts(config: Config) -> tuple[str, ...]:
    """Parts of the low-level baseline that say what phones are."""
    return tuple(p for p in ("articulation", "phone-histogram") if p in config.features.lowlevel)


def stored_features(
    config: Config, space: Space, stimulus: Stimulus, modality: str
) -> StoredFeatures:
    """Open what the feature steps have stored."""
    store = FeatureStore(config.paths.work_dir / "features")
    key = feature_key(config, space, stimulus, rate_of(config, modality))
    return store.load(store.path_for(key))


def windowing_of(config: Config, space: Space) -> Windowing | EndingWindows:
    """How this model's windows lie on a long stimulus."""
    f = config.features
    if space.mode == "sliding":
        return EndingWindows(f.sliding_window_s, f.causal_stride_s, causal=False)
    if space.mode == "causal":
        window_s = f.causal_window_s if space.is_whisper else f.sliding_window_s
        return EndingWindows(window_s, f.causal_stride_s, causal=True)
    if space.is_whisper:
        return Windowing(WHISPER_WINDOW_S, f.hop_s, f.margin_s, f.blend_s)
    return Windowing(f.waveform_window_s, f.waveform_hop_s, f.waveform_margin_s, f.blend_s)


def _options(config: Config, space: Space) -> object:
    """Only what changes these features: another model's options don't make them anew."""
    if space.kind == "lowlevel":
        parts = sorted(set(config.features.lowlevel))
        usual = parts == sorted(Features.lowlevel)
        return config.features.n_mels if usual else [config.features.n_mels, parts]
    if space.kind == "own":
        return None
    if space.kind == "static":
        return None
    if space.reads_text:
        f = config.features
        reading = [f.text_context_words, f.text_words_per_pass, f.text_pooling]
        return [*reading, config.resources.precision]
    if space.reads_words:
        return [config.features.hop_s, config.resources.precision]
    options = [asdict(windowing_of(config, space)), config.resources.precision]
    return [*options, "stored as float32"] if space.is_causal else options
