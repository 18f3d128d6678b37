"""What is written in a thread of its own, so that slow writing stops nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

BATCH = 500
GATHER_S = 0.1
RETRY_S = 1.0
LONGEST_RETRY_S = 30.0

T = TypeVar("T")


class WriteError(Exception):
    """It could not be written now; the message says why, in words for the log."""


class BatchWriter(Generic[T]):
    """Takes items at any time; a disk or database that is slow or hangs stops neither the loop nor
    the exit. What comes within ``gather_s`` is written at once, which costs much less.

    ``write`` gets some items, the oldest first, and returns how many of them are done with. While
    it raises ``WriteError``, the newest ``backlog`` items wait for the next try, after a pause that
    grows; how many were lost beyond that is counted in ``lost`` and logged under ``name``.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[T]], int],
        *,
        backlog: int,
        gather_s: float = GATHER_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._name = name
        self._write = write
        self._log = structlog.get_logger(f"pmon.{name}")
        self._gather_s = gather_s
        self._retry_s = retry_s
        self._waiting: deque[T] = deque()
        self._backlog = backlog
        self._batch: list[T] = []
        self._changed = threading.Condition()
        self._closing = False
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def lost(self) -> int:
        """Items that were not written and never will be."""
        return self._lost

    @property
    def waiting(self) -> int:
        """Items that wait to be written."""
        return len(self._waiting)

    @property
    def at_work(self) -> bool:
        """Whether it takes items, or hangs in the last of its writing."""
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def add(self, item: T) -> None:
        """Take one item; never waits for the writing."""
        with self._changed:
            if self._closing:
                self._lost += 1
                return
            self._waiting.append(item)
            self._drop_oldest()
            if len(self._waiting) in (1, BATCH):  # nothing else makes the thread go on
                self._changed.notify()

    def refuse(self, items: int) -> None:
        """So many of those that ``write`` says are done with were of no use to anybody."""
        with self._changed:
            self._lost += items

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
            except WriteError as error:
                if failures == 0:
                    self._log.error(f"{self._name} cannot be written; it waits", error=str(error))
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
        """Wait for something to write, and a little for more. False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(
                lambda: len(self._waiting) >= BATCH or self._closing, self._gather_s
            )
            count = min(BATCH, len(self._waiting))
            self._batch = [self._waiting.popleft() for _ in range(count)]
            return bool(self._batch)

    def _write_batch(self) -> None:
        """What was written leaves the batch."""
        while self._batch:
            done = self._write(self._batch)
            with self._changed:
                self._batch = self._batch[done:]

    def _give_back(self) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(self._batch))
            self._batch = []
            self._drop_oldest()

    def _pause(self, failures: int) -> None:
        pause_s = min(self._retry_s * 2 ** min(failures - 1, 10), LONGEST_RETRY_S)
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=pause_s)
