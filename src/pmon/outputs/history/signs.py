"""When the last sign of a session was seen."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select

from pmon.outputs.history.tables import Utc, issues, sessions, turns, visits

PARTS: tuple[tuple[Table, Any], ...] = (
    (visits, func.coalesce(visits.c.left_at, visits.c.joined_at)),
    (turns, turns.c.ended_at),
    (issues, func.coalesce(issues.c.resolved_at, issues.c.raised_at)),
)
"""What belongs to a session, and when it was told last."""


def last_sign(connection: Connection) -> ColumnElement[Any]:
    """Its end, or of one that has none the last that was told of it. What others did meanwhile is
    no sign of it: of a worker that was killed nothing more comes, however long its room lives.
    """
    of_it = [
        select(func.max(at)).where(table.c.session == sessions.c.session).correlate(sessions)
        for table, at in PARTS
    ]
    signs = [func.coalesce(each.scalar_subquery(), sessions.c.started_at) for each in of_it]
    largest: Any = func.greatest if connection.dialect.name == "postgresql" else func.max
    return func.coalesce(sessions.c.ended_at, largest(*signs, type_=Utc()), type_=Utc())
