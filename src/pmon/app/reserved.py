"""What a media process is about to get: jobs that it was given and does not count yet.

Its load says nothing of them for some seconds, in which many more could be accepted. Times are
monotonic seconds.
"""

from __future__ import annotations

from collections import deque

KEPT_S = 15.0
"""Who has no microphone is never counted; and one that is subscribed is, after so long."""
PEOPLE_A_ROOM = 10
"""A room that is to be watched whole is thought to bring so many."""


class Reserved:
    """The microphones that one media process is expected to get soon."""

    def __init__(self) -> None:
        self._since: deque[float] = deque()
        self._counted = 0

    def add(self, now: float, microphones: int = 1) -> None:
        """A job was given that will bring so many."""
        self._since.extend([now] * microphones)

    def counted(self, microphones: int) -> None:
        """The process has so many now: those that are new were expected longest."""
        for _ in range(min(microphones - self._counted, len(self._since))):
            self._since.popleft()
        self._counted = microphones

    def gone(self, now: float, microphones: int) -> None:
        """Another process begins, with none of them."""
        self._since.clear()
        self._counted = 0
        self.add(now, microphones)

    def count(self, now: float) -> int:
        """How many are expected still."""
        while self._since and now - self._since[0] >= KEPT_S:
            self._since.popleft()
        return len(self._since)
