"""One run of 90 s, 5 or 30 minutes: a result, or exit 65 with the reason."""

import pytest

from tests.cli.simulated import run, simulate

pytestmark = pytest.mark.cli


@pytest.mark.slow
def test_ninety_seconds_of_ecog_give_a_result(tmp_path):
    data = simulate(tmp_path, ieeg_s=(90.0,), fmri_s=())
    done = run(
        data.bids, tmp_path / "a", "participant", "--models", data.model, cwd=tmp_path
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    assert "blocks within runs" in text


def test_ninety_seconds_of_bold_give_a_reason(tmp_path):
    data = simulate(tmp_path, ieeg_s=(), fmri_s=(90.0,))
    done = run(data.bids, tmp_path / "b", "participant", "--models", data.model, cwd=tmp_path)
    text = done.stdout + done.stderr
    assert done.returncode == 65, text[-3000:]
    assert "too little for two folds" in text
    assert "use at least" in text
    assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [5, 30])
def test_long_single_runs_give_a_result(tmp_path, minutes):
    data = simulate(tmp_path, ieeg_s=(60.0 * minutes,), fmri_s=(60.0 * minutes,))
    done = run(data.bids, tmp_path / "a", "participant", "--models", data.model, cwd=tmp_path)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    assert text.count("blocks within runs") >= 2
