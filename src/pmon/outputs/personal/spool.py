"""One participant among the webhooks that wait to be delivered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pmon.outputs.personal.subject import StandIns, Subject, erased
from pmon.outputs.spool import FILE


class SpoolUnusableError(Exception):
    """A spool that cannot be looked into now; the message says why."""


def find(folder: Path, subject: Subject) -> list[dict[str, Any]]:
    """Each message about them. Raises SpoolUnusableError."""
    with _opened(folder) as database:
        messages = _messages(database)
        return [{"id": name, "body": body} for name, body in messages if _is_about(body, subject)]


def erase(folder: Path, subject: Subject, *, dry_run: bool) -> int:
    """Delete what is about them, and their name from the rest; returns the number of messages.
    Raises SpoolUnusableError.
    """
    with _opened(folder) as database:
        messages = _messages(database)
        for _, body in messages:
            subject.learn(body["pmon"]["room"], body["pmon"]["participant"])
        named = [(name, body) for name, body in messages if subject.in_event(body["pmon"])]
        if not named or dry_run:
            return len(named)
        for name, body in named:
            if _is_about(body, subject):
                database.execute("DELETE FROM waiting WHERE id = ?", (name,))
            else:
                rest = msgspec.json.encode(_without(body, subject))
                database.execute("UPDATE waiting SET body = ? WHERE id = ?", (rest, name))
        database.execute("COMMIT")
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(named)


def _without(body: dict[str, Any], subject: Subject) -> dict[str, Any]:
    """Somebody else's message."""
    event = erased(body["pmon"], subject, StandIns())
    return body | {"room": body["room"] | {"name": event["room"]}, "pmon": event}


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """It belongs to whoever holds it: a worker that runs keeps everybody else out."""
    path = folder / FILE
    if not folder.is_dir():
        raise SpoolUnusableError(f"there is no folder {folder}")
    try:
        # Where no webhook ever waited there is no file, and none is made.
        place = path if path.is_file() else ":memory:"
        with closing(sqlite3.connect(place, timeout=1.0, isolation_level=None)) as database:
            database.execute("PRAGMA secure_delete=ON")
            database.execute("BEGIN IMMEDIATE")
            if place != path:
                database.execute("CREATE TABLE waiting (id TEXT, body BLOB)")
            yield database
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise SpoolUnusableError(
                f"{path} is held by a worker that runs: stop it and try again"
            ) from None
        raise SpoolUnusableError(f"{path} cannot be used: {error}") from None


def _messages(database: sqlite3.Connection) -> list[tuple[str, dict[str, Any]]]:
    rows = database.execute("SELECT id, body FROM waiting").fetchall()
    return [(name, msgspec.json.decode(body, type=dict[str, Any])) for name, body in rows]


def _is_about(body: dict[str, Any], subject: Subject) -> bool:
    return body["pmon"].get("participant") in subject.names
