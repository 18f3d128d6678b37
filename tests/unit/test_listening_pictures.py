"""Cameras that freeze, stop and recover, seen by the plan's looks and judged by the monitor."""

from __future__ import annotations

import random

import pytest
from room_driver import Meeting, camera, person, seconds

from pmon.monitor import events as ev
from pmon.monitor.inputs import VideoReading
from pmon.monitor.listening import Listening

RIGHT_WITHIN_S = 75.0
FPS = 15


class Cameras:
    """Cameras that are frozen in given spans, and that need a while to wake for a look."""

    def __init__(self, frozen: list[list[tuple[float, float]]], wake_s: float = 0.1) -> None:
        self.frozen = frozen
        self.wake_s = wake_s
        self.meeting = Meeting()
        self.plan = Listening("adaptive", "adaptive")
        names = [f"p{i}" for i in range(len(frozen))]
        self.meeting.connected(*(person(name, camera(f"TR_{name}")) for name in names))
        for name in names:
            self.meeting.job(f"AJ_{name}", name)
            self.plan.track_added(0.0, "room", name, f"TR_{name}", "video")
        self.on_at: dict[str, float | None] = {f"TR_{name}": None for name in names}
        self.totals = dict.fromkeys(self.on_at, 0)
        self.seen_s = 0.0

    def run(self, until: float, step_s: float = 0.5) -> None:
        meeting = self.meeting
        while meeting.now < until:
            for change in self.plan.tick(meeting.now):
                self.on_at[change.track_sid] = meeting.now if change.enabled else None
                meeting.monitor.looking(change.track_sid, change.enabled, meeting.now)
            before = meeting.now
            meeting.to(before + step_s)
            for i, (sid, on_at) in enumerate(self.on_at.items()):
                if on_at is None:
                    continue
                self.seen_s += step_s
                frozen = any(start <= before < stop for start, stop in self.frozen[i])
                if not frozen and before >= on_at + self.wake_s:
                    self.totals[sid] += int(FPS * step_s)
                self.plan.frames(meeting.now, sid, self.totals[sid])
                reading = VideoReading(frames=self.totals[sid], freezes=0)
                meeting.monitor.video(sid, reading, meeting.now)

    def states(self, i: int) -> list[tuple[float, str]]:
        events = [e for e in self.meeting.of(ev.VideoState) if e.participant == f"p{i}"]
        return [(seconds(e), e.to) for e in events]


def test_frozen_and_live_are_right_within_75_seconds() -> None:
    draw = random.Random(7)
    frozen = []
    for _ in range(40):
        start = draw.uniform(60.0, 200.0)
        frozen.append([(start, start + draw.uniform(150.0, 300.0))])
    cameras = Cameras(frozen)
    cameras.run(600.0)
    for i, [(start, stop)] in enumerate(frozen):
        states = [(at, state) for at, state in cameras.states(i) if state != "low"]
        (_, first), (frozen_at, second), (live_at, third) = states
        assert (first, second, third) == ("live", "frozen", "live")
        assert start < frozen_at <= start + RIGHT_WITHIN_S
        assert stop < live_at <= stop + RIGHT_WITHIN_S
    raised = cameras.meeting.of(ev.IssueRaised)
    assert len(raised) == len(cameras.meeting.of(ev.IssueResolved)) == 40
    assert {e.issue for e in raised} == {"video_frozen"}


@pytest.mark.parametrize("wake_s", [0.1, 2.0, 5.0, 8.0])
def test_a_camera_that_nobody_watches_raises_nothing(wake_s: float) -> None:
    """Dynacast has paused it, and each look wakes it."""
    cameras = Cameras([[]] * 10, wake_s)
    cameras.run(600.0)
    assert not cameras.meeting.of(ev.IssueRaised)
    assert all([state for _, state in cameras.states(i)] == ["live"] for i in range(10))
    looked_s = max(2.0, wake_s + 1.0)
    assert cameras.seen_s / 10 / 600 <= (looked_s + 0.5) / 60 * 1.2
