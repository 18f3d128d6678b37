"""The API of a real worker: what it says of a room, and events as they happen."""

from __future__ import annotations

import asyncio
import json

import aiohttp
from conftest import Dispatch, Join, StartWorker

from pmon.media.phrases import phrases

TOKEN = "the-token-of-this-worker"


async def test_who_speaks_and_how_loud(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    worker = await start_worker(PMON_HTTP_TOKEN=TOKEN)
    alice = await join("alice", noise_dbov=-60.0, camera=True)
    await dispatch(labels={"team": "red"})
    await worker.wait("track_published", 2)
    started = await worker.wait_for(lambda line: line["message"] == "starting worker")
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{started['http_port']}", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as client:
        async with client.get(f"/api/events?room={room}&types=speaking_started") as events:
            alice.say(phrases()["results"])
            alice.say(phrases()["numbers"])
            async with asyncio.timeout(10):
                block = b""
                while b"data: " not in block:
                    block = await events.content.readuntil(b"\n\n")
        logged = await worker.wait("speaking_started")
        told = json.loads(block.split(b"data: ")[1])
        assert told == {name: logged[name] for name in told}, "the same object as in the log"
        async with asyncio.timeout(15):
            while True:
                async with client.get(f"/api/participants?room={room}") as answer:
                    (row,) = (await answer.json())["participants"]
                if row["level_dbov"] is not None and row["video"] == "live":
                    break
                await asyncio.sleep(0.2)
        async with client.get("/api/rooms") as answer:
            (found,) = (await answer.json())["rooms"]
    assert (row["participant"], row["present"], row["microphone"]) == ("alice", True, "on")
    assert (row["session"], row["job"]) == (logged["session"], logged["job"])
    assert (row["labels"], row["talk_share"], row["issues"]) == ({"team": "red"}, 1.0, [])
    assert -70 < row["level_dbov"] < -10
    assert 0.2 < row["talk_time_s"] < 30
    assert 5 < row["fps"] < 30
    assert (found["room"], found["connected"], found["participants"]) == (room, True, 1)
    assert TOKEN not in str(worker.lines) + worker.stderr
