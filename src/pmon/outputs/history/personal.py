"""One participant in the history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from sqlalchemy import Connection, Engine, Table, delete, select, update

from pmon.outputs.history import store
from pmon.outputs.history.database import UnavailableError
from pmon.outputs.history.rows import Change
from pmon.outputs.history.tables import issues, meetings, sessions, turns, visits
from pmon.outputs.personal.subject import StandIns, Subject

PARTS = (visits, turns, issues)


def find(connection: Connection, subject: Subject) -> Iterator[dict[str, Any]]:
    """Their rows, with the table each is of."""
    for session in _sessions(connection, subject):
        for table in (sessions, *PARTS):
            of_it = select(table).where(table.c.session == session)
            for row in connection.execute(of_it).mappings():
                yield {"table": str(table.name), **row}


def learn(connection: Connection, subject: Subject) -> None:
    """Who was in which room."""
    for row in connection.execute(select(sessions.c.room, sessions.c.participant).distinct()):
        subject.learn(*row)


def still_open(connection: Connection, subject: Subject) -> int:
    """How many sessions that are theirs, or in which they are named, have no end yet."""
    columns = (sessions.c.participant, sessions.c.room, sessions.c.labels)
    rows = connection.execute(select(*columns).where(sessions.c.ended_at.is_(None))).mappings()
    return sum(subject.in_event(dict(row)) for row in rows)


def erase(connection: Connection, subject: Subject, stand_ins: StandIns) -> dict[str, int]:
    """Put somebody unknown in their place; returns the number of rows by table."""
    changed = {table.name: 0 for table in (sessions, *PARTS, meetings)}
    theirs: set[str] = set()
    for old in _sessions(connection, subject):
        row = connection.execute(select(sessions).where(sessions.c.session == old)).mappings().one()
        new = stand_ins.session(old)
        values: dict[str, Any] = {
            "session": new,
            "participant": stand_ins.participant(old, row["room_sid"]),
            "participant_sid": "",
            "dispatch": "",
            "job": None,
            "labels": {},
            "tracks": None,
        }
        changed["sessions"] += _update(connection, sessions, values, session=old)
        for table in PARTS:
            values = {"session": new} | ({} if table is visits else {"track_sid": None})
            changed[table.name] += _update(connection, table, values, session=old)
        theirs.add(new)
    _erase_mentions(connection, subject, theirs, changed)
    return changed


def _erase_mentions(
    connection: Connection, subject: Subject, theirs: set[str], changed: dict[str, int]
) -> None:
    """In the names of rooms, and in others' labels."""
    for room in connection.scalars(select(meetings.c.room).distinct()).all():
        if subject.in_text(room, room):
            changed["meetings"] += _rename(connection, room, subject.without(room, room))
    columns = (sessions.c.session, sessions.c.room, sessions.c.labels)
    for row in connection.execute(select(*columns)).mappings().all():
        if subject.in_event(dict(row)):
            room, labels = row["room"], subject.without_labels(row["labels"], row["room"])
            values = {"room": subject.without(room, room), "labels": labels}
            done = _update(connection, sessions, values, session=row["session"])
            changed["sessions"] += done if row["session"] not in theirs else 0


def _rename(connection: Connection, room: str, other: str) -> int:
    """What a worker wrote again, since the last time, joins what has the other name already."""
    of_room = meetings.c.room == room
    rows = connection.execute(select(meetings).where(of_room)).mappings().all()
    store.write(connection, [Change(meetings, {**row, "room": other}) for row in rows])
    connection.execute(delete(meetings).where(of_room))
    return len(rows)


def sweep(engine: Engine) -> None:
    """Leave nothing of what was there in the files of the database, as far as that can be seen to
    from here. Raises UnavailableError.
    """
    raw = engine.raw_connection()
    connection = cast(Any, raw.driver_connection)
    try:
        if engine.dialect.name == "sqlite":
            connection.execute("VACUUM")
            is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if is_busy:
                raise UnavailableError("somebody reads it; its -wal file may still name them")
        else:
            connection.autocommit = True
            connection.execute("VACUUM " + ", ".join(t.name for t in (sessions, *PARTS, meetings)))
            connection.autocommit = False
    except engine.dialect.loaded_dbapi.Error as error:
        raise UnavailableError(f"erased, but its files may still name them: {error}") from None
    finally:
        raw.close()


def _sessions(connection: Connection, subject: Subject) -> list[str]:
    theirs = sessions.c.participant.in_(subject.names)
    return list(
        connection.scalars(select(sessions.c.session).where(theirs).order_by(sessions.c.started_at))
    )


def _update(connection: Connection, table: Table, values: dict[str, Any], **where: str) -> int:
    [(name, value)] = where.items()
    done = connection.execute(update(table).where(table.c[name] == value).values(values))
    return done.rowcount
