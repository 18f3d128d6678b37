"""Drives a RoomMonitor through a made-up meeting, with time as a plain number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

import msgspec

from pmon.monitor import events as ev
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.coverage import RoomJob
from pmon.monitor.inputs import ParticipantInfo, TrackInfo
from pmon.monitor.room import RoomMonitor
from pmon.monitor.session import Session, SessionState
from pmon.monitor.sessions import EndedJob
from pmon.monitor.trace import Stopped, encode, recorded, replay
from pmon.monitor.wants import Want
from pmon.monitor.wants import wanted as wanted_of
from pmon.monitor.watch import Watch

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
E = TypeVar("E", bound=ev.Event)


def watch(**changes: Any) -> Watch:
    defaults: dict[str, Any] = {
        "monitoring_type": "full",
        "end_on_disconnect": False,
        "labels": {},
        "speaking_threshold": 0.01,
        "connection_quality_threshold": 0.5,
        "join_timeout_s": 300.0,
        "away_timeout_s": 300.0,
    }
    return Watch(**(defaults | changes))


def microphone(sid: str = "TR_mic", **changes: Any) -> TrackInfo:
    defaults: dict[str, Any] = {
        "sid": sid,
        "kind": "audio",
        "source": "microphone",
        "muted": False,
        "encrypted": False,
    }
    return TrackInfo(**(defaults | changes))


def camera(sid: str = "TR_cam", **changes: Any) -> TrackInfo:
    return microphone(sid, **({"kind": "video", "source": "camera"} | changes))


def person(identity: str, *tracks: TrackInfo, sid: str = "", **changes: Any) -> ParticipantInfo:
    return ParticipantInfo(
        identity=identity,
        sid=sid or f"PA_{identity}",
        kind=changes.pop("kind", "standard"),
        tracks=tracks,
        **changes,
    )


def wanted(monitor: RoomMonitor) -> dict[str, Want]:
    """What is wanted of everybody's tracks."""
    wants: dict[str, Want] = {}
    for identity in monitor.participants:
        wants |= wanted_of(monitor, identity)
    return wants


class Trace:
    """A trace in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.open = True

    def line(self, line: bytes) -> None:
        self.lines.append(line)

    def stop(self, reason: str) -> None:
        self.lines.append(encode(Stopped(reason)))
        self.open = False


class Meeting:
    """A monitor at second 0 of its meeting, and all that came out of it so far.

    It is traced, and when its test is over ``conftest`` has it replayed.
    """

    made: ClassVar[list[Meeting]] = []

    def __init__(self, room: str = "standup") -> None:
        self.now = 0.0
        self.trace = Trace()
        self.anchor = UtcAnchor(0.0, EPOCH)
        self.monitor = recorded(room, self.anchor, self.trace)
        self.made.append(self)
        self.events: list[ev.AnyEvent] = []
        self.ended: list[EndedJob] = []
        self._room_jobs: list[RoomJob] = []
        self.prepared: tuple[ParticipantInfo, ...] | None = None
        """Whom the next process finds in the room, which it joins before it takes the jobs."""

    def to(self, now: float) -> None:
        """Let time pass in ticks of half a second, as the shell does."""
        while self.now < now:
            self.now = min(now, self.now + 0.5)
            self.monitor.tick(self.now)
        self.collect()

    def collect(self) -> None:
        self.events += self.monitor.take_events()
        self.ended += self.monitor.take_ended_jobs()

    def job(self, job: str, identity: str, dispatch: str = "AD_1", **changes: Any) -> None:
        self.monitor.start_job(job, dispatch, person(identity), watch(**changes), self.now)
        self.collect()

    def room_job(
        self,
        job: str,
        dispatch: str = "AD_1",
        *,
        states: list[SessionState] | None = None,
        **changes: Any,
    ) -> None:
        room_job = RoomJob(job, dispatch, watch(**changes))
        self._room_jobs.append(room_job)
        self.monitor.start_room_job(room_job, self.now, states)
        self.collect()

    def states(self, job: str) -> list[SessionState]:
        """The last checkpoint of a job's sessions."""
        return [_copy(session) for session in self.monitor.sessions.of_job(job)]

    def handed_over(self, gap_s: float) -> Meeting:
        """The same meeting in another process, ``gap_s`` after the last checkpoint of this one."""
        other = Meeting()
        other.now = self.now + gap_s
        if self.prepared is not None:
            other.connected(*self.prepared)
        for job in self._room_jobs:
            other.monitor.start_room_job(job, other.now, self.states(job.job))
        room_jobs = {job.job for job in self._room_jobs}
        for session in self.monitor.sessions.all():
            if session.job in room_jobs:
                continue
            state = _copy(session)
            info = person(session.participant.identity)
            other.monitor.start_job(
                session.job, session.dispatch, info, session.watch, other.now, state
            )
        other.collect()
        return other

    def connected(self, *present: ParticipantInfo, room_sid: str = "RM_1") -> None:
        self.monitor.connected(room_sid, present, self.now)
        self.collect()

    def speak(
        self, start: float, stop: float, sid: str = "TR_mic", threshold: float = 0.01
    ) -> None:
        """Speech from ``start`` to ``stop``, told as a meter tells it."""
        self.to(max(self.now, start))
        self.monitor.speech(sid, threshold, True, start)
        self.to(stop)
        self.monitor.speech(sid, threshold, False, stop)
        self.collect()

    def replay(self) -> None:
        """Run the trace again, and see that the same comes out."""
        self.collect()
        assert list(replay(self.trace.lines)) == self.events

    def of(self, kind: type[E]) -> list[E]:
        self.collect()
        return [event for event in self.events if isinstance(event, kind)]

    def types(self) -> list[str]:
        self.collect()
        return [event.type for event in self.events]

    def summary(self, job: str = "AJ_1") -> ev.SessionSummary:
        """End a job and give its session's summary."""
        self.monitor.end_job(job, "job_terminated", self.now)
        return self.of(ev.SessionEnded)[-1].summary


def _copy(session: Session) -> SessionState:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(session.state()), type=SessionState)


def seconds(event: ev.Event) -> float:
    """When an event happened, on the meeting's clock."""
    return (event.time - EPOCH).total_seconds()
