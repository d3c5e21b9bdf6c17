import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.referencing import reference_signal


def test_common_average_removes_what_is_common():
    rng = np.random.default_rng(0)
    own = rng.standard_normal((8, 500))
    own -= own.mean(axis=0)
    common = 1e3 * rng.standard_normal(500)
    np.testing.assert_allclose(reference_signal(own + common, "car"), common, atol=1e-9)


def test_none_changes_nothing():
    data = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(reference_signal(data, "none"), np.zeros(4))


def test_float32_is_averaged_in_double_precision():
    data = np.full((3, 2), 1.0, dtype=np.float32)
    data[0] = 2**25
    np.testing.assert_array_equal(reference_signal(data, "car"), (2**25 + 2) / 3)


def test_refusals():
    with pytest.raises(BrainAlignError, match="no reference 'bipolar'") as caught:
        reference_signal(np.ones((2, 3)), "bipolar")
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(BrainAlignError, match="at least two good channels") as caught:
        reference_signal(np.ones((1, 3)), "car")
    assert "--reference none" in caught.value.fix
