"""The worker's websocket and its questions about dispatches, on a real livekit-server."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from livekit import api
from livekit.protocol import agent
from wiretap import Wiretap

from pmon.agent import protocol as protocol_module
from pmon.agent.actions import (
    Action,
    ConnectionStale,
    JobAssigned,
    JobDeclined,
    JobTerminated,
    Registered,
)
from pmon.agent.dispatches import DispatchWatch, Ending
from pmon.agent.protocol import WorkerProtocol
from pmon.agent.websocket import AgentConnection, Unauthorized
from pmon.cli.livekit_server import LocalServer
from pmon.media.publish import SimulatedParticipant

Join = Callable[..., Awaitable[SimulatedParticipant]]
A = TypeVar("A", bound=Action)


class Worker:
    """An agent connection that runs, and every action it told."""

    def __init__(
        self,
        server: LocalServer,
        agent_name: str,
        *,
        url: str | None = None,
        api_secret: str | None = None,
        max_jobs: int = 0,
    ) -> None:
        self.actions: list[Action] = []
        self.protocol = WorkerProtocol(agent_name, version="1.0", max_jobs=max_jobs)
        self.connection = AgentConnection(
            url or server.url,
            server.api_key,
            api_secret or server.api_secret,
            self.protocol,
            self.actions.append,
        )

    async def __aenter__(self) -> Worker:
        self.task = asyncio.create_task(self.connection.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.aclose()
        await asyncio.wait({self.task})

    def of(self, kind: type[A]) -> list[A]:
        return [action for action in self.actions if isinstance(action, kind)]

    async def saw(self, kind: type[A], number: int = 1, within_s: float = 15.0) -> list[A]:
        """Wait until that many actions of a kind were told."""
        async with asyncio.timeout(within_s):
            while len(self.of(kind)) < number:
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.02)
        return self.of(kind)


class CountingWatch(DispatchWatch):
    """Keeps the rooms that it asked for."""

    def __init__(self, server: api.LiveKitAPI) -> None:
        super().__init__(server)
        self.asked: list[str] = []

    async def ask(self, room: str) -> set[str] | None:
        self.asked.append(room)
        return await super().ask(room)


@pytest.fixture
def agent_name(room: str) -> str:
    """A name that no other test's dispatch uses."""
    return f"monitor-{room}"


async def dispatch(lkapi: api.LiveKitAPI, agent_name: str, room: str, metadata: str = "") -> str:
    request = api.CreateAgentDispatchRequest(agent_name=agent_name, room=room, metadata=metadata)
    return (await lkapi.agent_dispatch.create_dispatch(request)).id


async def test_accepts_the_target_and_settles_the_other(
    livekit_server: LocalServer,
    lkapi: api.LiveKitAPI,
    join: Join,
    room: str,
    agent_name: str,
    wiretap: Wiretap,
) -> None:
    """The server makes a job for each participant, whomever the metadata names."""
    await join("alice")
    await join("bob")
    async with Worker(livekit_server, agent_name, url=wiretap.url) as worker:
        (registered,) = await worker.saw(Registered)
        assert registered.worker_id.startswith("AW_")
        assert registered.warnings == ()
        metadata = json.dumps({"participant_identity": "alice"})
        dispatch_id = await dispatch(lkapi, agent_name, room, metadata)
        (assigned,) = await worker.saw(JobAssigned)
        (declined,) = await worker.saw(JobDeclined)
        rooms = (await lkapi.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms
        assert (assigned.participant, assigned.dispatch) == ("alice", dispatch_id)
        assert (assigned.room, assigned.room_sid) == (room, rooms[0].sid)
        assert (assigned.participant_kind, assigned.agent_name) == ("standard", agent_name)
        assert (declined.participant, declined.reason) == ("bob", "wrong_target")
        await wiretap.wait_until(
            lambda: wiretap.job_statuses() == [(assigned.job, "JS_RUNNING", "")]
        )
        # The server shows a job up to 5 s late. A declined one must not stay open there.
        async with asyncio.timeout(10):
            states: dict[str, int] = {}
            while len(states) < 2:
                (listed,) = [
                    found
                    for found in await lkapi.agent_dispatch.list_dispatch(room)
                    if found.id == dispatch_id
                ]
                states = {job.participant.identity: job.state.status for job in listed.state.jobs}
                await asyncio.sleep(0.1)
        assert states == {"alice": agent.JS_RUNNING, "bob": agent.JS_SUCCESS}


async def test_a_participant_who_joins_later_is_a_job_of_their_own(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, join: Join, room: str, agent_name: str
) -> None:
    """Metadata without an identity watches everybody, now and later."""
    async with Worker(livekit_server, agent_name) as worker:
        await worker.saw(Registered)
        await dispatch(lkapi, agent_name, room)
        await join("alice")
        await worker.saw(JobAssigned, 1)
        await join("bob")
        assigned = await worker.saw(JobAssigned, 2)
        assert [job.participant for job in assigned] == ["alice", "bob"]


@pytest.mark.parametrize(
    "metadata",
    ["{not json", '{"monitoring_type": 7}', json.dumps({"labels": {"a": "x" * 100_000}})],
)
async def test_bad_metadata_is_declined(
    livekit_server: LocalServer,
    lkapi: api.LiveKitAPI,
    join: Join,
    room: str,
    agent_name: str,
    metadata: str,
) -> None:
    """Whoever may make a dispatch may write anything into it."""
    await join("alice")
    async with Worker(livekit_server, agent_name) as worker:
        await worker.saw(Registered)
        await dispatch(lkapi, agent_name, room, metadata)
        (declined,) = await worker.saw(JobDeclined)
        assert declined.reason == "bad_metadata"
        assert worker.of(JobAssigned) == []


async def test_a_deleted_dispatch_ends_all_its_jobs_at_once(
    livekit_server: LocalServer,
    lkapi: api.LiveKitAPI,
    join: Join,
    room: str,
    agent_name: str,
    wiretap: Wiretap,
) -> None:
    """The server terminates jobs one by one; the first termination must be enough."""
    await join("alice")
    await join("bob")
    watch = CountingWatch(lkapi)
    async with Worker(livekit_server, agent_name, url=wiretap.url) as worker:
        await worker.saw(Registered)
        kept = await dispatch(lkapi, agent_name, room)
        deleted = await dispatch(lkapi, agent_name, room)
        await worker.saw(JobAssigned, 4)
        await lkapi.agent_dispatch.delete_dispatch(deleted, room)
        terminated = (await worker.saw(JobTerminated, 2))[:2]
        endings = await asyncio.gather(*(watch.terminated(one.assigned) for one in terminated))
        ending = Ending(room=room, dispatch=deleted, job=None, reason="dispatch_deleted")
        assert endings == [ending, ending]
        assert await watch.terminated(terminated[0].assigned) == ending
        assert watch.asked == [room], "one question for all"
        for task in worker.protocol.jobs:
            if task.dispatch == deleted:
                worker.connection.job_ended(task.job)
        await wiretap.wait_until(
            lambda: (
                sorted(status for _, status, _ in wiretap.job_statuses())
                == ["JS_RUNNING"] * 4 + ["JS_SUCCESS"] * 2
            )
        )
        assert {task.dispatch for task in worker.protocol.jobs} == {kept}


async def test_a_job_that_is_terminated_alone_ends_alone(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, join: Join, room: str, agent_name: str
) -> None:
    """Its dispatch is still listed, and the jobs of other participants go on."""
    await join("alice")
    async with Worker(livekit_server, agent_name) as worker:
        await worker.saw(Registered)
        await dispatch(lkapi, agent_name, room)
        (task,) = await worker.saw(JobAssigned)
        ending = await DispatchWatch(lkapi).terminated(task)
        assert (ending.job, ending.reason) == (task.job, "job_terminated")


async def test_a_wrong_secret_ends_the_first_registration(
    livekit_server: LocalServer, agent_name: str
) -> None:
    """A typing error must stop the start, and its message must not show the secret."""
    secret = "a-secret-of-another-server-entirely"
    async with Worker(livekit_server, agent_name, api_secret=secret) as worker:
        with pytest.raises(Unauthorized) as refused:
            async with asyncio.timeout(10):
                await worker.task
        assert "LIVEKIT_API_KEY" in str(refused.value)
        assert "LIVEKIT_API_SECRET" in str(refused.value)
        assert secret not in repr(refused.value)
        assert refused.value.__cause__ is None, "the request, and with it the token"


async def test_a_later_refusal_is_retried(
    own_server: LocalServer, agent_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server whose keys are being changed must not end a worker that has jobs."""
    right = own_server.api_secret
    async with Worker(own_server, agent_name) as worker:
        await worker.saw(Registered)
        await asyncio.to_thread(own_server.kill)
        own_server.api_secret = "the-secret-is-another-for-a-while"
        await asyncio.to_thread(own_server.start)
        await asyncio.sleep(3.0)
        assert not worker.task.done()
        assert not worker.connection.registered
        await asyncio.to_thread(own_server.kill)
        own_server.api_secret = right
        await asyncio.to_thread(own_server.start)
        await worker.saw(Registered, 2, within_s=20)
    logged = capsys.readouterr().out
    assert "HTTP 401" in logged
    assert right not in logged
    assert "eyJ" not in logged, "the start of every token"


async def test_waits_for_a_server_that_starts_later(
    own_server: LocalServer, agent_name: str
) -> None:
    """Worker and server are often started together."""
    await asyncio.to_thread(own_server.kill)
    async with Worker(own_server, agent_name) as worker:
        await asyncio.sleep(1.5)
        assert not worker.task.done()
        await asyncio.to_thread(own_server.start)
        await worker.saw(Registered)


async def test_jobs_outlive_a_cut_and_their_dispatch_is_watched(
    livekit_server: LocalServer,
    lkapi: api.LiveKitAPI,
    join: Join,
    room: str,
    agent_name: str,
    wiretap: Wiretap,
) -> None:
    """After a reconnect the server can no longer end these jobs, so pmon has to look itself."""
    await join("alice")
    watch = DispatchWatch(lkapi)
    async with Worker(livekit_server, agent_name, url=wiretap.url) as worker:
        await worker.saw(Registered)
        kept = await dispatch(lkapi, agent_name, room)
        deleted = await dispatch(lkapi, agent_name, room)
        first = await worker.saw(JobAssigned, 2)
        worker.connection.set_load(0.25)
        wiretap.cut_agent(refuse_s=1.5)
        await worker.saw(Registered, 2)
        assert len(set(wiretap.registrations)) == 2
        await wiretap.wait_until(lambda: wiretap.reports[-1].job_count == 2)
        assert wiretap.reports[-1].load == pytest.approx(0.25)
        assert {task.job for task in worker.protocol.jobs} == {task.job for task in first}
        assert not any(worker.protocol.reachable(task.job) for task in first)

        assert await watch.sweep(worker.protocol.jobs) == []
        await lkapi.agent_dispatch.delete_dispatch(deleted, room)
        endings = await watch.sweep(worker.protocol.jobs)
        assert endings == [Ending(room=room, dispatch=deleted, job=None, reason="dispatch_deleted")]
        said = len(wiretap.job_statuses())
        for task in first:
            worker.connection.job_ended(task.job)
        await join("bob")
        (*_, new) = await worker.saw(JobAssigned, 3)
        assert (new.participant, new.dispatch) == ("bob", kept)
        await wiretap.wait_until(lambda: len(wiretap.job_statuses(new.job)) == 1)
        assert len(wiretap.job_statuses()) == said + 1, "the server does not know the old jobs"


async def test_a_restarted_server_forgets_dispatches_and_ends_nothing(
    own_server: LocalServer, join: Join, room: str, agent_name: str
) -> None:
    """The dispatch is missing, but nobody deleted it: the room is a new one."""
    key, secret = own_server.api_key, own_server.api_secret
    async with (
        api.LiveKitAPI(own_server.http_url, key, secret) as lkapi,
        Worker(own_server, agent_name) as worker,
    ):
        watch = DispatchWatch(lkapi)
        await worker.saw(Registered)
        await join("alice", server=own_server)
        await dispatch(lkapi, agent_name, room)
        (task,) = await worker.saw(JobAssigned)
        await asyncio.to_thread(own_server.kill)
        assert await watch.sweep([task]) == [], "no answer is no reason"
        await asyncio.to_thread(own_server.start)
        assert await watch.sweep([task]) == [], "nor is a room that is not there yet"
        await lkapi.room.create_room(api.CreateRoomRequest(name=room))
        assert await watch.sweep([task]) == []
        await worker.saw(Registered, 2, within_s=20)


async def test_gives_up_a_connection_that_says_nothing(
    livekit_server: LocalServer, agent_name: str, wiretap: Wiretap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-open connections keep answering on TCP, and sometimes on websocket level, for hours."""
    monkeypatch.setattr(protocol_module, "PING_INTERVAL", 0.5)
    monkeypatch.setattr(protocol_module, "PONG_TIMEOUT", 0.5)
    async with Worker(livekit_server, agent_name, url=wiretap.url) as worker:
        await worker.saw(Registered)
        await asyncio.sleep(1.5)
        assert worker.of(ConnectionStale) == [], "the server answers pings"
        with wiretap.holding():
            await worker.saw(ConnectionStale)
        await worker.saw(Registered, 2)


async def test_a_full_or_draining_worker_is_given_nothing(
    livekit_server: LocalServer,
    lkapi: api.LiveKitAPI,
    join: Join,
    room: str,
    agent_name: str,
    wiretap: Wiretap,
) -> None:
    """Jobs that a leaving worker takes are lost."""
    await join("alice")
    await join("bob")
    async with Worker(livekit_server, agent_name, url=wiretap.url, max_jobs=1) as worker:
        await worker.saw(Registered)
        await dispatch(lkapi, agent_name, room)
        (task,) = await worker.saw(JobAssigned)
        (declined,) = await worker.saw(JobDeclined)
        assert declined.reason == "full"
        worker.connection.drain()
        await wiretap.wait_until(lambda: wiretap.reports[-1].status == agent.WS_FULL)
        offers = len(wiretap.from_server)
        await dispatch(lkapi, agent_name, room)
        await asyncio.sleep(2.0)
        assert len(wiretap.from_server) == offers, "the server still offers jobs"
        assert [assigned.job for assigned in worker.of(JobAssigned)] == [task.job]
        assert worker.protocol.reachable(task.job)


async def test_closing_sends_the_last_statuses(
    livekit_server: LocalServer,
    lkapi: api.LiveKitAPI,
    join: Join,
    room: str,
    agent_name: str,
    wiretap: Wiretap,
) -> None:
    """The jobs that a shutdown ends would otherwise stand as running for ever."""
    await join("alice")
    worker = Worker(livekit_server, agent_name, url=wiretap.url)
    async with worker:
        await worker.saw(Registered)
        await dispatch(lkapi, agent_name, room)
        (task,) = await worker.saw(JobAssigned)
        worker.connection.job_ended(task.job)
        async with asyncio.timeout(5):
            await worker.connection.aclose()
            await worker.task
    await wiretap.wait_until(
        lambda: wiretap.job_statuses(task.job)[-1:] == [(task.job, "JS_SUCCESS", "")]
    )
    assert not worker.connection.registered


async def test_closing_does_not_wait_for_a_server(
    livekit_server: LocalServer, agent_name: str, wiretap: Wiretap
) -> None:
    """SIGTERM while the server is away must not take a backoff's time."""
    async with Worker(livekit_server, agent_name, url=wiretap.url) as worker:
        await worker.saw(Registered)
        wiretap.cut_agent(refuse_s=math.inf)
        async with asyncio.timeout(10):
            while worker.connection.registered:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            await worker.connection.aclose()
            await worker.task
