"""What the supervisor and a media process say to each other: plain msgspec structs, all of it."""

from __future__ import annotations

import msgspec

from pmon.agent.actions import JobAssigned
from pmon.metadata import JobMetadata
from pmon.monitor.events import AnyEvent, EndReason, ParticipantKind
from pmon.monitor.listening.cameras import Looks
from pmon.monitor.view import RoomView
from pmon.settings import Settings


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message, and the only way that secrets take to a media process."""

    settings: Settings


class StartJob(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Watch a participant of a room, or with no ``participant`` everybody."""

    job: str
    dispatch: str
    room: str
    participant: str
    participant_sid: str
    participant_kind: ParticipantKind
    metadata: JobMetadata
    states: list[bytes] | None = None
    """The sessions as another process left them, to go on with; see ``Checkpoint``."""

    @classmethod
    def of(cls, task: JobAssigned) -> StartJob:
        return cls(
            job=task.job,
            dispatch=task.dispatch,
            room=task.room,
            participant=task.participant,
            participant_sid=task.participant_sid,
            participant_kind=task.participant_kind,
            metadata=task.metadata,
        )


class Workers(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The ids that the worker has had; room connections that are made from now on carry them."""

    ids: list[str]


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


PREPARE_ROOM_S = 0.25
"""So much longer it may take for each room: they are joined one by one on a busy core."""


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Join these rooms, whose jobs another process will hand over in a moment."""

    rooms: list[str]


class ShowLevels(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody looks at these, by room: for a few seconds say how loud they are, twice a second."""

    identities: dict[str, list[str]]


class HandOver(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send a last checkpoint of every session, say ``HandedOver``, and leave; end no session."""


ToHost = Begin | Workers | StartJob | EndJob | EndDispatch | Prepare | ShowLevels | HandOver | Drain


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The media process works."""

    tier: str


class Prepared(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All rooms of ``Prepare`` are joined, or will not be soon."""

    missing: list[str] = []
    """Those that are not, and are not over either."""


class HandedOver(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All checkpoints have been sent, and nothing will be said of any session any more."""


class Interrupted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody sent the media process SIGTERM: the whole group, or the SDK after a panic."""


class EventsLost(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The SDK's events came faster than they were taken: what is known of rooms may be wrong."""

    events: int


class JobEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A job is over; an error makes it fail, and only a join timeout does that."""

    job: str
    error: str | None = None


class Happened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An event, without its id."""

    event: AnyEvent


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The state of a session, with which another process can go on; None once it has ended.

    It is for ``StartJob.states`` and only media processes look inside.
    """

    job: str
    participant: str
    """A room job has a session for each."""
    state: bytes | None
    absent: bool = False
    """They are known not to be there, though they may come back."""


class HostStatus(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The rooms of the media process, sent every few seconds."""

    rooms: list[RoomView]


class HostLoad(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How busy the media process is, sent every second."""

    reported: float
    """For LiveKit: what is left once all is shed that the settings allow, 0 to 1."""
    one_more: float
    """What one more microphone adds to it."""
    refuse_jobs: bool
    """There is nothing left to shed, and still too much to do."""
    microphones: int
    audible: int
    """Of them those that are on."""
    heard: int
    """Of them those that are decoded now."""
    rooms: int
    rooms_adaptive: int
    looks: Looks
    overdue: int
    """Microphones that the patrol did not get round to hearing for 3 minutes."""


class LevelsNow(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How loud somebody is now in dBov, by room and identity; missing is who is not heard."""

    levels: dict[str, dict[str, float]]


class Drained(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything is closed; summaries of what the drain ended came before as events."""


FromHost = (
    Ready
    | Prepared
    | HandedOver
    | Interrupted
    | EventsLost
    | JobEnded
    | Happened
    | Checkpoint
    | HostStatus
    | HostLoad
    | LevelsNow
    | Drained
)
