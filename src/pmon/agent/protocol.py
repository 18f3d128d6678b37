"""The agent-worker protocol of livekit-server without IO: bytes and time in, bytes and actions out.

One object lives as long as the worker and sees many connections. Each connection registers anew,
and the server then knows none of the jobs from before: such a job goes on, but the server can
neither end it nor hear of it (``reachable``). Every ``now`` is in monotonic seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal

import msgspec
from google.protobuf.message import DecodeError
from livekit.protocol import agent, models

from pmon.agent.actions import (
    Action,
    AssignmentTimedOut,
    ConnectionStale,
    FrameRefused,
    JobAssigned,
    JobDeclined,
    JobTerminated,
    MetadataKeysIgnored,
    Registered,
)
from pmon.agent.offers import DRAINING, FULL, JOB_TYPES, ROOM_FULL, Refusal, assigned, consider
from pmon.agent.server_version import version_warnings
from pmon.metadata import unknown_keys
from pmon.monitor.listening.load import SERVER_CUT
from pmon.settings import JobType

REGISTER_TIMEOUT = 10.0
ASSIGNMENT_TIMEOUT = 7.5
REPORT_INTERVAL = 2.5
PING_INTERVAL = 30.0
PONG_TIMEOUT = 10.0

_REMEMBERED = 1024  # dispatches whose troubles have been told

_Timer = Literal["register", "report", "ping", "pong"]


class _Job(msgspec.Struct):
    assigned: JobAssigned
    registration: int
    terminated: bool = False


class _Slot(msgspec.Struct, frozen=True):
    deadline: float
    dispatch: str
    room: str


class WorkerProtocol:
    """A worker's side of the websocket, for jobs of one type.

    ``max_jobs`` 0 means that load alone decides. ``room_full`` says of a room by name whether no
    more can be watched there, although there may be time for others. After any call, send
    ``bytes_to_send()``, carry out ``actions()``, and call ``tick`` at ``next_deadline``.
    """

    def __init__(
        self,
        agent_name: str,
        *,
        version: str,
        max_jobs: int = 0,
        job_type: JobType = "participant",
        room_full: Callable[[str], bool] = lambda room: False,
    ) -> None:
        self.agent_name = agent_name
        self.version = version
        self.max_jobs = max_jobs
        self.job_type: JobType = job_type
        self.registered = False
        self.draining = False
        self.worker_id = ""
        self.adopted = 0
        """How much is watched without a job that the server knows; it takes places like jobs."""
        self._room_full = room_full
        self._connected = False
        self._registration = 0
        self._load = 0.0
        self._jobs: dict[str, _Job] = {}
        self._reserved: dict[str, _Slot] = {}
        self._timers: dict[_Timer, float] = {}
        self._outbox: list[bytes] = []
        self._actions: list[Action] = []
        self._told: dict[tuple[str, str], None] = {}  # in order of age

    # what the owner may ask

    @property
    def next_deadline(self) -> float | None:
        """When ``tick`` is due, or None."""
        slots = (slot.deadline for slot in self._reserved.values())
        return min([*self._timers.values(), *slots], default=None)

    @property
    def full(self) -> bool:
        """No further job is taken: accepted jobs count from the moment of acceptance."""
        return self.free == 0

    @property
    def free(self) -> int:
        """How many more jobs are taken, as far as that is known."""
        if self._load >= SERVER_CUT:
            return 0
        taken = len(self._jobs.keys() | self._reserved.keys()) + self.adopted
        return max(0, (self.max_jobs or sys.maxsize) - taken)

    def free_in(self, room: str) -> int:
        """How many more jobs of this room are taken, as far as that is known."""
        return 0 if self._room_full(room) else self.free

    @property
    def jobs(self) -> list[JobAssigned]:
        """The running jobs."""
        return [job.assigned for job in self._jobs.values()]

    def job(self, job_id: str) -> JobAssigned | None:
        """The running job of this name, if it is one of the server's."""
        job = self._jobs.get(job_id)
        return None if job is None else job.assigned

    def reachable(self, job_id: str) -> bool:
        """Whether the server, over this connection, knows the running job."""
        job = self._jobs.get(job_id)
        return self.registered and job is not None and job.registration == self._registration

    def bytes_to_send(self) -> list[bytes]:
        """Binary frames for the current connection, each handed out once."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def actions(self) -> list[Action]:
        """What happened, in order, each handed out once."""
        actions, self._actions = self._actions, []
        return actions

    # what the owner tells

    def connection_made(self, now: float) -> None:
        """A websocket is open; register on it."""
        self.connection_lost()
        self._connected = True
        self._registration += 1
        self._timers["register"] = now + REGISTER_TIMEOUT
        # The tokens of the jobs are never used, so they permit nothing: once this message is
        # there, each permission that it leaves out is refused.
        permissions = models.ParticipantPermission(hidden=True)
        self._send(
            agent.WorkerMessage(
                register=agent.RegisterWorkerRequest(
                    type=JOB_TYPES[self.job_type],
                    agent_name=self.agent_name,
                    version=self.version,
                    allowed_permissions=permissions,
                )
            )
        )

    def connection_lost(self) -> None:
        """The websocket is closed. Jobs go on; what was only accepted can no longer be assigned."""
        self._connected = False
        self.registered = False
        self._timers.clear()
        self._reserved.clear()
        self._outbox.clear()

    def set_load(self, load: float) -> None:
        """The load (0 to 1) that the next report carries; at 0.7 the server offers no more jobs."""
        self._load = min(max(load, 0.0), 1.0)

    def job_ended(self, job_id: str, error: str | None = None) -> None:
        """A job is over; with an error it failed. Told to the server if that knows the job."""
        if self.reachable(job_id):
            self._update_job(job_id, agent.JS_SUCCESS if error is None else agent.JS_FAILED, error)
        self._jobs.pop(job_id, None)

    def drain(self, now: float) -> None:
        """Take no more jobs; the running ones go on. There is no way back."""
        self.draining = True
        if self.registered:
            self._report(now)

    def tick(self, now: float) -> None:
        """Do what is due at ``now``; early and late calls do no harm."""
        for job_id in [job for job, slot in self._reserved.items() if slot.deadline <= now]:
            slot = self._reserved.pop(job_id)
            self._actions.append(
                AssignmentTimedOut(job=job_id, dispatch=slot.dispatch, room=slot.room)
            )
        # After the slots, so that a report that is due as well tells what is free now.
        for timer in [timer for timer, due in self._timers.items() if due <= now]:
            del self._timers[timer]
            self._expired(timer, now)

    def receive_bytes(self, data: bytes, now: float) -> None:
        """One binary frame from the server. Frames that mean nothing never raise."""
        if not self._connected:
            return
        try:
            message = agent.ServerMessage.FromString(data)
        except DecodeError:
            self._actions.append(FrameRefused(size=len(data)))
            return
        self._timers.pop("pong", None)  # any message shows that the server is there
        kind = message.WhichOneof("message")
        if kind == "register":
            self._on_registered(message.register, now)
        elif not self.registered:
            return  # the server answers the registration before anything else
        elif kind == "availability":
            self._on_availability(message.availability.job, now)
        elif kind == "assignment":
            self._on_assignment(message.assignment.job)
        elif kind == "termination":
            self._on_termination(message.termination.job_id)

    # what the server says

    def _on_registered(self, response: agent.RegisterWorkerResponse, now: float) -> None:
        if self.registered:
            return
        self.registered = True
        self.worker_id = response.worker_id
        self._timers.pop("register", None)
        self._timers["ping"] = now + PING_INTERVAL
        # Until its first report a worker counts as available with no load at all.
        self._report(now)
        version = response.server_info.version
        self._actions.append(
            Registered(
                worker_id=response.worker_id,
                server_version=version,
                warnings=version_warnings(version, self.job_type),
            )
        )

    def _on_availability(self, job: agent.Job, now: float) -> None:
        if not job.id:
            return
        verdict = consider(job, self.job_type)
        refusal = verdict if isinstance(verdict, Refusal) else self._no_slot_for(job)
        if refusal is None:
            self._reserved[job.id] = _Slot(now + ASSIGNMENT_TIMEOUT, job.dispatch_id, job.room.name)
            answer = agent.AvailabilityResponse(
                job_id=job.id, available=True, participant_identity=f"agent-{job.id}"
            )
        else:
            answer = agent.AvailabilityResponse(job_id=job.id, terminate=refusal.terminate)
            self._declined(job, refusal)
        self._send(agent.WorkerMessage(availability=answer))

    def _on_assignment(self, job: agent.Job) -> None:
        if not job.id:
            return
        self._reserved.pop(job.id, None)
        if job.id in self._jobs:  # offered again after a reconnect: the same job, known again
            self._jobs[job.id].registration = self._registration
            self._update_job(job.id, agent.JS_RUNNING)
            return
        # An assignment whose slot timed out is taken all the same: nobody else will get the job.
        verdict = DRAINING if self.draining else consider(job, self.job_type)
        if isinstance(verdict, Refusal):
            self._update_job(job.id, agent.JS_FAILED, verdict.problem)
            self._declined(job, verdict)
            return
        task = assigned(job, verdict)
        self._jobs[job.id] = _Job(task, self._registration)
        self._update_job(job.id, agent.JS_RUNNING)
        self._actions.append(task)
        self._tell_ignored_keys(job)

    def _on_termination(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is None or job.terminated:
            return
        job.terminated = True
        self._actions.append(JobTerminated(assigned=job.assigned))

    # helpers

    def _expired(self, timer: _Timer, now: float) -> None:
        match timer:
            case "register":
                problem = f"the server did not answer the registration in {REGISTER_TIMEOUT:.0f} s"
                self._actions.append(ConnectionStale(problem=problem))
            case "report":
                self._report(now)
            case "ping":
                self._timers["ping"] = now + PING_INTERVAL
                self._timers["pong"] = now + PONG_TIMEOUT
                ping = agent.WorkerPing(timestamp=int(now * 1000))
                self._send(agent.WorkerMessage(ping=ping))
            case "pong":
                problem = f"nothing came from the server for {PONG_TIMEOUT:.0f} s after a ping"
                self._actions.append(ConnectionStale(problem=problem))

    def _report(self, now: float) -> None:
        self._timers["report"] = now + REPORT_INTERVAL
        status = agent.WS_FULL if self.draining or self.full else agent.WS_AVAILABLE
        update = agent.UpdateWorkerStatus(status=status, load=self._load, job_count=len(self._jobs))
        self._send(agent.WorkerMessage(update_worker=update))

    def _update_job(self, job_id: str, status: agent.JobStatus, error: str | None = None) -> None:
        update = agent.UpdateJobStatus(job_id=job_id, status=status, error=error or "")
        self._send(agent.WorkerMessage(update_job=update))

    def _send(self, message: agent.WorkerMessage) -> None:
        self._outbox.append(message.SerializeToString())

    def _no_slot_for(self, job: agent.Job) -> Refusal | None:
        if self.draining:
            return DRAINING
        if job.id in self._jobs or job.id in self._reserved:
            return None
        if self.full:
            return FULL
        return ROOM_FULL if self._room_full(job.room.name) else None

    def _declined(self, job: agent.Job, refusal: Refusal) -> None:
        self._actions.append(
            JobDeclined(
                job=job.id,
                dispatch=job.dispatch_id,
                room=job.room.name,
                participant=job.participant.identity,
                reason=refusal.reason,
                problem=refusal.problem,
                key=refusal.key,
                repeated=not self._first_time(job.dispatch_id, refusal.reason),
            )
        )

    def _tell_ignored_keys(self, job: agent.Job) -> None:
        if not self._first_time(job.dispatch_id, "ignored_keys"):
            return
        if keys := unknown_keys(job.metadata):
            self._actions.append(
                MetadataKeysIgnored(
                    job=job.id, dispatch=job.dispatch_id, room=job.room.name, keys=tuple(keys)
                )
            )

    def _first_time(self, dispatch: str, what: str) -> bool:
        if (dispatch, what) in self._told:
            return False
        self._told[dispatch, what] = None
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        return True
