"""Participants whom nobody watches any more are watched again, each by one worker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import Callable
from functools import partial

import psutil
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api
from worker import Worker

from pmon.media.phrases import phrases

WITHIN_S = 20.0
KILLED_S = 40.0
"""The server takes a connection that was killed for present for some 22 s more."""
PEOPLE = ("alice", "bob", "carol")


@pytest.fixture
def start_worker(start_worker: StartWorker, room: str) -> StartWorker:
    """Under a name of the test's own, so that the rooms of other tests are not its business."""
    own = {"PMON_RECONCILE": "true", "LIVEKIT_AGENT_NAME": f"monitor-{room}"}
    return lambda **settings: start_worker(**own | settings)


@pytest.fixture
def dispatch(dispatch: Dispatch, room: str) -> Dispatch:
    return partial(dispatch, agent_name=f"monitor-{room}")


def kill(worker: Worker) -> None:
    """The whole worker, so that nothing of it can say goodbye."""
    for process in psutil.Process(worker.process.pid).children(recursive=True):
        process.send_signal(signal.SIGKILL)
    os.kill(worker.process.pid, signal.SIGKILL)


def adopted(worker: Worker) -> list[str]:
    return [line["participant"] for line in worker.of("session_started") if line["job"] is None]


def open_sessions(worker: Worker) -> set[str]:
    ended = {line["session"] for line in worker.of("session_ended")}
    started = worker.of("session_started")
    return {line["participant"] for line in started if line["session"] not in ended}


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - several workers are asked
            await asyncio.sleep(0.1)


async def unwatched(worker: Worker) -> float:
    """What the page of metrics says."""
    [started] = [line for line in worker.lines if line["message"] == "starting worker"]
    url = f"http://127.0.0.1:{started['http_port']}/metrics"
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read().decode())
    [line] = [x for x in text.splitlines() if x.startswith("pmon_participants_unwatched ")]
    return float(line.split()[1])


@pytest.mark.parametrize("how", [pytest.param("killed", marks=pytest.mark.system), "stopped"])
async def test_a_worker_that_starts_anew_watches_whom_the_old_one_watched(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str, how: str
) -> None:
    """A crash, or a deploy, must not end the monitoring silently: the server repeats no job."""
    first = await start_worker()
    people = [await join(name) for name in PEOPLE]
    await dispatch(labels={"ticket": "7"})
    await first.wait("track_published", 3)
    if how == "killed":
        kill(first)
    else:
        assert await first.stop() == 0
    second = await start_worker()
    await second.wait("track_published", 3, within_s=KILLED_S)
    assert sorted(adopted(second)) == sorted(PEOPLE)
    assert {line["labels"]["ticket"] for line in second.events} == {"7"}
    await asyncio.sleep(1)
    await people[0].say(phrases()["welcome"])
    stopped = await second.wait("speaking_stopped", participant="alice")
    assert stopped["job"] is None
    await join("dave")  # whose job is an ordinary one
    joined = await second.wait("participant_connected", participant="dave")
    assert joined["job"].startswith("AJ_")
    assert await second.stop() == 0
    assert len(second.of("session_ended")) == 4


@pytest.mark.system
async def test_their_sessions_end_with_the_dispatch(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    first = await start_worker()
    await join("alice")
    made = await dispatch()
    await first.wait("participant_connected")
    kill(first)
    second = await start_worker()
    await second.wait("participant_connected", within_s=KILLED_S)
    await lkapi.agent_dispatch.delete_dispatch(made.id, room)
    ended = await second.wait("session_ended", within_s=45)  # it is asked for every 30 s
    assert (ended["reason"], ended["job"]) == ("dispatch_deleted", None)


@pytest.mark.system
async def test_a_job_of_one_who_was_adopted_goes_on_with_the_session(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    first = await start_worker()
    alice = await join("alice")
    await dispatch()
    await first.wait("participant_connected")
    assert await first.stop() == 0
    second = await start_worker()
    before = await second.wait("participant_connected", within_s=WITHIN_S)
    await alice.leave()
    await second.wait("participant_disconnected")
    alice = await join("alice")
    again = await second.wait("participant_connected", 2)
    assert again["session"] == before["session"]
    await second.wait_for(lambda line: line["message"] == "received job")
    await asyncio.sleep(1)
    await alice.say(phrases()["welcome"])
    after = await second.wait("speaking_stopped")
    assert after["session"] == before["session"]
    assert after["job"].startswith("AJ_")
    assert len(second.of("session_started")) == 1


@pytest.mark.system
async def test_each_is_watched_by_one_of_two_workers_and_by_the_other_when_that_dies(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    workers = [await start_worker() for _ in range(2)]
    for number in range(8):
        await join(f"p{number}")
    await dispatch()
    await until(lambda: sum(len(w.of("participant_connected")) for w in workers) >= 8)
    everybody = {f"p{number}" for number in range(8)}
    await asyncio.sleep(12)  # two rounds: nobody is taken over who is watched
    assert not adopted(workers[0]) + adopted(workers[1])
    dying, other = sorted(workers, key=lambda w: len(open_sessions(w)), reverse=True)
    assert open_sessions(dying) | open_sessions(other) == everybody
    lost = open_sessions(dying)
    kill(dying)
    await until(lambda: open_sessions(other) == everybody, KILLED_S)
    assert set(adopted(other)) == lost
    again = await start_worker()
    await asyncio.sleep(12)
    # It has no connection in the room, and nobody there is without a watcher.
    assert not open_sessions(again)
    assert open_sessions(other) == everybody


async def test_whom_there_was_no_place_for_is_watched_once_there_is(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    """Jobs that are refused are lost: the server offers them to nobody again."""
    worker = await start_worker(PMON_MAX_JOBS="2")
    people = {name: await join(name) for name in PEOPLE}
    await dispatch(end_on_disconnect=True)
    await worker.wait("participant_connected", 2)
    await asyncio.sleep(8)
    assert len(worker.of("session_started")) == 2
    assert await unwatched(worker) == 1
    watched = open_sessions(worker)
    await people[min(watched)].leave()
    (left_out,) = set(PEOPLE) - watched
    await worker.wait("participant_connected", participant=left_out, within_s=WITHIN_S)
    assert adopted(worker) == [left_out]
    async with asyncio.timeout(15):
        while await unwatched(worker):  # noqa: ASYNC110 - a page is asked
            await asyncio.sleep(0.5)


async def test_whom_a_full_worker_has_no_place_for_another_takes(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    """The full one is alone in the room, and would be left to adopt them for ever."""
    full = await start_worker(PMON_MAX_JOBS="1")
    for name in PEOPLE:
        await join(name)
    await dispatch()
    first = await full.wait("participant_connected")
    other = await start_worker()
    await other.wait("participant_connected", 2, within_s=WITHIN_S)
    assert sorted([first["participant"], *adopted(other)]) == sorted(PEOPLE)


@pytest.mark.system
async def test_without_reconcile_nobody_is_adopted(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    first = await start_worker()
    await join("alice")
    await dispatch()
    await first.wait("participant_connected")
    assert await first.stop() == 0
    second = await start_worker(PMON_RECONCILE="false")
    await asyncio.sleep(12)
    assert not second.events


@pytest.mark.system
async def test_who_was_removed_from_a_room_stays_out(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    """An administrator who removes the monitor means it."""
    worker = await start_worker()
    await join("alice")
    await dispatch()
    await worker.wait("participant_connected")
    found = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
    [monitor] = [p.identity for p in found.participants if p.identity.startswith("pmon-")]
    await lkapi.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=monitor))
    ended = await worker.wait("session_ended")
    assert ended["reason"] == "monitor_removed"
    await asyncio.sleep(12)
    assert len(worker.of("session_started")) == 1


@pytest.mark.system
async def test_a_lost_room_job_is_taken_up(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    first = await start_worker(PMON_JOB_TYPE="room")
    await join("alice")
    await dispatch()
    await first.wait("participant_connected")
    kill(first)
    second = await start_worker(PMON_JOB_TYPE="room")
    await second.wait("participant_connected", within_s=KILLED_S)
    await join("bob")
    joined = await second.wait("participant_connected", participant="bob")
    assert joined["job"] is None


async def test_connections_carry_the_ids_of_their_worker(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    """By them other workers know who is there; no secret is among them."""
    worker = await start_worker()
    await join("alice")
    await dispatch()
    await worker.wait("participant_connected")
    [registered] = [line for line in worker.lines if line["message"] == "registered worker"]
    found = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
    [monitor] = [p for p in found.participants if p.identity.startswith("pmon-")]
    assert json.dumps(dict(monitor.attributes), sort_keys=True) == json.dumps(
        {
            "pmon.adopts": "yes",
            "pmon.agent": f"monitor-{room}",
            "pmon.workers": registered["worker_id"],
        }
    )
