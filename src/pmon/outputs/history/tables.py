"""The tables, with what every column means and its unit: seconds are ``*_s``, times are UTC.

What a session and a room amount to are columns of their summaries' structs, so a field that is new
there needs a comment here and a migration. No table refers to another by a constraint: what was
lost to one, while a database was down for long, must not keep the rest out.
"""

from __future__ import annotations

import types
from datetime import UTC, datetime
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

from pmon.monitor import events as ev


class Utc(TypeDecorator[datetime]):
    """Aware datetimes; SQLite keeps them as text without a zone, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = JSON(none_as_null=True)

TYPES: dict[Any, Any] = {str: Text, int: Integer, float: Float, bool: Boolean, datetime: Utc}

ROOM = {
    "observed_s": "Time in which somebody was there who was listened to, in seconds",
    "talk_s": "Time in which anybody spoke, in seconds",
    "overlap_s": "Time in which two or more spoke, in seconds",
    "longest_silence_s": "While somebody was there who was listened to, in seconds",
    "turns": "Number of turns, of all participants",
    "interruptions": "How often somebody interrupted somebody",
    "partial": "Somebody was there for a while who may have spoken and was not listened to",
}
SUMMARY = {
    "duration_s": "Length of the session, in seconds",
    "present_s": "Time the participant was in the room, as far as it was observed, in seconds",
    "talk_time_s": "Time the participant spoke, in seconds",
    "turns": "Number of turns; pauses under 0.3 s belong to a turn",
    "mean_turn_s": "Talk time of a turn, in seconds; null without turns",
    "talk_share": "Part of the talk time of all watched in the room, 0 to 1; null if unknown",
    "overlap_s": "Time in which somebody else spoke, too, in seconds",
    "interruptions": "How often the participant interrupted somebody",
    "interrupted": "How often somebody interrupted the participant",
    "partial": "Share, overlap and interruptions leave out people who were not listened to",
    "level_dbov": "Mean power of the audio inside speech, in dBov; null without speech",
    "heard": "What talk time rests on: pcm, server or sampled",
}
COVERAGE = {
    "observed_s": "Connected to the room, in seconds",
    "unobserved_s": "Not connected: before the first join and while reconnecting, in seconds",
    "heard_s": "Decoded audio of the participant's microphones, in seconds",
    "server_word_s": "Unmuted microphone of which only the server's word was known, in seconds",
    "sampled_s": "Unmuted microphone that the server did not hear, between looks, in seconds",
}
LINK = {
    "measured_s": "Audio whose way here was measured, in seconds",
    "packets": "Number of packets that should have come",
    "loss": "Part of them that did not, 0 to 1",
    "jitter_s": "Jitter of their arrival, in seconds",
    "concealment": "Part of the sound that was made up, audibly, 0 to 1",
    "mos": "Estimate of the quality of speech, 1 to 4.5 (ITU-T G.107)",
}


def _columns(
    struct: type[msgspec.Struct], comments: dict[str, str], prefix: str = "", *without: str
) -> list[Column[Any]]:
    """A nullable column for each field; a KeyError names the one that has no comment."""
    return [
        Column(prefix + field.name, _type(field.type), comment=comments[field.name])
        for field in msgspec.structs.fields(struct)
        if field.name not in without
    ]


def _type(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        [annotation] = [a for a in get_args(annotation) if a is not types.NoneType]
    return Text if get_origin(annotation) is Literal else TYPES[annotation]


def _session() -> Column[Any]:
    return Column("session", Text, nullable=False, comment="The session it belongs to")


def _revision() -> Column[Any]:
    comment = "Rises when the row changes; an older one changes nothing"
    return Column("revision", Integer, nullable=False, comment=comment)


metadata = MetaData()

meetings = Table(
    "meetings",
    metadata,
    Column("room", Text, primary_key=True, comment="Name of the room, or a pseudonym"),
    Column("room_sid", Text, primary_key=True, comment="One life of the room on the server"),
    Column("began_at", Utc, nullable=False, comment="When the first sign of it was seen"),
    Column("last_at", Utc, nullable=False, comment="When the last sign of it was seen"),
    *_columns(ev.RoomSummary, ROOM, "", "since"),
    Index("meetings_last_at", "last_at"),
    comment="A room from its creation to its end on the server, as the workers saw it",
)

sessions = Table(
    "sessions",
    metadata,
    Column("session", Text, primary_key=True, comment="Id of the session, as in events"),
    _revision(),
    Column("room", Text, nullable=False, comment="Its meeting, with room_sid"),
    Column("room_sid", Text, nullable=False, comment="Empty if the room was never joined"),
    Column("participant", Text, nullable=False, comment="Identity, or a pseudonym"),
    Column("participant_sid", Text, nullable=False, comment="Of their last connection"),
    Column("participant_kind", Text, nullable=False, comment="standard, sip, ingress and others"),
    Column("dispatch", Text, nullable=False, comment="Dispatch that asked for it"),
    Column("job", Text, comment="Job it stood for last; null where the worker had none"),
    Column("monitoring_type", Text, nullable=False, comment="full, audio, video or connection"),
    Column("labels", Json, nullable=False, comment="Labels of the dispatch"),
    Column("started_at", Utc, nullable=False, comment="When watching began"),
    Column("ended_at", Utc, comment="When watching ended; null while it goes on or is cut off"),
    Column("end_reason", Text, comment="Why it ended"),
    Column("microphone_s", Float, comment="Microphones published and not muted, in seconds"),
    *_columns(
        ev.SessionSummary,
        SUMMARY,
        "",
        *("started_at", "room", "quality_s", "link", "tracks", "issues", "coverage"),
    ),
    *_columns(ev.Coverage, COVERAGE),
    *(
        Column(f"quality_{level}_s", Float, comment=f"Connection quality {level}, in seconds")
        for level in get_args(ev.QualityLevel)
    ),
    *_columns(ev.LinkSummary, LINK, "link_"),
    Column("tracks", Json, comment="The published tracks, as in the summary of the event"),
    Index("sessions_meeting", "room", "room_sid"),
    Index("sessions_participant", "participant"),
    comment="A participant watched for a dispatch; what it amounts to is known at its end",
)

visits = Table(
    "visits",
    metadata,
    Column("id", Text, primary_key=True, comment="Id of the event participant_connected"),
    _revision(),
    _session(),
    Column("joined_at", Utc, nullable=False, comment="When they came, or were found there"),
    Column("left_at", Utc, comment="When they left, or watching ended; null until then"),
    Column("reason", Text, comment="Why they left, or why watching ended"),
    Index("visits_session", "session"),
    Index("visits_joined_at", "joined_at"),
    comment="A participant in the room, from joining to leaving",
)

turns = Table(
    "turns",
    metadata,
    Column("id", Text, primary_key=True, comment="Id of the event speaking_stopped"),
    _session(),
    Column("started_at", Utc, nullable=False, comment="When speech began"),
    Column("ended_at", Utc, nullable=False, comment="When speech ended"),
    Column("turn_s", Float, nullable=False, comment="Its length, in seconds"),
    Column("heard", Text, comment="What it rests on: pcm, server or sampled"),
    Column("track_sid", Text, comment="The microphone; null on the server's word"),
    Index("turns_session", "session"),
    Index("turns_ended_at", "ended_at"),
    comment="Speech without a pause; those less than 0.3 s apart are one turn in the summary",
)

issues = Table(
    "issues",
    metadata,
    Column("id", Text, primary_key=True, comment="Id of the event issue_raised"),
    _revision(),
    _session(),
    Column("issue", Text, nullable=False, comment="Its kind, such as connection_poor"),
    Column("severity", Text, nullable=False, comment="As it was last: info, warning or critical"),
    Column("track_sid", Text, comment="The track it is about, if it is about one"),
    Column("since", Utc, nullable=False, comment="When the trouble began"),
    Column("raised_at", Utc, nullable=False, comment="When it was raised"),
    Column("resolved_at", Utc, comment="When it was over; null while it is not"),
    Column("duration_s", Float, comment="From since until it was over, in seconds"),
    Column("reason", Text, comment="Why it is over"),
    Column("evidence", Json, comment="What it was raised on, at its last change of severity"),
    Index("issues_session", "session"),
    Index("issues_raised_at", "raised_at"),
    comment="Something that was wrong, from its raising to its end",
)
