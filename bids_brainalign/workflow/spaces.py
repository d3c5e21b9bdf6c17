"""Feature spaces of a run and the step that extracts them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.store.steps import Step

LOWLEVEL = "lowlevel"
LOWLEVEL_CONTEXT_S = 0.0125
"""Half of the 25 ms analysis window."""


@dataclass(frozen=True)
class Space:
    """One feature space: a model, its untrained twin, the low-level set, or the user's own."""

    name: str
    """As in the ``model`` column: NAME, ``NAME:untrained`` or ``lowlevel``."""
    kind: str
    """``model``, ``untrained``, ``lowlevel`` or ``own``."""
    source: Path | None
    digest: str
    """Digest of the weights; empty where there are none."""


def list_spaces(config: Config) -> tuple[Space, ...]:
    """Low-level features first, then every model with its untrained twin, then own features."""
    spaces = [Space(LOWLEVEL, "lowlevel", None, "")]
    for name, source in config.features.models:
        folder = Path(source)
        weights = digest_of(
            {
                p.name: file_digest(p, config.paths.work_dir / "digests")
                for p in sorted(folder.iterdir())
                if p.suffix in {".safetensors", ".json"}
            }
        )
        spaces.append(Space(name, "model", folder, weights))
        if config.features.untrained:
            # The twin needs the architecture only.
            shape = file_digest(folder / "config.json", config.paths.work_dir / "digests")
            spaces.append(Space(f"{name}:untrained", "untrained", folder, shape))
    for name, folder in config.paths.features:
        spaces.append(Space(name, "own", folder, ""))
    return tuple(spaces)


def seed_of(config: Config, *parts: str) -> int:
    """Seed of one unit of work, from the master seed and the unit's name."""
    text = "/".join((str(config.random_seed), *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def rate_of(config: Config, modality: str) -> float:
    """Frames per second kept for a modality."""
    return config.features.ieeg_rate_hz if modality == "ieeg" else config.features.fmri_rate_hz


def feature_key(config: Config, space: Space, stimulus: Stimulus, rate_hz: float) -> str:
    """Identity of stored features: the same audio, model and mode share them across datasets."""
    extra: object = None
    if space.kind == "lowlevel" and stimulus.words is not None:
        extra = stimulus.words.table["onset"].round(6).tolist()
    if space.kind == "untrained":
        extra = seed_of(config, space.name)
    if space.kind == "own" and space.source is not None:
        from bids_brainalign.features.own import own_feature_file

        path = own_feature_file(space.source, stimulus.name)
        extra = file_digest(path, config.paths.work_dir / "digests")
    options = asdict(config.features)
    options.pop("models"), options.pop("untrained")
    return digest_of([stimulus.sha256, space.kind, space.digest, extra, rate_hz, options])[:24]


def feature_steps(
    config: Config, space: Space, stimuli: Sequence[tuple[Stimulus, float]]
) -> list[Step]:
    """One step per stimulus and rate; the model is loaded once, when the first one needs it."""
    load = _lazy_encoder(config, space)
    return [_step(config, space, stimulus, rate, load) for stimulus, rate in stimuli]


def _step(
    config: Config,
    space: Space,
    stimulus: Stimulus,
    rate_hz: float,
    load: Callable[[], object],
) -> Step:
    key = feature_key(config, space, stimulus, rate_hz)

    def work() -> list[Path]:
        layers, names, times, past, future = _extract(config, space, stimulus, rate_hz, load)
        store = FeatureStore(config.paths.work_dir / "features")
        return [
            store.save(
                key,
                layers=layers,
                names=names,
                times=times,
                context_past_s=past,
                context_future_s=future,
            )
        ]

    return Step(
        name=f"features {space.name} {stimulus.name} {rate_hz:g}Hz {key[:6]}",
        inputs={"key": key},
        modules=_MODULES[space.kind],
        work=work,
    )


_MODULES = {
    "model": ("bids_brainalign.features.whisper",),
    "untrained": ("bids_brainalign.features.whisper",),
    "lowlevel": ("bids_brainalign.features.lowlevel",),
    "own": ("bids_brainalign.features.own",),
}

Extracted = tuple[list[np.ndarray], list[str], np.ndarray, float, float]


def _extract(
    config: Config,
    space: Space,
    stimulus: Stimulus,
    rate_hz: float,
    load: Callable[[], object],
) -> Extracted:
    if space.kind == "own" and space.source is not None:
        from bids_brainalign.features.own import load_own_features, own_feature_file

        own, times = load_own_features(own_feature_file(space.source, stimulus.name))
        names = [str(i) for i in range(len(own))]
        # What the user's features heard is unknown: folds get no soft gap for them.
        return list(own), names, times, math.nan, math.nan
    from bids_brainalign.dataset.pointers import require_content
    from bids_brainalign.features.audio import load_audio

    require_content(stimulus.path, config.paths.bids_dir)
    wave = load_audio(stimulus.path)
    if space.kind == "lowlevel":
        from bids_brainalign.features.lowlevel import lowlevel_features

        words = stimulus.words.table if stimulus.words is not None else None
        frames, times, _ = lowlevel_features(
            wave, words, rate_hz=rate_hz, n_mels=config.features.n_mels
        )
        return [frames], ["n/a"], times, LOWLEVEL_CONTEXT_S, LOWLEVEL_CONTEXT_S
    from bids_brainalign.features.whisper import WhisperLayers

    encoder = load()
    assert isinstance(encoder, WhisperLayers)  # noqa: S101 - narrows the lazy loader's type
    found = encoder.extract(
        wave,
        rate_hz=rate_hz,
        hop_s=config.features.hop_s,
        margin_s=config.features.margin_s,
        blend_s=config.features.blend_s,
        batch_size=config.resources.batch_size,
    )
    names = [str(i) for i in range(len(found.layers))]
    return list(found.layers), names, found.times, found.context_past_s, found.context_future_s


def _lazy_encoder(config: Config, space: Space) -> Callable[[], object]:
    loaded: list[object] = []

    def load() -> object:
        if not loaded:
            from bids_brainalign.features.whisper import WhisperLayers

            assert space.source is not None  # noqa: S101 - models always have a folder
            seed = seed_of(config, space.name) if space.kind == "untrained" else None
            loaded.append(WhisperLayers(space.source, untrained_seed=seed, device=_device(config)))
        return loaded[0]

    return load


def _device(config: Config) -> str:
    if config.resources.device != "auto":
        return config.resources.device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
