"""The networks: recurrence, attention, both, or neither, on one window of features.

Every network reads exactly what the FIR ridge reads: for each response sample the features at the
ridge's lags. A window per sample costs more than long blocks, but no state hears a frame that the
ridge doesn't, so a gain over ridge can't come from a longer window.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Kind = Literal["gru", "lstm", "attention", "recurrent", "mlp"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ATTENTIVE: tuple[Kind, ...] = ("gru", "lstm", "attention")
"""Networks with attention, in order of how much they mix times before it."""
_FIRST_WEIGHTS = Lock()


@dataclass(frozen=True)
class Shape:
    """Sizes of one network."""

    n_lags: int
    n_dims: int
    n_targets: int
    hidden: int
    """Units of the input layer, and of the recurrent layer per direction."""
    n_queries: int
    dropout: float
    mlp_width: int | None = None
    """Hidden units of ``mlp``; None: as many as give it the parameters of ``gru``."""


class Dropout(nn.Module):
    """Dropout with a random stream of its own.

    torch's draws from one stream per process: networks trained side by side in threads would
    take each other's numbers, and a seed would no longer say what is trained.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.stream: torch.Generator | None = None
        """On the device of the network; set before training."""

    def forward(self, values: Tensor) -> Tensor:
        """Set a share of the values to 0 and scale the others up, in training only."""
        if not self.training or self.share == 0:
            return values
        kept = torch.empty_like(values).bernoulli_(1 - self.share, generator=self.stream)
        return values * kept.div_(1 - self.share)


class TemporalAttention(nn.Module):
    """Additive attention over the lags of one window with learned queries.

    The score of lag l for query k is v′ tanh(W h_l + q_k) + b_kl (Bahdanau et al. 2015, eq. 6,
    with a learned query in place of a decoder's state). The bias b gives every lag a place of its
    own: without it the network could not tell lags apart where nothing recurs.

    Parameters
    ----------
    width : int
        Size of the states.
    size : int
        Of keys and queries.
    n_queries, n_lags : int
    """

    def __init__(self, width: int, *, size: int, n_queries: int, n_lags: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, size)
        self.query = nn.Parameter(torch.randn(n_queries, size))
        self.score = nn.Linear(size, 1, bias=False)
        self.place = nn.Parameter(torch.zeros(n_queries, n_lags))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Average the states by attention.

        Parameters
        ----------
        states : Tensor of shape (n_rows, n_lags, width)

        Returns
        -------
        context : Tensor of shape (n_rows, n_queries, width)
        weights : Tensor of shape (n_rows, n_queries, n_lags)
            Sum to 1 over lags.
        """
        keys = self.key(states)[:, None]  # (n_rows, 1, n_lags, size)
        scores = self.score(torch.tanh(keys + self.query[:, None])).squeeze(-1) + self.place
        weights = torch.softmax(scores, dim=-1)
        return weights @ states, weights


class Network(nn.Module):
    """Linear + LayerNorm → recurrence → attention → readout, as far as its kind has them.

    Parameters
    ----------
    kind : str
        ``gru`` and ``lstm``: a bidirectional recurrent layer and attention, as published
        (Ciferri et al. 2026: bidirectional GRU). ``attention``: no recurrence. ``recurrent``: a
        bidirectional GRU read out at both ends of the window. ``mlp``: two layers on the
        flattened window, by default with as many parameters as ``gru`` has.
    shape : Shape
    """

    def __init__(self, kind: Kind, shape: Shape) -> None:
        super().__init__()
        self.kind = kind
        self.drop = Dropout(shape.dropout)
        if kind == "mlp":
            width = shape.mlp_width or matched_width(shape)
            self.enter: nn.Module = nn.Sequential(
                nn.Linear(shape.n_lags * shape.n_dims, width), nn.LayerNorm(width), nn.GELU()
            )
            self.readout = nn.Linear(width, shape.n_targets)
            return
        self.enter = nn.Sequential(
            nn.Linear(shape.n_dims, shape.hidden), nn.LayerNorm(shape.hidden)
        )
        width = shape.hidden if kind == "attention" else 2 * shape.hidden
        self.recur: nn.GRU | nn.LSTM | None = None
        if kind != "attention":
            layer = nn.LSTM if kind == "lstm" else nn.GRU
            self.recur = layer(shape.hidden, shape.hidden, batch_first=True, bidirectional=True)
        self.attend: TemporalAttention | None = None
        if kind in ATTENTIVE:
            self.attend = TemporalAttention(
                width,
                size=max(4, shape.hidden // 2),
                n_queries=shape.n_queries,
                n_lags=shape.n_lags,
            )
            width *= shape.n_queries
        self.readout = nn.Linear(width, shape.n_targets)

    def forward(self, windows: Tensor) -> Tensor:
        """Predict the responses of some rows.

        Parameters
        ----------
        windows : Tensor of shape (n_rows, n_lags, n_dims)
            Smallest lag (latest frame) first; recurrence goes both ways.

        Returns
        -------
        Tensor of shape (n_rows, n_targets)
        """
        return torch.as_tensor(self.readout(self.drop(self.context(windows)[0])))

    def context(self, windows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Give what the readout reads (n_rows, width) and the attention, if any."""
        if self.kind == "mlp":
            return self.enter(windows.flatten(1)), None
        states = self.enter(windows)
        if self.recur is not None:
            states = self.recur(self.drop(states))[0]
        if self.attend is None:
            half = states.shape[-1] // 2
            # The last state of either direction has seen the whole window.
            return torch.cat([states[:, -1, :half], states[:, 0, half:]], dim=-1), None
        context, weights = self.attend(states)
        return context.flatten(1), weights


def build(kind: Kind, shape: Shape, *, seed: int) -> Network:
    """Make a network from a seed; torch's own random stream is left as it was.

    First weights come from that stream, which all threads share: one network is made at a time.
    """
    with _FIRST_WEIGHTS, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(kind, shape)
        # The prediction begins at the training mean, 0.
        nn.init.zeros_(network.readout.weight)
        nn.init.zeros_(network.readout.bias)
    return network


def n_parameters(module: nn.Module) -> int:
    """Trainable numbers of a module."""
    return sum(p.numel() for p in module.parameters())


def matched_width(shape: Shape) -> int:
    """Hidden units that give the MLP as many parameters as the GRU with attention."""
    # Sizes only: no numbers are drawn.
    with torch.device("meta"):
        goal = n_parameters(Network("gru", shape))
    # in·w + w (layer) + 2 w (norm) + w·out + out
    per_unit = shape.n_lags * shape.n_dims + 3 + shape.n_targets
    return max(1, round((goal - shape.n_targets) / per_unit))
