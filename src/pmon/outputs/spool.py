"""The messages that wait to be delivered, in a file that outlives the process.

SQLite, since it is in Python and a kill -9 in the middle of a write leaves it whole. What was
written within the last moment may be missing after a power cut, and what was delivered just before
a kill may still be in it: it is sent again under the same id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from pmon.outputs.delivery import Message
from pmon.settings import SettingsError

FILE = "webhooks.sqlite"


class SpoolError(SettingsError):
    """A folder that no spool can be kept in."""


class Spool:
    """Keeps messages in ``<folder>/webhooks.sqlite``. It belongs to one worker at a time, and to
    one thread. Raises sqlite3.Error when the disk does.
    """

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / FILE
        self._database: sqlite3.Connection | None = None

    def open(self, most: int) -> list[tuple[str, str, bytes]]:
        """Open it, or make it, and give what is in it, the oldest first: id, session and body of
        the newest ``most``. Raises ``SpoolError``.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
            database = sqlite3.connect(self._path, isolation_level=None, timeout=1.0)
            # Exclusive: two workers that send the same messages would send all of them twice.
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS waiting"
                " (number INTEGER PRIMARY KEY, id TEXT UNIQUE, session TEXT, body BLOB)"
            )
            with closing(
                database.execute(
                    "SELECT id, session, body FROM waiting ORDER BY number DESC LIMIT ?", (most,)
                )
            ) as rows:
                found = rows.fetchall()
            database.execute(
                "DELETE FROM waiting WHERE number NOT IN"
                " (SELECT number FROM waiting ORDER BY number DESC LIMIT ?)",
                (most,),
            )
        except (OSError, sqlite3.Error) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            raise SpoolError(
                f"PMON_STATE_DIR (--state-dir): cannot keep {self._path}: {problem}"
            ) from None
        self._database = database
        return found[::-1]

    def change(self, added: Iterable[Message], removed: Iterable[str]) -> None:
        """Take messages in and others out, all or nothing."""
        database = self._database
        if database is None:
            return
        database.execute("BEGIN")
        try:
            database.executemany(
                "INSERT OR IGNORE INTO waiting (id, session, body) VALUES (?, ?, ?)",
                [(message.id, message.session, message.body) for message in added],
            )
            database.executemany("DELETE FROM waiting WHERE id = ?", [(name,) for name in removed])
            database.execute("COMMIT")
        except sqlite3.Error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
