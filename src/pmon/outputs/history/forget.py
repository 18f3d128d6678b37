"""Deletes what is older than it may be."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Engine, delete, select

from pmon.outputs.history.signs import PARTS, last_sign
from pmon.outputs.history.tables import meetings, sessions

AT_ONCE = 100
"""Sessions a transaction: whoever writes waits no longer than for these."""


def forget(engine: Engine, before: datetime) -> int:
    """Delete the sessions of which nothing was seen since then, with all that belongs to them, and
    so the meetings. A room may live for years. Returns the number of sessions.
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
    old = select(sessions.c.session).where(last_sign(connection) < before).limit(AT_ONCE)
    names = list(connection.scalars(old))
    for table in (*(table for table, _ in PARTS), sessions):
        connection.execute(delete(table).where(table.c.session.in_(names)))
    return len(names)


def _rest(connection: Connection, before: datetime) -> None:
    """Meetings that are over, and what belongs to sessions that are not there."""
    connection.execute(delete(meetings).where(meetings.c.last_at < before))
    for table, at in PARTS:
        gone = ~select(sessions.c.session).where(sessions.c.session == table.c.session).exists()
        connection.execute(delete(table).where(at < before, gone))
