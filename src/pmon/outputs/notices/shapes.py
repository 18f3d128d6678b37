"""The notices as they are sent: one JSON object a packet, told apart by ``type``.

``docs/notices.schema.json`` is made from these structs, ``docs/notices.md`` shows one of each.
Receivers should pass over types and fields that they do not know: later versions may have more.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from pmon.monitor.events import IssueKind, QualityLevel, Severity

Identity = Annotated[str, msgspec.Meta(description="The identity of whom it is about.")]
Time = Annotated[float, msgspec.Meta(description="When it happened: seconds since 1970, UTC.")]
Since = Annotated[float, msgspec.Meta(description="When it began: seconds since 1970, UTC.")]
TrackSid = Annotated[str, msgspec.Meta(description="The track it is about, if any.")]
Duration = Annotated[float, msgspec.Meta(ge=0, description="Seconds.")]
TalkTimeS = Annotated[
    float, msgspec.Meta(ge=0, description="Seconds of speech since monitoring began.")
]
Verdict = Literal["excellent", "good", "poor", "lost"]
VideoVerdict = Literal["live", "low", "frozen", "dry", "muted", "encrypted", "ended"]


class Notice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every notice has."""

    timestamp: Time


class Welcome(Notice, frozen=True, kw_only=True, tag="participant_monitoring"):
    """Somebody is told that they are monitored, once for each monitoring."""

    action: Literal["welcome"] = "welcome"
    participant: Identity
    message: str


class SpeakingDetection(Notice, frozen=True, kw_only=True, tag="speaking_detection"):
    """Somebody began or ceased to speak."""

    participant: Identity
    speaking: bool


class ConnectionQuality(Notice, frozen=True, kw_only=True, tag="connection_quality"):
    """The connection of somebody got better or worse."""

    participant: Identity
    quality: Verdict
    previous: Annotated[QualityLevel, msgspec.Meta(description="What was said before.")]


class VideoState(Notice, frozen=True, kw_only=True, tag="video_state"):
    """A video is not live any more, or is again; of one that was always live nothing is said."""

    participant: Identity
    track_sid: TrackSid
    state: VideoVerdict
    previous: Annotated[
        VideoVerdict, msgspec.Meta(description="What was said before; live if nothing was.")
    ]


class Issue(Notice, frozen=True, kw_only=True, tag="issue"):
    """Something is wrong, is worse or better than it was, or is over."""

    participant: Identity
    issue: IssueKind
    action: Literal["raised", "updated", "resolved"]
    severity: Severity
    track_sid: TrackSid | None = None
    since: Since
    duration_s: Annotated[
        Duration | None, msgspec.Meta(description="How long it lasted, once it is resolved.")
    ] = None


class TalkTime(Notice, frozen=True, kw_only=True, tag="talk_time"):
    """How long somebody has spoken until now, told at the end of a turn."""

    participant: Identity
    turn_s: Annotated[float, msgspec.Meta(ge=0, description="Seconds that the last turn took.")]
    talk_time_s: TalkTimeS


class VideoNow(msgspec.Struct, frozen=True, kw_only=True):
    """A video that is not live."""

    track_sid: TrackSid
    state: VideoVerdict


class IssueNow(msgspec.Struct, frozen=True, kw_only=True):
    """An issue that is open."""

    issue: IssueKind
    severity: Severity
    track_sid: TrackSid | None = None
    since: Since


class ParticipantNow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has been said of somebody and stands. What is missing was never said, or is over."""

    participant: Identity
    speaking: bool = False
    quality: Verdict | None = None
    videos: list[VideoNow] = []
    issues: list[IssueNow] = []
    talk_time_s: TalkTimeS | None = None


class Snapshot(Notice, frozen=True, kw_only=True, tag="snapshot"):
    """What a newcomer has missed. Several may come, of which one may name somebody again."""

    participants: list[ParticipantNow]


Change = SpeakingDetection | ConnectionQuality | VideoState | Issue | TalkTime
"""What tells that something is otherwise than before."""
AnyNotice = Welcome | Change | Snapshot
"""What ``msgspec.json.decode(packet, type=AnyNotice)`` gives back."""


def schema() -> dict[str, Any]:
    """The JSON schema of all of them."""
    found = msgspec.json.schema(AnyNotice)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What pmon sends into rooms, in data packets of the topic pmon",
        **found,
    }
