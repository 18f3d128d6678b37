"""Deletes what is older than it may be."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Engine, and_, delete, func, select

from pmon.outputs.history.tables import issues, meetings, sessions, turns, visits

AT_ONCE = 100
"""Sessions a transaction: whoever writes waits no longer than for these."""

PARTS = ((turns, turns.c.ended_at), (visits, visits.c.joined_at), (issues, issues.c.raised_at))
"""What belongs to a session, and how old it is by itself."""


def forget(engine: Engine, before: datetime) -> int:
    """Delete the meetings of which nothing was seen since then, with all that belongs to them.
    Returns the number of sessions.
    """
    total = 0
    while True:
        with engine.begin() as connection:
            deleted = _some_sessions(connection, before)
            total += deleted
            if deleted < AT_ONCE:
                _rest(connection, before)
                return total


def _some_sessions(connection: Connection, before: datetime) -> int:
    same_name, same_sid = (meetings.c[n] == sessions.c[n] for n in ("room", "room_sid"))
    last_sign = func.coalesce(meetings.c.last_at, sessions.c.ended_at, sessions.c.started_at)
    old = (
        select(sessions.c.session)
        .select_from(sessions.outerjoin(meetings, and_(same_name, same_sid)))
        .where(last_sign < before)
        .limit(AT_ONCE)
    )
    names = list(connection.scalars(old))
    for table in (turns, visits, issues, sessions):
        connection.execute(delete(table).where(table.c.session.in_(names)))
    return len(names)


def _rest(connection: Connection, before: datetime) -> None:
    """Meetings without sessions, and what belongs to sessions that are not there."""
    connection.execute(delete(meetings).where(meetings.c.last_at < before))
    for table, at in PARTS:
        gone = ~select(sessions.c.session).where(sessions.c.session == table.c.session).exists()
        connection.execute(delete(table).where(at < before, gone))
