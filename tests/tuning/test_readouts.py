"""Readouts against the same steps in numpy."""

import numpy as np
import pytest
import torch

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.readouts import Readout, TunedModel, features_and_responses
from bids_brainalign.tuning.stories import Batch
from tests.tuning.conftest import padded_clips, pooled_batch

DELAYS = torch.tensor([[2, 0], [0, -1], [-1, -1], [1, 2]])


def mixed_batch(*, n_targets=5, seed=0):
    """Three mixed rows of the 49 frames of two clips, four predicted rows."""
    clips, n_valid = padded_clips((1.0, 0.5), seed=seed)
    rng = np.random.default_rng(seed)
    mixing = torch.zeros(3, 2 * 49)
    mixing[0, 3:9] = torch.from_numpy(rng.standard_normal(6)).float()
    mixing[1, 40:60] = 0.05
    mixing[2, 55] = 1.0
    responses = torch.from_numpy(rng.standard_normal((4, n_targets))).float()
    return Batch(clips, n_valid, mixing.to_sparse_coo(), DELAYS, responses, story=0)


@pytest.fixture(scope="module")
def backbone(folders):
    return Backbone(folders["wav2vec2-large"], layer=2)


def frames(backbone, batch):
    with torch.no_grad():
        hidden, valid = backbone(batch.clips, batch.n_valid)
    return hidden.numpy(), valid.numpy()


def test_mean_pool_of_valid_frames_then_linear(backbone):
    batch = pooled_batch()
    model = TunedModel(backbone, n_targets=5, seed=0)
    hidden, valid = frames(backbone, batch)
    expected = np.stack([h[v].mean(axis=0) for h, v in zip(hidden, valid, strict=True)])
    with torch.no_grad():
        np.testing.assert_allclose(model.features(batch), expected, atol=1e-5)
        weight, bias = model.head.weight.numpy(), model.head.bias.numpy()
        np.testing.assert_allclose(model(batch), expected @ weight.T + bias, atol=1e-5)


@pytest.mark.parametrize("bottleneck", [0, 3])
def test_lanczos_normalisation_delays_bottleneck(backbone, bottleneck):
    batch = mixed_batch()
    readout = Readout(n_delays=2, bottleneck=bottleneck, normalisation="training")
    model = TunedModel(backbone, n_targets=5, readout=readout, seed=0).train()
    rng = np.random.default_rng(0)
    mean, sd = rng.standard_normal(32), rng.uniform(0.5, 2, 32)
    model.set_normalisation(mean, sd)
    hidden, _ = frames(backbone, batch)
    rows = (batch.mixing.to_dense().numpy() @ hidden.reshape(-1, 32) - mean) / sd
    rows = np.concatenate([rows, np.zeros((1, 32))])
    expected = np.concatenate([rows[DELAYS[:, 0]], rows[DELAYS[:, 1]]], axis=1)
    with torch.no_grad():
        np.testing.assert_allclose(model.features(batch), expected, atol=1e-4)
        layers = [model.head] if bottleneck == 0 else list(model.head)
        for layer in layers:
            expected = expected @ layer.weight.numpy().T + layer.bias.numpy()
        np.testing.assert_allclose(model(batch), expected, atol=1e-4)
    assert len(layers) == 1 + bool(bottleneck)


def test_gradients_flow_through_the_mixture(backbone):
    batch = mixed_batch()
    model = TunedModel(backbone, n_targets=5, readout=Readout(n_delays=2), seed=0)
    model(batch).square().sum().backward()
    assert all(p.grad is not None for p in backbone.net.encoder.layers.parameters())
    backbone.zero_grad(set_to_none=True)


def test_normalisation_is_that_of_the_training_rows(backbone):
    readout = Readout(n_delays=2, normalisation="training")
    model = TunedModel(backbone, n_targets=5, readout=readout, seed=0)
    batches = [mixed_batch(seed=seed) for seed in range(3)]
    with pytest.raises(BrainAlignError, match="normalisation of the readout are not set"):
        model(batches[0])
    model.fit_normalisation(iter(batches))
    rows = np.concatenate(
        [b.mixing.to_dense().numpy() @ frames(backbone, b)[0].reshape(-1, 32) for b in batches]
    )
    np.testing.assert_allclose(model.mean, rows.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(model.scale, rows.std(axis=0), atol=1e-4)
    # Training and evaluation, and one batch and all, see the same.
    with torch.no_grad():
        assert torch.equal(model.train()(batches[0]), model.eval()(batches[0]))
    # A checkpoint carries it.
    other = TunedModel(backbone, n_targets=5, readout=readout, seed=1)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(other(batches[0]), model(batches[0]))


def test_features_without_variance_are_only_centred(backbone):
    readout = Readout(normalisation="training")
    model = TunedModel(backbone, n_targets=5, readout=readout, seed=0)
    sd = np.ones(32)
    sd[4], sd[5] = 0.0, 1e-9
    model.set_normalisation(np.full(32, 2.0), sd)
    assert torch.equal(model.scale, torch.ones(32))


def test_block_normalisation_is_by_the_block_and_then_by_running_means(backbone):
    readout = Readout(n_delays=2, normalisation="block")
    model = TunedModel(backbone, n_targets=5, readout=readout, seed=0).train()
    batch = mixed_batch()
    rows = batch.mixing.to_dense().numpy() @ frames(backbone, batch)[0].reshape(-1, 32)
    with torch.no_grad():
        found = model.features(batch)[0].numpy()  # rows 2 and 0
    expected = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-5)
    np.testing.assert_allclose(found, np.concatenate([expected[2], expected[0]]), atol=1e-3)
    with torch.no_grad():
        found = model.eval().features(batch)[0].numpy()
    mean = 0.1 * rows.mean(axis=0)
    variance = 0.9 + 0.1 * rows.var(axis=0, ddof=1)
    expected = (rows - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(found, np.concatenate([expected[2], expected[0]]), atol=1e-3)


def test_pinned_readout_is_the_ridge_and_has_nothing_to_train(backbone):
    model = TunedModel(backbone, n_targets=5, readout=Readout(n_delays=2, head="pinned"), seed=0)
    batches = [mixed_batch(seed=seed) for seed in range(3)]
    with pytest.raises(BrainAlignError, match="weights of the readout are not set"):
        model(batches[0])
    features, responses = features_and_responses(model, batches)
    assert features.shape == (12, 64)
    np.testing.assert_array_equal(responses[4:8], batches[1].responses)
    x, y = features - features.mean(axis=0), responses - responses.mean(axis=0)
    weights = np.linalg.solve(x.T @ x + 0.1 * np.eye(64), x.T @ y)
    intercept = responses.mean(axis=0) - features.mean(axis=0) @ weights
    model.pin(weights, intercept)
    with torch.no_grad():
        np.testing.assert_allclose(
            model(batches[1]), features[4:8] @ weights + intercept, atol=1e-3
        )
    assert {n for n, _ in model.named_parameters()} == {
        f"backbone.{n}" for n, _ in backbone.named_parameters()
    }
    assert "head.weights" in model.state_dict()


def test_mode_is_left_as_it_was(backbone):
    model = TunedModel(backbone, n_targets=5, readout=Readout(normalisation="training"), seed=0)
    for is_training in (True, False):
        model.train(is_training)
        model.fit_normalisation([pooled_batch()])
        features_and_responses(model, [pooled_batch()])
        assert model.training is is_training


def test_settings_that_do_not_fit_are_refused(backbone):
    with pytest.raises(BrainAlignError, match="pinned readout is one matrix") as error:
        Readout(head="pinned", bottleneck=3)
    assert error.value.exit_code == ExitCode.USAGE
    with pytest.raises(BrainAlignError, match="0 delays"):
        Readout(n_delays=0)
    model = TunedModel(backbone, n_targets=5, readout=Readout(n_delays=3), seed=0)
    with pytest.raises(BrainAlignError, match=r"made for 3 delayed copies .* a batch has 2"):
        model(mixed_batch())
    with pytest.raises(BrainAlignError, match=r"made for 3 delayed copies .* a batch has 1"):
        model(pooled_batch())
    with pytest.raises(BrainAlignError, match=r"trained readout of \(96, 5\) can't be pinned"):
        model.pin(np.zeros((96, 5)), np.zeros(5))
