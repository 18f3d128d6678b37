"""Snapshots: a room as it stands now, for the log, HTTP and the supervisor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from pmon.monitor.clock import UtcAnchor
from pmon.monitor.events import (
    Heard,
    IssueKind,
    ParticipantKind,
    QualityLevel,
    Severity,
    VideoStateName,
)
from pmon.monitor.link import Link
from pmon.monitor.participant import Participant
from pmon.monitor.room import RoomMonitor
from pmon.monitor.session import Session
from pmon.monitor.video import SCREEN, Video

MicrophoneState = Literal["on", "muted", "none"]
TELLING: tuple[VideoStateName, ...] = (
    "frozen",
    "dry",
    "low",
    "live",
    "encrypted",
    "muted",
    "unknown",
)
"""Of several cameras the state that comes first here is told."""


class OpenIssue(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong now."""

    issue: IssueKind
    severity: Severity
    track_sid: str | None = None
    since: datetime


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """One open session."""

    session: str
    job: str
    dispatch: str
    participant: str
    participant_kind: ParticipantKind
    labels: dict[str, str] = {}
    since: datetime
    present: bool = False
    speaking: bool = False
    talk_time_s: float = 0.0
    """An open turn included."""
    turns: int = 0
    """Those that are over."""
    quality: QualityLevel = "unknown"
    poor: bool = False
    """Whether the quality is under the session's threshold."""
    microphone: MicrophoneState = "none"
    heard: Heard | None = None
    """What is known of their speech now; None without a microphone that is on."""
    level_dbov: float | None = None
    """Of the last 100 ms of their loudest microphone; None while none is listened to."""
    video: VideoStateName | None = None
    """Of their camera, or of their screen if they show nothing else; None without either."""
    fps: float | None = None
    issues: list[OpenIssue] = []


class RoomView(msgspec.Struct, frozen=True, kw_only=True):
    """One room with its open sessions."""

    room: str
    room_sid: str
    connected: bool
    time: datetime
    """When this was so."""
    talk_s: float | None = None
    """Talk time of everybody who was ever watched in it; None if not all of it is known."""
    sessions: list[SessionView]


def view(room: RoomMonitor, now: float, levels: Mapping[str, float] | None = None) -> RoomView:
    """The room as it stands at ``now``, with the levels that meters show by identity."""
    talk_s, anchor = room.sessions.total_talk_s(now), room.sessions.anchor
    levels = levels or {}
    return RoomView(
        room=room.room,
        room_sid=room.sessions.room_sid,
        connected=room.link is Link.CONNECTED,
        time=anchor.at(now),
        talk_s=None if talk_s is None else round(talk_s, 3),
        sessions=[
            _session(s, now, anchor, levels.get(s.participant.identity))
            for s in room.sessions.all()
        ],
    )


def _session(s: Session, now: float, anchor: UtcAnchor, level: float | None) -> SessionView:
    video = _video(s.ledger.videos()) if s.watch.video else None
    listens = s.watch.audio and not s.participant.opted_out
    return SessionView(
        session=s.id,
        job=s.job,
        dispatch=s.dispatch,
        participant=s.participant.identity,
        participant_kind=s.participant.kind,
        labels=s.watch.labels,
        since=anchor.at(s.started_at),
        present=s.present,
        speaking=s.talk.speaking,
        talk_time_s=round(s.talk.talk_time_s(now), 3),
        turns=s.talk.turns,
        quality=s.ledger.quality.level,
        poor=s.poor,
        microphone=_microphone(s.participant),
        heard=s.participant.rests_on if listens else None,
        level_dbov=level if listens else None,
        video=None if video is None else video.state,
        fps=_fps(video),
        issues=[
            OpenIssue(
                issue=record.issue,
                severity=record.severity,
                track_sid=record.track_sid,
                since=anchor.at(record.since),
            )
            for record in s.issues.records
            if record.ended_at is None
        ],
    )


def _microphone(participant: Participant) -> MicrophoneState:
    muted = [track.muted for track in participant.tracks.values() if track.is_microphone]
    if not muted:
        return "none"
    return "muted" if all(muted) else "on"


def _fps(video: Video | None) -> float | None:
    """While it moves: what it had before says nothing."""
    if video is None or video.fps is None or video.state not in ("live", "low"):
        return None
    return round(video.fps, 1)


def _video(videos: Iterable[Video]) -> Video | None:
    shown = [video for video in videos if video.state in TELLING]
    return min(shown, key=lambda v: (v.source in SCREEN, TELLING.index(v.state)), default=None)
