"""Notices as real participants get them, through a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import rtc
from noticed_room import Client, check

from pmon.media.phrases import phrases
from pmon.media.publish import SimulatedParticipant


class Inbox:
    """What a participant is told, each packet held against the schema."""

    def __init__(self, person: SimulatedParticipant) -> None:
        assert person.room is not None
        self.told: list[dict[str, Any]] = []
        self.client = Client()
        person.room.on("data_received", self._take)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message["type"] == kind]

    def _take(self, packet: rtc.DataPacket) -> None:
        assert packet.topic == "pmon"
        assert packet.participant is None
        check(packet.data)
        message = json.loads(packet.data)
        self.told.append(message)
        self.client.take(message)


async def until(condition: Callable[[], bool], within_s: float, inbox: Inbox) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, inbox.told
        await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
async def test_a_frozen_picture_and_talk_time_and_what_a_newcomer_learns_of_them(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """The state at once, the issue ten seconds later; who joins then has missed both."""
    worker = await start_worker(PMON_VIDEO="always")
    alice, bob = await join("alice", camera=True), await join("bob")
    of_alice, of_bob = Inbox(alice), Inbox(bob)
    await dispatch(notification_preferences={"talk_time_alerts": True})
    await worker.wait("video_state", participant="alice", to="live")
    await asyncio.sleep(1)
    await alice.say(phrases()["numbers"])
    alice.freeze()
    await until(lambda: bool(of_bob.of("issue")), 30, of_bob)
    (issue,) = of_bob.of("issue")
    assert (issue["participant"], issue["issue"]) == ("alice", "video_frozen")
    assert [state["state"] for state in of_bob.of("video_state")] == ["frozen"]
    (talk,) = of_bob.of("talk_time")
    assert talk["talk_time_s"] == pytest.approx(alice.talk_time_s, abs=0.4)
    of_carol = Inbox(await join("carol"))
    await until(lambda: bool(of_carol.of("snapshot")), 10, of_carol)
    snapshot = {p["participant"]: p for p in of_carol.of("snapshot")[0]["participants"]}
    assert [issue["issue"] for issue in snapshot["alice"]["issues"]] == ["video_frozen"]
    assert [video["state"] for video in snapshot["alice"]["videos"]] == ["frozen"]
    assert snapshot["alice"]["talk_time_s"] == talk["talk_time_s"]
    alice.thaw()
    for inbox in (of_bob, of_carol):
        await until(
            lambda inbox=inbox: set(inbox.client.of("alice")) <= {"quality"},  # type: ignore[misc]
            20,
            inbox,
        )
    assert [m["action"] for m in of_carol.of("issue")] == ["resolved"]
    assert [m["state"] for m in of_carol.of("video_state")] == ["live"]
    assert not of_alice.of("video_state") + of_alice.of("issue"), "others were to be told"
    assert not of_bob.of("snapshot"), "he was there from the beginning"


@pytest.mark.timeout(120)
async def test_who_leaves_and_comes_back_gets_a_snapshot_and_no_second_welcome(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    alice, bob = await join("alice"), await join("bob")
    of_bob = Inbox(bob)
    await dispatch()
    await worker.wait("connection_quality", participant="alice", to="excellent")
    await until(lambda: bool(of_bob.of("connection_quality")), 10, of_bob)
    await bob.leave()
    await worker.wait("participant_disconnected", participant="bob")
    await bob.join()
    again = Inbox(bob)
    await until(lambda: bool(again.of("snapshot")), 10, again)
    assert again.of("snapshot")[0]["participants"] == [
        {"participant": "alice", "quality": "excellent"}
    ]
    await alice.say(phrases()["welcome"])
    await until(lambda: len(again.of("speaking_detection")) == 2, 10, again)
    assert not again.of("participant_monitoring")


@pytest.mark.timeout(120)
async def test_another_process_goes_on_telling_where_one_was_killed(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """What the first one told is neither told again nor forgotten: the end of it comes once."""
    worker = await start_worker(PMON_VIDEO="always")
    alice, bob = await join("alice", camera=True), await join("bob")
    of_bob = Inbox(bob)
    await dispatch()
    await worker.wait("video_state", participant="alice", to="live")
    alice.freeze()
    await until(lambda: bool(of_bob.of("issue")), 30, of_bob)
    await asyncio.sleep(1)
    [media] = psutil.Process(worker.process.pid).children()
    media.kill()
    alice.thaw()
    await until(lambda: len(of_bob.of("issue")) == 2, 40, of_bob)
    assert [m["action"] for m in of_bob.of("issue")] == ["raised", "resolved"]
    await until(lambda: set(of_bob.client.of("alice")) <= {"quality"}, 10, of_bob)
    assert len(of_bob.of("video_state")) == 2
    assert len(of_bob.of("participant_monitoring")) == 1
