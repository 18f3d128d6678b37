"""A relay in front of a livekit-server that writes down what a worker and the server say.

Give its URL to a worker as LIVEKIT_URL. The websocket of the agent protocol is decoded on its way,
may be cut or held; the API and the signalling of rooms pass unchanged, and media, which flows by
ICE between client and server, does not come here at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Self

import aiohttp
from aiohttp import web
from livekit.protocol import agent
from multidict import CIMultiDict
from yarl import URL

HOP_BY_HOP = {"connection", "keep-alive", "upgrade", "transfer-encoding", "te", "trailer"}
NOT_COPIED = HOP_BY_HOP | {"host", "content-length"}

AnyWebSocket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


class Wiretap:
    """Listens on a free port of 127.0.0.1 while it is entered.

    ``from_worker`` and ``from_server`` hold every message of the agent protocol so far, over all
    connections of all workers that came through here, in order.
    """

    def __init__(self, upstream: str) -> None:
        self.from_worker: list[agent.WorkerMessage] = []
        self.from_server: list[agent.ServerMessage] = []
        self._upstream = upstream.replace("ws", "http", 1).rstrip("/")
        self._news = asyncio.Condition()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refuse_until = 0.0
        self._refuse_rooms_until = 0.0
        self._agents: set[asyncio.Transport] = set()
        self._others: set[asyncio.Transport] = set()
        self._port = 0
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """For workers and clients, as LIVEKIT_URL."""
        return f"ws://127.0.0.1:{self._port}"

    @property
    def http_url(self) -> str:
        """For API clients."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def registrations(self) -> list[str]:
        """The worker ids that the server gave, one a registration."""
        return [
            message.register.worker_id
            for message in self.from_server
            if message.WhichOneof("message") == "register"
        ]

    @property
    def reports(self) -> list[agent.UpdateWorkerStatus]:
        """The status reports of the worker."""
        return [
            message.update_worker
            for message in self.from_worker
            if message.WhichOneof("message") == "update_worker"
        ]

    def job_statuses(self, job_id: str | None = None) -> list[tuple[str, str, str]]:
        """(job id, name of the status, error) as the worker sent them, of one job or of all."""
        updates = [
            message.update_job
            for message in self.from_worker
            if message.WhichOneof("message") == "update_job"
        ]
        return [
            (update.job_id, agent.JobStatus.Name(update.status), update.error)
            for update in updates
            if job_id in (None, update.job_id)
        ]

    async def wait_until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait for something that shows in the messages; an AssertionError tells them if not."""
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            kinds = [message.WhichOneof("message") for message in self.from_worker]
            said = f"worker: {kinds}, jobs: {self.job_statuses()}"
            raise AssertionError(f"not seen in {within_s:g} s; {said}") from None

    def cut_agent(self, refuse_s: float = 0.0) -> None:
        """Drop the workers' websockets as a broken network does, and refuse new ones for a while.

        ``refuse_s`` may be ``math.inf``; cutting again with 0 ends it.
        """
        self._refuse_until = time.monotonic() + refuse_s
        for transport in self._agents:
            transport.abort()

    def cut_rooms(self, refuse_s: float = 0.0) -> None:
        """Drop the signal connections of all rooms, and refuse new ones for a while.

        Cut alone, a client resumes; refused, it makes its whole connection again.
        """
        self._refuse_rooms_until = time.monotonic() + refuse_s
        for transport in self._others:
            transport.abort()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Keep the workers' websockets open but let no message of either side through."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    async def __aenter__(self) -> Self:
        # Bodies pass as they are, compressed ones too.
        session = aiohttp.ClientSession(auto_decompress=False)
        self._session = await self._stack.enter_async_context(session)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._port = int(runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._flowing.set()
        for transport in self._agents | self._others:
            transport.abort()
        await self._stack.aclose()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        url = URL(self._upstream + request.raw_path, encoded=True)
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in NOT_COPIED and not name.lower().startswith("sec-websocket-")
        )
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._relay_websocket(request, url, headers)
        async with self._session.request(
            request.method, url, headers=headers, data=await request.read(), allow_redirects=False
        ) as answer:
            kept = CIMultiDict(
                (name, value)
                for name, value in answer.headers.items()
                if name.lower() not in NOT_COPIED
            )
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    async def _relay_websocket(
        self, request: web.Request, url: URL, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        is_agent = request.path == "/agent"
        refused = self._refuse_until if is_agent else self._refuse_rooms_until
        if time.monotonic() < refused:
            return web.Response(status=503)
        wanted = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [name.strip() for name in wanted.split(",") if name.strip()]
        try:
            server = await self._session.ws_connect(
                url, headers=headers, protocols=protocols, max_msg_size=0
            )
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        except aiohttp.ClientError:
            return web.Response(status=502)
        client = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
        await client.prepare(request)
        open_ones = self._agents if is_agent else self._others
        transport = request.transport
        if transport is not None:  # None: the client has gone already, and the relay ends at once
            open_ones.add(transport)
        try:
            await self._relay(client, server, is_agent)
        finally:
            if transport is not None:
                open_ones.discard(transport)
            await server.close()
            with contextlib.suppress(ConnectionError):
                await client.close()
        return client

    async def _relay(
        self,
        client: web.WebSocketResponse,
        server: aiohttp.ClientWebSocketResponse,
        is_agent: bool,
    ) -> None:
        """Pass frames both ways until either side closes."""
        ways = {
            asyncio.create_task(self._pass_on(client, server, is_agent, self._heard_worker)),
            asyncio.create_task(self._pass_on(server, client, is_agent, self._heard_server)),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)

    async def _pass_on(
        self,
        source: AnyWebSocket,
        sink: AnyWebSocket,
        is_agent: bool,
        hear: Callable[[bytes], None],
    ) -> None:
        with contextlib.suppress(ConnectionError):  # the sink is gone: so is this connection
            async for message in source:
                if is_agent:
                    await self._flowing.wait()
                if message.type is aiohttp.WSMsgType.BINARY:
                    if is_agent:
                        await self._write_down(hear, message.data)
                    await sink.send_bytes(message.data)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    await sink.send_str(message.data)

    async def _write_down(self, hear: Callable[[bytes], None], data: bytes) -> None:
        async with self._news:
            hear(data)
            self._news.notify_all()

    def _heard_worker(self, data: bytes) -> None:
        self.from_worker.append(agent.WorkerMessage.FromString(data))

    def _heard_server(self, data: bytes) -> None:
        self.from_server.append(agent.ServerMessage.FromString(data))
