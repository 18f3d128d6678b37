"""What is stored of an event: rows in their latest state. Sans-IO.

Each row is told whole, with a revision that rises, so whoever writes may write it again, or an
older state after a newer one, and the table is the same in the end. Names, metadata and attributes
of participants are in no event, and so in no row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table

from pmon.monitor import events as ev
from pmon.outputs.history import tables

Row = dict[str, Any]


class Change(NamedTuple):
    """A row in its latest state."""

    table: Table
    row: Row


@dataclass
class _Open:
    """A session that goes on, and what of it does."""

    row: Row
    visit: Row | None = None
    issues: dict[tuple[str, str | None], Row] = field(default_factory=dict)


class Rows:
    """Remembers the sessions that are open, for the events that end what others began."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def of(self, event: ev.AnyEvent) -> list[Change]:
        """The rows that changed."""
        match event:
            case ev.SessionStarted() | ev.ParticipantConnected() | ev.ParticipantDisconnected():
                session = self._session(event)
                changes = [_changed(tables.sessions, session.row), *_visit(session, event)]
            case ev.SpeakingStopped():
                changes = [Change(tables.turns, _turn(event))]
            case ev.IssueRaised() | ev.IssueUpdated() | ev.IssueResolved():
                changes = [_changed(tables.issues, _issue(self._session(event), event))]
            case ev.SessionEnded():
                changes = self._end(event)
            case _:
                return []
        return [*changes, *_meeting(event)]

    def _session(self, event: ev.AnyEvent) -> _Open:
        """With what may have changed since it was last told."""
        session = self._open.get(event.session)
        if session is None:
            row = _blank(tables.sessions)
            row |= {"revision": 0, "session": event.session, "started_at": event.time}
            row |= {"room_sid": "", "dispatch": "", "monitoring_type": "", "labels": event.labels}
            row |= {"room": _text(event.room), "participant": _text(event.participant)}
            session = self._open[event.session] = _Open(row)
        if isinstance(event, ev.SessionStarted):
            session.row["dispatch"] = event.dispatch
            session.row["monitoring_type"] = event.monitoring_type
        session.row |= {
            "room_sid": event.room_sid or session.row["room_sid"],
            "participant_sid": event.participant_sid,
            "participant_kind": event.participant_kind,
            "job": event.job,
        }
        return session

    def _end(self, event: ev.SessionEnded) -> list[Change]:
        session = self._session(event)
        del self._open[event.session]
        session.row |= _summary(event)
        changes = [_changed(tables.sessions, session.row)]
        if session.visit is not None:  # they are there and nobody looks any more
            session.visit |= {"left_at": event.time, "reason": event.reason}
            changes.append(_changed(tables.visits, session.visit))
        for row in session.issues.values():  # a process died before it could say so
            duration_s = (event.time - row["since"]).total_seconds()
            row |= {"resolved_at": event.time, "duration_s": duration_s, "reason": "session_ended"}
            changes.append(_changed(tables.issues, row))
        return changes


def _changed(table: Table, row: Row) -> Change:
    row["revision"] += 1
    return Change(table, row.copy())


def _blank(table: Table) -> Row:
    return dict.fromkeys(table.columns.keys())


def _text(text: str) -> str:
    """PostgreSQL has no place for a zero byte."""
    return text.replace("\0", "\ufffd")


def _visit(session: _Open, event: ev.AnyEvent) -> list[Change]:
    visit = session.visit
    if isinstance(event, ev.ParticipantConnected) and visit is None:
        visit = session.visit = _blank(tables.visits)
        visit |= {"revision": 0, "id": event.id}
        visit |= {"session": event.session, "joined_at": event.time}
    elif isinstance(event, ev.ParticipantDisconnected) and visit is not None:
        visit |= {"left_at": event.time, "reason": event.reason}
        session.visit = None
    else:
        return []
    return [_changed(tables.visits, visit)]


def _turn(event: ev.SpeakingStopped) -> Row:
    return {
        "id": event.id,
        "session": event.session,
        "started_at": event.time - timedelta(seconds=event.turn_s),
        "ended_at": event.time,
        "turn_s": event.turn_s,
        "heard": event.heard,
        "track_sid": event.track_sid,
    }


def _issue(session: _Open, event: ev.IssueRaised | ev.IssueUpdated | ev.IssueResolved) -> Row:
    key = (event.issue, event.track_sid)
    row = session.issues.get(key)
    if row is None:
        row = session.issues[key] = _blank(tables.issues)
        row |= {"revision": 0, "id": event.id, "session": event.session, "issue": event.issue}
        row |= {"track_sid": event.track_sid, "since": _since(event), "raised_at": event.time}
    row["severity"] = event.severity
    if isinstance(event, ev.IssueResolved):
        del session.issues[key]
        row |= {"resolved_at": event.time, "duration_s": event.duration_s, "reason": event.reason}
    else:
        row["evidence"] = event.evidence
    return row


def _since(event: ev.IssueRaised | ev.IssueUpdated | ev.IssueResolved) -> datetime:
    if isinstance(event, ev.IssueResolved):
        return event.time - timedelta(seconds=event.duration_s)
    return event.since


def _summary(event: ev.SessionEnded) -> Row:
    """The columns of a session that are known at its end."""
    summary = event.summary
    row: Row = {"ended_at": event.time, "end_reason": event.reason}
    row |= {"started_at": summary.started_at, "microphone_s": _microphone_s(summary)}
    row |= {name: getattr(summary, name) for name in tables.SUMMARY}
    row |= {name: getattr(summary.coverage, name) for name in tables.COVERAGE}
    row |= {f"quality_{level}_s": seconds for level, seconds in summary.quality_s.items()}
    if summary.link is not None:
        row |= {f"link_{name}": getattr(summary.link, name) for name in tables.LINK}
    row["tracks"] = msgspec.to_builtins(summary.tracks)
    return row


def _microphone_s(summary: ev.SessionSummary) -> float:
    microphones = [track for track in summary.tracks if track.source == "microphone"]
    return round(sum(track.published_s - track.muted_s for track in microphones), 3)


def _meeting(event: ev.AnyEvent) -> list[Change]:
    """A sign of the meeting; without a sid there is none yet."""
    if not event.room_sid:
        return []
    row = _blank(tables.meetings)
    row |= {"room": _text(event.room), "room_sid": event.room_sid}
    row |= {"began_at": event.time, "last_at": event.time}
    if isinstance(event, ev.SessionEnded):
        if event.summary.room is not None:
            row |= {name: getattr(event.summary.room, name) for name in tables.ROOM}
        row["began_at"] = min(event.time, event.summary.started_at)
    return [Change(tables.meetings, row)]
