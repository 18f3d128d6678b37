"""A disk that hangs and a log that nobody reads: the rooms go on, and the worker can be stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen

import aiohttp
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api

from pmon.cli.livekit_server import LocalServer


async def test_a_second_signal_leaves_at_once(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, tmp_path: Path
) -> None:
    """A disk that hangs makes the drain slow; nobody must wait for it twice."""
    with stalled_pipe() as into:
        days = [datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)]
        for day in days:
            (tmp_path / f"pmon-{day:%Y-%m-%d}.jsonl").symlink_to(f"/proc/{os.getpid()}/fd/{into}")
        worker = await start_worker(PMON_RECORD=str(tmp_path))
        await join("alice")
        await dispatch()
        await worker.wait("participant_connected")
        worker.process.send_signal(signal.SIGTERM)
        await worker.wait_for(lambda line: line["message"] == "final summary")
        await asyncio.sleep(0.6)  # sooner, it counts as the same signal
        assert await worker.stop(signal.SIGTERM, within_s=3) == 1


@contextmanager
def worker_that_logs_to(fd: int, server: LocalServer, port: int) -> Iterator[Popen[bytes]]:
    settings = {
        "LIVEKIT_URL": server.url,
        "LIVEKIT_API_KEY": server.api_key,
        "LIVEKIT_API_SECRET": server.api_secret,
        "PMON_HTTP_PORT": str(port),
    }
    command = Path(sys.executable).with_name("pmon-worker")
    env = {"PATH": "/usr/bin", **settings}
    with Popen([str(command)], env=env, stdout=fd, stderr=subprocess.PIPE) as worker:
        try:
            yield worker
        finally:
            worker.kill()


@pytest.mark.parametrize("log", ["a pipe that nobody reads", "a full disk"])
async def test_a_log_that_takes_nothing_stops_nothing(
    livekit_server: LocalServer,
    lkapi: api.LiveKitAPI,
    join: Join,
    dispatch: Dispatch,
    room: str,
    log: str,
) -> None:
    """The pipe is full before the worker's first line."""
    await join("alice")
    port = free_port()
    with ExitStack() as stack:
        into = stack.enter_context(full_disk() if log == "a full disk" else stalled_pipe())
        worker = stack.enter_context(worker_that_logs_to(into, livekit_server, port))
        await until(lambda: is_ready(port))
        await dispatch()
        await until(lambda: is_watched(lkapi, room))
        worker.terminate()
        _, stderr = await asyncio.to_thread(worker.communicate, timeout=15)
    assert worker.returncode == 0
    assert stderr == b""


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 20) -> None:
    """Wait for a condition on the server or the worker."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def is_ready(port: int) -> bool:
    try:
        async with aiohttp.request("GET", f"http://127.0.0.1:{port}/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


@contextmanager
def full_disk() -> Iterator[int]:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        yield full
    finally:
        os.close(full)


async def is_watched(lkapi: api.LiveKitAPI, room: str) -> bool:
    found = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
    return any(person.identity.startswith("pmon-") for person in found.participants)


@contextmanager
def stalled_pipe() -> Iterator[int]:
    """The writing end of a pipe that is full and that nobody reads."""
    out_of, into = os.pipe()
    try:
        os.set_blocking(into, False)
        with suppress(BlockingIOError):
            while True:
                os.write(into, b"\n" * 4096)
        os.set_blocking(into, True)
        yield into
    finally:
        os.close(out_of)
        os.close(into)
