"""Whether somebody who is there gives any sign of life: speech, video or data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pmon.monitor.ledger import TrackLedger
from pmon.monitor.participant import Participant
from pmon.monitor.video import SCREEN
from pmon.monitor.watch import Watch

UNSEEN_S = 5.0
"""Nobody has looked for so long, be it that they were away or that the connection was down: what
they did meanwhile is not known."""


class Idle(msgspec.Struct):
    """The time since the last sign of life of one session's participant."""

    since: float | None = None
    _looked_at: float = float("-inf")
    _active: bool = False
    """There was a sign of life since the last look."""

    def active(self, at: float) -> None:
        """They did something: said a word, sent data, switched a track on or off, came in."""
        self._active = True
        self.since = at if self.since is None else max(self.since, at)

    def look(self, sign: bool | None, idle_after_s: float, now: float) -> bool | None:
        """Whether they are idle; None where it is not known, or too early to tell.

        ``sign`` is what they are doing now, None if that is not known.
        """
        if now - self._looked_at > UNSEEN_S and not self._active:
            self.since = now
        self._looked_at = now
        if sign or sign is None or self.since is None:
            self.since = now
        active, self._active = self._active, False
        if sign or active:
            return False
        return True if sign is False and now - self.since >= idle_after_s else None


def sign_of_life(
    participant: Participant,
    watch: Watch,
    tracks: Mapping[str, TrackLedger],
    *,
    speaking: bool,
) -> bool | None:
    """What somebody is doing now: True if they speak or their picture comes; None if nobody knows.

    A picture that is frozen, or of which nothing comes, is no sign of life.
    """
    if speaking:
        return True
    known = participant.in_call
    for track in participant.tracks.values():
        if track.muted:
            continue
        if track.is_microphone:
            known = known and watch.audio and track.rests_on != "sampled"
        elif track.is_video:
            video = None if track.sid not in tracks else tracks[track.sid].video
            state = "unknown" if video is None else video.state
            if video is None or video.source in SCREEN or state == "encrypted":
                state = "unknown"  # a screen that nobody touches looks like one that is read from
            if state in ("live", "low"):
                return True
            known = known and state != "unknown"
    return False if known else None
