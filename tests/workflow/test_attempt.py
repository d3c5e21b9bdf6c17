import pytest

from bids_brainalign.config.schema import Config, Control, Paths
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.attempt import StoppedOnCrash, attempt


def make(tmp_path, work, **control):
    config = Config(
        level="participant",
        paths=Paths(tmp_path, tmp_path / "out", tmp_path / "work"),
        control=Control(**control),
    )
    return config, Step("encoding sub-01 m", {"a": 1}, ("bids_brainalign.errors",), work)


def fail(error):
    def work():
        raise error

    return work


def test_a_users_mistake_has_its_code_and_no_crash_file(tmp_path):
    error = BrainAlignError("bad file", fix="mend it", exit_code=ExitCode.MISSING_INPUT)
    config, step = make(tmp_path, fail(error))
    unit = attempt(config, step, run_id="r", participant="01")
    assert (unit.status, unit.exit_code, unit.crash_file) == ("failed", 66, None)
    assert "mend it" in unit.message


def test_our_own_fault_leaves_a_crash_file_with_the_traceback(tmp_path):
    config, step = make(tmp_path, fail(KeyError("oops")))
    unit = attempt(config, step, run_id="r", participant="01")
    assert unit.exit_code == ExitCode.INTERNAL
    text = unit.crash_file.read_text()
    assert "Traceback" in text
    assert "oops" in text
    assert unit.crash_file.is_relative_to(tmp_path / "out" / "logs" / "sub-01")


def test_stop_on_first_crash_stops(tmp_path):
    config, step = make(tmp_path, fail(KeyError("oops")), stop_on_first_crash=True)
    with pytest.raises(StoppedOnCrash) as caught:
        attempt(config, step, run_id="r")
    assert caught.value.unit.status == "failed"


def test_done_then_reused(tmp_path):
    def work():
        path = tmp_path / "out" / "x.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        return [path]

    config, step = make(tmp_path, work)
    assert attempt(config, step, run_id="r").status == "done"
    assert attempt(config, step, run_id="r").status == "reused"
