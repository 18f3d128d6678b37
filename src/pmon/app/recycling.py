"""When a media process may be replaced, and for how long a room can put that off. Sans-IO."""

from __future__ import annotations

RECYCLE_EVERY_S = 600.0
"""A process that is too large from the start stays so, whoever takes its place."""
RECYCLE_AGAIN_S = 60.0
"""After a try that came to nothing."""
MOST_REFUSALS = 2


class Recycling:
    """The tries to replace one process."""

    def __init__(self) -> None:
        self._not_before = float("-inf")
        self._refusals = 0
        """How often in a row a room that is away, or that the next cannot join, put it off."""

    def is_due(self, now: float) -> bool:
        """Whether it is time for a try."""
        return now >= self._not_before

    def begins(self, now: float) -> None:
        """A try begins."""
        self._not_before = now + RECYCLE_EVERY_S

    def failed(self, now: float) -> None:
        """No process was there that could have taken over."""
        self._not_before = now + RECYCLE_AGAIN_S

    def put_off(self, now: float) -> bool:
        """Put it off for the sake of a room, if it was not too often already: what grows without
        bound takes all rooms with it in the end.
        """
        if self._refusals >= MOST_REFUSALS:
            return False
        self._refusals += 1
        self.failed(now)
        return True

    def gone(self) -> None:
        """The process is gone: the next one has refused nothing yet."""
        self._refusals = 0
