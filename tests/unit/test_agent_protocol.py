"""Every transition of the worker protocol, message by message."""

from __future__ import annotations

import json

import pytest
from agent_messages import (
    TOKEN,
    TURN_PASSWORD,
    assignment,
    availability,
    job,
    pong,
    registered_worker,
    registration,
    room_job,
    sent,
    take,
    termination,
)
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import agent, models

from pmon.agent.actions import (
    AssignmentTimedOut,
    ConnectionStale,
    FrameRefused,
    JobAssigned,
    JobDeclined,
    JobTerminated,
    MetadataKeysIgnored,
    Registered,
)
from pmon.agent.protocol import WorkerProtocol
from pmon.agent.server_version import version_warnings
from pmon.metadata import JobMetadata


def statuses(worker: WorkerProtocol) -> list[tuple[str, int, str]]:
    messages = [m.update_job for m in sent(worker) if m.WhichOneof("message") == "update_job"]
    return [(m.job_id, m.status, m.error) for m in messages]


def reports(worker: WorkerProtocol) -> list[agent.UpdateWorkerStatus]:
    kind = "update_worker"
    return [m.update_worker for m in sent(worker) if m.WhichOneof("message") == kind]


def answers(worker: WorkerProtocol) -> list[tuple[bool, bool]]:
    """Available and terminate of each availability response."""
    messages = [m.availability for m in sent(worker) if m.WhichOneof("message") == "availability"]
    return [(m.available, m.terminate) for m in messages]


def declined(worker: WorkerProtocol) -> list[JobDeclined]:
    return [action for action in worker.actions() if isinstance(action, JobDeclined)]


# registration


def test_registers_for_participant_jobs_under_its_name_and_nothing_more() -> None:
    """A namespace or deployment would put the worker where no dispatch looks."""
    worker = WorkerProtocol("participant-monitor", version="1.0")
    worker.connection_made(0.0)
    (message,) = sent(worker)
    register = message.register
    assert register.type == agent.JT_PARTICIPANT
    assert register.agent_name == "participant-monitor"
    assert register.version == "1.0"
    assert not register.namespace
    assert not register.deployment
    assert register.HasField("allowed_permissions"), "unset would permit everything"
    assert not register.allowed_permissions.can_subscribe
    assert not register.allowed_permissions.can_publish


def test_reports_load_as_soon_as_registered() -> None:
    """Until its first report a worker counts as idle and is given jobs it cannot take."""
    worker = WorkerProtocol("participant-monitor", version="1.0")
    worker.set_load(0.5)
    worker.connection_made(0.0)
    worker.bytes_to_send()
    assert not worker.registered
    worker.receive_bytes(registration("AW_7"), 0.1)
    assert worker.registered
    assert worker.actions() == [Registered(worker_id="AW_7", server_version="1.13.5")]
    (report,) = reports(worker)
    assert (report.status, report.job_count) == (agent.WS_AVAILABLE, 0)
    assert report.load == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("version", "warnings"),
    [("1.13.5", 0), ("1.9.2", 0), ("1.9.1", 1), ("1.8.4", 1), ("1.8.3", 2), ("1.9.2-rc1", 0)],
)
def test_names_what_an_old_server_lacks(version: str, warnings: int) -> None:
    """On such servers monitoring half works, and nothing else would say why."""
    worker = WorkerProtocol("participant-monitor", version="1.0")
    worker.connection_made(0.0)
    worker.receive_bytes(registration(version=version), 0.0)
    (action,) = worker.actions()
    assert isinstance(action, Registered)
    assert len(action.warnings) == warnings
    assert all(version in warning for warning in action.warnings)


def test_an_unreadable_version_warns_of_nothing() -> None:
    """A self-built server must not be called old."""
    assert version_warnings("") == ()
    assert version_warnings("dev") == ()


def test_an_unanswered_registration_asks_for_a_new_connection() -> None:
    """The server closes silently when it does not like a registration, or hangs."""
    worker = WorkerProtocol("participant-monitor", version="1.0")
    worker.connection_made(5.0)
    assert worker.next_deadline == 15.0
    worker.tick(14.9)
    assert worker.actions() == []
    worker.tick(15.0)
    (action,) = worker.actions()
    assert isinstance(action, ConnectionStale)


def test_nothing_queued_for_one_connection_is_sent_on_the_next() -> None:
    """A server closes on any message before the registration."""
    worker = registered_worker()
    take(worker, job())
    worker.connection_lost()
    assert worker.bytes_to_send() == []
    worker.connection_made(1.0)
    assert [m.WhichOneof("message") for m in sent(worker)] == ["register"]


# availability


def test_accepts_with_an_identity_of_the_job() -> None:
    """The server cannot make a token without one, and a shared identity would kill older jobs."""
    worker = registered_worker()
    worker.receive_bytes(availability(job("AJ_9")), 0.0)
    (message,) = sent(worker)
    answer = message.availability
    assert (answer.job_id, answer.available, answer.terminate) == ("AJ_9", True, False)
    assert answer.participant_identity == "agent-AJ_9"
    assert worker.actions() == [], "accepted is not assigned"


@pytest.mark.parametrize("identity", ["alice", ""])
def test_takes_jobs_of_the_target_or_of_everybody(identity: str) -> None:
    """Metadata without an identity means each participant's own job."""
    worker = registered_worker()
    offered = job(metadata=json.dumps({"participant_identity": identity}))
    worker.receive_bytes(availability(offered), 0.0)
    assert answers(worker) == [(True, False)]


def test_declines_for_good_when_another_participant_is_the_target() -> None:
    """Without terminate each such job would go round all workers and then count as lost."""
    worker = registered_worker()
    offered = job(identity="bob", metadata='{"participant_identity": "alice"}')
    worker.receive_bytes(availability(offered), 0.0)
    assert answers(worker) == [(False, True)]
    (action,) = declined(worker)
    assert (action.reason, action.participant) == ("wrong_target", "bob")


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ("not json", ""),
        ("[]", ""),
        ('{"monitoring_type": 3}', "monitoring_type"),
        ('{"custom_settings": {"speaking_threshold": "x"}}', "custom_settings.speaking_threshold"),
        (json.dumps({"labels": {"a": "x" * 70_000}}), ""),
    ],
)
def test_declines_bad_metadata_for_good_and_names_the_key(metadata: str, key: str) -> None:
    """Nobody could run such a job; its author needs to know which key to mend."""
    worker = registered_worker()
    worker.receive_bytes(availability(job(metadata=metadata)), 0.0)
    assert answers(worker) == [(False, True)]
    (action,) = declined(worker)
    assert (action.reason, action.key) == ("bad_metadata", key)
    assert len(action.problem) < 200, "the problem repeats the value"


def test_tells_bad_metadata_once_a_dispatch() -> None:
    """One bad dispatch in a room of a thousand would write a thousand log lines."""
    worker = registered_worker()
    for number in range(3):
        worker.receive_bytes(availability(job(f"AJ_{number}", metadata="{")), 0.0)
    worker.receive_bytes(availability(job("AJ_9", dispatch="AD_2", metadata="{")), 0.0)
    assert [action.repeated for action in declined(worker)] == [False, True, True, False]


def test_memory_of_dispatches_is_bounded() -> None:
    """A worker runs for months; dispatch ids never come back."""
    worker = registered_worker()
    for number in range(1500):
        worker.receive_bytes(availability(job(dispatch=f"AD_{number}", metadata="{")), 0.0)
    worker.actions()
    worker.receive_bytes(availability(job(dispatch="AD_1499", metadata="{")), 0.0)
    worker.receive_bytes(availability(job(dispatch="AD_0", metadata="{")), 0.0)
    assert [action.repeated for action in declined(worker)] == [True, False]
    assert len(worker._told) == 1024


def test_declines_other_job_types_and_jobs_without_a_participant() -> None:
    """There would be nobody to watch."""
    worker = registered_worker()
    worker.receive_bytes(availability(job(job_type=agent.JT_ROOM)), 0.0)
    worker.receive_bytes(availability(job(identity="")), 0.0)
    assert answers(worker) == [(False, False), (False, True)]
    assert [action.reason for action in declined(worker)] == ["job_type", "no_participant"]


def test_a_room_worker_takes_room_jobs_and_no_others() -> None:
    worker = WorkerProtocol("participant-monitor", version="1.0", job_type="room")
    worker.connection_made(0.0)
    (hello,) = sent(worker)
    assert hello.register.type == agent.JT_ROOM
    worker = registered_worker(job_type="room")
    worker.receive_bytes(availability(job()), 0.0)
    assert answers(worker) == [(False, False)]
    assert [action.reason for action in declined(worker)] == ["job_type"]
    take(worker, room_job())
    assert answers(worker)[0] == (True, False)
    (task,) = (action for action in worker.actions() if isinstance(action, JobAssigned))
    assert (task.participant, task.participant_sid) == ("", "")
    assert task.participant_kind == "unknown"


def test_a_room_job_with_a_target_is_for_that_one_alone() -> None:
    worker = registered_worker(job_type="room")
    take(worker, room_job(metadata='{"participant_identity": "bob"}'))
    (task,) = (action for action in worker.actions() if isinstance(action, JobAssigned))
    assert (task.participant, task.participant_kind) == ("bob", "unknown")


def test_a_room_job_with_bad_metadata_is_declined_for_good() -> None:
    worker = registered_worker(job_type="room")
    worker.receive_bytes(availability(room_job(metadata='{"monitoring_type": 3}')), 0.0)
    assert answers(worker) == [(False, True)]
    assert [action.reason for action in declined(worker)] == ["bad_metadata"]


def test_a_full_worker_lets_others_have_the_job() -> None:
    """Slots count from acceptance; otherwise a burst of offers overshoots the limit."""
    worker = registered_worker(max_jobs=2)
    take(worker, job("AJ_1"))
    worker.receive_bytes(availability(job("AJ_2")), 0.0)
    worker.receive_bytes(availability(job("AJ_3")), 0.0)
    assert answers(worker) == [(True, False), (True, False), (False, False)]
    (action,) = declined(worker)
    assert (action.job, action.reason) == ("AJ_3", "full")
    worker.job_ended("AJ_1")
    worker.receive_bytes(availability(job("AJ_4")), 0.0)
    assert answers(worker) == [(True, False)]


def test_a_worker_at_the_servers_target_load_takes_nothing() -> None:
    """The server may still offer it jobs when other workers have room: let them have these."""
    worker = registered_worker()
    worker.set_load(0.7)
    worker.receive_bytes(availability(job()), 0.0)
    assert answers(worker) == [(False, False)]


def test_a_full_room_lets_others_have_its_jobs_alone() -> None:
    """A room stays in one process: that another one has time is of no use to its joiners."""
    full = {"clinic"}
    worker = registered_worker(room_full=full.__contains__)
    assert worker.free_in("clinic") == 0
    assert worker.free_in("another") == worker.free > 0
    worker.receive_bytes(availability(job("AJ_1")), 0.0)
    assert answers(worker) == [(False, False)]
    (action,) = declined(worker)
    assert (action.reason, action.problem) == ("full", "the process that watches the room is full")
    full.clear()
    worker.receive_bytes(availability(job("AJ_1")), 0.0)
    assert answers(worker) == [(True, False)]
    full.add("clinic")
    worker.receive_bytes(availability(job("AJ_1")), 0.0)
    assert answers(worker) == [(True, False)], "a job that is ours already is no more to do"


def test_the_same_job_offered_twice_takes_one_slot() -> None:
    """A job that comes round again must not fill the worker up or be refused for itself."""
    worker = registered_worker(max_jobs=1)
    worker.receive_bytes(availability(job()), 0.0)
    worker.receive_bytes(availability(job()), 0.0)
    assert answers(worker) == [(True, False), (True, False)]


# assignment


def test_an_assignment_is_told_and_answered_with_running() -> None:
    """The owner needs each of these fields to start a session."""
    worker = registered_worker()
    metadata = '{"monitoring_type": "audio"}'
    take(worker, job("AJ_1", metadata=metadata, kind=models.ParticipantInfo.SIP))
    assert statuses(worker) == [("AJ_1", agent.JS_RUNNING, "")]
    assert worker.actions() == [
        JobAssigned(
            job="AJ_1",
            dispatch="AD_1",
            room="clinic",
            room_sid="RM_1",
            participant="alice",
            participant_sid="PA_alice",
            participant_kind="sip",
            metadata=JobMetadata(monitoring_type="audio"),
            agent_name="participant-monitor",
        )
    ]
    assert [task.job for task in worker.jobs] == ["AJ_1"]


def test_secrets_of_a_job_stay_inside() -> None:
    """Actions are logged whole."""
    worker = registered_worker()
    take(worker, job())
    worker.receive_bytes(termination("AJ_1"), 0.0)
    told = repr(worker.actions()) + repr(worker.jobs)
    assert "AJ_1" in told
    assert TURN_PASSWORD not in told
    assert TOKEN not in told


def test_a_slot_that_is_never_assigned_is_freed() -> None:
    """A late acceptance is ignored by the server, and the slot would be lost for ever."""
    worker = registered_worker(max_jobs=1)
    worker.receive_bytes(availability(job("AJ_1")), 100.0)
    worker.tick(107.4)
    assert worker.full
    worker.tick(107.5)
    assert not worker.full
    timed_out = [a for a in worker.actions() if isinstance(a, AssignmentTimedOut)]
    assert timed_out == [AssignmentTimedOut(job="AJ_1", dispatch="AD_1", room="clinic")]


def test_an_assignment_after_the_timeout_is_taken() -> None:
    """The server believes that we run it and gives it to nobody else."""
    worker = registered_worker()
    worker.receive_bytes(availability(job("AJ_1")), 0.0)
    worker.tick(8.0)
    worker.bytes_to_send()
    worker.receive_bytes(assignment(job("AJ_1")), 9.0)
    assert statuses(worker) == [("AJ_1", agent.JS_RUNNING, "")]
    assert worker.reachable("AJ_1")


def test_an_assignment_that_would_have_been_refused_fails_at_once() -> None:
    """The server would take it for running for as long as the room lives."""
    worker = registered_worker()
    worker.receive_bytes(assignment(job("AJ_1", metadata="{")), 0.0)
    ((job_id, status, error),) = statuses(worker)
    assert (job_id, status) == ("AJ_1", agent.JS_FAILED)
    assert "JSON" in error
    assert worker.jobs == []


def test_unknown_metadata_keys_are_told_once_a_dispatch() -> None:
    """A misspelt key would silently do nothing."""
    worker = registered_worker()
    for number in range(2):
        take(worker, job(f"AJ_{number}", metadata='{"monitoring_typ": "audio"}'))
    ignored = [a for a in worker.actions() if isinstance(a, MetadataKeysIgnored)]
    assert [(action.job, action.keys) for action in ignored] == [("AJ_0", ("monitoring_typ",))]


# the end of a job


def test_ended_jobs_are_reported_with_their_error() -> None:
    """An error that is lost turns a failure into a success."""
    worker = registered_worker()
    take(worker, job("AJ_1"))
    take(worker, job("AJ_2"))
    sent(worker)
    worker.job_ended("AJ_1")
    worker.job_ended("AJ_2", "participant connection timeout")
    worker.job_ended("AJ_2")
    worker.job_ended("AJ_unknown")
    assert statuses(worker) == [
        ("AJ_1", agent.JS_SUCCESS, ""),
        ("AJ_2", agent.JS_FAILED, "participant connection timeout"),
    ]
    assert worker.jobs == []


def test_a_termination_is_told_once_and_only_for_our_jobs() -> None:
    """Each telling makes the owner ask the server about the dispatch."""
    worker = registered_worker()
    take(worker, job("AJ_1"))
    worker.actions()
    for job_id in ("AJ_1", "AJ_1", "AJ_unknown"):
        worker.receive_bytes(termination(job_id), 0.0)
    (action,) = worker.actions()
    assert isinstance(action, JobTerminated)
    assert action.assigned.job == "AJ_1"
    assert [task.job for task in worker.jobs] == ["AJ_1"], "the owner ends it, not the server"


def test_a_terminated_job_is_still_reported_as_ended() -> None:
    """The server keeps a handler for the job until it hears of its end."""
    worker = registered_worker()
    take(worker, job("AJ_1"))
    worker.receive_bytes(termination("AJ_1"), 0.0)
    sent(worker)
    worker.job_ended("AJ_1")
    assert statuses(worker) == [("AJ_1", agent.JS_SUCCESS, "")]


# connections come and go


def test_jobs_outlive_a_connection_and_are_then_not_spoken_of() -> None:
    """A dropped websocket must not end monitoring; the server forgot the job's id."""
    worker = registered_worker()
    take(worker, job("AJ_1"))
    assert worker.reachable("AJ_1")
    worker.connection_lost()
    assert not worker.reachable("AJ_1")
    worker.connection_made(1.0)
    worker.receive_bytes(registration("AW_2"), 1.0)
    (report,) = reports(worker)
    assert report.job_count == 1
    assert not worker.reachable("AJ_1")
    worker.job_ended("AJ_1")
    assert sent(worker) == []
    assert worker.jobs == []


def test_a_lost_connection_frees_what_was_only_accepted() -> None:
    """Its assignment cannot come any more."""
    worker = registered_worker(max_jobs=1)
    worker.receive_bytes(availability(job("AJ_1")), 0.0)
    worker.connection_lost()
    assert not worker.full
    assert worker.next_deadline is None
    assert worker.actions() == []


def test_a_job_given_again_after_a_reconnect_is_not_started_twice() -> None:
    """Two sessions of one job would bill the same speech twice."""
    worker = registered_worker()
    take(worker, job("AJ_1"))
    worker.connection_made(1.0)
    worker.receive_bytes(registration("AW_2"), 1.0)
    worker.bytes_to_send()
    worker.actions()
    take(worker, job("AJ_1"), 2.0)
    assert worker.actions() == []
    assert worker.reachable("AJ_1")
    assert statuses(worker) == [("AJ_1", agent.JS_RUNNING, "")]
    assert len(worker.jobs) == 1


def test_bytes_of_a_closed_connection_are_ignored() -> None:
    """A frame may still be in the reader's queue when the connection is given up."""
    worker = registered_worker()
    worker.connection_lost()
    worker.receive_bytes(assignment(job("AJ_1")), 0.0)
    assert worker.jobs == []
    assert worker.bytes_to_send() == []


# reports, pings, drain


def test_load_is_reported_every_two_and_a_half_seconds_only() -> None:
    """A report per change would flood a server with a thousand workers."""
    worker = registered_worker(now=100.0)
    worker.set_load(0.25)
    assert sent(worker) == []
    worker.tick(102.4)
    assert sent(worker) == []
    worker.tick(102.5)
    (report,) = reports(worker)
    assert report.load == pytest.approx(0.25)
    assert worker.next_deadline == 105.0


def test_a_full_worker_says_so_in_its_report() -> None:
    """Otherwise the server keeps offering."""
    worker = registered_worker(max_jobs=1)
    take(worker, job("AJ_1"))
    worker.tick(2.5)
    (report,) = reports(worker)
    assert (report.status, report.job_count) == (agent.WS_FULL, 1)
    worker.job_ended("AJ_1")
    worker.tick(5.0)
    (report,) = reports(worker)
    assert (report.status, report.job_count) == (agent.WS_AVAILABLE, 0)


def test_pings_and_gives_up_on_a_silent_server() -> None:
    """TCP alone takes minutes to notice that the other side is gone."""
    worker = registered_worker()
    worker.tick(30.0)
    assert "ping" in [m.WhichOneof("message") for m in sent(worker)]
    worker.receive_bytes(pong(), 30.1)
    worker.tick(40.0)
    assert worker.actions() == []
    worker.tick(60.0)
    worker.tick(70.0)
    (action,) = worker.actions()
    assert isinstance(action, ConnectionStale)


def test_any_message_shows_that_the_server_is_there() -> None:
    """A server that offers jobs is alive, whatever became of the pong."""
    worker = registered_worker()
    worker.tick(30.0)
    worker.receive_bytes(availability(job("AJ_1")), 35.0)
    worker.receive_bytes(assignment(job("AJ_1")), 35.0)
    worker.actions()
    worker.tick(40.0)
    assert worker.actions() == []


def test_draining_says_full_and_lets_jobs_run() -> None:
    """A drained worker that is offered jobs loses them when it leaves."""
    worker = registered_worker()
    take(worker, job("AJ_1"))
    worker.receive_bytes(availability(job("AJ_2")), 0.0)
    worker.bytes_to_send()
    worker.actions()
    worker.drain(1.0)
    (report,) = reports(worker)
    assert (report.status, report.job_count) == (agent.WS_FULL, 1)
    worker.receive_bytes(availability(job("AJ_3")), 1.0)
    assert answers(worker) == [(False, False)]
    worker.receive_bytes(assignment(job("AJ_2")), 1.0)
    assert statuses(worker) == [("AJ_2", agent.JS_FAILED, "the worker is draining")]
    assert [action.reason for action in declined(worker)] == ["drain", "drain"]
    worker.job_ended("AJ_1")
    assert statuses(worker) == [("AJ_1", agent.JS_SUCCESS, "")]


def test_a_drain_without_a_connection_is_remembered() -> None:
    """The worker may be asked to end while the server restarts."""
    worker = WorkerProtocol("participant-monitor", version="1.0")
    worker.drain(0.0)
    assert worker.bytes_to_send() == []
    worker.connection_made(1.0)
    worker.receive_bytes(registration(), 1.0)
    (report,) = reports(worker)
    assert report.status == agent.WS_FULL


# what is not understood


def test_a_job_without_an_id_is_no_job() -> None:
    """An answer could name nothing, and the next such job would be taken for the same."""
    worker = registered_worker()
    sent(worker)
    for message in (availability(job("")), assignment(job(""))):
        worker.receive_bytes(message, 0.0)
    assert sent(worker) == []
    assert worker.jobs == []


def test_a_job_is_found_by_its_id_until_it_ends() -> None:
    worker = registered_worker()
    worker.receive_bytes(assignment(job("AJ_1")), 0.0)
    found = worker.job("AJ_1")
    assert found is not None
    assert (found.job, worker.job("AJ_2")) == ("AJ_1", None)
    worker.job_ended("AJ_1")
    assert worker.job("AJ_1") is None


def test_unknown_messages_are_ignored() -> None:
    """Newer servers have more messages than this one knows."""
    worker = registered_worker()
    worker.receive_bytes(agent.ServerMessage(go_away={}).SerializeToString(), 0.0)
    worker.receive_bytes(bytes([0xFA, 0x3E, 0x00]), 0.0)  # field 1007, which nobody has
    worker.receive_bytes(b"", 0.0)
    assert worker.actions() == []
    assert sent(worker) == []


def test_an_undecodable_frame_is_told_with_its_size() -> None:
    """Its content may hold secrets and is not shown."""
    worker = registered_worker()
    worker.receive_bytes(b"\xff" * 40, 0.0)
    assert worker.actions() == [FrameRefused(size=40)]


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    """An exception would end the worker with all its jobs."""
    worker = registered_worker()
    worker.receive_bytes(data, 0.0)


@given(st.data())
def test_no_damaged_message_makes_it_raise(data: st.DataObject) -> None:
    """Flipped bytes keep most of a message's shape, so they get further in than noise does."""
    whole = bytearray(
        data.draw(
            st.sampled_from(
                [
                    registration(),
                    availability(job(metadata='{"labels": {"a": "b"}}')),
                    assignment(job()),
                    termination("AJ_1"),
                ]
            )
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    worker = WorkerProtocol("participant-monitor", version="1.0")
    worker.connection_made(0.0)
    worker.receive_bytes(bytes(whole), 0.0)
    worker.receive_bytes(registration(), 0.0)
    worker.receive_bytes(bytes(whole), 0.0)
