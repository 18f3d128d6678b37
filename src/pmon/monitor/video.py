"""The state of one video track, from the frame counter of its receiver."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from pmon.monitor.events import TrackSource, VideoStateName
from pmon.monitor.inputs import VideoReading
from pmon.monitor.motion import Motion

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
"""A camera under this many frames a second is low. It is the lowest of its layers that is received:
a slower one than the others, and yet not so slow by itself."""
NOT_LOW_FPS = 7.0
"""One that was low is so until it has this many."""
OVER_S = 1.2
"""Frames a second are reckoned over so long at least, which fits into a look of 2 s."""
RUNNING = 2
"""So many times in a row they must say the same; between two looks a minute has passed."""

KNOWN = ("live", "low", "frozen", "dry")
"""States that frames, or their absence, have shown."""
SCREEN: tuple[TrackSource, ...] = ("screen_share",)
"""A screen that does not change sends no frames: it is neither frozen nor low."""


class Video(msgspec.Struct):
    """What a receiver's frame counter says about a track.

    A verdict needs evidence: while nothing is received on purpose (muted, encrypted, not
    subscribed, connection down) the state says so or is unknown, and never frozen.
    """

    source: TrackSource
    encrypted: bool
    muted: bool
    motion: Motion = msgspec.field(default_factory=Motion)
    state: VideoStateName = "unknown"
    fps: float | None = None
    last_frame_at: float | None = None
    seen: bool = False
    """Whether the receiver was ever asked, so that its counters mean something."""
    shown: bool = False
    """There was a picture since the receiver was opened or the track unmuted: without another
    frame it is frozen, not dry."""
    low: bool = False
    """There were few frames when there were any last."""
    low_since: float | None = None
    """Since when there have been few; None while there are enough, or it was lost sight of."""
    _looking_since: float | None = None
    read_at: float | None = None
    _window_s: float = 0.0
    _window_frames: int = 0
    _turning: int = 0
    """How many times in a row the rate has said that low is not low any more, or the reverse."""
    _turned_at: float = 0.0
    resting: bool = False
    """Between two looks: what the last one found stands."""
    _look_at: float | None = None
    _counted: bool = False
    """The freeze that lasts was counted when it was lost sight of."""

    def found(self, reading: VideoReading | None) -> None:
        """The receiver is older than the session: what it counted by now is not the session's."""
        if reading is not None:
            self.motion.counters = reading
            self.shown = reading.frames > 0

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
        self._look_again()
        self.muted = muted
        self.shown = False
        self._forget_rate()

    def interrupted(self, doubted_since: float = math.inf) -> None:
        """Nothing is received for a while; the receiver stays, and so do its counters.

        What is wrong with the picture only ``doubted_since`` may be of our own making.
        """
        if self.still_since is not None and self.still_since > doubted_since:
            self.read_at = None  # this freeze is not counted
        if self.low_since is not None and self.low_since > doubted_since:
            self._forget_rate()
        # What looks have found does not stand any more.
        self.resting = False
        self._look_at = None
        self._lose_sight()

    def unwatched(self) -> None:
        """The receiver is gone for a reason of our own; the next one counts from zero."""
        self.interrupted()
        self.shown = False
        self.motion.restart()

    def forget(self) -> None:
        """Its owner does not want to be judged by what was seen."""
        self.unwatched()
        self._forget_rate()

    def read(self, reading: VideoReading, now: float) -> None:
        """Take the running totals of the receiver."""
        if self.read_at is not None and now - self.read_at > STALE_AFTER_S:
            # Nobody has looked meanwhile: frames are missed from here on, not since the last.
            self._lose_sight()
        if self._looking_since is None:
            self._looking_since = now
        elapsed_s = None if self.read_at is None else now - self.read_at
        if self.last_frame_at is None and self._lasting_s > 0:
            self.motion.hold()  # that began before it was in sight
        held = self.motion.held
        new = self.motion.take(reading, elapsed_s)
        self.seen = True
        if new:
            if held:  # else the receiver tells how long they took
                self._end_freeze()
            self.last_frame_at = now
            self.shown = True
            self._counted = False
        if elapsed_s:
            self._window_s += elapsed_s
            self._window_frames += new
            if self._window_s >= OVER_S:
                self._rate(now)
        self.read_at = now

    def judge(self, now: float) -> VideoStateName:
        """The state as it stands now."""
        if self.encrypted:
            return "encrypted"
        if self.muted:
            return "muted"
        if self.resting or self._in_look(now):
            return self._found()
        if self.still_since is None or self.read_at is None:
            return "unknown"
        if now - self.read_at > STALE_AFTER_S:
            return "unknown"
        still_s = self.read_at - self.still_since
        if not self.shown:
            return "dry" if still_s >= DRY_AFTER_S else "unknown"
        if self.source in SCREEN:
            return "live"
        if still_s >= FROZEN_AFTER_S:
            return "frozen"
        return "unknown" if self.last_frame_at is None else self._moving

    @property
    def still_since(self) -> float | None:
        """Since when no frame came, as far as it was looked at."""
        return self._looking_since if self.last_frame_at is None else self.last_frame_at

    @property
    def frozen_s(self) -> float:
        """Seconds within freezes, one that lasts included up to the last reading."""
        return self.motion.frozen_s + self._lasting_s

    def summary(self) -> dict[str, Any]:
        """The fields of a track's summary that tell of its picture."""
        motion, counters = self.motion, self.motion.counters
        told: dict[str, Any] = {"frames": motion.frames}
        if motion.mean_fps is not None:
            told["fps"] = round(motion.mean_fps, 1)
        if counters.width:
            told |= {"width": counters.width, "height": counters.height}
        if self.source not in SCREEN:
            freezes = motion.freezes + (self._lasting_s > 0 and not self._counted)
            told |= {"freezes": freezes, "frozen_s": round(self.frozen_s, 3)}
            if motion.harmonic_fps is not None:
                told["harmonic_fps"] = round(motion.harmonic_fps, 1)
        return told

    def end(self) -> None:
        """The track is gone."""
        self._end_freeze()
        self.last_frame_at = self.read_at = None

    # --- inside

    @property
    def _moving(self) -> VideoStateName:
        return "low" if self.low else "live"

    @property
    def _lasting_s(self) -> float:
        """How long the picture has been frozen, as far as it was looked at; 0 if it is not.

        One that does not move once it is in sight again is, but for looks: those wake the camera.
        """
        if self.read_at is None or self.still_since is None:
            return 0.0
        if self.muted or self.source in SCREEN:
            return 0.0
        if self.last_frame_at is None and (not self.shown or self._in_look(self.read_at)):
            return 0.0
        still_s = self.read_at - self.still_since
        return still_s if still_s >= FROZEN_AFTER_S else 0.0

    def _end_freeze(self) -> None:
        if self._lasting_s > 0:
            self.motion.froze(self._lasting_s, anew=not self._counted)
            self._counted = True

    def _in_look(self, now: float) -> bool:
        return self._look_at is not None and now - self._look_at <= LOOK_S + FROZEN_AFTER_S

    def _found(self) -> VideoStateName:
        """What looks have found so far: the state before stands until there is evidence."""
        was: VideoStateName = self.state if self.state in KNOWN else "unknown"
        if self.resting or self.still_since is None or self.read_at is None:
            return was
        if self.read_at - self.still_since >= LOOK_S:
            if not self.shown:
                return "dry"
            return "live" if self.source in SCREEN else "frozen"
        return was if self.last_frame_at is None else self._moving

    def _rate(self, now: float) -> None:
        """Reckon the frames a second of what was just read, and whether they are few.

        No frames at all are no rate: they may be a freeze, which is told otherwise.
        """
        self.fps = fps = self._window_frames / self._window_s
        began_at = now - self._window_s
        self._begin_window()
        if not fps or self.source in SCREEN:
            return
        if (fps < (NOT_LOW_FPS if self.low else LOW_FPS)) == self.low:
            self._turning = 0
            return
        self._turning += 1
        if self._turning == 1:
            self._turned_at = began_at
        if self._turning == RUNNING:
            self.low = not self.low
            self.low_since = self._turned_at if self.low else None
            self._turning = 0

    def _begin_window(self) -> None:
        self._window_s, self._window_frames = 0.0, 0

    def _forget_rate(self) -> None:
        self.low = False
        self.low_since = None
        self._turning = 0

    def _lose_sight(self) -> None:
        """Nobody looks for a while: what was seen stands, but what went on meanwhile is no part of
        what is seen from then on.
        """
        self._look_again()
        self.low_since = None
        self._turning = 0

    def _look_again(self) -> None:
        self._end_freeze()
        self.motion.hold()
        self._looking_since = self.last_frame_at = self.read_at = self.fps = None
        self._begin_window()
