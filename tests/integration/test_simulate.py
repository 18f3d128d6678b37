"""``pmon simulate``: a real worker raises the issue of each fault, and of nobody else."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from command import PMON, environment, pmon
from conftest import StartWorker
from livekit import api
from worker import Worker

from pmon.cli.faults import FAULTS
from pmon.cli.livekit_server import LocalServer


@asynccontextmanager
async def simulating(
    server: LocalServer, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        PMON, "simulate", *arguments, env=environment(server), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def stopped(process: asyncio.subprocess.Process, number: int) -> str:
    process.send_signal(number)
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    return out.decode()


async def names(lkapi: api.LiveKitAPI, room: str) -> list[str]:
    """Of the dispatches, without the one that the server makes for workers without a name."""
    found = await lkapi.agent_dispatch.list_dispatch(room)
    return [d.agent_name for d in found if d.agent_name]


def issues(worker: Worker) -> set[tuple[str, str]]:
    """But for what LiveKit makes of a camera that stands still: for it, packets are missing."""
    found = {(e["participant"], e["issue"]) for e in worker.of("issue_raised")}
    return found - {("simulated-video_frozen", "connection_poor")}


@pytest.mark.timeout(120)
async def test_a_frozen_picture_is_raised_and_its_dispatch_goes_with_ctrl_c(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str, start_worker: StartWorker
) -> None:
    worker = await start_worker(PMON_VIDEO="always")
    async with simulating(livekit_server, room, "--fault", "video_frozen") as process:
        await worker.wait("issue_raised", issue="video_frozen", within_s=60)
        assert {e["participant"] for e in worker.of("session_started")} == {
            "simulated-healthy",
            "simulated-video_frozen",
        }
        assert await names(lkapi, room) == ["participant-monitor"]
        out = await stopped(process, signal.SIGINT)
    assert "simulated-video_frozen: a camera that stops" in out
    assert out.endswith("they have left\n")
    assert await names(lkapi, room) == []
    assert issues(worker) == {("simulated-video_frozen", "video_frozen")}


@pytest.mark.system
@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_every_fault_is_raised_and_the_healthy_one_has_none(
    livekit_server: LocalServer, room: str, start_worker: StartWorker
) -> None:
    worker = await start_worker(PMON_LISTEN="always", PMON_VIDEO="always")
    async with simulating(livekit_server, room) as process:
        for name in FAULTS:
            await worker.wait("issue_raised", issue=name, within_s=150)
        await stopped(process, signal.SIGTERM)
    assert issues(worker) == {(f"simulated-{name}", name) for name in FAULTS}


async def test_a_dispatch_that_was_there_stays_and_time_ends_it(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str
) -> None:
    await pmon("dispatch", room, server=livekit_server)
    done = await pmon(
        *("simulate", room, "--fault", "mic_silent", "--for", "2s"), server=livekit_server
    )
    assert done.code == 0, done
    assert done.out.splitlines()[-1] == "they have left"
    assert await names(lkapi, room) == ["participant-monitor"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "mic_dead"], "'mic_dead' is none of mic_silent"),
        (["--for", "5"], "should be a duration"),
    ],
)
async def test_what_cannot_be_is_named(
    livekit_server: LocalServer, room: str, arguments: list[str], words: str
) -> None:
    done = await pmon("simulate", room, *arguments, server=livekit_server)
    assert done.code == 2
    assert words in done.err


async def test_a_server_that_refuses_or_is_not_there_is_said(
    livekit_server: LocalServer, room: str
) -> None:
    refused = await pmon("simulate", room, server=livekit_server, LIVEKIT_API_SECRET="z" * 32)
    assert refused.code == 1
    assert "refuses the credentials" in refused.err
    nobody = await pmon("simulate", room, server=livekit_server, LIVEKIT_URL="ws://127.0.0.1:1")
    assert nobody.code == 1
    assert "cannot be reached" in nobody.err
