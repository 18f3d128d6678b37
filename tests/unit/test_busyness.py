"""How busy the worker is: what LiveKit hears, what the metrics show, and what the log says."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import psutil
import pytest

from pmon.app import busyness
from pmon.app.busyness import LINE_S, Busyness
from pmon.app.messages import HostLoad
from pmon.app.pool import Pool
from pmon.outputs.metrics import Metrics

IDLE = HostLoad(
    reported=0.1,
    one_more=0.0006,
    refuse_jobs=False,
    microphones=0,
    audible=0,
    heard=0,
    rooms=0,
    rooms_adaptive=0,
    looks="always",
    overdue=0,
)


class FakePool:
    def __init__(self) -> None:
        self.loads = [IDLE]
        self.processes: dict[str, psutil.Process] = {}
        self.expected = 0.0
        """What each process was given and has not told of."""

    @property
    def shares(self) -> list[float]:
        return [load.reported + self.expected for load in self.loads]


class Worker:
    """A busyness that is sampled twice a second, and the lines that it wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pool = FakePool()
        self.metrics = Metrics()
        self.lines: list[dict[str, Any]] = []
        monkeypatch.setattr(busyness, "log", self)
        monkeypatch.setattr(busyness, "cpu_quota", lambda: 8.0)
        monkeypatch.setattr("pmon.app.busyness.time.monotonic", lambda: self.now)
        self.busyness = Busyness(cast(Pool, self.pool), self.metrics, 0.85)
        self.run(1.0)

    def info(self, message: str, **fields: Any) -> None:
        self.lines.append({"message": message, **fields})

    warning = info

    def run(self, seconds: float, **changes: Any) -> None:
        self.pool.loads = [msgspec.structs.replace(load, **changes) for load in self.pool.loads]
        for _ in range(round(2 * seconds)):
            self.now += 0.5
            self.busyness.sample()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)


def test_the_metrics_show_microphones_that_are_on(worker: Worker) -> None:
    """Muted ones were said to rest."""
    worker.run(1, microphones=50, audible=20, heard=4)
    page = worker.metrics.render()[0].decode()
    assert 'pmon_listening{mode="heard"} 4.0' in page
    assert 'pmon_listening{mode="resting"} 16.0' in page
    assert 'pmon_process_load{process="main"}' in page


def test_microphones_that_wait_for_too_long_are_told_of(worker: Worker) -> None:
    """A patrol that cannot keep its promise was known to nobody but itself."""
    worker.run(1, microphones=50, audible=50, heard=4)
    assert "pmon_microphones_overdue 0.0" in worker.metrics.render()[0].decode()
    worker.run(30, overdue=7)
    worker.run(10, overdue=0)
    worker.run(60, overdue=9)
    assert "pmon_microphones_overdue 9.0" in worker.metrics.render()[0].decode()
    assert worker.lines == [
        {"message": "microphones were not heard within their 3 minutes", "microphones": 7}
    ], "one line a minute at most"
    worker.run(1, overdue=0)
    assert worker.lines[1:] == [{"message": "every microphone is heard within its 3 minutes again"}]


def test_the_load_holds_what_was_accepted_since_the_last_sample(worker: Worker) -> None:
    assert worker.busyness.load == 0.1
    worker.pool.expected = 0.3
    assert worker.busyness.load == 0.4


def test_a_quiet_start_needs_no_line(worker: Worker) -> None:
    worker.run(60, rooms=3, microphones=20, audible=20, heard=20)
    assert worker.lines == []


def test_each_step_of_shedding_has_a_line(worker: Worker) -> None:
    """Video that was looked at less, and jobs that were refused, could be seen nowhere."""
    worker.run(LINE_S, rooms=10, audible=300, heard=300)
    for changes in (
        {"looks": "looks"},
        {"looks": "rare"},
        {"rooms_adaptive": 2, "heard": 200},
        {"rooms_adaptive": 10, "heard": 10},
        {"refuse_jobs": True, "reported": 0.8},
        {"refuse_jobs": False, "reported": 0.5},
    ):
        worker.run(LINE_S + 1, **changes)
    assert [line["looks"] for line in worker.lines] == ["looks", *["rare"] * 5]
    assert [line["rooms_adaptive"] for line in worker.lines] == [0, 0, 2, 10, 10, 10]
    assert [line["processes_refusing"] for line in worker.lines] == [0, 0, 0, 0, 1, 0]
    assert [line["message"] for line in worker.lines[2:]] == [
        "listening adaptively",
        "listening adaptively",
        "the worker is full and takes no more jobs",
        "listening adaptively",
    ]
    assert worker.lines[4]["load"] == 0.8


def test_one_room_more_is_no_news(worker: Worker) -> None:
    worker.run(LINE_S, rooms=40)
    for adaptive in range(1, 41):
        worker.run(LINE_S + 1, rooms_adaptive=adaptive)
    assert [line["rooms_adaptive"] for line in worker.lines] == [1, 11, 21, 31]


def test_what_goes_to_and_fro_does_not_fill_the_log(worker: Worker) -> None:
    worker.run(LINE_S, rooms=4)
    for second in range(100):
        worker.run(1, rooms_adaptive=second % 2)
    assert len(worker.lines) <= 100 / LINE_S


def test_a_worker_that_runs_empty_has_not_changed_how_it_listens(worker: Worker) -> None:
    worker.run(LINE_S + 1, rooms=2, rooms_adaptive=2)
    for _ in range(5):
        worker.run(LINE_S + 1, rooms=0, rooms_adaptive=0)
        worker.run(LINE_S + 1, rooms=2, rooms_adaptive=2)
    assert len(worker.lines) == 1
