"""The events that leave the monitor: one frozen struct each, one JSON object each.

Every event belongs to one session (a room, an identity and a dispatch). ``time`` is when it
happened, in UTC; durations are seconds and named ``*_s``. The supervisor gives the ``id`` on
arrival, so an event that has just been made carries an empty one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Heard = Literal["pcm", "server", "sampled"]
"""What a figure rests on: decoded audio, the server's speaker events, or looks now and then."""

ParticipantKind = Literal[
    "standard", "ingress", "egress", "sip", "agent", "connector", "bridge", "unknown"
]
TrackKind = Literal["audio", "video", "unknown"]
TrackSource = Literal["camera", "microphone", "screen_share", "screen_share_audio", "unknown"]
QualityLevel = Literal["excellent", "good", "poor", "lost", "unknown"]
VideoStateName = Literal["live", "low", "frozen", "dry", "muted", "encrypted", "ended", "unknown"]
IssueKind = Literal[
    "connection_poor",
    "video_frozen",
    "mic_silent",
    "mic_quiet",
    "mic_noisy",
    "mic_clipping",
    "video_low_fps",
    "track_dry",
    "participant_idle",
    "session_long",
]
Severity = Literal["info", "warning", "critical"]
EndReason = Literal[
    "participant_left",  # the target left and the job says end_on_disconnect
    "away_timeout",  # the target left and did not come back in time
    "join_timeout",  # the target never came: the only end that fails its job
    "room_closed",  # the room was closed or deleted, or is gone from the server
    "dispatch_deleted",
    "job_terminated",  # the server terminated this job alone
    "watched_elsewhere",  # another worker of this name watches them now
    "monitor_removed",  # somebody removed pmon's own connection from the room
    "opted_out",  # the participant attribute pmon.monitor=off
    "shutdown",  # the worker drains
]


class TrackSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One published track as its session saw it."""

    track_sid: str
    kind: TrackKind
    source: TrackSource
    encrypted: bool
    published_s: float
    muted_s: float
    frames: int | None = None
    """Decoded video frames; None for audio and for video that was not watched."""
    fps: float | None = None
    """Mean decoded frames a second while live, of the lowest layer of a simulcast."""
    harmonic_fps: float | None = None
    """Mean weighted by time, which stalls weigh down as they weigh on a viewer."""
    freezes: int | None = None
    """As the W3C defines them (webrtc-stats, freezeCount); None for a screen share, which sends no
    frames while nothing changes.
    """
    frozen_s: float | None = None
    """Time within them, while the track was watched."""
    width: int | None = None
    """Of the last frame received: of the lowest layer."""
    height: int | None = None
    state: VideoStateName | None = None
    level_dbov: float | None = None
    """Active speech level (ITU-T P.56) of a microphone, where speech was heard; None without."""
    floor_dbov: float | None = None
    """Its noise floor, the median over what was heard; None if too little was."""
    clipped_ratio: float | None = None
    """The share of its active speech in the last decibel under full scale, where speech that is
    not cut off hardly is; None without speech."""


class IssueSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One issue of a session, resolved or not."""

    issue: IssueKind
    severity: Severity
    track_sid: str | None = None
    raised_at: datetime
    duration_s: float
    open: bool


class LinkSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How the participant's audio came through, while it was heard and nothing spoke for the
    monitor's own path to be what lost some of it.
    """

    measured_s: float
    packets: int
    """That should have come."""
    loss: float
    """The share of them that did not (0-1)."""
    jitter_s: float
    concealment: float | None = None
    """The share of the sound that was made up, audibly, where packets were missing (0-1)."""
    mos: float
    """An estimate from 1 to 4.5, by the E-model of ITU-T G.107, see ``pmon.monitor.mos``, without
    any delay; that of ``connection_quality`` counts the way to the server and back."""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How many seconds of a session rest on what. Observed and unobserved add up to its length."""

    observed_s: float
    """Connected to the room, so joins, mutes, tracks and quality were seen."""
    unobserved_s: float
    """Not connected: before the first join and while reconnecting."""
    heard_s: float
    """Decoded audio of the participant's microphones."""
    server_word_s: float
    """An unmuted microphone of which only the server's speaker events were known."""
    sampled_s: float = 0.0
    """An unmuted microphone that the server was found not to hear, between two looks at it."""


class RoomSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation of a room, as far as this worker heard it, until now.

    ``monitor/conversation`` says what counts as an overlap, an interruption and a silence.
    """

    since: datetime
    observed_s: float
    """Time in which somebody was there who was listened to."""
    talk_s: float
    """Time in which anybody spoke."""
    overlap_s: float
    """Time in which two or more spoke."""
    longest_silence_s: float
    """While somebody was there who was listened to."""
    turns: int
    interruptions: int
    partial: bool
    """Somebody was there for a while who may have spoken and was not listened to: watched by
    another worker or by nobody, opted out, or watched for something else.
    """


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a session amounted to; complete in ``session_ended``, so far until then."""

    started_at: datetime
    duration_s: float
    present_s: float
    """Time the participant was in the room, as far as it was observed."""
    talk_time_s: float
    """Speech, without pauses; of several microphones, the time in which there was any."""
    turns: int
    """Pauses under 0.3 s belong to a turn; its speech is told in parts all the same."""
    mean_turn_s: float | None = None
    """Talk time of a turn; None without turns."""
    talk_share: float | None
    """Its part of the talk time of all watched participants of the room; None if nobody spoke, and
    in a room that changed hands between processes: who had left before is not known there."""
    overlap_s: float = 0.0
    """Time in which somebody else spoke, too."""
    interruptions: int = 0
    """How often the participant interrupted somebody."""
    interrupted: int = 0
    """How often somebody interrupted the participant."""
    partial: bool = False
    """As of the room, since the session began: share, overlap and interruptions leave out those
    who were not listened to.
    """
    room: RoomSummary | None = None
    """None if nobody was listened to."""
    level_dbov: float | None
    """Mean power of the audio inside speech, in dBov (ITU-T G.100.1); None without speech."""
    heard: Heard | None
    """What most of the talk time rests on."""
    quality_s: dict[QualityLevel, float]
    """Seconds per connection quality level, ``unknown`` included."""
    link: LinkSummary | None = None
    """None if their audio was not heard, or never long enough."""
    tracks: list[TrackSummary]
    issues: list[IssueSummary]
    coverage: Coverage


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The fields that every event has."""

    v: Literal[1] = 1
    id: str = ""
    """Unique for ever: one start of the worker, and a number that rises with every event."""
    time: datetime
    """When it happened, which may be some seconds before it was told."""
    room: str
    """Its name."""
    room_sid: str
    """Of this room of that name, as the server has it."""
    participant: str
    """The identity."""
    participant_sid: str
    """Another one after each join; empty before the first."""
    participant_kind: ParticipantKind
    track_sid: str | None = None
    """None for what is not of one track."""
    session: str
    """One identity in one room for one dispatch."""
    job: str | None
    """None where the worker took up by itself what no job was left for."""
    labels: dict[str, str]
    """Those of the dispatch's metadata."""
    heard: Heard | None = None
    """What tells of it; None for what is not about sound."""

    @property
    def type(self) -> str:
        """The event's type as it stands in its JSON object."""
        return str(self.__struct_config__.tag)


class SessionStarted(Event, frozen=True, kw_only=True, tag="session_started"):
    """A job was accepted for a participant; the participant may not be there yet."""

    dispatch: str
    monitoring_type: str
    """As the metadata has it: ``full``, ``audio``, ``video`` or ``connection``."""


class SessionEnded(Event, frozen=True, kw_only=True, tag="session_ended"):
    """The session is over and its summary complete."""

    reason: EndReason
    summary: SessionSummary


class ParticipantConnected(Event, frozen=True, kw_only=True, tag="participant_connected"):
    """The watched participant is in the room: found there, joined, or came back."""


class ParticipantDisconnected(Event, frozen=True, kw_only=True, tag="participant_disconnected"):
    """The watched participant left the room."""

    reason: str


class TrackPublished(Event, frozen=True, kw_only=True, tag="track_published"):
    """A track of the participant is there."""

    kind: TrackKind
    source: TrackSource
    muted: bool
    encrypted: bool


class TrackUnpublished(Event, frozen=True, kw_only=True, tag="track_unpublished"):
    """A track of the participant is gone."""

    kind: TrackKind
    source: TrackSource


class TrackMuted(Event, frozen=True, kw_only=True, tag="track_muted"):
    """A track was muted; speech on it ends here."""

    kind: TrackKind
    source: TrackSource


class TrackUnmuted(Event, frozen=True, kw_only=True, tag="track_unmuted"):
    """A track was unmuted."""

    kind: TrackKind
    source: TrackSource


class SpeakingStarted(Event, frozen=True, kw_only=True, tag="speaking_started"):
    """The participant began to speak, on any of their microphones."""


class SpeakingStopped(Event, frozen=True, kw_only=True, tag="speaking_stopped"):
    """The participant's turn ended; ``time`` is the end of speech, without hangover."""

    turn_s: float
    """Speech of this turn."""
    talk_time_s: float
    """Speech of the session so far."""


class ConnectionQuality(
    Event, frozen=True, kw_only=True, tag="connection_quality", rename={"from_": "from"}
):
    """The server's verdict on the participant's connection changed.

    The reason of a fall is which way packets get lost, as far as it can be told: ``uplink_loss``
    (theirs get lost before the server), ``uplink_dry`` (none come at all), ``downlink`` (all comes
    that they send, so it is what they receive), ``downlink_or_video`` (the same of their sound,
    but the server counts pictures that they do not send, too), else ``server``. Of a rise it is
    ``recovered``, unless losses go on. The level is ``unknown`` for ``participant_left``,
    ``nothing_published``, ``monitor_reconnecting`` and ``opted_out``.
    """

    from_: QualityLevel
    to: QualityLevel
    reason: str
    evidence: dict[str, float | str] = {}
    """While they are heard: ``loss`` on their uplink and ``concealment`` (0-1), ``jitter_s``,
    ``mos``; ``direction`` (``uplink``, ``downlink``, ``unknown``) unless all is well; ``leg`` is
    ``sip_service`` for a telephone, of which only the way from the SIP service is seen;
    ``monitor_path_loss`` what the monitor's own path loses, if it does."""


class VideoState(Event, frozen=True, kw_only=True, tag="video_state", rename={"from_": "from"}):
    """A video track of the participant changed its state."""

    from_: VideoStateName
    to: VideoStateName
    fps: float | None = None


class IssueRaised(Event, frozen=True, kw_only=True, tag="issue_raised"):
    """Something is wrong, and has been since ``since`` (UTC)."""

    issue: IssueKind
    severity: Severity
    since: datetime
    evidence: dict[str, float | str]


class IssueUpdated(Event, frozen=True, kw_only=True, tag="issue_updated"):
    """An open issue changed its severity."""

    issue: IssueKind
    severity: Severity
    since: datetime
    evidence: dict[str, float | str]


class IssueResolved(Event, frozen=True, kw_only=True, tag="issue_resolved"):
    """An issue is over: the cause went away, or its session or track ended."""

    issue: IssueKind
    severity: Severity
    duration_s: float
    reason: str


AnyEvent = (
    SessionStarted
    | SessionEnded
    | ParticipantConnected
    | ParticipantDisconnected
    | TrackPublished
    | TrackUnpublished
    | TrackMuted
    | TrackUnmuted
    | SpeakingStarted
    | SpeakingStopped
    | ConnectionQuality
    | VideoState
    | IssueRaised
    | IssueUpdated
    | IssueResolved
)
"""What ``msgspec.json.decode(line, type=AnyEvent)`` gives back."""
