"""The record: events as JSON lines, one file for each UTC day."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from pmon.monitor.events import AnyEvent
from pmon.outputs.appender import Line, append_lines, open_for_owner
from pmon.outputs.batches import RETRY_S, BatchWriter
from pmon.settings import SettingsError

BACKLOG = 10_000
"""Events that wait while the disk fails; about 8 MB."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class RecordError(SettingsError):
    """A folder that no record can be written to."""


class Record:
    """Appends events to ``<folder>/pmon-YYYY-MM-DD.jsonl`` by the UTC day of writing.

    While writing fails, the newest ``backlog`` events wait for the next try.
    """

    name = "record"

    def __init__(
        self,
        folder: str,
        *,
        backlog: int = BACKLOG,
        retry_s: float = RETRY_S,
        utc_now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._folder = Path(folder)
        self._utc_now = utc_now
        self._writer: BatchWriter[Line] = BatchWriter(
            self.name, append_lines, backlog=backlog, retry_s=retry_s
        )

    @property
    def dropped(self) -> int:
        """Events that were not written and never will be."""
        return self._writer.lost

    async def start(self) -> None:
        """Make the folder, see that it takes files, and start writing.

        Raises ``RecordError`` if it does not.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(open_for_owner(self._path()))
        except OSError as error:
            raise RecordError(
                f"PMON_RECORD (--record): cannot write to {self._path()}: {error.strerror}"
            ) from None
        self._writer.start()

    def event(self, event: AnyEvent) -> None:
        """Take one event; never waits for the disk."""
        self._writer.add((self._path, msgspec.json.encode(event) + b"\n"))

    async def aclose(self, deadline_s: float = 5.0) -> None:
        """Write what waits, within ``deadline_s``; what cannot be written by then is lost."""
        await self._writer.aclose(deadline_s)

    def forget(self, before: datetime) -> int:
        """Delete the files of days that ended before then; returns how many. Any thread may."""
        old = [path for path, day in days(self._folder) if day + timedelta(days=1) <= before]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def _path(self) -> Path:
        return self._folder / f"pmon-{self._utc_now():%Y-%m-%d}.jsonl"


def days(folder: Path) -> list[tuple[Path, datetime]]:
    """The files of a record, and when the day of each began; the oldest first. Raises OSError."""
    found = []
    for path in sorted(folder.iterdir()):
        with suppress(ValueError):  # a file of somebody else's
            day = datetime.strptime(path.name, "pmon-%Y-%m-%d.jsonl")
            found.append((path, day.replace(tzinfo=UTC)))
    return found
