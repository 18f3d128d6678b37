"""Whether an offered job is one for pmon, decided from the offer alone.

The server allows about 2.8 s for all the workers that it asks together, so nothing is looked up.
"""

from __future__ import annotations

import msgspec
from livekit.protocol import agent, models

from pmon.agent.actions import DeclineReason, JobAssigned
from pmon.metadata import JobMetadata, MetadataError, decode_metadata
from pmon.monitor.events import ParticipantKind
from pmon.settings import JobType

JOB_TYPES: dict[JobType, agent.JobType] = {
    "participant": agent.JT_PARTICIPANT,
    "room": agent.JT_ROOM,
}
"""What a worker can register for, by the setting's words."""

KINDS: dict[int, ParticipantKind] = {
    models.ParticipantInfo.STANDARD: "standard",
    models.ParticipantInfo.INGRESS: "ingress",
    models.ParticipantInfo.EGRESS: "egress",
    models.ParticipantInfo.SIP: "sip",
    models.ParticipantInfo.AGENT: "agent",
    models.ParticipantInfo.CONNECTOR: "connector",
    models.ParticipantInfo.BRIDGE: "bridge",
}


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job is not taken."""

    reason: DeclineReason
    problem: str
    key: str = ""
    terminate: bool = False
    """Settle the job for good; otherwise the server goes on to ask other workers."""


DRAINING = Refusal(reason="drain", problem="the worker is draining")
FULL = Refusal(reason="full", problem="the worker is full")
ROOM_FULL = Refusal(reason="full", problem="the process that watches the room is full")


def consider(job: agent.Job, job_type: JobType = "participant") -> JobMetadata | Refusal:
    """The job's metadata when it is one for a worker of this type, else why it is not.

    What every pmon worker would answer alike settles the job (``terminate``).
    """
    if job.type != JOB_TYPES[job_type]:
        # Workers register for one type, so this is the server's mistake: let it ask others.
        wanted = agent.JobType.Name(JOB_TYPES[job_type])
        return Refusal(reason="job_type", problem=f"the job is not of type {wanted}")
    if job_type == "participant" and not job.participant.identity:
        return Refusal(
            reason="no_participant", problem="the job names no participant", terminate=True
        )
    try:
        metadata = decode_metadata(job.metadata)
    except MetadataError as error:
        return Refusal(reason="bad_metadata", problem=str(error), key=error.key, terminate=True)
    is_target = metadata.participant_identity in ("", job.participant.identity)
    if job_type == "participant" and not is_target:
        return Refusal(
            reason="wrong_target",
            problem="the dispatch asks for another participant",
            key="participant_identity",
            terminate=True,
        )
    return metadata


def assigned(job: agent.Job, metadata: JobMetadata) -> JobAssigned:
    """The fields of a job that may leave the protocol.

    A room job that names a target is as good as that participant's own job.
    """
    return JobAssigned(
        job=job.id,
        dispatch=job.dispatch_id,
        room=job.room.name,
        room_sid=job.room.sid,
        participant=job.participant.identity or metadata.participant_identity,
        participant_sid=job.participant.sid,
        participant_kind=_kind(job),
        metadata=metadata,
        agent_name=job.agent_name,
    )


def _kind(job: agent.Job) -> ParticipantKind:
    """Unknown without a participant, where protobuf would read the first kind there is."""
    known = job.participant.identity != ""
    return KINDS.get(job.participant.kind, "unknown") if known else "unknown"
