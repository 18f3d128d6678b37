"""The state of one video track, from the frame counter of its receiver."""

from __future__ import annotations

import msgspec

from pmon.monitor.events import TrackSource, VideoStateName
from pmon.monitor.inputs import VideoReading

FROZEN_AFTER_S = 3.0
"""Without a frame for so long a picture is called frozen; the issue comes later (RULES)."""
DRY_AFTER_S = 10.0
"""Watched for so long without a first frame, a track is dry."""
STALE_AFTER_S = 7.0
"""Counters are read every 2 s. Without a reading for so long nothing is known any more."""
LOOK_S = 9.5
"""A look now and then that got no frame, or saw frames stop, says so after so long: a camera that
nobody watched takes some seconds to send again. A little under what the look waits."""
LOW_FPS = 5.0
"""A camera under this many frames a second in two readings running is low."""

KNOWN = ("live", "low", "frozen", "dry")
"""States that frames, or their absence, have shown."""
SCREEN: tuple[TrackSource, ...] = ("screen_share",)
"""A screen that does not change sends no frames and is not frozen."""


class Video(msgspec.Struct):
    """What a receiver's frame counter says about a track.

    A verdict needs evidence: while nothing is received on purpose (muted, encrypted, not
    subscribed, connection down) the state says so or is unknown, and never frozen.
    """

    source: TrackSource
    encrypted: bool
    muted: bool
    counters: VideoReading = VideoReading(frames=0, freezes=0)
    """The receiver's, which may be older than the session: what it had counted by then is not
    the session's.
    """
    state: VideoStateName = "unknown"
    fps: float | None = None
    frames: int = 0
    freezes: int = 0
    last_frame_at: float | None = None
    seen: bool = False
    """Whether anything was ever received, so that the counters mean something."""
    _live_s: float = 0.0
    _live_frames: int = 0
    _looking_since: float | None = None
    read_at: float | None = None
    _low_readings: int = 0
    resting: bool = False
    """Between two looks: what the last one found stands."""
    _look_at: float | None = None

    def look(self, looking: bool, now: float) -> None:
        """A look begins or ends; one that lasts longer than a look is watching."""
        if looking == (not self.resting) and self._look_at is not None:
            return
        self.resting = not looking
        self._look_at = now
        if looking:
            self._look_again()
            self._looking_since = now

    def mute(self, muted: bool) -> None:
        self.muted = muted
        self._look_again()

    def interrupted(self) -> None:
        """Nothing is received for a while; the receiver stays, and so do its counters."""
        self._forget_looks()

    def unwatched(self) -> None:
        """The receiver is gone for a reason of our own; the next one counts from zero."""
        self.counters = VideoReading(frames=0, freezes=0)
        self._forget_looks()

    def read(self, reading: VideoReading, now: float) -> None:
        """Take the running totals of the receiver."""
        before, self.counters = self.counters, reading
        if reading.frames < before.frames:  # a new receiver: the track was subscribed again
            before = VideoReading(frames=0, freezes=0)
        new, stopped = reading.frames - before.frames, max(0, reading.freezes - before.freezes)
        if self.read_at is not None and now - self.read_at > STALE_AFTER_S:
            # Nobody has looked meanwhile: frames are missed from here on, not since the last.
            self.last_frame_at = None if self.last_frame_at is None else now
            self._looking_since = now
            self.read_at = None
        if self._looking_since is None:
            self._looking_since = now
        self.frames += new
        self.freezes += stopped
        if new:
            self.seen = True
            self.last_frame_at = now
        if self.read_at is not None and now > self.read_at:
            elapsed_s = now - self.read_at
            self.fps = new / elapsed_s
            self._low_readings = self._low_readings + 1 if self.fps < LOW_FPS else 0
            if new:
                self._live_s += elapsed_s
                self._live_frames += new
        self.read_at = now

    def judge(self, now: float) -> VideoStateName:
        """The state as it stands now."""
        if self.encrypted:
            return "encrypted"
        if self.muted:
            return "muted"
        if self.resting or self._in_look(now):
            return self._found()
        if self._looking_since is None or self.read_at is None:
            return "unknown"
        if now - self.read_at > STALE_AFTER_S:
            return "unknown"
        if self.last_frame_at is None:
            return "dry" if self.read_at - self._looking_since >= DRY_AFTER_S else "unknown"
        if self.source in SCREEN:
            return "live"
        if self.read_at - self.last_frame_at >= FROZEN_AFTER_S:
            return "frozen"
        return "low" if self._low_readings >= 2 else "live"

    @property
    def still_since(self) -> float | None:
        """Since when no frame came, as far as it was looked at."""
        return self._looking_since if self.last_frame_at is None else self.last_frame_at

    @property
    def mean_fps(self) -> float | None:
        """Frames a second over the time in which frames came; None without any."""
        return self._live_frames / self._live_s if self._live_s > 0 else None

    def _in_look(self, now: float) -> bool:
        return self._look_at is not None and now - self._look_at <= LOOK_S + FROZEN_AFTER_S

    def _found(self) -> VideoStateName:
        """What looks have found so far: the state before stands until there is evidence."""
        was: VideoStateName = self.state if self.state in KNOWN else "unknown"
        if self.resting or self.still_since is None or self.read_at is None:
            return was
        if self.read_at - self.still_since >= LOOK_S:
            if self.source in SCREEN and was != "unknown":
                return was
            return "dry" if was in ("unknown", "dry") else "frozen"
        if self.last_frame_at is None:
            return was
        return "low" if self._low_readings >= 2 else "live"

    def _forget_looks(self) -> None:
        """What they found does not stand any more."""
        self.resting = False
        self._look_at = None
        self._look_again()

    def _look_again(self) -> None:
        self._looking_since = self.last_frame_at = self.read_at = self.fps = None
        self._low_readings = 0
