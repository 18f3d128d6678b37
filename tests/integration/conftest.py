"""A real livekit-server for every integration test; without one they fail, they never skip."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from livekit import api
from rich.console import Console
from wiretap import Wiretap
from worker import Worker

from pmon.cli.livekit_server import LocalServer, find_or_build
from pmon.media.publish import SimulatedParticipant, join_token

Join = Callable[..., Awaitable[SimulatedParticipant]]
StartWorker = Callable[..., Awaitable[Worker]]
Dispatch = Callable[..., Awaitable[api.AgentDispatch]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.integration)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the server before the first test, whose timeout is shorter than a build."""
    if session.config.option.collectonly:
        return
    if any(item.get_closest_marker("integration") for item in session.items):
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            find_or_build(Console(stderr=True))


@pytest.fixture(scope="session")
def livekit_server() -> Iterator[LocalServer]:
    """One server that all tests share; nobody stops it."""
    with LocalServer(find_or_build()) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[LocalServer]:
    """A server of one test's own, to kill and start again."""
    with LocalServer(find_or_build()) as server:
        yield server


@pytest.fixture
def room() -> str:
    """Name of a room that no other test uses."""
    return f"room-{uuid.uuid4().hex[:12]}"


@pytest_asyncio.fixture
async def lkapi(livekit_server: LocalServer) -> AsyncIterator[api.LiveKitAPI]:
    """The API of the shared server, as its administrator."""
    server = livekit_server
    async with api.LiveKitAPI(server.http_url, server.api_key, server.api_secret) as client:
        yield client


@pytest_asyncio.fixture
async def join(livekit_server: LocalServer, room: str) -> AsyncIterator[Join]:
    """Let simulated participants join: ``await join("alice", noise_dbov=-60)``.

    ``room`` and ``server`` choose others than the test's room and the shared server, and
    ``attributes`` go into the token; the rest is for SimulatedParticipant. They leave when the
    test ends, unless they left before.
    """
    default_room = room
    async with AsyncExitStack() as stack:

        async def join_one(
            identity: str,
            *,
            room: str = default_room,
            server: LocalServer = livekit_server,
            attributes: dict[str, str] | None = None,
            **options: Any,
        ) -> SimulatedParticipant:
            token = join_token(
                server.api_key, server.api_secret, room, identity, attributes=attributes
            )
            return await stack.enter_async_context(
                SimulatedParticipant(server.url, token, **options)
            )

        yield join_one


@pytest_asyncio.fixture
async def start_worker(livekit_server: LocalServer) -> AsyncIterator[StartWorker]:
    """Start a pmon-worker: ``await start_worker(PMON_RECORD=...)``.

    ``url`` and ``server`` choose what it talks to; the rest are settings. A worker that is still
    running when the test ends is killed.
    """
    async with AsyncExitStack() as stack:

        async def start(
            *, server: LocalServer = livekit_server, url: str | None = None, **settings: str
        ) -> Worker:
            worker = Worker(url or server.url, server.api_key, server.api_secret, **settings)
            return await stack.enter_async_context(worker)

        yield start


@pytest_asyncio.fixture
async def dispatch(lkapi: api.LiveKitAPI, room: str) -> Dispatch:
    """Dispatch the monitor to the test's room; what is named stands in the metadata."""
    default_room = room

    async def create(
        *, room: str = default_room, agent_name: str = "participant-monitor", **metadata: Any
    ) -> api.AgentDispatch:
        return await lkapi.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                room=room,
                agent_name=agent_name,
                metadata=json.dumps(metadata) if metadata else "",
            )
        )

    return create


@pytest_asyncio.fixture
async def wiretap(livekit_server: LocalServer) -> AsyncIterator[Wiretap]:
    """A relay before the shared server that writes down the agent protocol."""
    async with Wiretap(livekit_server.url) as tap:
        yield tap
