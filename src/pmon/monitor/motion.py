"""What the counters of a video receiver amount to: frames, rates and freezes, without a picture."""

from __future__ import annotations

import math

import msgspec

from pmon.monitor.inputs import VideoReading

NOTHING = VideoReading(frames=0, freezes=0)
PAUSE_S = 5.0
"""libwebrtc counts no freeze once nothing has come for so long: it takes the stream for paused."""


class Motion(msgspec.Struct):
    """Sums over the time in which frames were to come."""

    counters: VideoReading = NOTHING
    """The receiver's, which may be older than the session: what it had counted by then is not
    the session's.
    """
    frames: int = 0
    freezes: int = 0
    """As the W3C defines them: a delay of three times the mean of the last 30, and of 150 ms more
    than it (webrtc-stats, freezeCount). The receiver counts them, but for pauses.
    """
    frozen_s: float = 0.0
    """Time within freezes that are over."""
    _live_s: float = 0.0
    _live_frames: int = 0
    _delay_s: float = 0.0
    _squared_delay_s2: float = 0.0
    _leave_out: int = 0
    """So many readings are left out of the delays, the last of them once it brings a frame: there
    was a time in which none was to come. The first may still bring what came before that time.
    """

    def hold(self) -> None:
        """No frames are to come for a while; the receiver stays, and goes on counting after it."""
        self._leave_out = 2 if self.counters.frames else 0

    @property
    def held(self) -> bool:
        """Whether the delays of the next reading are left out."""
        return self._leave_out > 0

    def froze(self, seconds: float, *, anew: bool) -> None:
        """A freeze, or more of one, that the delay of no frame will tell of."""
        self.freezes += anew
        self.frozen_s += seconds

    def restart(self) -> None:
        """Another receiver will count from zero."""
        self.counters = NOTHING
        self._leave_out = 0

    def take(self, reading: VideoReading, elapsed_s: float | None) -> int:
        """Take the receiver's totals; returns how many frames are new.

        ``elapsed_s`` is the time since the reading before; None if that does not count.
        """
        if reading.frames < self.counters.frames:  # the track was subscribed again
            self.restart()
        before, self.counters = self.counters, reading
        new = reading.frames - before.frames
        self.frames += new
        if elapsed_s and new:
            self._live_s += elapsed_s
            self._live_frames += new
        if not self._leave_out:
            self._take_delays(before, reading)
        elif new or self._leave_out > 1:
            self._leave_out -= 1
        return new

    @property
    def mean_fps(self) -> float | None:
        """Frames a second over the time in which frames came; None without any."""
        return self._live_frames / self._live_s if self._live_s > 0 else None

    @property
    def harmonic_fps(self) -> float | None:
        """T / sum(dt²) over the delays dt between frames, whose sum is T; None if that is not told.

        A moment taken at random lies in a delay of 1 / that on average (webrtc-stats,
        totalSquaredInterFrameDelay). Of 30 fps that stall for one second in twenty it leaves 12.
        """
        squared = self._squared_delay_s2
        return self._delay_s / squared if squared > 0 else None

    def _take_delays(self, before: VideoReading, reading: VideoReading) -> None:
        freezes = max(0, reading.freezes - before.freezes)
        if reading.frames and reading.delay_s is not None and reading.squared_delay_s2 is not None:
            delay_s = max(0.0, reading.delay_s - (before.delay_s or 0.0))
            squared = max(0.0, reading.squared_delay_s2 - (before.squared_delay_s2 or 0.0))
            delays = reading.frames - before.frames - (0 if before.frames else 1)
            if not freezes and frozen_s(1, delays, delay_s, squared) >= PAUSE_S:
                freezes = 1
            self.frozen_s += frozen_s(freezes, delays, delay_s, squared)
            self._delay_s += delay_s
            self._squared_delay_s2 += squared
        self.freezes += freezes


def frozen_s(freezes: int, delays: int, delay_s: float, squared: float) -> float:
    """How long so many freezes lasted in all, of ``delays`` between frames whose sum and sum of
    squares are given.

    The SDK does not tell (its totalFreezesDuration stays 0). It is exact if the freezes were
    equally long and so were the other delays: k delays of mean + deviation·√((n-k)/k), which is as
    far as k of n values can lie above their mean.
    """
    if not freezes or delays <= 0:
        return 0.0
    freezes = min(freezes, delays)
    mean = delay_s / delays
    variance = max(0.0, squared / delays - mean**2)
    return min(delay_s, freezes * (mean + math.sqrt(variance * (delays - freezes) / freezes)))
