"""The JSON of rooms and participants."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from pmon.monitor.events import Heard, ParticipantKind, QualityLevel, VideoStateName
from pmon.monitor.view import MicrophoneState, OpenIssue
from pmon.web.board import Board, Room, talk_by_person
from pmon.web.rows import Row


class RoomShape(msgspec.Struct, frozen=True, kw_only=True):
    """One room of ``/api/rooms``."""

    room: str
    room_sid: str
    connected: bool
    """Whether the worker is connected to it just now."""
    sessions: int
    participants: int
    """Watched people who are in it, each once."""
    speaking: int
    issues: int
    """Open issues of its sessions."""
    talk_time_s: float | None
    """Of everybody who was watched in it; None if not all of it is known."""


class ParticipantShape(msgspec.Struct, frozen=True, kw_only=True):
    """One session of ``/api/participants``."""

    room: str
    participant: str
    kind: ParticipantKind
    session: str
    job: str | None
    """None where the worker took up by itself what no job was left for."""
    dispatch: str
    labels: dict[str, str]
    since: datetime
    present: bool
    speaking: bool
    level: float | None
    """RMS of the last 100 ms, 0 to 1, some seconds old; None while they are not listened to."""
    level_dbov: float | None
    """The same in dBov."""
    talk_time_s: float
    talk_share: float | None
    """Of the talk time of all who were watched in the room, 0 to 1; None if that is not known."""
    turns: int
    quality: QualityLevel
    poor: bool
    microphone: MicrophoneState
    heard: Heard | None
    video: VideoStateName | None
    fps: float | None
    issues: list[OpenIssue]


def rooms(board: Board, now: datetime, only: str | None) -> list[RoomShape]:
    """All rooms, or one."""
    return [_room(r, now) for r in board.rooms.values() if only is None or r.room == only]


def participants(board: Board, now: datetime, only: str | None) -> list[ParticipantShape]:
    """The sessions of all rooms, or of one."""
    found: list[ParticipantShape] = []
    for room in board.rooms.values():
        if only is None or room.room == only:
            talk_s = _talk_s(room, now)
            found += [_participant(row, now, talk_s, board) for row in room.rows.values()]
    return found


def _room(room: Room, now: datetime) -> RoomShape:
    rows = list(room.rows.values())
    talk_s = _talk_s(room, now)
    return RoomShape(
        room=room.room,
        room_sid=room.room_sid,
        connected=room.connected,
        sessions=len(rows),
        participants=_people(row for row in rows if row.view.present),
        speaking=_people(row for row in rows if row.view.speaking),
        issues=sum(len(row.view.issues) for row in rows),
        talk_time_s=None if talk_s is None else round(talk_s, 3),
    )


def _participant(
    row: Row, now: datetime, room_talk_s: float | None, board: Board
) -> ParticipantShape:
    view, talk_s = row.view, row.talk_time_s(now)
    level = view.level_dbov
    return ParticipantShape(
        room=row.room,
        participant=view.participant,
        kind=view.participant_kind,
        session=view.session,
        job=None if board.is_adopted(view.job) else view.job,
        dispatch=view.dispatch,
        labels=view.labels,
        since=view.since,
        present=view.present,
        speaking=view.speaking,
        level=None if level is None else round(10 ** (level / 20), 5),
        level_dbov=level,
        talk_time_s=round(talk_s, 3),
        talk_share=round(min(1.0, talk_s / room_talk_s), 4) if room_talk_s else None,
        turns=view.turns,
        quality=view.quality,
        poor=view.poor,
        microphone=view.microphone,
        heard=view.heard,
        video=view.video,
        fps=view.fps,
        issues=view.issues,
    )


def _talk_s(room: Room, now: datetime) -> float | None:
    if room.gone_s is None:
        return None
    return room.gone_s + sum(talk_by_person(room, now).values())


def _people(rows: Iterable[Row]) -> int:
    return len({row.view.participant for row in rows})
