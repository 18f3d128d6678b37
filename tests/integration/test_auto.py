"""Whom nobody tells how to listen: to everybody, until that is too much for the process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest
from conftest import Dispatch, StartWorker
from load_generator import LoadGenerator
from load_model import Load

from pmon.cli.livekit_server import LocalServer

pytestmark = [
    pytest.mark.system,
    pytest.mark.alone,
    pytest.mark.timeout(900),  # it may have to build the load generator
    pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux has it"),
]

PARTICIPANTS = 60


@contextmanager
def on_one_core() -> Iterator[None]:
    """What is started meanwhile has one core for all its processes."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def test_a_busy_process_listens_adaptively_by_itself(
    start_worker: StartWorker, dispatch: Dispatch, livekit_server: LocalServer, room: str
) -> None:
    """The shipped default, under real load: it says so, and everybody is watched all the same."""
    with on_one_core():
        worker = await start_worker(PMON_WORKERS="4")  # a quarter of a core each
    server = livekit_server
    load = Load(participants=PARTICIPANTS, room_prefix=room, talk_share=0.5)
    async with LoadGenerator(server.url, server.api_key, server.api_secret, load) as generator:
        [name] = generator.truth.rooms
        await dispatch(room=name)
        await worker.wait("track_published", PARTICIPANTS, within_s=60)
        shed = await worker.wait_for(lambda e: e["message"] == "listening adaptively", 90)
        assert shed["rooms_adaptive"] == shed["rooms"] == 1
        port = worker.http_port
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            await until_some_rest(client)
            async with client.get("/worker") as answer:
                reported = (await answer.json())["worker_load"]
        # Three of the processes are idle, the core that they share is not.
        assert 0.05 < reported < 0.7, "there is room for more, and it is not idle"
        await asyncio.sleep(10)
        assert await worker.stop() == 0
    ended = worker.of("session_ended")
    assert len(ended) == PARTICIPANTS
    assert {e["reason"] for e in ended} == {"shutdown"}
    assert sum(e["summary"]["coverage"]["server_word_s"] > 1 for e in ended) > PARTICIPANTS / 4
    assert sum(e["summary"]["talk_time_s"] > 0 for e in ended) > PARTICIPANTS / 2


async def until_some_rest(client: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(30):
        while await metric(client, 'pmon_listening{mode="resting"}') < PARTICIPANTS / 6:  # noqa: ASYNC110
            await asyncio.sleep(0.5)


async def metric(client: aiohttp.ClientSession, series: str) -> float:
    """Of the page that Prometheus reads."""
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))
