"""The worker's websocket: carries the protocol's bytes, keeps its time, reconnects for ever.

Jobs never depend on it. While it is down the protocol's jobs go on, and whatever the server should
have heard in between it would not have understood after the new registration anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import structlog
from livekit import api

from pmon.agent.actions import Action, ConnectionStale, Registered
from pmon.agent.protocol import WorkerProtocol

CONNECT_TIMEOUT = 10.0
HEARTBEAT = 15.0
TOKEN_TTL = timedelta(minutes=5)
"""Checked only while connecting; long enough for clocks that differ."""
CLOSE_TIMEOUT = 2.0
BACKOFF_STEP, BACKOFF_MAX = 2.0, 10.0
ATTEMPT_INTERVAL = 1.0
"""Least time between two attempts, for a server that registers workers only to drop them."""

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

log = structlog.get_logger("pmon.agent")


class Unauthorized(Exception):  # noqa: N818 - HTTP's own name for 401
    """The server refuses our credentials, and has never taken them since the start."""

    def __init__(self) -> None:
        super().__init__(
            "the server refused the credentials (401):"
            " LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be a pair that LIVEKIT_URL knows,"
            " and the clocks of both machines must agree"
        )


def agent_url(url: str) -> str:
    """Where workers connect, given LIVEKIT_URL; a path prefix is kept.

    Raises ValueError for what is no ws, wss, http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError("LIVEKIT_URL should look like wss://host or ws://host:port")
    path = parts.path.rstrip("/") + "/agent"
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, "", ""))


class AgentConnection:
    """One worker's connection to the server, over as many websockets as it takes.

    ``on_action`` gets every action of the protocol, in order, on the loop. What the owner has to
    tell the server goes through the methods here, which send at once.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: str,
        protocol: WorkerProtocol,
        on_action: Callable[[Action], None],
    ) -> None:
        self.protocol = protocol
        self._url = agent_url(url)
        self._api_key = api_key
        self._api_secret = api_secret
        self._on_action = on_action
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._stale = False
        self._ever_registered = False
        self._failures = 0

    @property
    def registered(self) -> bool:
        """Whether the server takes this worker for present."""
        return self.protocol.registered

    def set_load(self, load: float) -> None:
        """The load that the next status report carries."""
        self.protocol.set_load(load)

    def job_ended(self, job_id: str, error: str | None = None) -> None:
        """A job is over; with an error it failed."""
        self.protocol.job_ended(job_id, error)
        self._wake.set()

    def drain(self) -> None:
        """Say that no more jobs are taken, and take none."""
        self.protocol.drain(time.monotonic())
        self._wake.set()

    async def run(self) -> None:
        """Stay connected until ``aclose`` or cancellation.

        Raises Unauthorized when the server refuses the credentials before it ever took them.
        """
        self._running = asyncio.create_task(self._stay_connected())
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait({self._running, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
            self._running.cancel()
            await asyncio.wait({self._running})
        if not self._running.cancelled():
            self._running.result()

    async def aclose(self) -> None:
        """Send what is queued, such as the last job statuses, then close and end ``run``."""
        if self._ws is not None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._send(self._ws)
        self._closing.set()
        if self._running is not None:
            await asyncio.wait({self._running})

    async def _stay_connected(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                started = time.monotonic()
                problem = await self._connect_once(session)
                delay = min(BACKOFF_STEP * self._failures, BACKOFF_MAX) * random.uniform(0.8, 1.2)
                delay = max(delay, started + ATTEMPT_INTERVAL - time.monotonic())
                self._failures += 1
                log.warning(
                    "not connected to the server", problem=problem, retry_in_s=round(delay, 1)
                )
                await asyncio.sleep(delay)

    async def _connect_once(self, session: aiohttp.ClientSession) -> str:
        """One websocket from its opening to its end; returns what ended it."""
        try:
            ws = await self._open(session)
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 401 and not self._ever_registered:
                raise Unauthorized from None
            # Only the status: the error also holds the request, and with it the token.
            return f"the server answered HTTP {error.status}"
        except TimeoutError:
            return f"no answer in {CONNECT_TIMEOUT:.0f} s"
        except (aiohttp.ClientError, OSError) as error:
            return str(error) or type(error).__name__
        try:
            self._ws = ws
            return await self._converse(ws)
        finally:
            self._ws = None
            self.protocol.connection_lost()
            await ws.close()

    async def _open(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        token = (
            api.AccessToken(self._api_key, self._api_secret)
            .with_grants(api.VideoGrants(agent=True))
            .with_ttl(TOKEN_TTL)
        )
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await session.ws_connect(
                self._url,
                headers={"Authorization": f"Bearer {token.to_jwt()}"},
                heartbeat=HEARTBEAT,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
            )

    async def _converse(self, ws: aiohttp.ClientWebSocketResponse) -> str:
        self._stale = False
        self.protocol.connection_made(time.monotonic())
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._write(ws))
            problem = await self._read(ws)
            writer.cancel()
        return problem

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> str:
        """Hand every frame to the protocol until the websocket is closed."""
        async for message in ws:
            if message.type is aiohttp.WSMsgType.ERROR:
                return f"the connection broke: {message.data!s}"
            if message.type is not aiohttp.WSMsgType.BINARY:
                return "the server sent text, which it does only to workers that send text"
            self.protocol.receive_bytes(message.data, time.monotonic())
            self._deliver()
            self._wake.set()
        return f"the connection was closed (code {ws.close_code})"

    async def _write(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Send what there is to send, and tick the protocol when it is due."""
        with contextlib.suppress(ConnectionError):  # the reader sees the end as well
            while True:
                self._wake.clear()
                self.protocol.tick(time.monotonic())
                self._deliver()
                await self._send(ws)
                if self._stale:
                    await ws.close()
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._until_next_tick()):
                        await self._wake.wait()

    async def _send(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        for data in self.protocol.bytes_to_send():
            await ws.send_bytes(data)

    def _until_next_tick(self) -> float | None:
        due = self.protocol.next_deadline
        return None if due is None else max(0.0, due - time.monotonic())

    def _deliver(self) -> None:
        for action in self.protocol.actions():
            if isinstance(action, Registered):
                self._ever_registered = True
                self._failures = 0
            elif isinstance(action, ConnectionStale):
                self._stale = True
            self._on_action(action)
