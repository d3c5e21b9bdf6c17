"""The steps that extract features: one per stimulus, feature space and rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.features.dense import EncoderLayers
from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.models import SpeechModel
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import (
    DECODER,
    TEXT,
    Space,
    feature_key,
    rate_of,
    twin_seed,
    usable_spaces,
    windowing_of,
)

if TYPE_CHECKING:
    from bids_brainalign.features.whisper_decoder import WhisperDecoder
    from bids_brainalign.workflow.text_features import TextModel

Opened = TypeVar("Opened")


@dataclass
class _Models:
    """The model of a space, loaded when the first step needs it."""

    config: Config
    space: Space

    @cached_property
    def encoder(self) -> SpeechModel:
        from bids_brainalign.features.models import open_model

        return self._open(open_model)

    @cached_property
    def decoder(self) -> WhisperDecoder:
        from bids_brainalign.features.whisper_decoder import WhisperDecoder

        return self._open(WhisperDecoder)

    @cached_property
    def text(self) -> TextModel:
        from bids_brainalign.features.language_model import LanguageModel
        from bids_brainalign.workflow.text_features import TextModel

        return TextModel(self.config, self.space, lambda: self._open(LanguageModel))

    def _open(self, kind: Callable[..., Opened]) -> Opened:
        assert self.space.source is not None  # noqa: S101 - models always have a folder
        untrained = self.space.kind == "untrained"
        return kind(
            self.space.source,
            untrained_seed=twin_seed(self.config, self.space) if untrained else None,
            device=device_of(self.config),
            precision=self.config.resources.precision,
        )


def stimuli_of(config: Config, fits: Sequence[Fit]) -> list[tuple[Stimulus, float]]:
    """Every stimulus with every rate that some fit needs, once."""
    wanted: dict[tuple[str, float], tuple[Stimulus, float]] = {}
    for fit in fits:
        rate = rate_of(config, fit.modality)
        wanted |= {(p.stimulus.name, rate): (p.stimulus, rate) for p in fit.presentations}
    return [wanted[key] for key in sorted(wanted)]


def feature_steps(
    config: Config, space: Space, stimuli: Sequence[tuple[Stimulus, float]]
) -> list[Step]:
    """One step per stimulus and rate; the model is loaded once, when the first one needs it.

    Features that are made of words have no step where a stimulus has none, and what is the same at
    two rates has one.
    """
    models = _Models(config, space)
    wanted: dict[str, tuple[Stimulus, float]] = {}
    for stimulus, rate in stimuli:
        if usable_spaces([space], [stimulus]):
            # Frames that are words, or ends of windows, are the same at every rate.
            wanted.setdefault(feature_key(config, space, stimulus, rate), (stimulus, rate))
    return [_step(config, space, stimulus, rate, models) for stimulus, rate in wanted.values()]


def missing_features(config: Config, fit: Fit, spaces: Sequence[Space]) -> list[str]:
    """Name stimuli of a fit whose features are not stored, with the space that lacks them."""
    store, rate = FeatureStore(config.paths.work_dir / "features"), rate_of(config, fit.modality)
    found = {
        f"{p.stimulus.name} ({space.name})": store.path_for(
            feature_key(config, space, p.stimulus, rate)
        )
        for p in fit.presentations
        for space in spaces
    }
    return [name for name, path in found.items() if not path.exists()]


def _step(
    config: Config,
    space: Space,
    stimulus: Stimulus,
    rate_hz: float,
    models: _Models,
) -> Step:
    key = feature_key(config, space, stimulus, rate_hz)

    def work() -> list[Path]:
        store = FeatureStore(config.paths.work_dir / "features")
        with store.scratch() as scratch:
            found, names = _extract(config, space, stimulus, rate_hz, models, scratch)
            path = store.save(
                key,
                layers=found.layers,
                names=names,
                times=found.times,
                context_past_s=found.context_past_s,
                context_future_s=found.context_future_s,
                notes=found.notes,
                exact=space.is_causal,
            )
        return [path]

    return Step(
        name=f"features {space.name} {stimulus.name} {rate_hz:g}Hz {key[:6]}",
        inputs={"key": key},
        modules=_modules(space),
        work=work,
    )


_BY_MODE = {
    DECODER: ("bids_brainalign.features.whisper_decoder",),
    TEXT: ("bids_brainalign.features.language_model",),
}
_MODULES = {
    "model": ("bids_brainalign.features.models",),
    "untrained": ("bids_brainalign.features.models",),
    "lowlevel": ("bids_brainalign.workflow.lowlevel_features",),
    "own": ("bids_brainalign.features.own",),
    "static": ("bids_brainalign.features.static_vectors",),
}


def _modules(space: Space) -> tuple[str, ...]:
    """Code that the features of a space depend on."""
    return (
        _MODULES["static"]
        if space.kind == "static"
        else _BY_MODE.get(space.mode, _MODULES[space.kind])
    )


def _extract(
    config: Config,
    space: Space,
    stimulus: Stimulus,
    rate_hz: float,
    models: _Models,
    scratch: IO[bytes],
) -> tuple[EncoderLayers, list[str]]:
    """Features of one stimulus, and the names of their layers."""
    if space.kind == "own" and space.source is not None:
        from bids_brainalign.features.own import load_own_features, own_feature_file

        own, times = load_own_features(own_feature_file(space.source, stimulus.name))
        names = [str(i) for i in range(len(own))]
        # What the user's features heard is unknown: folds get no soft gap for them.
        return EncoderLayers(own, times, math.nan, math.nan), names
    if space.reads_text:
        found = models.text.extract(stimulus, scratch)
        return found, [str(i) for i in range(len(found.layers))]
    from bids_brainalign.dataset.pointers import require_content
    from bids_brainalign.features.audio import load_audio

    require_content(stimulus.path, config.paths.bids_dir)
    wave = load_audio(stimulus.path)
    if space.kind == "lowlevel":
        from bids_brainalign.workflow.lowlevel_features import lowlevel_of

        return lowlevel_of(config, stimulus, wave, rate_hz=rate_hz), ["n/a"]
    windowing, batch_size = windowing_of(config, space), config.resources.batch_size
    if isinstance(windowing, EndingWindows):
        found = models.encoder.extract_ending(
            wave, windowing, batch_size=batch_size, scratch=scratch
        )
    elif space.reads_words:
        assert stimulus.words is not None  # noqa: S101 - feature_steps asks for words
        found = models.decoder.extract(
            wave,
            stimulus.words.table,
            language=stimulus.language,
            windowing=windowing,
            scratch=scratch,
        )
    else:
        found = models.encoder.extract(
            wave, rate_hz=rate_hz, windowing=windowing, batch_size=batch_size, scratch=scratch
        )
    return found, [str(i) for i in range(len(found.layers))]


def device_of(config: Config) -> str:
    """Where models run: what was asked for, else CUDA where there is one."""
    if config.resources.device != "auto":
        return config.resources.device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
