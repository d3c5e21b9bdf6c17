"""What a mapping gets: checked words and channels, standardised by training words only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.folds import Rows

Array64 = NDArray[np.float64]

_STILL = 1e-10
"""An SD below this share of the mean's size is rounding."""


@dataclass(frozen=True)
class Part:
    """Neighbouring columns of concatenated embeddings that come from one of them."""

    n_dims: int
    explained: float | None = None
    """As of :class:`Preparation`, for these columns."""

    def __post_init__(self) -> None:
        _require_share(self.explained)


@dataclass(frozen=True)
class Preparation:
    """How embeddings are prepared in every fold."""

    explained: float | None = None
    """Share of the variance that principal components must keep, such as .9 for embeddings of
    audio; None keeps all dimensions."""
    parts: tuple[Part, ...] = ()
    """Of concatenated embeddings, from the first column on; each has its own components."""

    def __post_init__(self) -> None:
        _require_share(self.explained)
        if self.parts and self.explained is not None:
            raise ValueError("the parts say how much of their variance is kept")

    def apply(self, embeddings: Array64, train: Rows) -> Array64:
        """Standardise by the training words, and project on their principal components.

        Components keep their variances: brought to one SD, the last would weigh as much as the
        first. Parts are brought to one total variance over the training words, their mean, so that
        one of 300 dimensions weighs as much as one of 4,096, and penalties mean what they mean for
        single embeddings.

        Parameters
        ----------
        embeddings : ndarray of shape (n_words, n_dims)
        train : ndarray of int
            Words that mean, SD, components and variances are taken from.

        Returns
        -------
        ndarray of shape (n_words, n_dims or fewer)

        Raises
        ------
        BrainAlignError
            The parts are not all columns.
        """
        mean, sd = moments(embeddings[train])
        x = np.asarray((embeddings - mean) / np.where(sd > 0, sd, np.inf))
        if not self.parts:
            return _components(x, train, self.explained)
        widths = [part.n_dims for part in self.parts]
        if sum(widths) != x.shape[1]:
            raise BrainAlignError(
                f"Parts of {' + '.join(map(str, widths))} columns are no embedding of "
                f"{x.shape[1]} dimensions."
            )
        columns = np.split(x, np.cumsum(widths)[:-1], axis=1)
        blocks = [
            _components(block, train, part.explained)
            for block, part in zip(columns, self.parts, strict=True)
        ]
        return np.concatenate(_equally_weighted(blocks, train), axis=1)


def _require_share(explained: float | None) -> None:
    if explained is not None and not 0 < explained <= 1:
        raise BrainAlignError(
            f"Principal components cannot keep {explained:g} of the variance.",
            fix="Give a share above 0 and up to 1, such as 0.9.",
        )


def _components(x: Array64, train: Rows, explained: float | None) -> Array64:
    """Project standardised embeddings on principal components of the training words."""
    if explained is None:
        return x
    _, s, vt = np.linalg.svd(x[train], full_matrices=False)
    share = np.cumsum(s**2) / max(float((s**2).sum()), np.finfo(float).tiny)
    n_kept = int(np.searchsorted(share, explained - 1e-12)) + 1
    return np.asarray(x @ vt[:n_kept].T)


def _equally_weighted(blocks: list[Array64], train: Rows) -> list[Array64]:
    """Bring blocks to one total variance; one that does not vary stays as it is."""
    totals = np.array([block[train].var(axis=0).sum() for block in blocks])
    varying = totals > 0
    common = float(totals[varying].mean()) if varying.any() else 1.0
    scale = np.sqrt(common / np.where(varying, totals, common))
    return [block * factor for block, factor in zip(blocks, scale, strict=True)]


def moments(values: Array64) -> tuple[Array64, Array64]:
    """Mean and SD over rows; an SD of mere rounding is 0."""
    mean, sd = values.mean(axis=0), values.std(axis=0)
    return mean, np.where(sd > _STILL * np.abs(mean), sd, 0.0)


def usable_channels(responses: Array64) -> NDArray[np.bool_]:
    """Channels with a finite response to every word that is not the same to all: (n_channels,)."""
    finite = np.isfinite(responses).all(axis=0)
    _, sd = moments(np.where(finite, responses, 0.0))
    return np.asarray(finite & (sd > 0))


def check_words(embeddings: Array64, responses: Array64, n_words: int) -> None:
    """Refuse what no channel could be fitted on.

    Raises
    ------
    BrainAlignError
        If numbers of words differ, embeddings are not finite, none varies, or no channel is left.
    """
    if not len(embeddings) == len(responses) == n_words:
        raise BrainAlignError(
            f"{len(embeddings)} embeddings, {len(responses)} responses and folds over {n_words} "
            "words do not fit."
        )
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise BrainAlignError(
            f"{len(bad)} of {n_words} words have no finite embedding, the first is word "
            f"{bad[0] + 1}.",
            fix="Drop words without a vector, for all models alike.",
        )
    if not (moments(embeddings)[1] > 0).any():
        raise BrainAlignError("All words have the same embedding: nothing can be mapped.")
    if not usable_channels(responses).any():
        raise BrainAlignError("No channel has finite responses that differ between words.")
