"""One input of the fuzzer: what somebody sends to the web server of a worker.

The first byte says whether the worker has a token, the rest is sent as it is.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

from event_samples import every_type
from test_live import numbered, room_view
from web_pages import TOKEN, web_server

from pmon.web.server import WebServer

TURNS = 40
"""Of the loop, which both sides share: whatever does not wait for time is done by then."""
LEFT_S = 30.0
"""Much, for a machine that has other things to do."""
PLAIN = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
FAULT = re.compile(rb"HTTP/1\.[01] 5\d\d ")


class Troubles(logging.Handler):
    """What stands in the log, and what nobody caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))

    def uncaught(self, _: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        self.found.append(f"{context.get('message')}: {context.get('exception')!r}")


class Site:
    """Two workers with a room each time, one with a token, and a loop of their own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.troubles = Troubles()
        self.loop.set_exception_handler(self.troubles.uncaught)
        logging.getLogger().addHandler(self.troubles)
        self.now = 0.0
        clock = lambda: self.now  # noqa: E731 - one that stands still within an execution
        self.servers = [web_server(clock=clock), web_server(TOKEN, clock=clock)]
        for server in self.servers:
            # Who has left is missed at the next word to them, and the rest of what they send after.
            server._stream._heartbeat_s = 0.02
            server._runner._kwargs["lingering_time"] = 0.02
            self.loop.run_until_complete(server.start())
            server.rooms([room_view("room-1", "alice", "bob")])
            for number, event in enumerate(every_type()):
                server.event(numbered(event, number))

    def close(self) -> None:
        for server in self.servers:
            self.loop.run_until_complete(server.aclose())
        logging.getLogger().removeHandler(self.troubles)
        self.loop.close()

    def send(self, data: bytes) -> None:
        self.now += 1e5  # wrong tokens are forgiven, and logins over
        server = self.servers[data[0] % 2]
        answered = self.loop.run_until_complete(_exchange(server, data[1:]))
        assert not self.troubles.found, self.troubles.found
        fault = FAULT.search(answered)
        assert fault is None or fault[0] in data, fault
        plain = self.loop.run_until_complete(_exchange(server, PLAIN))
        assert plain.startswith(b"HTTP/1.1 200 ") and plain.endswith(b"\r\n\r\nOK"), plain
        self.loop.run_until_complete(self._left(server))

    @staticmethod
    async def _left(server: WebServer) -> None:
        """Nobody may stay who has gone, nor their tasks."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LEFT_S
        while len(asyncio.all_tasks()) > 1 or _connections(server):
            assert loop.time() < end, ("still there", _connections(server), asyncio.all_tasks())
            await asyncio.sleep(0.001)  # nothing tells


def _connections(server: WebServer) -> int:
    runner = server._runner.server
    return 0 if runner is None else len(runner.connections)


async def _exchange(server: WebServer, data: bytes) -> bytes:
    """What is answered without waiting for anything but the server; then we are gone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(data)
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if reader.at_eof():
                break
        return bytes(reader._buffer)  # type: ignore[attr-defined]
    finally:
        writer.transport.abort()


_site: list[Site] = []


def begin() -> None:
    _site.append(Site())


def end() -> None:
    _site.pop().close()


def one(data: bytes) -> None:
    if data:
        _site[0].send(data)
