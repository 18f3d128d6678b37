"""How fast tracks may be enabled and disabled: a bound on the requests of a whole process."""

from __future__ import annotations

from collections import deque

from pmon.monitor.listening.agenda import NEVER

WINDOW_S = 1.0


class Toggles:
    """A queue of tracks to toggle: those that somebody speaks on, then those to disable, which
    cost as long as they wait, then looks.

    In no second are there more than ``PER_S`` toggles, and not more than ``ROUTINE_PER_S`` that
    can wait, so that a round of the patrol never keeps a speaker waiting.
    """

    PER_S = 60
    ROUTINE_PER_S = 40

    def __init__(self) -> None:
        self._urgent: dict[str, None] = {}
        self._closing: dict[str, None] = {}
        self._looks: dict[str, None] = {}
        self._all_at: deque[float] = deque()
        self._routine_at: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._closing) + len(self._looks)

    def ask(self, key: str, *, enable: bool, urgent: bool) -> None:
        """Queue a track; one that waits for the same already keeps its place."""
        queue = self._closing if not enable else self._urgent if urgent else self._looks
        if key not in queue:
            self.withdraw(key)
            queue[key] = None

    def withdraw(self, key: str) -> None:
        for queue in (self._urgent, self._closing, self._looks):
            queue.pop(key, None)

    def take(self, now: float) -> list[str]:
        """The tracks that may be toggled now."""
        if not (self._urgent or self._closing or self._looks):
            return []
        self._forget_old(now)
        taken = []
        while self._urgent and len(self._all_at) < self.PER_S:
            taken.append(_first(self._urgent))
            self._all_at.append(now)
        for queue in (self._closing, self._looks):
            while (
                queue
                and len(self._all_at) < self.PER_S
                and len(self._routine_at) < self.ROUTINE_PER_S
            ):
                taken.append(_first(queue))
                self._all_at.append(now)
                self._routine_at.append(now)
        return taken

    def spare(self, now: float) -> bool:
        """Take a place for the first look at a new track, which needs no request to be enabled.

        False if there is none left, or those need it that wait to be disabled or speak: looks may
        not begin faster than they can end.
        """
        self._forget_old(now)
        waiting = len(self._closing)
        if (
            len(self._routine_at) + waiting >= self.ROUTINE_PER_S
            or len(self._all_at) + waiting + len(self._urgent) >= self.PER_S
        ):
            return False
        self._all_at.append(now)
        self._routine_at.append(now)
        return True

    def next(self) -> float:
        """When ``take`` has something again; in the past if it has something now."""
        due = NEVER
        if self._urgent:
            due = self._free_at(self._all_at, self.PER_S)
        if self._closing or self._looks:
            free_at = max(
                self._free_at(self._all_at, self.PER_S),
                self._free_at(self._routine_at, self.ROUTINE_PER_S),
            )
            due = min(due, free_at)
        return due

    def _forget_old(self, now: float) -> None:
        for times in (self._all_at, self._routine_at):
            while times and times[0] + WINDOW_S <= now:
                times.popleft()

    @staticmethod
    def _free_at(times: deque[float], limit: int) -> float:
        return -NEVER if len(times) < limit else times[-limit] + WINDOW_S


def _first(queue: dict[str, None]) -> str:
    key = next(iter(queue))
    del queue[key]
    return key
