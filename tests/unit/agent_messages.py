"""Messages of livekit-server to a worker, and the worker's answers read back."""

from __future__ import annotations

from collections.abc import Callable

from livekit.protocol import agent, models

from pmon.agent.protocol import WorkerProtocol
from pmon.settings import JobType

TURN_PASSWORD = "turn-password-of-the-room"
TOKEN = "token-of-the-job"


def job(
    job_id: str = "AJ_1",
    *,
    dispatch: str = "AD_1",
    identity: str = "alice",
    metadata: str = "",
    job_type: agent.JobType = agent.JT_PARTICIPANT,
    kind: models.ParticipantInfo.Kind = models.ParticipantInfo.STANDARD,
) -> agent.Job:
    """A job as the server offers it."""
    return agent.Job(
        id=job_id,
        dispatch_id=dispatch,
        type=job_type,
        room=models.Room(name="clinic", sid="RM_1", turn_password=TURN_PASSWORD),
        participant=models.ParticipantInfo(identity=identity, sid=f"PA_{identity}", kind=kind),
        metadata=metadata,
        agent_name="participant-monitor",
    )


def registration(worker_id: str = "AW_1", version: str = "1.13.5") -> bytes:
    """The server's answer to a registration."""
    info = models.ServerInfo(version=version)
    answer = agent.RegisterWorkerResponse(worker_id=worker_id, server_info=info)
    return agent.ServerMessage(register=answer).SerializeToString()


def availability(offered: agent.Job) -> bytes:
    """The question whether the worker takes a job."""
    request = agent.AvailabilityRequest(job=offered)
    return agent.ServerMessage(availability=request).SerializeToString()


def assignment(taken: agent.Job) -> bytes:
    """The job, given."""
    given = agent.JobAssignment(job=taken, token=TOKEN)
    return agent.ServerMessage(assignment=given).SerializeToString()


def termination(job_id: str) -> bytes:
    """The order to end a job."""
    order = agent.JobTermination(job_id=job_id)
    return agent.ServerMessage(termination=order).SerializeToString()


def room_job(job_id: str = "AJ_1", *, metadata: str = "") -> agent.Job:
    """A JT_ROOM job, which names no participant."""
    offered = job(job_id, metadata=metadata, job_type=agent.JT_ROOM)
    offered.ClearField("participant")
    return offered


def pong() -> bytes:
    """The answer to a ping."""
    return agent.ServerMessage(pong=agent.WorkerPong(last_timestamp=1)).SerializeToString()


def sent(protocol: WorkerProtocol) -> list[agent.WorkerMessage]:
    """What the worker says, decoded; each is said once."""
    return [agent.WorkerMessage.FromString(data) for data in protocol.bytes_to_send()]


def registered_worker(
    *,
    max_jobs: int = 0,
    now: float = 0.0,
    job_type: JobType = "participant",
    room_full: Callable[[str], bool] = lambda room: False,
) -> WorkerProtocol:
    """A worker whose registration was answered, with nothing left to send or tell."""
    worker = WorkerProtocol(
        "participant-monitor",
        version="1.0",
        max_jobs=max_jobs,
        job_type=job_type,
        room_full=room_full,
    )
    worker.connection_made(now)
    worker.receive_bytes(registration(), now)
    worker.bytes_to_send()
    worker.actions()
    return worker


def take(worker: WorkerProtocol, taken: agent.Job, now: float = 0.0) -> None:
    """Let a job be offered, accepted and assigned."""
    worker.receive_bytes(availability(taken), now)
    worker.receive_bytes(assignment(taken), now)
