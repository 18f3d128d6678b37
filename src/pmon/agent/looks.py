"""Asks the server what ``reconcile`` judges: who is in a room, and which dispatches it has."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from livekit import api
from livekit.protocol import models

from pmon.agent.dispatches import FAILURES, log_failure
from pmon.agent.offers import KINDS
from pmon.agent.reconcile import (
    EVERYBODY,
    MARK_CHARS,
    Attendee,
    Connection,
    ListedDispatch,
    ListedJob,
    RoomLook,
)
from pmon.monitor.inputs import (
    ADOPTED_ATTRIBUTE,
    ADOPTS_ATTRIBUTE,
    AGENT_ATTRIBUTE,
    DISOWNED_ATTRIBUTE,
    WORKERS_ATTRIBUTE,
)
from pmon.settings import JobType

IDENTITY_PREFIX = "pmon-"
MARKS_KEPT = 3000
"""The server takes attributes of 64,000 characters in all."""


class Looks:
    """Looks at rooms for a worker of one name and job type. A question that the server does not
    answer has no answer: None.
    """

    def __init__(self, server: api.LiveKitAPI, agent_name: str, job_type: JobType) -> None:
        self._server = server
        self._agent_name = agent_name
        self._job_type = job_type

    async def rooms(self) -> list[models.Room] | None:
        """All rooms, with how many participants each has."""
        try:
            return list((await self._server.room.list_rooms(api.ListRoomsRequest())).rooms)
        except FAILURES as error:
            log_failure("cannot list rooms", error)
            return None

    async def room(self, room: models.Room) -> RoomLook | None:
        """One room; of one without a dispatch for us nothing more is asked."""
        try:
            listed = await self._server.agent_dispatch.list_dispatch(room.name)
            dispatches = [d for d in listed if d.agent_name == self._agent_name]
            if not dispatches:
                return RoomLook(room.name, room.sid, (), (), ())
            request = api.ListParticipantsRequest(room=room.name)
            found = (await self._server.room.list_participants(request)).participants
        except FAILURES as error:
            log_failure("cannot look at a room", error, room=room.name)
            return None
        return RoomLook(
            room=room.name,
            room_sid=room.sid,
            connections=tuple(_connection(p) for p in found if self._is_ours(p)),
            dispatches=tuple(map(_dispatch, dispatches)),
            attendees=self._attendees(found),
        )

    async def renew(self, room: str, connection: str, attributes: Mapping[str, str]) -> None:
        """Let a connection of ours carry what is so now."""
        try:
            await self._server.room.update_participant(
                api.UpdateParticipantRequest(
                    room=room, identity=connection, attributes=dict(attributes)
                )
            )
        except FAILURES as error:
            log_failure("cannot renew the mark of a connection", error, room=room)

    def _is_ours(self, participant: models.ParticipantInfo) -> bool:
        """Only who holds the API secret can join as an agent."""
        return (
            participant.kind == models.ParticipantInfo.AGENT
            and participant.identity.startswith(IDENTITY_PREFIX)
            and participant.attributes.get(AGENT_ATTRIBUTE) == self._agent_name
        )

    def _attendees(self, participants: Iterable[models.ParticipantInfo]) -> tuple[Attendee, ...]:
        if self._job_type == "room":
            return (Attendee(EVERYBODY, ""),)
        return tuple(
            Attendee(p.identity, p.sid, KINDS.get(p.kind, "unknown"))
            for p in participants
            if _gets_jobs(p)
        )


def _gets_jobs(participant: models.ParticipantInfo) -> bool:
    """Whether the server makes jobs for them, and pmon can see them."""
    dependent = participant.kind in (models.ParticipantInfo.AGENT, models.ParticipantInfo.EGRESS)
    may = participant.permission
    gone = participant.state == models.ParticipantInfo.DISCONNECTED
    return not (dependent or may.agent or may.recorder or may.hidden or gone)


def attributes_of(connection: Connection) -> dict[str, str]:
    """What a connection carries so that other workers know of it."""
    return {
        WORKERS_ATTRIBUTE: ",".join(sorted(connection.workers)),
        ADOPTS_ATTRIBUTE: "yes" if connection.adopts else "no",
        ADOPTED_ATTRIBUTE: _together(connection.adopted),
        DISOWNED_ATTRIBUTE: _together(connection.disowned),
    }


def _connection(participant: models.ParticipantInfo) -> Connection:
    attributes = participant.attributes
    return Connection(
        participant.identity,
        workers=frozenset(filter(None, attributes.get(WORKERS_ATTRIBUTE, "").split(","))),
        adopts=attributes.get(ADOPTS_ATTRIBUTE) == "yes",
        adopted=_apart(attributes.get(ADOPTED_ATTRIBUTE, "")),
        disowned=_apart(attributes.get(DISOWNED_ATTRIBUTE, "")),
    )


def _together(marks: Iterable[str]) -> str:
    return "".join(sorted(marks)[:MARKS_KEPT])


def _apart(marks: str) -> frozenset[str]:
    return frozenset(marks[at : at + MARK_CHARS] for at in range(0, len(marks), MARK_CHARS))


def _dispatch(dispatch: api.AgentDispatch) -> ListedDispatch:
    now = time.time()
    jobs = [
        ListedJob(
            j.id,
            j.participant.identity,
            j.participant.sid,
            j.state.worker_id,
            age_s=now - j.state.started_at / 1e9,
        )
        for j in sorted(dispatch.state.jobs, key=lambda j: j.state.started_at)
    ]
    return ListedDispatch(dispatch.id, dispatch.metadata, tuple(jobs))
