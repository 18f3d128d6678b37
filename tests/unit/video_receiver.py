"""A video receiver as libwebrtc's counts: made-up frame times in, totals out."""

from __future__ import annotations

from bisect import bisect_right

from pmon.monitor.inputs import VideoReading

INACTIVE_S = 3.0
"""Without a frame for so long the receiver takes the stream for paused and forgets the last."""


def steady(start: float, stop: float, fps: float) -> list[float]:
    """The times of frames at an even rate."""
    return [start + i / fps for i in range(round((stop - start) * fps))]


class Receiver:
    """Counts frames that come at these times (seconds, rising) as the SDK's receiver does."""

    def __init__(self, frames: list[float]) -> None:
        self.frames = frames
        self.delays: list[float] = []
        """Those that count, in the order of the frames; 0 where none does."""
        self.freezes: list[bool] = []
        for i, at in enumerate(frames):
            delay = at - frames[i - 1] if i else 0.0
            counts = 0 < delay < INACTIVE_S
            self.delays.append(delay if counts else 0.0)
            recent = [d for d in self.delays[-30:] if d]
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
