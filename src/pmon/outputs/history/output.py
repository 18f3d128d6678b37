"""The output that writes the history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from pmon.monitor.events import AnyEvent
from pmon.outputs.batches import RETRY_S, BatchWriter, WriteError
from pmon.outputs.history import forget, store
from pmon.outputs.history.database import (
    HistoryError,
    RefusedError,
    UnavailableError,
    make_file,
    open_engine,
    told,
)
from pmon.outputs.history.migrate import upgrade
from pmon.outputs.history.rows import Change, Rows

GATHER_S = 1.0
"""What a transaction costs is shared by the events of so long."""
BACKLOG = 20_000
"""Events that wait while the database is away; about 30 MB."""

log = structlog.get_logger("pmon.history")

Changes = list[Change]
"""What is stored of one event."""


class History:
    """Takes events at any time, and waits for nothing.

    While the database is away, the newest ``backlog`` events wait for it, at the start as well.
    """

    name = "history"

    def __init__(self, url: str, *, backlog: int = BACKLOG, retry_s: float = RETRY_S) -> None:
        self._engine = open_engine(url)
        self._rows = Rows()
        self._ready = False
        self._writer: BatchWriter[Changes] = BatchWriter(
            self.name, self._write, backlog=backlog, gather_s=GATHER_S, retry_s=retry_s
        )

    @property
    def dropped(self) -> int:
        """Events that were not written and never will be."""
        return self._writer.lost

    @property
    def waiting(self) -> int:
        """Events that wait to be written."""
        return self._writer.waiting

    async def start(self) -> None:
        """Make the tables ready. Raises HistoryError for what waiting does not mend; a database
        that nobody can reach now is waited for.
        """
        try:
            await asyncio.to_thread(self._make_ready)
        except UnavailableError as error:
            log.error("the database cannot be reached; events wait for it", problem=str(error))
        self._writer.start()

    def event(self, event: AnyEvent) -> None:
        """Take one event."""
        changes = self._rows.of(event)
        if changes:
            self._writer.add(changes)

    def forget(self, before: datetime) -> int:
        """Delete the sessions that were over before then; returns how many. Any thread may. What
        cannot be deleted now can be later.
        """
        if not self._ready:
            return 0
        with told(self._engine):
            return forget.forget(self._engine, before)

    async def aclose(self, deadline_s: float = 5.0) -> None:
        """Write what waits, within ``deadline_s``; what cannot be written by then is lost."""
        await self._writer.aclose(deadline_s)
        if not self._writer.at_work:  # else it would hang here, too
            self._engine.dispose()

    # --- in the thread

    def _make_ready(self) -> None:
        make_file(self._engine)
        with told(self._engine, is_start=True):
            upgrade(self._engine)
        self._ready = True

    def _write(self, batch: Sequence[Changes]) -> int:
        if not self._ready:
            try:
                self._make_ready()
            except HistoryError as error:  # the start is over; somebody may put it right
                raise WriteError(str(error)) from None
        try:
            self._store([change for changes in batch for change in changes])
            return len(batch)
        except RefusedError:
            return self._write_some(batch)

    def _write_some(self, batch: Sequence[Changes]) -> int:
        """One by one, without what is refused."""
        for changes in batch:
            try:
                self._store(changes)
            except RefusedError as error:
                log.error("the database refuses a row", problem=str(error))
                self._writer.refuse(1)
        return len(batch)

    def _store(self, changes: Changes) -> None:
        with told(self._engine), self._engine.begin() as connection:
            store.write(connection, changes)
