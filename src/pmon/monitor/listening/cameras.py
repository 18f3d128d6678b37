"""When to look at pictures: now and then, and on until what is seen is sure. Times are seconds."""

from __future__ import annotations

from typing import Literal

from pmon.monitor.listening.agenda import NEVER
from pmon.monitor.listening.changes import Verdict, phase

LOOK_S = 2.0
PERIOD_S = 60.0
"""From the beginning of one look to the next."""
RARE = 3.0
"""How many times rarer looks become when the process sheds load."""
WAIT_S = 10.0
"""A look that got no frame, or saw frames stop, waits for so long."""

Looks = Literal["always", "looks", "rare", "off"]


class Camera:
    """One video track."""

    def __init__(
        self, room: str, sid: str, *, muted: bool, encrypted: bool, screen: bool = False
    ) -> None:
        self.room = room
        self.sid = sid
        self.screen = screen
        """A screen that does not change sends no frames."""
        self.muted = muted
        self.encrypted = encrypted
        self.enabled_at: float | None = None
        self.looking = True
        """Whether a look is under way, or waits to begin."""
        self.next_at = NEVER
        self.frames = 0
        self.seen = 0
        """Frames of this look."""
        self.moving = False
        """Whether the newest reading of this look had new frames."""
        self.frame_at = 0.0
        """When the newest frame of this look was read, or when the look began."""

    def read(self, frames: int, now: float) -> None:
        """Take the running total of the receiver."""
        new = frames - self.frames if frames >= self.frames else frames
        self.frames = frames
        if self.enabled_at is None:
            return
        self.moving = new > 0
        self.seen += new
        if new:
            self.frame_at = now

    def switched_on(self, now: float) -> None:
        self.enabled_at = self.frame_at = now
        self.looking = True
        self.moving = False
        self.seen = 0

    def switched_off(self) -> None:
        self.enabled_at = None
        self.looking = False

    def suspend(self, now: float) -> None:
        """The own connection broke, and with it the look."""
        self.switched_off()

    def put_off(self) -> None:
        """Have the look that waits to begin some time later."""
        self.looking = False

    def reopen(self, now: float) -> None:
        """It goes on as it was suspended: enabled, which is worth a look."""
        self.looking = True

    def look_until(self, now: float) -> float:
        """When this look ends, as far as is known; now or in the past if it is over."""
        if self.enabled_at is None:
            return NEVER
        least = self.enabled_at + LOOK_S
        # One frame may be the last of a picture that froze: two show that it moves.
        alive = self.seen >= 1 if self.screen else self.moving and self.seen >= 2
        if now < least or alive:
            return least
        return self.frame_at + WAIT_S


class Cameras:
    """All video tracks of the process."""

    def __init__(self) -> None:
        self.cameras: dict[str, Camera] = {}

    def switched(self, camera: Camera, enabled: bool, looks: Looks, now: float) -> None:
        """The plan did what the verdict said."""
        period_s = PERIOD_S * (RARE if looks == "rare" else 1.0)
        spread_s = max(WAIT_S, phase(camera.sid) * period_s)
        if enabled:
            camera.switched_on(now)
            camera.next_at = now + (spread_s if camera.next_at == NEVER else period_s)
        elif not camera.muted:
            camera.switched_off()
            # It was watched all the time till now, or was put off.
            if camera.next_at <= now or camera.next_at == NEVER:
                camera.next_at = now + spread_s

    def verdict(self, camera: Camera, looks: Looks, now: float) -> Verdict:
        """Whether the picture should come now."""
        if camera.encrypted:
            return Verdict(False, "encrypted", NEVER)
        if looks == "off":
            return Verdict(False, "off", NEVER)
        if camera.muted:
            return Verdict(False, "muted", NEVER)
        if looks == "always":
            return Verdict(True, "always", NEVER)
        if camera.enabled_at is None and now >= camera.next_at:
            camera.looking = True
        if camera.looking:
            until = camera.look_until(now)
            if now < until:
                return Verdict(True, "look", until)
        # Where the wish to close waits its turn, the next look waits for the closing.
        return Verdict(False, "quiet", NEVER if camera.enabled_at is not None else camera.next_at)
