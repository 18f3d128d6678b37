"""Which message is to be sent next, and when again: at least once, in order within a session.

Sans-IO. What fails is tried again after a pause that grows, with chance in it, so that many
workers do not come back at once. There are two kinds of failures. If nobody takes messages at all,
one after another is tried until one gets through. If one message is refused while others are taken,
only its session waits for it, and after a day it is given up.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
REFUSED_FOR_S = 24 * 3600.0
PARALLEL = 8


@dataclass(eq=False)
class Message:
    """One that waits. ``since`` is monotonic."""

    id: str
    session: str
    body: bytes
    since: float
    tries: int = 0
    in_flight: bool = False


@dataclass
class _Lane:
    """The messages of one session, the oldest first."""

    waiting: deque[Message] = field(default_factory=deque)
    not_before: float = float("-inf")


class Delivery:
    """Holds at most ``most`` messages: the oldest goes when there would be more."""

    def __init__(self, most: int, *, chance: random.Random | None = None) -> None:
        self._most = max(most, PARALLEL + 1)
        self._chance = chance or random.Random()
        self._all: dict[str, Message] = {}
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()
        """Sessions of which a message may be sent."""
        self._resting: list[tuple[float, str]] = []
        """Sessions by the time at which that is so again."""
        self._in_flight = 0
        self._failures = 0
        """How many in a row found nobody who takes messages."""
        self._not_before = float("-inf")

    def __len__(self) -> int:
        return len(self._all)

    @property
    def failing(self) -> bool:
        """Whether nobody takes messages now."""
        return self._failures > 0

    def add(self, message: Message) -> Message | None:
        """Take one more; returns the one that had to go for it."""
        dropped = self._oldest() if len(self._all) >= self._most else None
        if dropped is not None:
            self._remove(dropped)
        self._all[message.id] = message
        lane = self._lanes.get(message.session)
        if lane is None:
            lane = self._lanes[message.session] = _Lane()
            self._ready.append(message.session)
        lane.waiting.append(message)
        return dropped

    def due(self, now: float) -> list[Message]:
        """The messages to send now, which are in flight from here on."""
        while self._resting and self._resting[0][0] <= now:
            self._ready.append(heapq.heappop(self._resting)[1])
        if now < self._not_before:
            return []
        found: list[Message] = []
        most = 1 if self._failures else PARALLEL
        while self._ready and self._in_flight < most:
            lane = self._lanes.get(self._ready.popleft())
            # Its messages may have been dropped, or it may be here twice: it ended and came again.
            if lane is None or lane.waiting[0].in_flight or lane.not_before > now:
                continue
            message = lane.waiting[0]
            message.in_flight = True
            message.tries += 1
            self._in_flight += 1
            found.append(message)
        return found

    def next_at(self) -> float | None:
        """When to ask again without anything new; None if nothing waits for time."""
        if self._ready and self._in_flight < (1 if self._failures else PARALLEL):
            return self._not_before
        return self._resting[0][0] if self._resting else None

    def delivered(self, message: Message) -> None:
        """It was taken."""
        self._failures = 0
        self._not_before = float("-inf")
        self._landed(message)
        self._remove(message)

    def refused(self, message: Message, now: float) -> bool:
        """It was not taken, and it is not that nobody takes any. Returns whether it is given up."""
        self._landed(message)
        if now - message.since >= REFUSED_FOR_S:
            self._remove(message)
            return True
        lane = self._lanes[message.session]
        lane.not_before = now + self._pause(message.tries)
        self._ready.remove(message.session)
        heapq.heappush(self._resting, (lane.not_before, message.session))
        return False

    def failed(self, message: Message, now: float, retry_after_s: float = 0.0) -> None:
        """Nobody takes messages now."""
        self._landed(message)
        self._failures += 1
        self._not_before = now + max(self._pause(self._failures), retry_after_s)

    # --- inside

    def _pause(self, tries: int) -> float:
        longest = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE_S)
        return longest * self._chance.uniform(0.5, 1.0)

    def _landed(self, message: Message) -> None:
        """It is not in flight any more, and its session's turn comes again, before all others."""
        message.in_flight = False
        self._in_flight -= 1
        if message.session in self._lanes:
            self._ready.appendleft(message.session)

    def _oldest(self) -> Message:
        """Of those that are not in flight, of which there are always some."""
        return next(message for message in self._all.values() if not message.in_flight)

    def _remove(self, message: Message) -> None:
        del self._all[message.id]
        lane = self._lanes[message.session]
        lane.waiting.remove(message)
        if not lane.waiting:
            del self._lanes[message.session]
