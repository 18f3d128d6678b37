"""The last events, for those who follow them: each has its place, and whoever was away goes on."""

from __future__ import annotations

from collections import deque
from itertools import islice

import msgspec

from pmon.monitor.events import AnyEvent

KEPT = 5000
"""At 30 events a second, as a thousand people make them, about three minutes."""


class Entry:
    """An event, made JSON once somebody wants it."""

    def __init__(self, event: AnyEvent) -> None:
        self.event = event
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        if self._json is None:
            self._json = msgspec.json.encode(self.event)
        return self._json


class Ring:
    """Places count from 0 at the worker's start."""

    def __init__(self, kept: int = KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self.end = 0
        """The place of the next event."""

    @property
    def start(self) -> int:
        """The place of the oldest that is left."""
        return self.end - len(self._entries)

    def add(self, event: AnyEvent) -> None:
        self._entries.append(Entry(event))
        self.end += 1

    def since(self, place: int, most: int) -> list[Entry]:
        """What lies from that place on, so many at most."""
        skip = max(0, place - self.start)
        return list(islice(self._entries, skip, skip + most))

    def after(self, event_id: str) -> int | None:
        """The place behind this event; None if it is not there, or not any more."""
        for offset, entry in enumerate(reversed(self._entries)):
            if entry.event.id == event_id:
                return self.end - offset
        return None
