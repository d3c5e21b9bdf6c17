"""Half precision on CPUs: grouped convolutions of any width come out right."""

import copy

import pytest
import torch

from bids_brainalign.features.exact_convolutions import exact_on_cpu


def model(channels, groups):
    torch.manual_seed(0)
    convolution = torch.nn.Conv1d(channels, channels, 16, padding=8, groups=groups)
    return torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(convolution, dim=2))


@pytest.mark.parametrize(("channels", "groups"), [(24, 4), (32, 4), (768, 16)])
def test_half_precision_is_near_float32(channels, groups):
    """24 and 32 channels in 4 groups gave noise on CPUs with AMX."""
    plain, hidden = model(channels, groups), torch.randn(2, channels, 99)
    half = exact_on_cpu(copy.deepcopy(plain).bfloat16())
    with torch.no_grad():
        exact = plain(hidden)
        stored = half(hidden.bfloat16())
        with torch.autocast("cpu", torch.bfloat16):
            mixed = exact_on_cpu(copy.deepcopy(plain))(hidden)
        same = exact_on_cpu(copy.deepcopy(plain))(hidden)
    assert stored.dtype == torch.bfloat16
    assert (stored.float() - exact).norm() < 0.01 * exact.norm()
    assert torch.equal(mixed, exact)
    assert torch.equal(same, exact)


def test_gradients_and_names_are_those_of_the_plain_model():
    plain = model(24, 4)
    ours, hidden = exact_on_cpu(copy.deepcopy(plain)), torch.randn(2, 24, 99)
    assert list(ours.state_dict()) == list(plain.state_dict())
    plain(hidden).square().sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(hidden).square().sum()
    found.backward()
    for (name, one), (_, other) in zip(
        plain.named_parameters(), ours.named_parameters(), strict=True
    ):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-4, msg=name)
