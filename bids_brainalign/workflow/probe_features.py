"""Features of models, averaged over the windows that probes look at, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.features.dense import EncoderLayers
from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.models import SpeechModel, open_model
from bids_brainalign.store.digest import digest_of
from bids_brainalign.store.features import FeatureStore, StoredFeatures
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.probe_material import FOLDER_RATE_HZ, Material, Rows, rows_of
from bids_brainalign.workflow.spaces import Space, feature_key, twin_seed, windowing_of

UNITS = ("frame", "segment", "word", "clip")


@dataclass(frozen=True)
class Pooled:
    """Rows of one material, unit by unit, as they lie in the file of a model's features."""

    rows: dict[str, Rows]

    def of(self, unit: str) -> slice:
        """Where the rows of a unit lie."""
        sizes = [len(self.rows[name]) for name in self.rows]
        first = sum(sizes[: list(self.rows).index(unit)])
        return slice(first, first + len(self.rows[unit]))

    @property
    def n_rows(self) -> int:
        """Of all units."""
        return sum(map(len, self.rows.values()))


def pooled_rows(config: Config, material: Material, units: Sequence[str]) -> Pooled:
    """Windows of every unit that some probe needs."""
    return Pooled({unit: rows_of(config, material, unit) for unit in UNITS if unit in units})


def can_probe(space: Space, material: Material) -> bool:
    """Whether a space has frames over time for this material."""
    if space.kind == "own":
        return bool(material.stimuli)
    return space.kind in {"model", "untrained"} and not space.reads_words


def pooled_key(config: Config, space: Space, material: Material, pooled: Pooled) -> str:
    """Identity of what is stored."""
    rows = [
        [unit, digest_of([part.round(6).tolist() for part in (r.clip, r.start, r.stop)])]
        for unit, r in pooled.rows.items()
    ]
    return "probes-" + digest_of([_source(config, space, material), rows])[:24]


def _source(config: Config, space: Space, material: Material) -> object:
    """Tell what the features are made of: stored ones of stimuli, or clips and the model."""
    if material.stimuli:
        return [
            feature_key(config, space, stimulus, rate)
            for stimulus, rate in zip(material.stimuli, material.rates_hz, strict=True)
        ]
    seed = twin_seed(config, space) if space.kind == "untrained" else 0
    windows = windowing_of(config, space)
    return [
        material.identity, space.digest, space.kind, seed, space.mode, repr(windows),
        config.resources.precision, FOLDER_RATE_HZ,
    ]  # fmt: skip


def load_pooled(
    config: Config, space: Space, material: Material, pooled: Pooled
) -> StoredFeatures:
    """Open what the step has stored."""
    store = FeatureStore(config.paths.work_dir / "features")
    return store.load(store.path_for(pooled_key(config, space, material, pooled)))


def pooled_step(config: Config, space: Space, material: Material, pooled: Pooled) -> Step:
    """Average one model's features over the windows of one material."""
    key = pooled_key(config, space, material, pooled)

    def work() -> list[Path]:
        store = FeatureStore(config.paths.work_dir / "features")
        with store.scratch() as scratch:
            layers, names, past, future = _averaged(config, space, material, pooled, scratch)
            path = store.save(
                key,
                layers=layers,
                names=names,
                times=np.arange(pooled.n_rows, dtype=np.float64),
                context_past_s=past,
                context_future_s=future,
            )
        return [path]

    return Step(
        name=f"probe features {space.name} {material.name} {key[-6:]}",
        inputs={"key": key},
        modules=("bids_brainalign.workflow.probe_features",),
        work=work,
    )


def _averaged(
    config: Config, space: Space, material: Material, pooled: Pooled, scratch: object
) -> tuple[Sequence[NDArray[np.float32]], list[str], float, float]:
    """All layers: (n_rows, n_dims) each, in a file without a name."""
    out: NDArray[np.float32] | None = None
    names: list[str] = []
    past = future = 0.0
    model = None if material.stimuli else _open(config, space)
    for index in range(len(material.clips)):
        places = _places(pooled, index)
        if not any(len(rows) for _, rows in places):
            continue
        found = (
            _stored(config, space, material, index)
            if model is None
            else _extracted(config, space, model, material.clips[index].path)
        )
        for layer, frames in enumerate(found.layers):
            if out is None:
                shape = (len(found.layers), pooled.n_rows, frames.shape[1])
                out = np.memmap(scratch, dtype=np.float32, mode="w+", shape=shape)  # type: ignore[call-overload]
                names = [str(i) for i in range(shape[0])]
            means = WindowMeans(frames, found.times)
            for at, rows in places:
                out[layer, at] = means.of(rows.start, rows.stop)
        past, future = found.context_past_s, found.context_future_s
    assert out is not None  # noqa: S101 - there is a row, or no probe would ask
    return list(out), names, past, future


def _places(pooled: Pooled, clip: int) -> list[tuple[NDArray[np.int64], Rows]]:
    """Positions in the file of the rows of one clip, and the rows, for every unit."""
    found = []
    for unit, rows in pooled.rows.items():
        mine = np.flatnonzero(rows.clip == clip)
        found.append((mine + pooled.of(unit).start, rows.some(mine)))
    return found


def _open(config: Config, space: Space) -> SpeechModel:
    assert space.source is not None  # noqa: S101 - models always have a folder
    return open_model(
        space.source,
        untrained_seed=twin_seed(config, space) if space.kind == "untrained" else None,
        device=device_of(config),
        precision=config.resources.precision,
    )


def _extracted(config: Config, space: Space, model: SpeechModel, path: Path) -> EncoderLayers:
    from bids_brainalign.features.audio import load_audio

    wave, windowing = load_audio(path), windowing_of(config, space)
    batch_size = config.resources.batch_size
    if isinstance(windowing, EndingWindows):
        return model.extract_ending(wave, windowing, batch_size=batch_size)
    return model.extract(wave, rate_hz=FOLDER_RATE_HZ, windowing=windowing, batch_size=batch_size)


def _stored(config: Config, space: Space, material: Material, index: int) -> EncoderLayers:
    store = FeatureStore(config.paths.work_dir / "features")
    key = feature_key(config, space, material.stimuli[index], material.rates_hz[index])
    stored = store.load(store.path_for(key))
    return EncoderLayers(
        _Read(stored), stored.times, stored.context_past_s, stored.context_future_s
    )


class _Read(Sequence[NDArray[np.float32]]):
    """Layers of stored features, each read when it is asked for."""

    def __init__(self, stored: StoredFeatures) -> None:
        self._stored = stored

    def __len__(self) -> int:
        return len(self._stored.layers)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._stored.read(index)


class WindowMeans:
    """Means of frames over windows, from running sums.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_dims)
    times : ndarray of shape (n_frames,)
        s, rising.
    """

    def __init__(self, frames: NDArray[np.floating], times: NDArray[np.float64]) -> None:
        self._frames, self._times = frames, times
        zero = np.zeros((1, frames.shape[1]))
        self._sums = np.concatenate([zero, np.cumsum(frames, axis=0, dtype=np.float64)])

    def of(self, start: NDArray[np.float64], stop: NDArray[np.float64]) -> NDArray[np.floating]:
        """Mean of the frames in each window; the nearest frame where a window holds none."""
        first = np.searchsorted(self._times, start - 1e-9)
        last = np.searchsorted(self._times, stop - 1e-9)
        n = last - first
        some = n > 0
        out = np.empty((len(start), self._frames.shape[1]))
        spans = self._sums[last[some]] - self._sums[first[some]]
        out[some] = spans / n[some, None]
        middle = ((start + stop) / 2)[~some]
        right = np.clip(np.searchsorted(self._times, middle), 1, len(self._times) - 1)
        left = right - 1
        nearer = middle - self._times[left] <= self._times[right] - middle
        nearest = np.where(nearer, left, right) if len(self._times) > 1 else np.zeros_like(right)
        out[~some] = self._frames[nearest]
        return out
