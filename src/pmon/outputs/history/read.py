"""What the history knows of a stretch of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from pmon.outputs.history.database import find_file, open_engine, told
from pmon.outputs.history.migrate import check
from pmon.outputs.history.signs import last_sign
from pmon.outputs.history.tables import Utc, issues, sessions, turns, visits

AT_ONCE = 500
"""Sessions a statement."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session as it is stored; what it amounts to is None until it has ended."""

    session: str
    room: str
    room_sid: str
    participant: str
    kind: str
    monitoring_type: str
    labels: dict[str, str]
    ended: bool
    partial: bool
    present_s: float
    microphone_s: float
    heard_s: float
    server_word_s: float
    unobserved_s: float
    quality_s: dict[str, float]


@dataclass(frozen=True)
class Span:
    """A visit or a piece of speech of a session, or an issue of it."""

    session: str
    start: datetime
    end: datetime
    what: str = ""
    """The kind of the issue."""
    open: bool = False
    """Nobody has said that it ended: ``end`` is the last sign of its session."""


@dataclass(frozen=True)
class Found:
    """Everything of everybody who was in a room."""

    sessions: list[Session]
    visits: list[Span]
    turns: list[Span]
    issues: list[Span]


@contextmanager
def connected(url: str, *, reads_only: bool = True) -> Iterator[Connection]:
    """A transaction on a history that is there. Raises HistoryError and UnavailableError."""
    engine = open_engine(url, reads_only=reads_only)
    find_file(engine)
    try:
        with told(engine, is_start=True), engine.begin() as connection:
            check(connection)
            yield connection
    finally:
        engine.dispose()


def find(
    connection: Connection,
    start: datetime,
    end: datetime,
    rooms: Iterable[str] = (),
    wanted: Callable[[dict[str, str]], bool] = lambda labels: True,
) -> Found:
    """What overlaps this stretch: in these rooms, or all if none is named, and of sessions with
    ``wanted`` labels. Whoever was in such a room under its pseudonym was in the same meeting.
    """
    until = func.coalesce(visits.c.left_at, last_sign(connection), type_=Utc())
    there = (
        select(sessions, visits.c.joined_at, visits.c.left_at, until.label("until"))
        .select_from(visits.join(sessions, sessions.c.session == visits.c.session))
        .where(visits.c.joined_at < end, until >= start)
        .order_by(visits.c.joined_at, visits.c.id)
    )
    if rooms:
        by_name = sessions.c.room.in_(list(rooms))
        sids = select(sessions.c.room_sid).where(by_name, sessions.c.room_sid != "")
        there = there.where(or_(by_name, sessions.c.room_sid.in_(sids)))
    known: dict[str, Session] = {}
    seen: list[Span] = []
    for row in connection.execute(there).mappings():
        if wanted(row["labels"]):
            known.setdefault(row["session"], _session(row))
            is_open = row["left_at"] is None and row["ended_at"] is None
            seen.append(Span(row["session"], row["joined_at"], row["until"], open=is_open))
    return Found(
        sessions=list(known.values()),
        visits=seen,
        turns=list(_of_sessions(connection, list(known), _turns(start, end))),
        issues=list(_of_sessions(connection, list(known), _issues(start, end))),
    )


def _turns(start: datetime, end: datetime) -> Any:
    what = select(turns.c.session, turns.c.started_at, turns.c.ended_at, turns.c.track_sid)
    what = what.where(turns.c.started_at < end, turns.c.ended_at > start)
    return what.order_by(turns.c.started_at, turns.c.id)


def _issues(start: datetime, end: datetime) -> Any:
    until = func.coalesce(issues.c.resolved_at, issues.c.raised_at)
    what = select(issues.c.session, issues.c.raised_at, until, issues.c.issue)
    what = what.where(issues.c.raised_at < end, issues.c.raised_at >= start)
    return what.order_by(issues.c.raised_at, issues.c.id)


def _of_sessions(connection: Connection, names: list[str], what: Any) -> Iterator[Span]:
    session = what.selected_columns[0]
    for at in range(0, len(names), AT_ONCE):
        for row in connection.execute(what.where(session.in_(names[at : at + AT_ONCE]))):
            yield Span(row[0], row[1], row[2], row[3] or "")


def _session(row: Any) -> Session:
    seconds = ("present_s", "microphone_s", "heard_s", "server_word_s", "unobserved_s")
    levels = ("excellent", "good", "poor", "lost")
    return Session(
        session=row["session"],
        room=row["room"],
        room_sid=row["room_sid"],
        participant=row["participant"],
        kind=row["participant_kind"],
        monitoring_type=row["monitoring_type"],
        labels=row["labels"],
        ended=row["duration_s"] is not None,
        partial=bool(row["partial"]),
        quality_s={level: row[f"quality_{level}_s"] or 0.0 for level in levels},
        **{name: row[name] or 0.0 for name in seconds},
    )
