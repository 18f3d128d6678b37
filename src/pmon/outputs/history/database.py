"""The database of the history: how it is opened, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url

from pmon.outputs.batches import WriteError
from pmon.settings import SettingsError

CONNECT_S = 5
LOCKED_S = 10.0
"""How long SQLite waits for somebody else who writes."""
DEAD_MS = 20_000
"""A connection on which nothing comes back for so long is given up."""
FOR_NOW = (
    *("starting up", "shutting down", "terminating", "recovery", "not yet accepting"),
    *("too many", "connection slots", "locked"),
)
"""In what a server says that will take us later."""


class HistoryError(SettingsError):
    """A database that is no place for the history as it is set; the message says why."""


class UnavailableError(WriteError):
    """Nobody answers now, or does not want to; later it may be another thing."""


class RefusedError(Exception):
    """The database does not take a row, and never will."""


def open_engine(url: str, *, reads_only: bool = False) -> Engine:
    """It connects only when it is used."""
    parts = make_url(url)
    if parts.drivername.startswith("sqlite"):
        engine = create_engine(
            parts.set(drivername="sqlite+pysqlite"),
            connect_args={"timeout": LOCKED_S},
            hide_parameters=True,
        )
        _have_transactions(engine, "BEGIN" if reads_only else "BEGIN IMMEDIATE")
        return engine
    ours = {
        "connect_timeout": CONNECT_S,
        "application_name": "pmon",
        "tcp_user_timeout": DEAD_MS,
        "prepare_threshold": None,  # a pooler may give each transaction another session
    }
    return create_engine(
        parts.set(drivername="postgresql+psycopg"),
        pool_size=1,
        max_overflow=2,
        hide_parameters=True,  # of statements: they are what people are called
        connect_args={name: ours[name] for name in ours if name not in parts.query},
    )


def file_of(engine: Engine) -> Path | None:
    """Where the database is a file, the file."""
    return Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None


def make_file(engine: Engine) -> None:
    """Where the database is a file, make it if need be; nobody else may read it. Raises
    HistoryError.
    """
    path = file_of(engine)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise HistoryError(
            f"PMON_DATABASE (--database): cannot write to {path}: {error.strerror}"
        ) from None


def find_file(engine: Engine) -> None:
    """Where the database is a file, see that it is there: SQLite would make it."""
    path = file_of(engine)
    if path is not None and not path.is_file():
        raise HistoryError(f"PMON_DATABASE (--database): there is no file {engine.url.database}")


def _have_transactions(engine: Engine, begin: str) -> None:
    """Python's SQLite module would begin them too late, and never around changes of tables."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA secure_delete=ON")  # what is erased is gone from the file
        if begin != "BEGIN":
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """The first of a file turns its log on, for good. Of two that do so at once SQLite refuses one
    straight away, whatever its timeout says.
    """
    deadline = time.monotonic() + LOCKED_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def told(engine: Engine, *, is_start: bool = False) -> Iterator[None]:
    """Errors of the database as those above. Whether it is a setting that is wrong is asked at the
    start only: later, what once worked may work again.
    """
    try:
        yield
    except (exc.DataError, exc.IntegrityError) as error:
        raise RefusedError(problem(error)) from None
    except exc.DBAPIError as error:
        engine.dispose()
        if is_start and _is_wrong(engine, error):
            raise HistoryError(f"PMON_DATABASE (--database): {problem(error)}") from None
        raise UnavailableError(problem(error)) from None
    except exc.StatementError as error:  # a value that the driver cannot send
        raise RefusedError(type(error.orig).__name__) from None
    except exc.SQLAlchemyError as error:  # no connection was free
        raise UnavailableError(type(error).__name__) from None


def _is_wrong(engine: Engine, error: exc.DBAPIError) -> bool:
    """Whether it takes a change of settings; otherwise it may pass."""
    text = str(error.orig)
    if any(words in text for words in FOR_NOW):
        return False
    if engine.dialect.name == "sqlite" or not isinstance(error, exc.OperationalError):
        return True
    return "FATAL" in text  # the server was reached, and said no


def problem(error: exc.DBAPIError) -> str:
    """What is wrong, on one line and without values of rows."""
    diagnostics = getattr(error.orig, "diag", None)
    text = getattr(diagnostics, "message_primary", None) or str(error.orig)
    return " ".join(text.split())[:300]
