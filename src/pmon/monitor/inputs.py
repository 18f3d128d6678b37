"""What the media side tells the monitor. Times are monotonic seconds."""

from __future__ import annotations

import msgspec

from pmon.monitor.events import ParticipantKind, TrackKind, TrackSource

OPT_OUT_ATTRIBUTE = "pmon.monitor"
"""A participant whose attribute of this name says ``off`` is not monitored."""

WORKERS_ATTRIBUTE = "pmon.workers"
"""Of pmon's own connections: the ids that their worker has had, with commas between."""
AGENT_ATTRIBUTE = "pmon.agent"
"""Of pmon's own connections: the agent name of their worker."""
ADOPTS_ATTRIBUTE = "pmon.adopts"
"""Of pmon's own connections: ``yes`` while their worker takes whom nobody watches."""
ADOPTED_ATTRIBUTE = "pmon.adopted"
"""Of pmon's own connections: the marks of those whom their worker has taken so."""
DISOWNED_ATTRIBUTE = "pmon.disowned"
"""Of pmon's own connections: the marks of those whose job for their worker was lost, and for whom
that had no place afterwards."""


class TrackInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A publication as the server describes it."""

    sid: str
    kind: TrackKind
    source: TrackSource
    muted: bool
    encrypted: bool


class ParticipantInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A remote participant as the server describes it."""

    identity: str
    sid: str
    kind: ParticipantKind
    attributes: dict[str, str] = {}
    tracks: tuple[TrackInfo, ...] = ()


class LostTrack(msgspec.Struct, frozen=True):
    """A track that was reported gone at ``at``, which is not believed yet."""

    track: TrackInfo
    at: float


class AudioReading(msgspec.Struct, frozen=True, kw_only=True):
    """The running totals of one track's meters for one speaking threshold."""

    threshold: float
    heard_s: float
    """Audio fed to the meters since they listen with this threshold."""
    heard_until: float
    """When the newest audio was heard."""
    speech_s: float
    """Audio inside accepted runs so far, hangover excluded."""
    speech_until: float
    """When the newest speech ended."""
    speech_power: float
    """Mean square of the speech so far, of samples scaled to -1…1."""


class VideoReading(msgspec.Struct, frozen=True, kw_only=True):
    """The running totals of one video receiver."""

    frames: int
    """Decoded."""
    freezes: int
    delay_s: float | None = None
    """Sum of the times between two decoded frames; None where that is not told."""
    squared_delay_s2: float | None = None
    """Sum of their squares."""
    width: int = 0
    height: int = 0
    """Of the last frame, 0 before the first. pmon asks for the lowest of several layers."""
