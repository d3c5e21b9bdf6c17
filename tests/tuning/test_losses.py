"""Losses against numpy, their gradients against finite differences."""

import numpy as np
import pytest
import torch

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.losses import LOSSES, parse_loss


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((7, 12)) + 3.0
    return 0.6 * truth + rng.standard_normal((7, 12)) - 1.0, truth


def value(name, prediction, truth):
    return float(parse_loss(name)(torch.as_tensor(prediction), torch.as_tensor(truth)))


def test_spatial_and_temporal_are_numpy_correlations(pair):
    prediction, truth = pair
    rows = [np.corrcoef(p, t)[0, 1] for p, t in zip(prediction, truth, strict=True)]
    columns = [np.corrcoef(p, t)[0, 1] for p, t in zip(prediction.T, truth.T, strict=True)]
    assert value("spatial", prediction, truth) == pytest.approx(-np.mean(rows), abs=1e-12)
    assert value("temporal", prediction, truth) == pytest.approx(-np.mean(columns), abs=1e-12)
    assert value("spatial", 5 * truth + 2, truth) == pytest.approx(-1)
    assert value("temporal", -0.1 * truth, truth) == pytest.approx(1)


def test_cosine_and_mse_in_closed_form(pair):
    prediction, truth = pair
    norms = np.linalg.norm(prediction, axis=1) * np.linalg.norm(truth, axis=1)
    cosines = (prediction * truth).sum(axis=1) / norms
    assert value("cosine", prediction, truth) == pytest.approx(1 - cosines.mean())
    assert value("mse", prediction, truth) == pytest.approx(np.mean((prediction - truth) ** 2))


def test_contrastive_in_closed_form(pair):
    prediction, truth = pair
    scores = np.corrcoef(prediction, truth)[:7, 7:] / 0.1
    rows = np.log(np.exp(scores).sum(axis=1)) - np.diag(scores)
    columns = np.log(np.exp(scores).sum(axis=0)) - np.diag(scores)
    expected = (rows.mean() + columns.mean()) / 2
    assert value("contrastive", prediction, truth) == pytest.approx(expected)


def test_weights_add_up(pair):
    parts = value("mse", *pair) + 0.5 * value("spatial", *pair) + 2 * value("cosine", *pair)
    assert value("mse + 0.5*spatial+2*cosine", *pair) == pytest.approx(parts)


@pytest.mark.parametrize("name", [*LOSSES, "mse+0.5*spatial"])
def test_gradients(pair, name):
    prediction, truth = (torch.as_tensor(x) for x in pair)
    assert torch.autograd.gradcheck(
        lambda p: parse_loss(name)(p, truth), prediction.clone().requires_grad_()
    )


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_constant_rows_and_columns_give_finite_gradients(name, constant):
    torch.manual_seed(0)
    truth = torch.randn(6, 300)
    truth[0], truth[:, 3] = constant, constant
    prediction = torch.randn(6, 300)
    prediction[1], prediction[:, 4] = constant, constant
    prediction.requires_grad_()
    loss = parse_loss(name)(prediction, truth)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(prediction.grad).all()


def test_a_constant_has_no_correlation():
    """0.1 is no binary fraction: its mean over 300 is not exactly 0.1."""
    truth = torch.randn(5, 300)
    prediction = torch.full((5, 300), 0.1, requires_grad=True)
    loss = parse_loss("spatial")(prediction, truth)
    loss.backward()
    assert loss == 0
    assert not prediction.grad.any()
    one_row = torch.randn(1, 300, requires_grad=True)
    assert parse_loss("temporal")(one_row, truth[:1]) == 0


def test_half_precision_is_widened():
    torch.manual_seed(0)
    truth = torch.randn(4, 20_000)
    prediction = truth + torch.randn(4, 20_000)
    exact = parse_loss("spatial")(prediction, truth)
    low = parse_loss("spatial")(prediction.bfloat16(), truth)
    assert low.dtype == torch.float32
    assert float(low) == pytest.approx(float(exact), abs=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mae", "the loss 'mae' has the unknown part 'mae'"),
        ("mse+", "has the unknown part ''"),
        ("mse-0.5*cosine", "has the unknown part 'mse-0.5[*]cosine'"),
        ("0*mse", "gives mse the weight 0"),
        ("1e-*mse", "gives mse the weight 1e-"),
    ],
)
def test_what_is_no_loss_is_refused(text, message):
    with pytest.raises(BrainAlignError, match=message) as error:
        parse_loss(text)
    assert error.value.exit_code == ExitCode.USAGE
