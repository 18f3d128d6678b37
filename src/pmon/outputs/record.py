"""The record: events as JSON lines, one file for each UTC day."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from pmon.monitor.events import AnyEvent
from pmon.settings import SettingsError

BACKLOG = 10_000
"""Events that wait while the disk fails; about 8 MB."""
BATCH = 500
RETRY_S = 1.0
LONGEST_RETRY_S = 30.0

_log = structlog.get_logger("pmon.record")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class RecordError(SettingsError):
    """A folder that no record can be written to."""


class Record:
    """Appends events to ``<folder>/pmon-YYYY-MM-DD.jsonl`` by the UTC day of writing.

    One thread of its own writes, so a slow or hanging disk stops neither the loop nor the exit.
    While writing fails, the newest ``backlog`` events wait for the next try; how many were lost
    beyond that is counted in ``lost`` and logged.
    """

    def __init__(
        self,
        folder: str,
        *,
        backlog: int = BACKLOG,
        retry_s: float = RETRY_S,
        utc_now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._folder = Path(folder)
        self._retry_s = retry_s
        self._utc_now = utc_now
        self._waiting: deque[bytes] = deque()
        self._backlog = backlog
        self._batch: list[bytes] = []
        self._changed = threading.Condition()
        self._closing = False
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)

    @property
    def lost(self) -> int:
        """Events that were not written and never will be."""
        return self._lost

    def start(self) -> None:
        """Make the folder, see that it takes files, and start writing.

        Raises ``RecordError`` if it does not.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(_open(self._path()))
        except OSError as error:
            raise RecordError(
                f"PMON_RECORD (--record): cannot write to {self._path()}: {error.strerror}"
            ) from None
        self._thread.start()

    def event(self, event: AnyEvent) -> None:
        """Take one event; never waits for the disk."""
        line = msgspec.json.encode(event) + b"\n"
        with self._changed:
            if self._closing:
                self._lost += 1
                return
            self._waiting.append(line)
            self._drop_oldest()
            self._changed.notify()

    async def aclose(self, deadline_s: float = 5.0) -> None:
        """Write what waits, within ``deadline_s``; what cannot be written by then is lost."""
        if not self._thread.is_alive():
            return
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, deadline_s)
        with self._changed:
            self._lost += len(self._waiting) + len(self._batch)
            self._waiting.clear()
        if self._lost:
            _log.error("record is incomplete", lost=self._lost)

    def _drop_oldest(self) -> None:
        while len(self._waiting) > self._backlog:
            self._waiting.popleft()
            self._lost += 1
            if self._lost == 1:
                _log.error("record is full of events it cannot write; the oldest go")

    # --- the writer's thread

    def _run(self) -> None:
        failures = 0
        while self._take_batch():
            last_try = self._closing
            try:
                self._write(b"".join(self._batch))
            except OSError as error:
                if failures == 0:
                    _log.error("record cannot be written; events wait", error=error.strerror)
                failures += 1
                self._give_back()
                if last_try:
                    return
                self._pause(failures)
            else:
                if failures:
                    _log.info("record is written again", lost=self._lost)
                failures = 0

    def _take_batch(self) -> bool:
        """Wait for something to write. False at the end."""
        with self._changed:
            self._batch = []  # it was written
            self._changed.wait_for(lambda: self._waiting or self._closing)
            count = min(BATCH, len(self._waiting))
            self._batch = [self._waiting.popleft() for _ in range(count)]
            return bool(self._batch)

    def _give_back(self) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(self._batch))
            self._batch = []
            self._drop_oldest()

    def _pause(self, failures: int) -> None:
        pause_s = min(self._retry_s * 2 ** min(failures - 1, 10), LONGEST_RETRY_S)
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=pause_s)

    def _path(self) -> Path:
        return self._folder / f"pmon-{self._utc_now():%Y-%m-%d}.jsonl"

    def _write(self, data: bytes) -> None:
        """Append whole lines or nothing.

        The file is opened anew for each batch, so a file that was rotated away or a folder that
        was mounted again is no trouble. The lock keeps two workers with one folder apart.
        """
        fd = _open(self._path())
        try:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(fd, fcntl.LOCK_EX)
            end = os.fstat(fd).st_size
            if end and os.pread(fd, 1, end - 1) != b"\n":  # a writer died in the middle of a line
                data = b"\n" + data
            try:
                _write_all(fd, data)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(fd, end)
                raise
        finally:
            os.close(fd)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
