"""Whether pictures come at all, of whatever camera is looked at."""

from __future__ import annotations

from collections.abc import Iterable

from pmon.monitor.participant import Participant
from pmon.monitor.video import FROZEN_AFTER_S, LOOK_S, SCREEN, STALE_AFTER_S

COMING_S = 10.0
"""A video that comes at a full rate for so long comes for good. A window of what is heard."""


def coming(participants: Iterable[Participant], now: float) -> bool:
    """Whether pictures come, as any video shows."""
    for participant in participants:
        for track in participant.tracks.values():
            seen = track.seen_at is not None and now - track.seen_at <= STALE_AFTER_S
            if seen and now - track.comes_since >= COMING_S:
                return True
    return False


def standing_still(participants: Iterable[Participant], now: float) -> int:
    """How many cameras are looked at and bring nothing; 0 if anything comes of any video.

    A screen that does not change sends nothing, so a still one tells nothing. One that is only
    looked at takes some seconds to begin.
    """
    still = 0
    for participant in participants:
        for track in participant.tracks.values():
            seen_at = track.seen_at
            if seen_at is None or track.muted or track.encrypted or now - seen_at > STALE_AFTER_S:
                continue
            if now - track.moved_at < FROZEN_AFTER_S:
                return 0
            still_s = seen_at - max(track.moved_at, track.seen_since)
            enough_s = FROZEN_AFTER_S if track.looking is None else LOOK_S
            still += track.source not in SCREEN and still_s >= enough_s
    return still
