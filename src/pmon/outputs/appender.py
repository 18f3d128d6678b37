"""Appends lines to files in a thread of its own, so that a slow disk stops nothing else."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import structlog

BATCH = 500
RETRY_S = 1.0
LONGEST_RETRY_S = 30.0

Line = tuple[Callable[[], Path], bytes]
"""Which file it belongs to at the time it is written, and the line with its end."""


class Appender:
    """Takes lines at any time; a slow or hanging disk stops neither the loop nor the exit.

    While writing fails, the newest ``backlog`` lines wait for the next try; how many were lost
    beyond that is counted in ``lost`` and logged under ``name``.
    """

    def __init__(self, name: str, *, backlog: int, retry_s: float = RETRY_S) -> None:
        self._name = name
        self._log = structlog.get_logger(f"pmon.{name}")
        self._retry_s = retry_s
        self._waiting: deque[Line] = deque()
        self._backlog = backlog
        self._batch: list[Line] = []
        self._changed = threading.Condition()
        self._closing = False
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def lost(self) -> int:
        """Lines that were not written and never will be."""
        return self._lost

    @property
    def waiting(self) -> int:
        """Lines that wait to be written."""
        return len(self._waiting)

    def start(self) -> None:
        self._thread.start()

    def append(self, path: Callable[[], Path], line: bytes) -> None:
        """Take one line; never waits for the disk."""
        with self._changed:
            if self._closing:
                self._lost += 1
                return
            self._waiting.append((path, line))
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
            self._log.error(f"{self._name} is incomplete", lost=self._lost)

    def _drop_oldest(self) -> None:
        while len(self._waiting) > self._backlog:
            self._waiting.popleft()
            self._lost += 1
            if self._lost == 1:
                self._log.error(f"{self._name} is full of what it cannot write; the oldest go")

    # --- the thread

    def _run(self) -> None:
        failures = 0
        while self._take_batch():
            last_try = self._closing
            try:
                self._write_batch()
            except OSError as error:
                if failures == 0:
                    self._log.error(
                        f"{self._name} cannot be written; it waits", error=error.strerror
                    )
                failures += 1
                self._give_back()
                if last_try:
                    return
                self._pause(failures)
            else:
                if failures:
                    self._log.info(f"{self._name} is written again", lost=self._lost)
                failures = 0

    def _take_batch(self) -> bool:
        """Wait for something to write. False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            count = min(BATCH, len(self._waiting))
            self._batch = [self._waiting.popleft() for _ in range(count)]
            return bool(self._batch)

    def _write_batch(self) -> None:
        """What was written leaves the batch."""
        for path, lines in groupby(self._batch, lambda line: line[0]()):
            together = [line for _, line in lines]
            append(path, b"".join(together))
            with self._changed:
                self._batch = self._batch[len(together) :]

    def _give_back(self) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(self._batch))
            self._batch = []
            self._drop_oldest()

    def _pause(self, failures: int) -> None:
        pause_s = min(self._retry_s * 2 ** min(failures - 1, 10), LONGEST_RETRY_S)
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=pause_s)


def append(path: Path, data: bytes) -> None:
    """Append whole lines or nothing.

    The file is opened anew for each batch, so a file that was rotated away or a folder that was
    mounted again is no trouble. The lock keeps two workers with one folder apart.
    """
    fd = open_for_owner(path)
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


def open_for_owner(path: Path) -> int:
    """A file to append to, made if need be; nobody else may read it."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
