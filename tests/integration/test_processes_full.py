"""A media process full of people dies: they are watched again, and nobody else notices."""

from __future__ import annotations

import asyncio
import signal
import time

import psutil
import pytest
from conftest import Dispatch, StartWorker
from load_generator import LoadGenerator
from load_model import Load

from pmon.cli.livekit_server import LocalServer

# The first one builds the generator.
pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(900)]

PARTICIPANTS = 50
WITHIN_S = 15.0


async def test_fifty_people_are_watched_again_and_no_other_room_is_disturbed(
    start_worker: StartWorker, dispatch: Dispatch, livekit_server: LocalServer, room: str
) -> None:
    worker = await start_worker(PMON_WORKERS="2")
    server = livekit_server
    load = Load(rooms=2, participants=PARTICIPANTS, room_prefix=room, talk_share=1.0)
    async with LoadGenerator(server.url, server.api_key, server.api_secret, load) as generator:
        for name in generator.truth.rooms:
            await dispatch(room=name)
        await worker.wait("track_published", 2 * PARTICIPANTS, within_s=60)
        await asyncio.sleep(7)  # everybody has said something, and a checkpoint tells of it
        killed, *others = psutil.Process(worker.process.pid).children()
        said = len(worker.lines)
        killed.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        again = await worker.wait_for(
            lambda line: line["message"] == "joined the room" and line in worker.lines[said:]
        )
        seen: set[str] = set()
        while len(seen) < PARTICIPANTS:
            assert time.monotonic() - killed_at < WITHIN_S, sorted(seen)
            await asyncio.sleep(0.1)
            seen = {
                line["participant"]
                for line in worker.lines[said:]
                if line.get("type") == "speaking_started" and line["room"] == again["room"]
            }
        assert set(others) < set(psutil.Process(worker.process.pid).children())
        assert await worker.stop() == 0
    ended = worker.of("session_ended")
    assert len(ended) == len(worker.of("session_started")) == 2 * PARTICIPANTS
    for line in ended:
        unobserved_s = line["summary"]["coverage"]["unobserved_s"]
        if line["room"] == again["room"]:
            assert 0.5 < unobserved_s < WITHIN_S
        else:
            # What was not observed at its beginning is the time it took to join.
            assert unobserved_s < 3.0
    messages = {
        line["message"]
        for line in worker.lines[said:]
        if line.get("room") not in (None, again["room"]) and "type" not in line
    }
    assert messages <= {"leaving the room", "job ended"}, "the other room was not touched"
    joins = [line for line in worker.lines if line["message"] == "joined the room"]
    assert len(joins) == 3
