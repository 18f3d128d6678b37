"""What came of somebody's audio lately, from the running totals of its receivers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import msgspec

from pmon.monitor.inputs import LinkReading

WINDOW_S = 10.0
"""Two windows of the server's: it tells of a loss 5 to 10 s after it began."""
STALE_S = 8.0
"""Totals are read every 5 s while a track is heard. What was counted between two readings that are
further apart may be from long ago, with a time in between in which nothing was sent to us."""
ENOUGH = 100
"""Packets to speak of a loss: 2 s of sound. A pause with DTX sends 2 or 3 a second."""
LOST_LEAST = 3
"""Fewer packets are no loss rate, but chance."""


class Reception(msgspec.Struct, frozen=True, kw_only=True):
    """What was received between two moments; two that follow each other add up."""

    seconds: float = 0.0
    expected: int = 0
    """Packets that were sent, as the sequence numbers tell."""
    lost: int = 0
    """Under 0 where packets came that were counted as lost before."""
    samples: int = 0
    """Played out; 0 if the receiver does not tell."""
    audible: int = 0
    """Samples that were made up where a packet was missing, and heard."""
    jitter: float = 0.0
    """Jitter in seconds, times the seconds that it held."""

    def __add__(self, other: Reception) -> Reception:
        return Reception(
            seconds=self.seconds + other.seconds,
            expected=self.expected + other.expected,
            lost=self.lost + other.lost,
            samples=self.samples + other.samples,
            audible=self.audible + other.audible,
            jitter=self.jitter + other.jitter,
        )

    @property
    def loss(self) -> float | None:
        """The share of the packets that is missing, 0 to 1; None if none was expected."""
        return min(max(self.lost / self.expected, 0.0), 1.0) if self.expected > 0 else None

    @property
    def likely_at_most(self) -> float:
        """A way that loses more than this share loses as few as these hardly ever: 2 in 100 times
        (Poisson)."""
        if self.expected <= 0:
            return 1.0
        lost = max(self.lost, 0)
        return min((lost + 2 * math.sqrt(lost) + 4) / self.expected, 1.0)

    @property
    def concealment(self) -> float | None:
        """The share of what was played that was made up, audibly; None if it is not known."""
        return min(max(self.audible / self.samples, 0.0), 1.0) if self.samples > 0 else None

    @property
    def jitter_s(self) -> float:
        """The mean jitter; 0 of no time."""
        return self.jitter / self.seconds if self.seconds > 0 else 0.0


NOTHING = Reception()


def likely_loss(received: Reception) -> float | None:
    """The share of the packets that is missing; None if too few were sent to tell."""
    if received.expected < ENOUGH:
        return None
    return received.loss if received.lost >= LOST_LEAST else 0.0


def between(before: LinkReading, after: LinkReading) -> Reception:
    """What was received from one reading of a receiver to the next.

    Nothing, if the counters began anew in between: how much was missed then is not known.
    """
    received = after.packets_received - before.packets_received
    if after.ssrc != before.ssrc or received < 0:
        return NOTHING
    lost = after.packets_lost - before.packets_lost
    samples, audible = 0, 0
    if None not in (before.samples, after.samples, before.concealed, after.concealed):
        samples = max(_grown(before.samples, after.samples), 0)
        silent = _grown(before.silent_concealed, after.silent_concealed)
        audible = min(max(_grown(before.concealed, after.concealed) - silent, 0), samples)
    return Reception(
        expected=max(received + lost, 0),
        lost=lost,
        samples=samples,
        audible=audible,
    )


def _grown(before: int | None, after: int | None) -> int:
    return (after or 0) - (before or 0)


class Inbound:
    """What is received of one participant: all their microphones together, as they share a link."""

    def __init__(self) -> None:
        self.lately = NOTHING
        """What was received within the window."""
        self.steady_s = 0.0
        """For so long all tracks that are heard now have been heard without a gap."""
        self._before: dict[str, tuple[float, LinkReading]] = {}
        self._window: deque[tuple[float, Reception]] = deque()

    def read(self, readings: Mapping[str, LinkReading], now: float) -> Reception:
        """Take the totals of the tracks that are heard now, by track sid.

        Returns what came since the totals before; the first ones of a track only begin to count.
        """
        got, seconds, jitter_s, steady_s = NOTHING, 0.0, 0.0, math.inf
        for sid, reading in readings.items():
            before = self._before.get(sid)
            if before is not None and now - before[0] <= STALE_S:
                got += between(before[1], reading)
                seconds = max(seconds, now - before[0])
                jitter_s = max(jitter_s, reading.jitter_s)
                steady_s = min(steady_s, now - before[0])
            else:
                steady_s = -math.inf
        self.steady_s = max(0.0, self.steady_s + steady_s) if readings else 0.0
        got = msgspec.structs.replace(got, seconds=seconds, jitter=seconds * jitter_s)
        self._before = {sid: (now, reading) for sid, reading in readings.items()}
        self._window.append((now, got))
        while now - self._window[0][0] > WINDOW_S:
            self._window.popleft()
        self.lately = sum((got for _, got in self._window), NOTHING)
        return got

    @property
    def loss(self) -> float | None:
        """The share of the packets that got lost lately; None if too few were sent to tell."""
        return likely_loss(self.lately)

    def hears(self, track_sid: str) -> bool:
        """Whether there were totals of this track the last time."""
        return track_sid in self._before

    @property
    def heard(self) -> bool:
        """Whether there were totals the last time."""
        return bool(self._before)

    @property
    def over(self) -> bool:
        """Whether nothing is known, neither of now nor of lately."""
        return not self._before and not any(got.seconds for _, got in self._window)
