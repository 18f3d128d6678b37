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


class MicReading(msgspec.Struct, frozen=True, kw_only=True):
    """The running totals of one track's microphone health, and what it sounds like now.

    Whatever two readings have between them was heard in between, however long that was. The first
    200 ms after each time that the microphone was opened are in none of it.
    """

    heard_s: float
    """Audio that was measured."""
    heard_until: float
    """When the newest audio was heard."""
    energy: float
    """Mean square times seconds, of samples scaled to -1…1, without their offset."""
    active_s: tuple[float, ...]
    """Seconds over each of the 15 thresholds of ITU-T P.56: see ``pmon._dsp.active_level``."""
    rail_s: float
    """Seconds of samples in the last decibel under full scale."""
    silent_s: float
    """Near digital silence: under -97 dBov."""
    floor_dbov: float | None
    """The quietest 100 ms of the last 5 s; None before there was a second of sound."""
    loudest_dbov: float | None
    """The loudest 100 ms since the microphone was opened; None before there was one."""
    dc: float
    """The mean of the samples of about the last second, -1…1."""


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


class LinkReading(msgspec.Struct, frozen=True, kw_only=True):
    """The running totals of one audio receiver, as its stream's RTC statistics give them.

    None is what the receiver does not tell, which is not 0.
    """

    ssrc: int
    """Another one is another stream, which counts from zero."""
    packets_received: int
    packets_lost: int
    """Gaps in the sequence numbers that nothing filled; a packet that comes late takes one back."""
    jitter_s: float
    """As of now (RFC 3550, 6.4.1)."""
    samples: int | None = None
    """Samples played out, whatever they were made of."""
    concealed: int | None = None
    """Those that were made up since nothing had come; silent ones, as in a DTX pause, included."""
    silent_concealed: int | None = None
