"""Snapshots: a room as it stands now, for the log, HTTP and the supervisor."""

from __future__ import annotations

import msgspec

from pmon.monitor.events import IssueKind, ParticipantKind, QualityLevel
from pmon.monitor.link import Link
from pmon.monitor.room import RoomMonitor


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """One open session."""

    session: str
    job: str
    dispatch: str
    participant: str
    participant_kind: ParticipantKind
    present: bool
    speaking: bool
    talk_time_s: float
    quality: QualityLevel
    poor: bool
    """Whether the quality is under the session's threshold."""
    issues: list[IssueKind]
    """Those that are open."""


class RoomView(msgspec.Struct, frozen=True, kw_only=True):
    """One room with its open sessions."""

    room: str
    room_sid: str
    connected: bool
    sessions: list[SessionView]


def view(room: RoomMonitor, now: float) -> RoomView:
    """The room as it stands at ``now``."""
    return RoomView(
        room=room.room,
        room_sid=room.sessions.room_sid,
        connected=room.link is Link.CONNECTED,
        sessions=[
            SessionView(
                session=s.id,
                job=s.job,
                dispatch=s.dispatch,
                participant=s.participant.identity,
                participant_kind=s.participant.kind,
                present=s.present,
                speaking=s.talk.speaking,
                talk_time_s=round(s.talk.talk_time_s(now), 3),
                quality=s.ledger.quality.level,
                poor=s.poor,
                issues=s.issues.open,
            )
            for s in room.sessions.all()
        ],
    )
