"""The last step of the log: lines to a file descriptor, by a thread of its own.

A log collector that stops reading would otherwise stop the event loop at its next line, with all
rooms, and a full disk would answer each line with a traceback.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import select
import threading
from collections.abc import Iterator
from contextlib import suppress

BACKLOG = 10_000
"""Lines that wait while nobody reads; about 6 MB."""
BATCH = 200
"""Lines taken in one go."""
WHOLE = select.PIPE_BUF
"""Bytes that a pipe takes whole: several processes write lines to the same one."""
GATHER_S = 0.02
"""How long lines gather, since waking the writer and writing cost more than a line."""

_log = logging.getLogger("pmon.log")


class LineWriter(logging.handlers.QueueHandler):
    """Formats a line where it is logged, and writes it to ``fd`` soon after.

    While ``fd`` takes nothing, the newest ``backlog`` lines wait. How many were lost beyond that,
    or because writing failed, is logged once it works again.
    """

    def __init__(self, fd: int, backlog: int = BACKLOG) -> None:
        # The simple queue is C, and ten times cheaper than the one that knows a bound.
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        super().__init__(self._lines)
        self._backlog = backlog
        self._fd = fd
        self._broken_off = False
        self._over = False
        self._ending = threading.Event()
        self._lost = 0
        self._counting = threading.Lock()
        # A daemon, and no file object of Python's: a write that hangs must not keep the exit.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def prepare(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode("utf-8", "backslashreplace") + b"\n"

    def enqueue(self, record: logging.LogRecord) -> None:
        """Called with the handler's lock held; ``record`` is what ``prepare`` made of it."""
        assert isinstance(record, bytes)
        self._put(record)

    def line(self, line: str) -> None:
        """Write this line, which needs no formatting."""
        self._put(line.encode("utf-8", "backslashreplace") + b"\n")

    def drain(self, deadline_s: float) -> None:
        """Write what waits, if that is possible within ``deadline_s``; take no more after it."""
        self._ending.set()
        self._put(None)
        self._thread.join(deadline_s)

    def _put(self, line: bytes | None) -> None:
        with suppress(queue.Empty):
            while self._lines.qsize() >= self._backlog:
                self._lines.get_nowait()
                self._lose(1)
        self._lines.put(line)

    def _lose(self, lines: int) -> None:
        with self._counting:
            self._lost += lines

    def _take_lost(self) -> int:
        with self._counting:
            lost, self._lost = self._lost, 0
        return lost

    # --- the writer's thread

    def _run(self) -> None:
        while not self._over:
            lines = self._gather()
            written = [self._write(together) for together in _cut(lines)]
            if any(written) and (lost := self._take_lost()):
                self._tell(lost)
            if len(lines) < BATCH:
                self._ending.wait(GATHER_S)
        if lost := self._take_lost():
            self._tell(lost)

    def _tell(self, lost: int) -> None:
        """Not by way of the queue, which may be full or at its end."""
        if not _log.isEnabledFor(logging.WARNING):
            return
        facts = {"lost": lost}
        text = "log lines were lost"
        record = _log.makeRecord(_log.name, logging.WARNING, "", 0, text, (), None, extra=facts)
        self._write(self.prepare(record))

    def _gather(self) -> list[bytes]:
        """What waits, at least one line unless that was the last."""
        lines: list[bytes] = []
        with suppress(queue.Empty):
            while len(lines) < BATCH and not self._over:
                line = self._lines.get(block=not lines)
                if line is None:
                    self._over = True
                else:
                    lines.append(line)
        return lines

    def _write(self, lines: bytes) -> bool:
        """Returns whether that worked; what could not be written is counted as lost."""
        # A full disk can take half a line: the next one must not be glued to it.
        view = memoryview(b"\n" + lines if self._broken_off else lines)
        try:
            while view:
                try:
                    written = os.write(self._fd, view)
                    self._broken_off = view[written - 1] != ord("\n")
                    view = view[written:]
                except BlockingIOError:  # whoever shares it with us has set it so
                    select.select([], [self._fd], [])
        except OSError:
            self._lose(min(bytes(view).count(b"\n"), lines.count(b"\n")))
            return False
        return True


def _cut(lines: list[bytes]) -> Iterator[bytes]:
    """Lines put together as far as a pipe takes them whole."""
    together = b""
    for line in lines:
        if together and len(together) + len(line) > WHOLE:
            yield together
            together = b""
        together += line
    if together:
        yield together
