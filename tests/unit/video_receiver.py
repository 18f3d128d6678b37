"""A video receiver as libwebrtc's counts: made-up frame times in, totals out."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import pairwise

from pmon.monitor.inputs import VideoReading

INACTIVE_S = 6.0
"""Without a frame for so long the receiver takes the stream for paused: it counts no freeze then
(seen with livekit 1.2.1: one of 6.1 s was counted, one of 14 s not), and the delay all the same."""


def steady(start: float, stop: float, fps: float) -> list[float]:
    """The times of frames at an even rate."""
    return [start + i / fps for i in range(round((stop - start) * fps))]


class Receiver:
    """Counts frames that come at these times (seconds, rising) as the SDK's receiver does."""

    def __init__(self, frames: list[float]) -> None:
        self.frames = frames
        self.delays = [0.0, *(b - a for a, b in pairwise(frames))]
        self.freezes: list[bool] = []
        recent: deque[float] = deque(maxlen=30)
        for delay in self.delays:
            counts = 0 < delay < INACTIVE_S
            if counts:
                recent.append(delay)
            mean = sum(recent) / len(recent) if recent else 0.0
            frozen = counts and len(recent) >= 5 and delay >= max(3 * mean, mean + 0.15)
            self.freezes.append(frozen)

    def at(self, now: float) -> VideoReading:
        """The totals at that time."""
        count = bisect_right(self.frames, now)
        delays = self.delays[:count]
        return VideoReading(
            frames=count,
            freezes=sum(self.freezes[:count]),
            delay_s=sum(delays),
            squared_delay_s2=sum(d * d for d in delays),
            width=320 if count else 0,
            height=180 if count else 0,
        )
