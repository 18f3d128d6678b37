"""Deletes what record and history have kept for long enough, hour by hour."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

import structlog

EVERY_S = 3600.0

log = structlog.get_logger("pmon.retention")


@runtime_checkable
class Keeper(Protocol):
    """An output that keeps what it is told."""

    name: str

    def forget(self, before: datetime) -> int:
        """Delete what was over before then, in the thread that calls; returns how much it was."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Retention:
    """Has a thread of its own, since deleting waits for disks and databases. It ends with the
    process: what it did not get to is still old the next time.
    """

    def __init__(
        self,
        keepers: Sequence[Keeper],
        keep_s: float,
        *,
        every_s: float = EVERY_S,
        utc_now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._keepers = keepers
        self._keep = timedelta(seconds=keep_s)
        self._every_s = every_s
        self._utc_now = utc_now
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """At once for the first time."""
        if self._keepers and self._keep:
            self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            for keeper in self._keepers:
                self._forget(keeper)
            self._closed.wait(self._every_s)

    def _forget(self, keeper: Keeper) -> None:
        try:
            deleted = keeper.forget(self._utc_now() - self._keep)
        except Exception as error:  # the other one is to go on, and the next time there is another
            log.error("what is too old cannot be deleted", output=keeper.name, problem=str(error))
            return
        if deleted:
            log.info("deleted what was too old", output=keeper.name, deleted=deleted)
