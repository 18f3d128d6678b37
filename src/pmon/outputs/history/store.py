"""Writes rows so that it does not matter how often, nor in which order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, Table, func
from sqlalchemy.dialects import postgresql, sqlite

from pmon.outputs.history import tables
from pmon.outputs.history.rows import Change, Row

FIRST = ("began_at",)
"""Columns of a meeting of which the smallest value holds; of the others it is the largest, since
they only grow: several workers may see parts of one meeting."""


def write(connection: Connection, changes: Iterable[Change]) -> None:
    """Bring the tables to these states, in one go."""
    for table, rows in latest(changes).items():
        connection.execute(_statement(table, connection.dialect.name), rows)


def latest(changes: Iterable[Change]) -> dict[Table, list[Row]]:
    """What is left of the changes: one for each row. They are sorted, so that two workers that
    write the same rows wait for each other instead of standing in each other's way.
    """
    found: dict[Table, dict[tuple[str, ...], Row]] = {t: {} for t in tables.metadata.sorted_tables}
    for table, row in changes:
        rows = found[table]
        key = tuple(row[column.name] for column in table.primary_key)
        if key not in rows:
            rows[key] = row
        elif table is tables.meetings:
            rows[key] = _joined(rows[key], row)
        elif "revision" in row and row["revision"] > rows[key]["revision"]:
            rows[key] = row
    return {table: [rows[key] for key in sorted(rows)] for table, rows in found.items() if rows}


def _joined(one: Row, other: Row) -> Row:
    """Two signs of a meeting as one."""
    joined = {}
    for name, value in one.items():
        known = [v for v in (value, other[name]) if v is not None]
        choose: Any = min if name in FIRST else max
        joined[name] = choose(known, default=None)
    return joined


@lru_cache
def _statement(table: Table, dialect: str) -> Executable:
    insert_into: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    insert = insert_into(table)
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    new: Any = insert.excluded
    if table is tables.turns:  # never changes
        done: Executable = insert.on_conflict_do_nothing(index_elements=keys)
    elif table is tables.meetings:
        values = {name: _merged(table.c[name], new[name], dialect) for name in others}
        done = insert.on_conflict_do_update(index_elements=keys, set_=values)
    else:
        done = insert.on_conflict_do_update(
            index_elements=keys,
            set_={name: new[name] for name in others},
            where=new.revision > table.c.revision,
        )
    return done


def _merged(old: Any, new: Any, dialect: str) -> Any:
    """Null is no value; SQLite's functions would take it for the result."""
    is_postgres, is_first = dialect == "postgresql", old.name in FIRST
    smaller: Any = func.least if is_postgres else func.min
    larger: Any = func.greatest if is_postgres else func.max
    return (smaller if is_first else larger)(func.coalesce(old, new), func.coalesce(new, old))
