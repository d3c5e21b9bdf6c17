"""Gradients of an update: their mean over rows, their norms per layer, and the longest allowed."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

HEAD = "head"
_BACKBONE = re.compile(r"(^|\.)backbone\.")
_BLOCK = re.compile(r"encoder\.layers\.(\d+)\.")


class Gradients:
    """Of the trained parameters of a model, all at once and without waiting for the device.

    Parameters
    ----------
    model : torch module
        On the device where it is trained.

    Attributes
    ----------
    layers : tuple of str
        Those of :func:`layer_of` that have trained parameters: blocks in order, the head last.
    """

    def __init__(self, model: nn.Module) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        last = last_block(model)
        found = [layer_of(name, last_norm_block=last) for name, _ in named]
        self.layers = tuple(sorted(set(found), key=lambda layer: (layer == HEAD, layer.zfill(4))))
        self._parameters = [parameter for _, parameter in named]
        self._layer = [self.layers.index(layer) for layer in found]

    def average(self, n_rows: Tensor) -> Tensor:
        """Divide sums over rows by the number of rows, in place; give the norms.

        Parameters
        ----------
        n_rows : Tensor of shape ()
            On the device of the model.

        Returns
        -------
        Tensor of shape (1 + n_layers,), float64
            Euclidean norm of all gradients together, then of each of the layers.
        """
        gradients, layers = self._present()
        squares = torch.zeros(len(self.layers), dtype=torch.float64, device=n_rows.device)
        if gradients:
            torch._foreach_div_(gradients, n_rows.float())
            norms = torch.stack(torch._foreach_norm(gradients))
            index = torch.tensor(layers).to(n_rows.device, non_blocking=True)
            squares.index_add_(0, index, norms.double().square())
        return torch.cat([squares.sum(dim=0, keepdim=True), squares]).sqrt()

    def shorten(self, norm: float, longest: float | None) -> None:
        """Scale all gradients, which have this norm together, to the longest one allowed."""
        if longest is None or norm <= longest:
            return
        gradients, _ = self._present()
        torch._foreach_mul_(gradients, longest / norm)

    def _present(self) -> tuple[list[Tensor], list[int]]:
        pairs = zip(self._parameters, self._layer, strict=True)
        present = [(p.grad, layer) for p, layer in pairs if p.grad is not None]
        return [gradient for gradient, _ in present], [layer for _, layer in present]


def last_block(model: nn.Module) -> int:
    """Layer that a norm after all blocks belongs to; 0 where there is none.

    ``encoder.layer_norm`` comes after the blocks in Whisper, whose front end is in the encoder,
    and before them in the others (see ``Backbone``).
    """
    names = [name for name, _ in model.named_parameters()]
    if not any("encoder.conv1." in name for name in names):
        return 0
    return max((int(block[1]) + 1 for name in names if (block := _BLOCK.search(name))), default=0)


def layer_of(name: str, *, last_norm_block: int = 0) -> str:
    """Give the layer that a parameter belongs to.

    Parameters
    ----------
    name : str
        In the whole model: ``backbone.net.encoder.layers.0.…``.
    last_norm_block : int
        From :func:`last_block`.

    Returns
    -------
    str
        ``1`` … (the block that makes this layer), ``0``: what comes before the blocks (front end,
        projection, positions), ``head``: what is not of the backbone.

    Examples
    --------
    >>> layer_of("backbone.net.encoder.layers.2.attention.k_proj.weight")
    '3'
    >>> layer_of("backbone.net.feature_projection.projection.bias"), layer_of("head.weight")
    ('0', 'head')
    """
    if not _BACKBONE.search(name):
        return HEAD
    block = _BLOCK.search(name)
    if block:
        return str(int(block[1]) + 1)
    return str(last_norm_block) if "encoder.layer_norm." in name else "0"
