"""Due times: one for each key, cheap to change, so that whoever waits costs nothing."""

from __future__ import annotations

import heapq

NEVER = float("inf")


class Agenda:
    """A heap of (due, key). A key that was moved leaves its old entry behind, to be skipped."""

    SLACK = 64

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, key: str, due: float) -> None:
        """Let ``key`` be due at this time and at no other; ``NEVER`` takes it off."""
        if due == NEVER:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            if len(self._heap) > 4 * len(self._due) + self.SLACK:
                self._heap = [(at, name) for name, at in self._due.items()]
                heapq.heapify(self._heap)

    def next(self) -> float:
        """When the first one is due."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else NEVER

    def pop(self, now: float) -> list[str]:
        """Take off whatever is due by now, in the order of its time."""
        due = []
        while self.next() <= now:
            key = heapq.heappop(self._heap)[1]
            del self._due[key]
            due.append(key)
        return due
