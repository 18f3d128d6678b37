"""Whether an offered job is one for pmon, decided from the offer alone.

The server allows about 2.8 s for all the workers that it asks together, so nothing is looked up.
"""

from __future__ import annotations

import msgspec
from livekit.protocol import agent, models

from pmon.agent.actions import DeclineReason, JobAssigned
from pmon.metadata import JobMetadata, MetadataError, decode_metadata
from pmon.monitor.events import ParticipantKind

_KINDS: dict[int, ParticipantKind] = {
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


def consider(job: agent.Job) -> JobMetadata | Refusal:
    """The job's metadata when it is one for pmon, else why it is not.

    What every pmon worker would answer alike settles the job (``terminate``).
    """
    if job.type != agent.JT_PARTICIPANT:
        # Workers register for one type, so this is the server's mistake: let it ask others.
        return Refusal(reason="job_type", problem="the job is not of type JT_PARTICIPANT")
    if not job.participant.identity:
        return Refusal(
            reason="no_participant", problem="the job names no participant", terminate=True
        )
    try:
        metadata = decode_metadata(job.metadata)
    except MetadataError as error:
        return Refusal(reason="bad_metadata", problem=str(error), key=error.key, terminate=True)
    if metadata.participant_identity not in ("", job.participant.identity):
        return Refusal(
            reason="wrong_target",
            problem="the dispatch asks for another participant",
            key="participant_identity",
            terminate=True,
        )
    return metadata


def assigned(job: agent.Job, metadata: JobMetadata) -> JobAssigned:
    """The fields of a job that may leave the protocol."""
    return JobAssigned(
        job=job.id,
        dispatch=job.dispatch_id,
        room=job.room.name,
        room_sid=job.room.sid,
        participant=job.participant.identity,
        participant_sid=job.participant.sid,
        participant_kind=_KINDS.get(job.participant.kind, "unknown"),
        metadata=metadata,
        agent_name=job.agent_name,
    )
