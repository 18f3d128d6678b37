"""What the plan says: which track to enable or disable, why, and what is known of it then."""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from pmon.monitor.events import Heard

Reason = Literal[
    "always",  # the mode
    "server",  # the server's speaker event names them
    "speaking",  # they are heard to speak
    "unmuted",  # published or unmuted just now
    "again",  # noise, or a voice that the server does not hear: another look after a while
    "patrol",  # everybody in turn
    "voice",  # pinned: a voice that the server does not hear
    "silence",  # pinned: the microphone may be dead
    "noise",  # pinned: the server cannot tell this noise from a voice
    "look",  # at a picture
    "quiet",  # disabled: there is nothing more to be heard or seen for now
    "muted",  # disabled: nothing can come
    "encrypted",  # disabled: what comes is noise
    "off",  # disabled: the settings say so
]


class Change(msgspec.Struct, frozen=True):
    """Enable a subscribed track, or disable it; the stream is opened and closed with it."""

    room: str
    track_sid: str
    enabled: bool
    reason: Reason
    rests_on: Heard = "pcm"
    """What is known of a microphone from here on: its sound, the server's speaker events, or
    looks alone, where the server was found not to hear a voice."""


class Verdict(msgspec.Struct, frozen=True):
    """Whether a track should be enabled, and when to ask again at the latest."""

    enabled: bool
    reason: Reason
    due: float
    urgent: bool = False


def phase(key: str) -> float:
    """A number in 0…1 that spreads tracks evenly and is the same in every run."""
    return (zlib.crc32(key.encode()) & 0xFFFF) / 0x10000
