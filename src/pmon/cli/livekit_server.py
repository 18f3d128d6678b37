"""A livekit-server of one's own, on loopback only, for the demo and the tests."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from livekit import api

from pmon.cli.child import Guard
from pmon.cli.livekit_build import (
    ServerUnavailableError,
    cached_server,
    find_or_build,
    server_version,
)

__all__ = [
    "LocalServer",
    "ServerUnavailableError",
    "cached_server",
    "find_or_build",
    "server_version",
]

START_TIMEOUT_S = 30.0
DRAIN_S = 0.5
STOP_TIMEOUT_S = 10.0
PORT_TRIES = 3


class LocalServer:
    """One livekit-server process, started on free loopback ports with keys of its own.

    A context manager, plain or asynchronous. ``kill`` and ``start`` again restart it on the same
    ports with the same keys, as a crash and a supervisor would. ``start`` and ``stop`` block for
    up to a second or two: from a coroutine call them through ``asyncio.to_thread``.
    """

    def __init__(self, binary: Path) -> None:
        self.api_key = "API" + secrets.token_hex(6)
        self.api_secret = secrets.token_urlsafe(32)
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._binary = binary
        self._udp_port = 0
        self._guard: Guard | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="pmon-livekit-")
        self.log_path = Path(self._folder.name) / "livekit-server.log"
        """Everything the server wrote since the first start; gone after ``close``."""

    @property
    def url(self) -> str:
        """What clients and workers connect to."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def http_url(self) -> str:
        """What API clients connect to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self.process is None:
            raise RuntimeError("the server is not running")
        return self.process.pid

    def start(self) -> None:
        """Start, and return as soon as the server answers. Raises ServerUnavailableError."""
        if self.process is not None:
            raise RuntimeError("the server is running already")
        if self.port:
            self._start_once()
            return
        for attempt in range(1, PORT_TRIES + 1):
            self.port, self._udp_port = _free_ports()
            try:
                self._start_once()
                return
            except ServerUnavailableError as error:
                # Between our look and the server's bind another process may take a port.
                if attempt == PORT_TRIES or "address already in use" not in str(error):
                    raise

    def stop(self) -> None:
        """Ask the server to end, insist after 10 s. Nothing happens when it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server at once, as a crash does: nobody is told."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop, and remove the log."""
        self.stop()
        self._folder.cleanup()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the server's log."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def _start_once(self) -> None:
        with self.log_path.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    [str(self._binary)],
                    env=environment(self._config()),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerUnavailableError(
                    f"{self._binary} cannot be run: {error.strerror}"
                ) from None
        self._guard = Guard(self.process.pid)
        try:
            self._wait_until_it_answers(self.process)
        except BaseException:
            self.kill()
            raise

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if process.poll() is not None:
                raise ServerUnavailableError(
                    f"livekit-server ended with {process.returncode}:\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise ServerUnavailableError(
                    f"livekit-server did not answer within {START_TIMEOUT_S:.0f} s:\n"
                    f"{self.log_tail()}"
                )
            time.sleep(0.05)

    def _answers(self) -> bool:
        """Whether *this* server answers: another one on our port would not know our key."""
        grants = api.VideoGrants(room_list=True)
        token = api.AccessToken(self.api_key, self.api_secret).with_grants(grants).to_jwt()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("POST", "/twirp/livekit.RoomService/ListRooms", "{}", headers)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _config(self) -> str:
        # JSON is YAML. Pinning node_ip, interfaces and a STUN server that nobody listens on keeps
        # the server, and the clients that it hands the list to, from asking public STUN servers;
        # ICE over TCP would listen on all interfaces whatever bind_addresses says.
        return json.dumps(
            {
                "port": self.port,
                "bind_addresses": ["127.0.0.1"],
                "keys": {self.api_key: self.api_secret},
                "rtc": {
                    "node_ip": "127.0.0.1",
                    "use_external_ip": False,
                    "udp_port": self._udp_port,
                    "tcp_port": 0,
                    "enable_loopback_candidate": True,
                    "interfaces": {"includes": ["lo", "lo0"]},
                    "ips": {"includes": ["127.0.0.1/32"]},
                    "stun_servers": ["127.0.0.1:9"],
                },
            }
        )

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        if self._guard is not None:
            self._guard.release()
        # The first SIGTERM makes the server drain, for longer than anybody here wants to wait; the
        # second one makes it end.
        for wait_s, insist in ((DRAIN_S, how), (STOP_TIMEOUT_S, signal.SIGKILL)):
            try:
                process.wait(wait_s)
                return
            except subprocess.TimeoutExpired:
                process.send_signal(insist)
        process.wait()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)


def environment(config: str) -> dict[str, str]:
    """Ours for a server with this configuration, without what would change it: the server's
    variables win over its configuration, and one of them can make it listen everywhere or talk to
    a Redis.
    """
    own = ("LIVEKIT_", "REDIS_", "NODE_IP", "UDP_PORT")
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    # The configuration goes this way because secrets in arguments show in the process list.
    return env | {"LIVEKIT_CONFIG": config}


def _free_ports() -> tuple[int, int]:
    """A TCP and a UDP port of 127.0.0.1 that nobody uses at the moment."""
    with contextlib.ExitStack() as stack:
        ports = []
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = stack.enter_context(socket.socket(socket.AF_INET, kind))
            listener.bind(("127.0.0.1", 0))
            ports.append(int(listener.getsockname()[1]))
    return ports[0], ports[1]


def main() -> None:
    """Print the path of a livekit-server, built first if need be."""
    try:
        print(find_or_build())
    except ServerUnavailableError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
