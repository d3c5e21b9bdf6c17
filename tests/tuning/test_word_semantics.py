"""A second head for word embeddings beside that for responses."""

import numpy as np
import pytest
import torch

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.alive import require_alive
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.losses import mse
from bids_brainalign.tuning.readouts import TunedModel
from bids_brainalign.tuning.word_semantics import WithWords, words_too
from tests.tuning.conftest import pooled_batch


def test_loss_is_that_of_responses_plus_weighted_cosine_of_rows_with_words():
    rng = np.random.default_rng(0)
    prediction, truth = rng.standard_normal((2, 4, 9))
    truth[1, 6:] = 0  # no word
    rows = [0, 2, 3]
    norms = np.linalg.norm(prediction[rows, 6:], axis=1) * np.linalg.norm(truth[rows, 6:], axis=1)
    cosines = (prediction[rows, 6:] * truth[rows, 6:]).sum(axis=1) / norms
    expected = np.mean((prediction[:, :6] - truth[:, :6]) ** 2) + 0.3 * (1 - cosines.mean())
    loss = words_too(mse, n_targets=6, weight=0.3)
    assert float(loss(*map(torch.as_tensor, (prediction, truth)))) == pytest.approx(expected)


def test_rows_without_words_leave_the_loss_of_responses():
    prediction, truth = torch.randn(4, 9), torch.randn(4, 9)
    truth[:, 6:] = 0
    assert words_too(mse, n_targets=6, weight=1)(prediction, truth) == mse(
        prediction[:, :6], truth[:, :6]
    )


def test_both_heads_read_the_same_and_teach_the_backbone(folders):
    backbone = adapt(Backbone(folders["wavlm"], layer=2), Adaptation("lora"), seed=0)
    tuned = TunedModel(backbone, n_targets=5, seed=0)
    model = WithWords(tuned, n_dims=4, seed=1)
    batch = pooled_batch(n_targets=9)
    with torch.no_grad():
        both = model(batch)
        assert torch.equal(both[:, :5], tuned(batch))
        assert torch.equal(both[:, 5:], model.word_head(tuned.features(batch)))
    only_words = words_too(lambda p, t: 0 * p.sum(), n_targets=5, weight=1.0)
    only_words(model(batch), batch.responses).backward()
    assert any(p.grad is not None and p.grad.any() for p in backbone.parameters())
    require_alive(model, batch, words_too(mse, n_targets=5, weight=1.0))


def test_a_weight_of_zero_is_refused():
    with pytest.raises(BrainAlignError, match="weight of the words in the loss is 0"):
        words_too(mse, n_targets=5, weight=0)
