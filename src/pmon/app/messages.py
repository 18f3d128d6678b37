"""What the supervisor and a media process say to each other.

Plain msgspec structs and nothing else pass between the two, so that it does not matter whether
they share a process.
"""

from __future__ import annotations

import msgspec

from pmon.metadata import JobMetadata
from pmon.monitor.events import AnyEvent, EndReason, ParticipantKind
from pmon.monitor.view import RoomView


class StartJob(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Watch a participant of a room."""

    job: str
    dispatch: str
    room: str
    participant: str
    participant_sid: str
    participant_kind: ParticipantKind
    metadata: JobMetadata


class EndJob(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Stop watching for one job."""

    job: str
    reason: EndReason


class EndDispatch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Stop watching for all jobs of a dispatch in a room."""

    room: str
    dispatch: str
    reason: EndReason


class Drain(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End every session with reason ``shutdown``, leave all rooms, then say ``Drained``."""


ToHost = StartJob | EndJob | EndDispatch | Drain


class JobEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A job is over; an error makes it fail, and only a join timeout does that."""

    job: str
    error: str | None = None


class Happened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An event, without its id."""

    event: AnyEvent


class HostStatus(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The rooms of the media process, sent every few seconds."""

    rooms: list[RoomView]


class Drained(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything is closed; summaries of what the drain ended came before as events."""


FromHost = JobEnded | Happened | HostStatus | Drained
