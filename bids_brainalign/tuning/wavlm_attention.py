"""WavLM's attention called through its projections, so that adapters on them work.

transformers hands the *weights* of ``q_proj``, ``k_proj`` and ``v_proj`` to
``torch.nn.functional.multi_head_attention_forward``. An adapter that PEFT puts around these
projections is then never called: it gets no gradient and changes nothing, yet merging it does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def route_wavlm_attention(model: nn.Module) -> int:
    """Make every WavLM attention of a model call its projections.

    Parameters
    ----------
    model : torch module
        Changed in place: the attention modules get another class, their parameters and the names
        of these stay. Do this before adapters are added.

    Returns
    -------
    int
        Attention modules changed; 0 for other architectures.

    Notes
    -----
    Same output as transformers' within rounding; attention weights are not returned.
    """
    from transformers.models.wavlm.modeling_wavlm import WavLMAttention

    found = [module for module in model.modules() if type(module) is WavLMAttention]
    if found:
        routed = type("RoutedWavLMAttention", (WavLMAttention,), {"forward": _forward})
        for module in found:
            module.__class__ = routed
    return len(found)


def _forward(
    self: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    position_bias: Tensor | None = None,
    index: int = 0,
    **_: Any,
) -> tuple[Tensor, None, Tensor]:
    """Attend with a gated relative position bias (Chen et al. 2022, WavLM).

    Parameters
    ----------
    hidden_states : Tensor of shape (n_clips, n_frames, n_dims)
    attention_mask : bool Tensor of shape (n_clips, n_frames), optional
        True where frames are audio.
    position_bias : Tensor of shape (n_heads, n_frames, n_frames), optional
        Of the first block, which is the only one that has one; made where it is None.
    """
    n_clips, n_frames, n_dims = hidden_states.shape
    if position_bias is None:
        position_bias = self.compute_bias(n_frames, n_frames)
    by_head = hidden_states.view(n_clips, n_frames, self.num_heads, -1).transpose(1, 2)
    # (n_clips, n_heads, n_frames, 8) → two gates, each the sum of four numbers
    gates = self.gru_rel_pos_linear(by_head).unflatten(-1, (2, 4)).sum(-1)
    first, second = torch.sigmoid(gates).chunk(2, dim=-1)
    gate = first * (second * self.gru_rel_pos_const - 1.0) + 2.0
    bias = gate * position_bias  # (n_clips, n_heads, n_frames, n_frames)
    if attention_mask is not None:
        bias = bias.masked_fill(~attention_mask.bool()[:, None, None, :], -torch.inf)

    def heads(projection: nn.Module) -> Tensor:
        values: Tensor = projection(hidden_states)
        return values.view(n_clips, n_frames, self.num_heads, -1).transpose(1, 2)

    query, key, value = heads(self.q_proj), heads(self.k_proj), heads(self.v_proj)
    attended = functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=bias.to(query.dtype),
        dropout_p=self.dropout if self.training else 0.0,
    )
    mixed = attended.transpose(1, 2).reshape(n_clips, n_frames, n_dims)
    return self.out_proj(mixed), None, position_bias
