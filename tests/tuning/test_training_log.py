"""The log is whole after any interruption."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.tuning.training_log import LogRow, TrainingLog


def row(update: int) -> LogRow:
    return LogRow(1, update, 0.5 / update, 1.0, (1e-4, 2e-4))


def test_rows_of_updates_that_will_be_done_again_go(tmp_path: Path) -> None:
    path = tmp_path / "training.tsv"
    log = TrainingLog(path, ("backbone", "readout"), n_updates=0)
    for update in range(1, 6):
        log.append(row(update))
    whole = path.read_text()
    path.write_text(whole + "1\t6\t0.0")  # cut off by a kill
    log = TrainingLog(path, ("backbone", "readout"), n_updates=3)
    assert path.read_text() == "".join(whole.splitlines(keepends=True)[:4])
    for update in (4, 5):
        log.append(row(update))
    assert path.read_text() == whole


def test_a_new_training_has_a_new_log(tmp_path: Path) -> None:
    path = tmp_path / "training.tsv"
    TrainingLog(path, ("all",), n_updates=0).append(row(1))
    TrainingLog(path, ("other",), n_updates=0)
    assert path.read_text() == "epoch\tupdate\tloss\tgradient_norm\tlearning_rate_other\n"
