"""A web server of a made-up worker on a loopback port, for tests that ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
from livekit import api

from pmon.outputs.metrics import Metrics
from pmon.web.access import Access
from pmon.web.board import Board
from pmon.web.server import WebServer
from pmon.web.state import Capacity

KEY, SECRET = "key", "the-secret-of-the-api-key-is-this"
TOKEN = "the-token-of-this-worker"
CAPACITY = Capacity(
    load=0.25,
    full_at=0.7,
    jobs=3,
    room_for=900,
    microphones=4,
    heard=2,
    processes=1,
    version="0.1",
)


@dataclass
class Worker:
    agent_name: str = "participant-monitor"
    worker_type: str = "JT_ROOM"
    worker_id: str = "AW_1"
    active_jobs: int = 3
    load: float = 0.25
    protocol_version: int = 1
    unready: str | None = None
    tiers: dict[str, str] = field(default_factory=lambda: {"media-0": "native"})
    capacity: Capacity = CAPACITY


def web_server(
    token: str | None = None,
    *,
    worker: Worker | None = None,
    board: Board | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    **access: Callable[[], float],
) -> WebServer:
    """One that has not started yet."""
    doors = Access(token, KEY, SECRET, **access)
    return WebServer(worker or Worker(), Metrics(), doors, board or Board(), host, port)


@asynccontextmanager
async def client_of(server: WebServer, **headers: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Start it, and give somebody who asks it and keeps cookies, also those of an address."""
    await server.start()
    try:
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{server.port}",
            headers=headers,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
        ) as client:
            yield client
    finally:
        await server.aclose()


async def until(condition: Callable[[], object]) -> None:
    """Let the server work until this is so."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the server has nothing to wait on
            await asyncio.sleep(0)


def livekit_token(
    secret: str = SECRET, *, ttl: timedelta = timedelta(minutes=5), **grants: Any
) -> str:
    token = api.AccessToken(KEY, secret).with_identity("somebody").with_ttl(ttl)
    return token.with_grants(api.VideoGrants(**grants)).to_jwt()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
