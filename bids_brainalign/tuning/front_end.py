"""The convolutions before the transformer, computed apart from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


def take_computed(extractor: nn.Module) -> None:
    """Make a convolutional front end hand on what it computed itself before.

    Parameters
    ----------
    extractor : torch module
        ``feature_extractor`` of wav2vec 2.0 and its kin: audio (n_clips, n_samples) in,
        (n_clips, n_front_dims, n_frames) out. Changed in place: three dimensions are passed
        through. Its parameters and the names of these stay.
    """
    family = type(extractor)

    def forward(self: Any, input_values: Tensor) -> Tensor:
        if input_values.ndim == 3:
            return input_values
        computed: Tensor = family.forward(self, input_values)
        return computed

    extractor.__class__ = type(f"Given{family.__name__}", (family,), {"forward": forward})


def standardised(clips: Tensor, heard: Tensor) -> Tensor:
    """Give every clip mean 0 and variance 1 over its own audio, as the models' processors do.

    Parameters
    ----------
    clips : Tensor of shape (n_clips, n_samples)
    heard : bool Tensor of shape (n_clips, n_samples)
        Which samples are audio.
    """
    n = heard.sum(dim=1, keepdim=True)
    mean = (clips * heard).sum(dim=1, keepdim=True) / n
    centred = (clips - mean) * heard
    variance = centred.square().sum(dim=1, keepdim=True) / n
    return centred / torch.sqrt(variance + 1e-7)


def heard_samples(clips: Tensor, lengths: list[int]) -> Tensor:
    """Tell which samples are audio, bool (n_clips, n_samples)."""
    ends = torch.tensor(lengths).to(clips.device, non_blocking=True)
    return torch.arange(clips.shape[1], device=clips.device) < ends[:, None]


def by_length(lengths: list[int]) -> Iterator[tuple[int, slice | list[int]]]:
    """Give every length with the rows that have it, in the order of :func:`in_order`."""
    for length in sorted(set(lengths)):
        rows = [row for row, n in enumerate(lengths) if n == length]
        yield length, slice(None) if len(rows) == len(lengths) else rows


def in_order(parts: list[Tensor], lengths: list[int]) -> Tensor:
    """Put what was made length by length into the order of the clips."""
    if len(parts) == 1:
        return parts[0]
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    back = torch.tensor(order).argsort()
    return torch.cat(parts)[back.to(parts[0].device, non_blocking=True)]
