"""pmon's own room connection breaks while the room goes on: what was known is known again."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

import psutil
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import rtc
from wiretap import Wiretap

from pmon.media.phrases import phrases


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "refuse_s",
    [
        pytest.param(0.0, id="resumed", marks=pytest.mark.system),
        pytest.param(3.0, id="made again"),
    ],
)
async def test_a_broken_room_connection_loses_nothing_that_was_measured(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, wiretap: Wiretap, refuse_s: float
) -> None:
    worker = await start_worker(url=wiretap.url)
    alice = await join("alice", camera=True)
    await dispatch()
    await worker.wait("connection_quality", to="excellent")
    await worker.wait("video_state", to="live")
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    wiretap.cut_rooms(refuse_s)
    await worker.wait_for(lambda line: line["message"] == "room connection is back", 60)
    await worker.wait("connection_quality", 2, to="excellent")
    await worker.wait("video_state", 2, to="live")
    await alice.say(phrases()["numbers"])
    stopped = await worker.wait("speaking_stopped", 2)
    assert stopped["talk_time_s"] == pytest.approx(alice.talk_time_s, abs=0.4)
    assert await worker.stop() == 0
    assert len(worker.of("track_published")) == 2
    assert not worker.of("track_unpublished")
    summary = worker.of("session_ended")[0]["summary"]
    present_s = summary["present_s"]
    assert summary["coverage"]["heard_s"] == pytest.approx(present_s, abs=4)
    assert summary["level_dbov"] is not None
    assert [t["published_s"] > 0.8 * present_s for t in summary["tracks"]] == [True, True]


@pytest.mark.system
@pytest.mark.timeout(120)
async def test_a_process_that_was_stopped_calls_no_camera_frozen(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """A paused virtual machine has not looked at the cameras, so it cannot tell."""
    worker = await start_worker()
    await join("alice", camera=True)
    await dispatch()
    await worker.wait("video_state", to="live")
    [media] = psutil.Process(worker.process.pid).children()
    media.suspend()
    await asyncio.sleep(12)
    media.resume()
    await worker.wait("video_state", 2, to="live")
    assert not worker.of("video_state", to="frozen")
    assert not worker.of("issue_raised")


async def test_who_opted_out_is_not_told_that_they_are_measured(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    alice = await join("alice", attributes={"pmon.monitor": "off"})
    bob = await join("bob")
    told: dict[str, list[Any]] = {"alice": [], "bob": []}
    for who in (alice, bob):

        def note(packet: rtc.DataPacket, name: str = who.identity) -> None:
            told[name].append(json.loads(packet.data))

        assert who.room is not None
        who.room.on("data_received", note)
    await dispatch()
    await worker.wait("participant_connected", 2)
    async with asyncio.timeout(10):
        while not told["bob"]:  # noqa: ASYNC110 - the room tells nobody
            await asyncio.sleep(0.1)
    await asyncio.sleep(2)  # bob's is due no later than alice's would be
    assert [notice["action"] for notice in told["bob"]] == ["welcome"]
    assert told["alice"] == []


async def test_signals_that_come_together_are_one(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """``timeout`` and its kind signal a process and then its whole group."""
    worker = await start_worker()
    await join("alice")
    await dispatch()
    await worker.wait("participant_connected")
    worker.process.send_signal(signal.SIGTERM)
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.stop() == 0
    assert len(worker.of("session_ended")) == 1
