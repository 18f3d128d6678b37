"""Brings a database to the tables of this program."""

from __future__ import annotations

import logging

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from pmon.outputs.history.database import HistoryError

LOCK = 0x706D6F6E
"""Of PostgreSQL's advisory locks: "pmon"."""


def upgrade(engine: Engine) -> None:
    """Make the tables, or change those of an older version, all or nothing; of several workers
    that start at once, one does it and the others wait. Raises HistoryError if they are newer.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # SQLite's transaction is a lock by itself
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        if not is_current(connection):
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """Raises HistoryError unless the tables are those of this program."""
    if not is_current(connection):
        raise HistoryError(
            "PMON_DATABASE (--database): it has no history, or one of an older pmon,"
            " which a worker of this version makes or changes when it starts"
        )


def is_current(connection: Connection) -> bool:
    """Raises HistoryError for a history of a newer program."""
    scripts = ScriptDirectory.from_config(_config())
    found = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in scripts.walk_revisions()]
    if found is not None and found not in known:
        raise HistoryError(
            f"PMON_DATABASE (--database): its tables are of a newer pmon ({found}; this one knows"
            f" those up to {known[0]}): run that version, or choose another database"
        )
    return found == known[0]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "pmon.outputs.history:migrations")
    return config
