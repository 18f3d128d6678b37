"""What ``auto`` gives up, in which order, and when it comes back."""

from __future__ import annotations

import pytest

from pmon.monitor.listening import Change, Listening
from pmon.monitor.listening.load import Costs, Counts, Shedding


class Process:
    """A process with rooms of these sizes, whose CPU is what the model says times a factor."""

    def __init__(
        self, *sizes: int, factor: float = 1.0, cameras: int = 0, limit: float = 1.0
    ) -> None:
        self.plan = Listening("auto", "auto", cores=limit)
        self.limit = limit
        self.now = 0.0
        self.factor = factor
        self.changes: list[Change] = []
        for i, size in enumerate(sizes):
            for j in range(size):
                self.plan.track_added(0.0, f"room{i}", f"p{i}.{j}", f"TR_{i}.{j}", "audio")
            for j in range(cameras):
                self.plan.track_added(0.0, f"room{i}", f"p{i}.{j}", f"TR_v{i}.{j}", "video")
        self.tick()

    def tick(self) -> None:
        while (due := self.plan.due()) is not None and due <= self.now:
            for change in self.plan.tick(self.now):
                self.changes.append(change)
                if change.enabled:
                    self.plan.started(self.now, change.track_sid)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.now += 1.0
            self.tick()
            cores = self.factor * Costs().model(self.plan.counts())
            if self.limit < 1.0:  # more is never measured under a limit
                cores = min(cores, self.limit)
            self.plan.load(self.now, cores)
        self.tick()

    @property
    def always(self) -> set[str]:
        return self.plan.microphones.always


def test_a_process_with_little_to_do_hears_everybody() -> None:
    process = Process(40, 50)
    process.run(300)
    assert process.always == {"room0", "room1"}
    assert process.plan.status(process.now).heard == 90
    assert not process.plan.status(process.now).refuse_jobs


def test_the_largest_rooms_go_first_and_no_more_than_it_takes() -> None:
    process = Process(20, 80, 40, 30)  # 170 microphones at 3.6 ms a second
    process.run(60)
    assert process.always == {"room0", "room2", "room3"}
    assert process.plan.shedding.predicted <= Shedding.HIGH
    process.run(600)
    assert process.always == {"room0", "room2", "room3"}


def test_video_looks_become_rarer_before_anybody_is_heard_less() -> None:
    process = Process(30, 30, cameras=30)  # 60 cameras at 10.9 ms a second
    assert process.plan.status(0.0).looks == "always"
    process.run(60)
    assert process.plan.status(60.0).looks == "looks"
    assert process.always == {"room0", "room1"}
    crowded = Process(60, 60, cameras=40)
    crowded.run(60)
    assert crowded.plan.shedding.looks == "rare"
    assert crowded.always == {"room0"}


def test_a_slow_machine_sheds_earlier() -> None:
    process = Process(50, 50, factor=2.5)
    process.run(120)
    assert len(process.always) < 2
    assert process.plan.shedding.costs.factor == pytest.approx(2.5, rel=0.3)


def test_under_a_cpu_limit_it_sheds_before_it_refuses() -> None:
    """What is measured never passes the limit, so shares of a whole core were never reached."""
    process = Process(60, 60, factor=2.5, limit=0.4)
    process.run(200)
    assert process.always == set()
    assert not process.plan.shedding.refuse_jobs


def test_it_comes_back_when_there_is_room_and_not_at_once() -> None:
    process = Process(20, 80, 60)
    process.run(60)
    assert process.always == {"room0", "room2"}
    for j in range(60):
        process.plan.track_removed(process.now, f"TR_2.{j}")
    process.run(20)
    assert process.always == {"room0"}
    process.run(30)
    assert process.always == {"room0", "room1"}


def test_a_room_stays_adaptive_while_all_its_tracks_are_gone() -> None:
    """A full reconnect brings them back some seconds later, under other sids."""
    process = Process(20, 80, 60)
    process.run(60)
    assert process.always == {"room0", "room2"}
    for j in range(80):
        process.plan.track_removed(process.now, f"TR_1.{j}")
    process.tick()
    process.plan.track_added(process.now, "room1", "p1.0", "TR_1.new", "audio")
    process.tick()
    assert "room1" not in process.always
    process.plan.room_gone("room1")
    assert not process.plan.shedding.always("room1"), "it has tracks, so it is another one"
    process.plan.track_removed(process.now, "TR_1.new")
    process.plan.room_gone("room1")
    assert process.plan.shedding.always("room1")


def test_a_load_at_the_edge_never_flaps() -> None:
    process = Process(60, 70)
    switches = 0
    before = set(process.always)
    for step in range(600):
        process.factor = 1.0 if step % 7 else 1.3
        process.run(1)
        switches += before != process.always
        before = set(process.always)
    assert switches <= 2


def test_jobs_are_refused_last_and_the_load_says_so() -> None:
    process = Process(*[100] * 7, factor=1.0)
    process.run(60)
    assert process.always == set()
    assert not process.plan.shedding.refuse_jobs
    shed = (7 * Costs.ROOM + 700 * Costs.ADAPTIVE_MICROPHONE) / 1000
    assert process.plan.shedding.reported == pytest.approx(shed / 0.85 * 0.7, rel=0.1)
    more = Process(*[100] * 13)
    more.run(60)
    assert more.plan.shedding.refuse_jobs
    assert more.plan.shedding.reported > 0.7


def test_what_joining_takes_is_not_taken_for_what_watching_takes() -> None:
    """Else jobs are refused while a crowd comes in that there is room for."""
    process = Process(20)
    process.factor = 3.0
    for wave in range(24):
        for j in range(20):
            sid = f"TR_wave{wave}.{j}"
            process.plan.track_added(process.now, f"wave{wave}", f"q{wave}.{j}", sid, "audio")
        process.run(1)
        assert not process.plan.shedding.refuse_jobs
    process.factor = 1.0
    process.run(60)
    assert not process.plan.shedding.refuse_jobs
    process.factor = 3.0
    process.run(60)
    assert process.plan.shedding.refuse_jobs


def test_a_crowd_that_comes_for_minutes_does_not_blind_it() -> None:
    """Each newcomer was one more reason not to believe what is measured, for as long as it took."""
    process = Process(40)
    process.factor = 3.0
    for second in range(90):
        for j in range(4):
            sid = f"TR_late{second}.{j}"
            process.plan.track_added(process.now, "late", f"q{second}.{j}", sid, "audio")
        process.run(1)
        if second < 50:
            assert process.plan.shedding.costs.factor == 1.0
    assert process.plan.shedding.costs.factor > 1.5


def test_what_is_refused_stays_refused_until_there_is_some_room() -> None:
    """Reported by the load alone, a worker at its limit took a job, was full, took a job, ..."""
    process = Process(*[100] * 13)
    process.run(60)
    shedding = process.plan.shedding
    assert shedding.refuse_jobs
    for number in range(250):
        process.plan.track_removed(process.now, f"TR_{number // 100}.{number % 100}")
    process.run(60)
    assert 0.9 * 0.85 < shedding.fully_shed < 0.85
    assert shedding.reported == 0.7
    for number in range(250, 400):
        process.plan.track_removed(process.now, f"TR_{number // 100}.{number % 100}")
    process.run(60)
    assert not shedding.refuse_jobs
    assert shedding.reported < 0.7


def test_a_picture_that_is_never_looked_at_costs_what_a_disabled_one_does() -> None:
    """Taken for free, jobs were accepted for which there was no room."""
    costs = Costs()
    disabled = Counts(rooms=0, microphones=0, heard=0, cameras=100, seen=0)
    assert costs.predict(disabled, 0, "off") == costs.model(disabled) > 0


def test_only_microphones_that_are_on_rest() -> None:
    """A muted one is not listened to on the server's word: there is nothing to hear."""
    plan = Listening("adaptive", "adaptive")
    for name in ("on", "off"):
        plan.track_added(0.0, "room", name, f"TR_{name}", "audio", muted=name == "off")
    status = plan.status(0.0)
    assert (status.rooms, status.microphones, status.audible) == (1, 2, 1)
    plan.muted(1.0, "TR_off", False)
    assert plan.status(1.0).audible == 2


def test_settings_that_say_always_are_kept() -> None:
    shedding = Shedding("always", "always", threshold=0.85)
    counts = Counts(rooms=1, microphones=1000, heard=1000, cameras=0, seen=0)
    for second in range(100):
        shedding.sample(float(second), 3.6, counts, {"room": 1000})
    assert shedding.always("room")
    assert shedding.looks == "always"
    assert shedding.refuse_jobs
