import csv
import json
import logging
import multiprocessing
import platform
from pathlib import Path

import pytest

from bids_brainalign.config.schema import Config, Paths
from bids_brainalign.config.toml import loads
from bids_brainalign.outputs.provenance import (
    run_log,
    write_crash_file,
    write_provenance,
    write_status,
)
from bids_brainalign.workflow.summary import Unit


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "logs/status.tsv").open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_run_can_be_understood_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cr3t")
    config = Config("participant", Paths(Path("/b"), tmp_path, Path("/w")))
    folder = write_provenance(config, ["/b", "with space", "participant"], run_id="r1")
    assert folder == tmp_path / "logs/r1"
    assert loads((folder / "config.toml").read_text()) == config
    assert (folder / "command.txt").read_text() == "bids-brainalign /b 'with space' participant\n"
    text = (folder / "environment.json").read_text()
    environment = json.loads(text)
    assert {"numpy", "torch", "bids-brainalign", "python"} <= set(environment["packages"])
    assert set(environment) == {"packages", "hardware"}
    assert "s3cr3t" not in text
    assert platform.node() not in text


def test_status_merges_jobs(tmp_path: Path) -> None:
    write_status(tmp_path, [Unit("f", "done"), Unit("e 01", "failed", "x\n\ty", None, 65, "01"),
                            Unit("old 01", "done", participant="01")], run_id="r1")  # fmt: skip
    crash = tmp_path / "logs/sub-02/r2/crash-e.txt"
    write_status(tmp_path, [Unit("e 02", "failed", "z", crash, 70, "02"), Unit("f", "reused")],
                 run_id="r2")  # fmt: skip
    found = {row["unit"]: row for row in rows(tmp_path)}
    assert found["e 01"] == {
        "participant": "sub-01", "unit": "e 01", "status": "failed", "exit_code": "65",
        "message": "x y", "crash_file": "n/a", "run_id": "r1",
    }  # fmt: skip
    assert found["e 02"]["crash_file"] == "logs/sub-02/r2/crash-e.txt"
    assert (found["f"]["status"], found["f"]["participant"]) == ("reused", "n/a")
    write_status(tmp_path, [Unit("e 01", "done", participant="01")], run_id="r3")
    found = {row["unit"]: row["status"] for row in rows(tmp_path)}
    assert found == {"f": "reused", "e 01": "done", "e 02": "failed"}


def _one_job(out: Path, label: str) -> None:
    write_status(out, [Unit(f"e {label}", "done", participant=label)], run_id=label)


def test_jobs_at_once_lose_no_row(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_one_job, args=(tmp_path, f"{i:02d}")) for i in range(8)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [row["participant"] for row in rows(tmp_path)] == [f"sub-{i:02d}" for i in range(8)]


def test_unreadable_status_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/status.tsv").write_text("step\tparticipant\nx\tsub-09\n\n")
    write_status(tmp_path, [Unit("a", "done")], run_id="r")
    assert {row["unit"] for row in rows(tmp_path)} == {"a", "n/a"}


def test_crash_file_holds_everything(tmp_path: Path) -> None:
    config = Config("participant", Paths(Path("/b"), tmp_path, Path("/w")))
    write_provenance(config, ["/b", "/o", "participant"], run_id="r1")
    path = write_crash_file(
        tmp_path, run_id="r1", unit="encoding sub-01 a/b", participant="01",
        details={"inputs": {"seed": 3, "path": Path("/x")}}, text="Traceback: boom",
    )  # fmt: skip
    assert path == tmp_path / "logs/sub-01/r1/crash-encoding-sub-01-a-b.txt"
    text = path.read_text()
    for part in ("bids-brainalign /b /o participant", "Traceback: boom", '"seed": 3', '"numpy"'):
        assert part in text
    shared = write_crash_file(
        tmp_path, run_id="r2", unit="features", participant=None, details={}, text="t"
    )
    assert shared == tmp_path / "logs/r2/crash-features.txt"


def test_log_holds_ours_and_others_warnings(tmp_path: Path) -> None:
    ours, other = logging.getLogger("bids_brainalign.x"), logging.getLogger("other")
    handlers = list(logging.getLogger().handlers)
    with run_log(tmp_path, run_id="r") as path:
        ours.debug("small")
        other.info("chatter")
        other.warning("careful")
    ours.warning("after")
    text = path.read_text()
    assert "small" in text
    assert "careful" in text
    assert "chatter" not in text
    assert "after" not in text
    assert logging.getLogger().handlers == handlers
