import logging

from bids_brainalign.features.progress import Progress


def test_long_work_says_how_much_is_left_and_short_work_nothing(caplog):
    now = [0.0]
    progress = Progress("windows", 1200, every_s=60.0, clock=lambda: now[0])
    with caplog.at_level(logging.INFO, logger="bids_brainalign"):
        for second in range(1, 121):
            now[0] = float(second)
            progress.advance(10)
    # 600 in 60 s: one more minute; at the end there is nothing left to say.
    assert caplog.messages == ["600 of 1,200 windows, about 1 min to go"]


def test_nothing_is_said_of_no_work(caplog):
    now = [0.0, 100.0, 200.0]
    progress = Progress("windows", 0, clock=lambda: now.pop(0))
    with caplog.at_level(logging.INFO, logger="bids_brainalign"):
        progress.advance(0)
    assert not caplog.messages
