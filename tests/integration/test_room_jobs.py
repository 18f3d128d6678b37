"""``PMON_JOB_TYPE=room`` on a real server: one job watches everybody in the room."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api
from wiretap import Wiretap
from worker import Worker

from pmon.media.phrases import phrases


def names(worker: Worker, kind: str) -> list[str]:
    return sorted(event["participant"] for event in worker.of(kind))


async def test_all_are_watched_whenever_they_come_until_the_dispatch_is_deleted(
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
    lkapi: api.LiveKitAPI,
    wiretap: Wiretap,
    room: str,
) -> None:
    worker = await start_worker(url=wiretap.url, PMON_JOB_TYPE="room")
    alice = await join("alice")
    await join("bob")
    made = await dispatch(labels={"ticket": "7"})
    started = await worker.wait("participant_connected", 2)
    job = started["job"]
    carol = await join("carol")
    await worker.wait("participant_connected", participant="carol")
    await worker.wait("track_published", 3)
    await carol.say(phrases()["welcome"])
    await worker.wait("speaking_stopped", participant="carol")
    await alice.leave()
    left = await worker.wait("participant_disconnected", participant="alice")
    alice = await join("alice")
    again = await worker.wait("participant_connected", 2, participant="alice")
    assert again["session"] == left["session"]
    await lkapi.agent_dispatch.delete_dispatch(made.id, room)
    await worker.wait("session_ended", 3)
    assert names(worker, "session_started") == ["alice", "bob", "carol"]
    assert names(worker, "session_ended") == ["alice", "bob", "carol"]
    assert {e["reason"] for e in worker.of("session_ended")} == {"dispatch_deleted"}
    assert {(e["job"], e["labels"]["ticket"]) for e in worker.events} == {(job, "7")}
    (ended,) = worker.of("session_ended", participant="carol")
    assert ended["summary"]["talk_time_s"] == pytest.approx(carol.talk_time_s, abs=0.4)
    await worker.wait_for(lambda line: line["message"] == "leaving the room")
    await wiretap.wait_until(lambda: len(wiretap.job_statuses(job)) == 2)
    assert [s for _, s, _ in wiretap.job_statuses(job)] == ["JS_RUNNING", "JS_SUCCESS"]


async def test_the_job_of_an_empty_room_waits_until_the_room_is_closed(
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
    lkapi: api.LiveKitAPI,
    room: str,
) -> None:
    """It begins in an empty room, survives the last one's leaving, and ends with the room, which
    the server closes some seconds later although pmon is in it.
    """
    await lkapi.room.create_room(api.CreateRoomRequest(name=room, departure_timeout=6))
    worker = await start_worker(PMON_JOB_TYPE="room")
    await dispatch(end_on_disconnect=True)
    await worker.wait_for(lambda line: line["message"] == "joined the room")
    alice = await join("alice")
    await worker.wait("participant_connected")
    await alice.leave()
    await worker.wait("session_ended", reason="participant_left")
    alice = await join("alice")
    await worker.wait("session_started", 2)
    await alice.leave()
    await worker.wait_for(lambda line: line["message"] == "job ended")
    reasons = [event["reason"] for event in worker.of("session_ended")]
    assert reasons == ["participant_left"] * 2
    async with asyncio.timeout(5):  # the server says so to its participants first
        asked = api.ListRoomsRequest(names=[room])
        while (await lkapi.room.list_rooms(asked)).rooms:  # noqa: ASYNC110 - a server is asked
            await asyncio.sleep(0.1)


async def test_a_target_alone_is_watched(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker(PMON_JOB_TYPE="room")
    await join("alice")
    await dispatch(participant_identity="bob")
    await worker.wait("session_started")
    bob = await join("bob")
    await worker.wait("track_published")
    await bob.say(phrases()["numbers"])
    await worker.wait("speaking_stopped")
    assert await worker.stop() == 0
    (ended,) = worker.of("session_ended")
    assert (ended["participant"], ended["reason"]) == ("bob", "shutdown")
    assert ended["participant_kind"] == "standard"


@pytest.mark.system
async def test_another_process_goes_on_watching_all(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    """A room job that was started anew as if nothing had been would begin every session again."""
    worker = await start_worker(PMON_JOB_TYPE="room")
    people = {name: await join(name) for name in ("alice", "bob")}
    await dispatch()
    await worker.wait("track_published", 2)
    await asyncio.sleep(1)
    await people["alice"].say(phrases()["welcome"])
    said_s = people["alice"].talk_time_s
    await worker.wait_for(
        lambda line: line.get("type") == "speaking_stopped" and line["talk_time_s"] > said_s - 0.4
    )
    [process] = psutil.Process(worker.process.pid).children()
    process.kill()
    await worker.wait_for(lambda line: "a media process died" in line["message"])
    people["carol"] = await join("carol")
    await worker.wait("track_published", participant="carol")
    await asyncio.sleep(1)
    for name in ("bob", "carol"):
        await people[name].say(phrases()["numbers"])
        await worker.wait("speaking_stopped", participant=name)
    assert await worker.stop() == 0
    for kind in ("session_started", "participant_connected", "track_published", "session_ended"):
        assert names(worker, kind) == ["alice", "bob", "carol"], kind
    for ended in worker.of("session_ended"):
        true_s = people[ended["participant"]].talk_time_s
        assert ended["summary"]["talk_time_s"] == pytest.approx(true_s, abs=0.4)
        assert ended["reason"] == "shutdown"


async def test_a_process_that_is_too_large_hands_the_room_over(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    worker = await start_worker(PMON_JOB_TYPE="room", PMON_MAX_RSS="30MiB")
    await join("alice")
    await dispatch()
    await worker.wait("track_published")
    await worker.wait_for(lambda line: line["message"] == "replacing a media process", 30)
    await worker.wait_for(lambda line: line["message"] == "joined the room")
    bob = await join("bob")
    await worker.wait("track_published", participant="bob")
    await asyncio.sleep(2)
    await bob.say(phrases()["welcome"])
    await worker.wait("speaking_stopped", participant="bob")
    assert await worker.stop() == 0
    for kind in ("session_started", "participant_connected", "session_ended"):
        assert names(worker, kind) == ["alice", "bob"], kind
