"""Kinds of sound in a model's own frames: what masked prediction predicts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.clip_batches import cut_clips
from bids_brainalign.tuning.stories import SAMPLE_RATE_HZ, Story

MOST_CLUSTERS = 500
"""Hsu et al. (2021, HuBERT), §IV-B: 500 clusters of layer 6 of 12 for their second iteration."""
FRAMES_PER_CLUSTER = 20
"""A cluster of fewer frames is seldom met in training. Ours."""
LEAST_CLUSTERS = 10
MOST_FRAMES = 100_000
"""Frames that the centres are fitted on at the most (33 min); all frames are assigned to them."""
_KMEANS_BATCH = 10_000
"""Frames per step of k-means (Hsu et al. 2021, §IV-B)."""
_CONTEXT_S, _CORE_S = 1.0, 8.0
"""Audio on both sides of the frames that are read of a clip, and these themselves."""
_CLIPS_AT_ONCE = 8

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameClusters:
    """Clusters of frames, and to which of them the frames of some stories belong."""

    layer: int
    """Of the original model, that the frames are of."""
    mean: NDArray[np.float32]
    """(n_dims,), of the frames that the centres were fitted on."""
    scale: NDArray[np.float32]
    """(n_dims,), their SD."""
    centres: NDArray[np.float32]
    """(n_clusters, n_dims), of frames less their mean and divided by their scale."""
    ids: tuple[NDArray[np.int64], ...]
    """Per story, (n_frames,): the nearest centre."""

    @property
    def n_clusters(self) -> int:
        """Clusters, those without frames too."""
        return len(self.centres)


def cluster_frames(
    backbone: Backbone,
    stories: Sequence[Story],
    *,
    seed: int,
    layer: int | None = None,
    most_clusters: int = MOST_CLUSTERS,
    device: str = "cpu",
    path: Path | None = None,
) -> FrameClusters:
    """Find clusters in the original model's frames of some stories, by k-means.

    Parameters
    ----------
    backbone : Backbone
        Its folder is opened anew: whatever was trained or added, the original is asked.
    stories : sequence of Story
        Their responses are not looked at.
    seed : int
    layer : int, optional
        Layer of the frames. None: the middle one of the model (6 of 12).
    most_clusters : int
    device : str
        Of the model.
    path : Path, optional
        Where the clusters are kept: a training that is gone on with has to have the same.

    Returns
    -------
    FrameClusters
        At most `most_clusters`, and one per `FRAMES_PER_CLUSTER` frames.

    Raises
    ------
    BrainAlignError
        Too little audio (65).

    References
    ----------
    Hsu et al. (2021), HuBERT: Self-supervised speech representation learning by masked prediction
    of hidden units, §II-A. Dimensions are brought to one scale before, which is ours: in large
    models a few of them are so large that they alone would decide.
    """
    if path is not None and path.is_file():
        return _read(path)
    layer = round(backbone.n_blocks / 2) if layer is None else layer
    original = Backbone(backbone.folder, layer=layer).to(device).eval()
    counts = [original.n_frames(len(story.wave)) for story in stories]
    n_clusters = min(most_clusters, sum(counts) // FRAMES_PER_CLUSTER)
    if n_clusters < LEAST_CLUSTERS:
        seconds = sum(len(story.wave) for story in stories) / SAMPLE_RATE_HZ
        raise BrainAlignError(
            f"{seconds:.1f} s of audio are too little for masked prediction",
            where=f"{sum(counts)} frames; {LEAST_CLUSTERS} clusters of {FRAMES_PER_CLUSTER} are "
            "needed at least",
            fix="tune on longer stories",
        )
    frames = _sample(original, stories, counts, seed=seed)
    mean, scale = frames.mean(axis=0), frames.std(axis=0)
    scale[scale <= 1e-6 * max(float(scale.max()), 1e-30)] = 1.0
    centres = _centres((frames - mean) / scale, n_clusters, seed=seed)
    empty = FrameClusters(layer, mean, scale, centres, ())
    found = replace(empty, ids=tuple(_ids(empty, original, story) for story in stories))
    logger.info(
        "Masked prediction: %d clusters of %d frames, layer %d of %s.",
        n_clusters, sum(counts), layer, backbone.folder.name,
    )  # fmt: skip
    if path is not None:
        _write(path, found)
    return found


def assigned(
    clusters: FrameClusters, backbone: Backbone, stories: Sequence[Story], *, device: str = "cpu"
) -> FrameClusters:
    """Give the same clusters with the frames of other stories assigned to them."""
    original = Backbone(backbone.folder, layer=clusters.layer).to(device).eval()
    return replace(clusters, ids=tuple(_ids(clusters, original, story) for story in stories))


def _sample(
    original: Backbone, stories: Sequence[Story], counts: Sequence[int], *, seed: int
) -> NDArray[np.float32]:
    """Frames of some pieces, drawn at random from all stories; of all pieces, if they fit."""
    pieces = [(k, first) for k, n in enumerate(counts) for first in range(0, n, _core(original))]
    rng = np.random.default_rng([seed, 0])
    order = rng.permutation(len(pieces))[: max(1, MOST_FRAMES // _core(original))]
    found = []
    for number in np.unique([pieces[k][0] for k in order]):
        first = [pieces[k][1] for k in sorted(order) if pieces[k][0] == number]
        found += list(_frames(original, stories[number].wave, first))
    return np.concatenate(found)


def _centres(frames: NDArray[np.float32], n_clusters: int, *, seed: int) -> NDArray[np.float32]:
    from sklearn.cluster import MiniBatchKMeans

    kmeans = MiniBatchKMeans(
        n_clusters, batch_size=_KMEANS_BATCH, n_init=3, random_state=seed % 2**32
    )
    with threadpool_limits(1):  # sums over threads depend on how many there are
        kmeans.fit(frames)
    return np.asarray(kmeans.cluster_centers_, dtype=np.float32)


def _ids(clusters: FrameClusters, original: Backbone, story: Story) -> NDArray[np.int64]:
    """Nearest centre of every frame, (n_frames,)."""
    n_frames = original.n_frames(len(story.wave))
    squares = np.square(clusters.centres).sum(axis=1)
    found = [np.zeros(0, dtype=np.int64)]
    for frames in _frames(original, story.wave, range(0, n_frames, _core(original))):
        points = (frames - clusters.mean) / clusters.scale
        found.append((squares - 2 * points @ clusters.centres.T).argmin(axis=1))
    return np.concatenate(found)


def _core(original: Backbone) -> int:
    """Frames that are read of one piece: of Whisper's what its window has beside the context."""
    stride = original.grid.stride
    if original.window_samples is None:
        return round(_CORE_S * SAMPLE_RATE_HZ / stride)
    return original.window_samples // stride - 2 * _context(original)


def _context(original: Backbone) -> int:
    """Frames that are heard on both sides of these."""
    longest = original.window_samples or 16 * SAMPLE_RATE_HZ
    return min(round(_CONTEXT_S * SAMPLE_RATE_HZ), longest // 4) // original.grid.stride


@torch.no_grad()
def _frames(
    original: Backbone, wave: NDArray[np.float32], first: Sequence[int]
) -> Iterator[NDArray[np.float32]]:
    """Frames of pieces of a story, each heard with its context.

    Parameters
    ----------
    original : Backbone
    wave : ndarray of shape (n_samples,)
    first : sequence of int
        Number of the first frame of each piece.
    """
    device = next(original.parameters()).device
    n_frames, core, context = original.n_frames(len(wave)), _core(original), _context(original)
    for k in range(0, len(first), _CLIPS_AT_ONCE):
        some = np.asarray(first[k : k + _CLIPS_AT_ONCE])
        left = np.maximum(some - context, 0)
        right = np.minimum(some + core + context, n_frames)
        start = left * original.grid.stride
        # Whisper's last frame may lack audio at its end.
        stop = np.minimum(start + original.grid.n_samples(right - left), len(wave))
        clips = cut_clips(wave, start, stop, n_samples=int((stop - start).max()))
        hidden, _ = original(
            torch.from_numpy(clips).to(device), torch.from_numpy(stop - start).to(device)
        )
        for row, begin, from_ in zip(hidden.cpu().numpy(), some, left, strict=True):
            yield row[begin - from_ : min(begin + core, n_frames) - from_]


def _write(path: Path, clusters: FrameClusters) -> None:
    lengths = np.array([len(ids) for ids in clusters.ids])
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file, layer=clusters.layer, mean=clusters.mean, scale=clusters.scale,
            centres=clusters.centres, ids=np.concatenate(clusters.ids), lengths=lengths,
        )  # fmt: skip


def _read(path: Path) -> FrameClusters:
    with np.load(path) as file:
        ids = np.split(file["ids"], np.cumsum(file["lengths"])[:-1])
        return FrameClusters(
            int(file["layer"]), file["mean"], file["scale"], file["centres"], tuple(ids)
        )
