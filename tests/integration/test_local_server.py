"""The server that the demo and the tests start: what it must never do, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from livekit import api

from pmon.cli.livekit_server import LocalServer, ServerUnavailableError, find_or_build

LISTENING = "0A"

OWNER = """
import time
from pmon.cli.livekit_server import LocalServer, find_or_build
server = LocalServer(find_or_build())
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


def open_addresses(pid: int) -> set[str]:
    """Local addresses of a process's listening TCP and open UDP sockets, in the kernel's hex."""
    links = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed a moment ago
            links.append(os.readlink(fd))
    inodes = {link.removeprefix("socket:[")[:-1] for link in links if link.startswith("socket:")}
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (fields[3] == LISTENING or table.startswith("udp")):
                found.add(fields[1].split(":")[0])
    return found


def test_it_listens_on_loopback_alone(livekit_server: LocalServer) -> None:
    assert open_addresses(livekit_server.pid) == {"0100007F"}


def test_what_stands_in_the_environment_does_not_open_it_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """livekit-server takes its own variables over its configuration."""
    monkeypatch.setenv("LIVEKIT_RTC_TCP_PORT", "17998")
    monkeypatch.setenv("LIVEKIT_REDIS_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("LIVEKIT_PORT", "1")
    monkeypatch.setenv("LIVEKIT_LOG_LEVEL", "error")
    with LocalServer(find_or_build()) as server:
        assert open_addresses(server.pid) == {"0100007F"}
        assert "starting LiveKit server" in server.log_tail(1000)


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "livekit-server"
    binary.write_bytes(b"\x00\x01")
    binary.chmod(0o755)
    with pytest.raises(ServerUnavailableError, match="cannot be run"), LocalServer(binary):
        pass


def test_its_secret_is_in_neither_the_process_list_nor_its_log(own_server: LocalServer) -> None:
    assert len(own_server.api_secret) >= 32
    arguments = Path(f"/proc/{own_server.pid}/cmdline").read_text()
    log = own_server.log_path.read_text()
    assert "livekit-server" in arguments
    assert "starting LiveKit server" in log
    assert own_server.api_secret not in arguments + log


async def test_killed_and_started_again_it_takes_the_same_keys_at_the_same_place(
    own_server: LocalServer,
) -> None:
    url, pid = own_server.url, own_server.pid
    own_server.kill()
    with pytest.raises(RuntimeError, match="not running"):
        _ = own_server.pid
    own_server.start()
    assert (own_server.url, own_server.pid != pid) == (url, True)
    server = own_server
    async with api.LiveKitAPI(server.http_url, server.api_key, server.api_secret) as client:
        assert not (await client.room.list_rooms(api.ListRoomsRequest())).rooms


def test_every_server_has_keys_and_ports_of_its_own(
    livekit_server: LocalServer, own_server: LocalServer
) -> None:
    assert livekit_server.url != own_server.url
    assert livekit_server.api_key != own_server.api_key
    assert livekit_server.api_secret != own_server.api_secret


def test_it_stops_at_once_and_leaves_nothing_behind() -> None:
    with LocalServer(find_or_build()) as server:
        pid, folder = server.pid, server.log_path.parent
        started = time.monotonic()
    assert time.monotonic() - started < 3
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_it_is_an_asynchronous_context_manager_too() -> None:
    async with LocalServer(find_or_build()) as server:
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_port_that_is_taken_is_said_when_it_may_not_choose_another(
    own_server: LocalServer,
) -> None:
    with LocalServer(find_or_build()) as other:
        other.stop()
        other.port = own_server.port
        with pytest.raises(ServerUnavailableError, match="address already in use"):
            other.start()


def test_it_dies_with_a_killed_owner(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # what a killed owner cannot tidy up
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert open_addresses(pid) == {"0100007F"}
        os.kill(owner.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _command(pid):
        time.sleep(0.05)
    assert not _command(pid)


def _command(pid: int) -> bytes:
    """Empty for a process that is gone and for one that nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""
