"""What the load generator is asked for, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import msgspec

Span = tuple[float, float]
"""Start and end in Unix seconds."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked of the load generator; each field is the flag of the same name."""

    rooms: int = 1
    participants: int = 3
    """In each room."""
    room_prefix: str = "load"
    """Rooms are ``load-000``, ``load-001``..., participants ``p-000``, ``p-001``..."""
    talk_share: float = 0.1
    """Mean share of the time that each one is in a turn."""
    talking_at_once: float = 0
    """Instead, if not 0: how many percent of each room are in a turn at any time."""
    burst: float = 4
    """Mean length of a turn in seconds; it is made of phrases, cut at a pause only to be short."""
    muted: float = 0
    """Share of all who stay muted."""
    quiet: float = 0
    """Share who speak at -37 dBov, which raises no speaker event of the server."""
    no_levels: float = 0
    """Share who send no audio levels, so that the server never calls them a speaker."""
    dtx: bool = False
    """In silence one packet every 400 ms, instead of encoded room noise."""
    video: Literal["off", "vp8"] = "off"
    simulcast: bool = False
    """Cameras with 320x180, 640x360 and 1280x720, instead of 640x360 alone."""
    video_share: float = 1
    freeze_share: float = 0
    """Share of the cameras whose picture freezes once."""
    freeze_after: float = 60
    """Seconds from ready on."""
    freeze_for: float = 90
    churn: float = 0
    """If not 0: every so many seconds somebody in each room mutes or leaves, for 3 to 8 s."""
    seed: int = 1
    duration: float = 0
    """Seconds from ready on; 0 until it is stopped."""

    def arguments(self) -> list[str]:
        """The command line; there is nothing secret in it."""
        seconds = ("burst", "churn", "duration", "freeze_after", "freeze_for")
        arguments = []
        for field in fields(self):
            value = getattr(self, field.name)
            text = str(value).lower() if isinstance(value, bool) else str(value)
            suffix = "s" if field.name in seconds else ""
            arguments.append(f"-{field.name.replace('_', '-')}={text}{suffix}")
        return arguments


class Person(msgspec.Struct, frozen=True):
    """What one participant really did."""

    kind: Literal["normal", "quiet", "no_levels", "muted"]
    camera: bool
    segments: list[Span]
    """Speech as it was sent; pauses within and between phrases are left out."""
    bursts: list[Span]
    """Whole turns with their pauses, heard or not."""
    muted: list[Span]
    frozen: list[Span]
    """When the picture of the camera stood still."""
    present: list[Span]

    @property
    def talk_time_s(self) -> float:
        """Seconds of speech sent."""
        return sum(end - start for start, end in self.segments)


class Truth(msgspec.Struct, frozen=True):
    """Who takes part and, once it has ended, what everybody did."""

    ended: bool
    rooms: dict[str, dict[str, Person]]


class Ready(msgspec.Struct, frozen=True):
    """Everybody has joined and published."""

    rooms: int
    participants: int
    unix: float
    join_s: float
    cpu_s: float


class Stopped(msgspec.Struct, frozen=True):
    """The last word of the program."""

    packets: int
    """Of audio."""
    late_ms: int
    """The latest that a packet was sent after it was due."""
    stalls: int
    """How often it fell behind by more than 0.2 s and skipped that time."""
    unix: float
    cpu_s: float
