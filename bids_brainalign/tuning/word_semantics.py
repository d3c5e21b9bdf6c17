"""An auxiliary aim beside the responses: the words' embeddings, from the same features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.losses import Loss, cosine
from bids_brainalign.tuning.readouts import TunedModel, linear
from bids_brainalign.tuning.stories import Batch


class WithWords(nn.Module):
    """A model with a second head that predicts word embeddings.

    Stories carry the embeddings as further columns of their responses, so that nothing else of the
    training changes: the predictions of both heads stand side by side, and `words_too` makes the
    loss.

    Parameters
    ----------
    model : TunedModel
    n_dims : int
        Of the embeddings.
    seed : int
        Of the head's first weights.
    """

    def __init__(self, model: TunedModel, *, n_dims: int, seed: int) -> None:
        super().__init__()
        self.model = model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.word_head = linear(model.n_features, n_dims)

    def forward(self, batch: Batch) -> Tensor:
        """Predict responses and embeddings, (n_rows, n_targets + n_dims)."""
        features = self.model.features(batch)
        return torch.cat([self.model.head(features), self.word_head(features)], dim=1)

    def features(self, batch: Batch) -> Tensor:
        """Give what both heads read, (n_rows, n_features)."""
        return self.model.features(batch)


def words_too(loss: Loss, *, n_targets: int, weight: float) -> Loss:
    """Add the embeddings' part to a loss of responses.

    Parameters
    ----------
    loss : callable
        Of the responses.
    n_targets : int
        Columns that are responses; the others are the embedding of the words of the row, zeros
        where there is no word.
    weight : float
        Of 1 − cosine between predicted and true embeddings, mean over rows with words.

    Raises
    ------
    BrainAlignError
        The weight is not positive (64).
    """
    if not weight > 0:
        raise BrainAlignError(
            f"the weight of the words in the loss is {weight:g}",
            fix="give a positive weight, or train without words",
            exit_code=ExitCode.USAGE,
        )

    def combined(prediction: Tensor, truth: Tensor) -> Tensor:
        total = loss(prediction[:, :n_targets], truth[:, :n_targets])
        words = truth[:, n_targets:]
        has_word = words.any(dim=1)
        if not bool(has_word.any()):
            return total
        return total + weight * cosine(prediction[has_word, n_targets:], words[has_word])

    return combined
