"""Random lives of a worker: whatever the order of things, the books must balance."""

from __future__ import annotations

from agent_messages import assignment, availability, job, registration, sent, termination
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from livekit.protocol import agent

from pmon.agent.actions import JobAssigned, JobTerminated
from pmon.agent.protocol import ASSIGNMENT_TIMEOUT, WorkerProtocol

MAX_JOBS = 3
JOB_IDS = st.sampled_from([f"AJ_{number}" for number in range(6)])


class WorkerLife(RuleBasedStateMachine):
    """A server that does anything at any time, and books kept by other means than the worker's."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.worker = WorkerProtocol("participant-monitor", version="1.0", max_jobs=MAX_JOBS)
        self.connected = False
        self.registered = False
        self.draining = False
        self.accepted: dict[str, float] = {}  # job to the time of acceptance
        self.running: set[str] = set()
        self.known_to_server: set[str] = set()  # running jobs of this registration
        self.terminated: set[str] = set()

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        self.worker.connection_made(self.now)
        self.connected = True
        assert [m.WhichOneof("message") for m in sent(self.worker)] == ["register"]

    @precondition(lambda self: self.connected and not self.registered)
    @rule()
    def answer_registration(self) -> None:
        self.worker.receive_bytes(registration(), self.now)
        self.registered = True
        (message,) = sent(self.worker)
        self.check_report(message.update_worker)

    @precondition(lambda self: self.connected)
    @rule()
    def lose_connection(self) -> None:
        self.worker.connection_lost()
        self.connected = self.registered = False
        self.accepted.clear()
        self.known_to_server.clear()

    @precondition(lambda self: self.registered)
    @rule(job_id=JOB_IDS)
    def offer(self, job_id: str) -> None:
        taken = self.accepted.keys() | self.running
        expected = not self.draining and (job_id in taken or len(taken) < MAX_JOBS)
        self.worker.receive_bytes(availability(job(job_id)), self.now)
        (message,) = sent(self.worker)
        assert message.availability.available == expected
        if expected:
            self.accepted[job_id] = self.now

    @precondition(lambda self: self.registered)
    @rule(job_id=JOB_IDS)
    def assign(self, job_id: str) -> None:
        self.worker.receive_bytes(assignment(job(job_id)), self.now)
        self.accepted.pop(job_id, None)
        (message,) = sent(self.worker)
        started = [a.job for a in self.worker.actions() if isinstance(a, JobAssigned)]
        if self.draining and job_id not in self.running:
            assert message.update_job.status == agent.JS_FAILED
            assert started == []
            return
        assert message.update_job.status == agent.JS_RUNNING
        assert started == ([] if job_id in self.running else [job_id])
        self.running.add(job_id)
        self.known_to_server.add(job_id)

    @precondition(lambda self: self.registered)
    @rule(job_id=JOB_IDS)
    def terminate(self, job_id: str) -> None:
        self.worker.actions()
        self.worker.receive_bytes(termination(job_id), self.now)
        told = [a.assigned.job for a in self.worker.actions() if isinstance(a, JobTerminated)]
        news = job_id in self.running and job_id not in self.terminated
        assert told == ([job_id] if news else [])
        self.terminated |= set(told)

    @rule(job_id=JOB_IDS, error=st.sampled_from([None, "participant connection timeout"]))
    def end(self, job_id: str, error: str | None) -> None:
        self.worker.job_ended(job_id, error)
        statuses = [(m.update_job.job_id, m.update_job.error) for m in sent(self.worker)]
        assert statuses == ([(job_id, error or "")] if job_id in self.known_to_server else [])
        self.running.discard(job_id)
        self.known_to_server.discard(job_id)
        self.terminated.discard(job_id)

    @rule()
    def drain(self) -> None:
        self.draining = True
        self.worker.drain(self.now)
        for message in sent(self.worker):
            self.check_report(message.update_worker)

    @rule(seconds=st.sampled_from([0.5, 2.5, 8.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.worker.tick(self.now)
        for job_id, since in list(self.accepted.items()):
            if self.now - since >= ASSIGNMENT_TIMEOUT:
                del self.accepted[job_id]
        for message in sent(self.worker):
            assert self.registered, "nothing but a registration goes to an unregistered server"
            if message.WhichOneof("message") == "update_worker":
                self.check_report(message.update_worker)

    def check_report(self, report: agent.UpdateWorkerStatus) -> None:
        assert report.job_count == len(self.running)
        busy = self.draining or len(self.accepted.keys() | self.running) >= MAX_JOBS
        assert report.status == (agent.WS_FULL if busy else agent.WS_AVAILABLE)

    @invariant()
    def books_balance(self) -> None:
        assert {task.job for task in self.worker.jobs} == self.running
        assert self.worker.full == (len(self.accepted.keys() | self.running) >= MAX_JOBS)
        for number in range(6):
            job_id = f"AJ_{number}"
            assert self.worker.reachable(job_id) == (job_id in self.known_to_server)

    @invariant()
    def no_deadline_is_left_behind(self) -> None:
        due = self.worker.next_deadline
        assert due is None or due > self.now, "the shell would spin"


TestWorkerLife = WorkerLife.TestCase
TestWorkerLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
