"""The native tier while people and rooms come and go, for long; ``make sanitize-churn``."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import psutil
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api
from worker import Worker

from pmon.media.phrases import phrases
from pmon.media.publish import SimulatedParticipant

CHURN_S = float(os.environ.get("PMON_CHURN_S", "600"))
PEOPLE = 6


def media_process(worker: Worker) -> int:
    """The one that has the SDK in it."""
    (pid,) = (
        child.pid
        for child in psutil.Process(worker.process.pid).children(recursive=True)
        if "liblivekit_ffi" in maps(child.pid)
    )
    return pid


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


async def act(person: SimulatedParticipant, chance: random.Random, present: int) -> str:
    """Let somebody do something that is possible just now. Returns what."""
    what = chance.choice(("talk", "talk", "mute", "publish", "leave", "come"))
    match what:
        case "talk":
            person.say(phrases()[chance.choice(list(phrases()))])
        case "mute" if person.room is not None:
            (person.unmute if person.muted else person.mute)()
        case "publish" if person.room is not None:
            await person.unpublish_microphone()
            await asyncio.sleep(chance.random() / 5)
            await person.publish_microphone()
        case "leave" if present > 2:
            await person.leave()
        case "come" if person.room is None:
            await person.join()
        case _:
            return "nothing"
    return what


async def another_room(
    number: int, join: Join, dispatch: Dispatch, lkapi: api.LiveKitAPI, stay_s: float
) -> None:
    """A room that is joined, heard and left, at times because it was deleted."""
    name = f"churn-{os.getpid()}-{number}"
    person = await join("visitor", room=name, camera=number % 2 == 0)
    await dispatch(room=name)
    person.say(phrases()["welcome"])
    await asyncio.sleep(stay_s)
    if number % 3:
        await lkapi.room.delete_room(api.DeleteRoomRequest(room=name))
    await person.leave()


@pytest.mark.system
@pytest.mark.timeout(CHURN_S + 240)
@pytest.mark.parametrize("listen", ["always", "adaptive"])
async def test_people_and_rooms_come_and_go(
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
    lkapi: api.LiveKitAPI,
    listen: str,
) -> None:
    """Half of the time each: streams are opened and closed for presence, and for speech."""
    worker = await start_worker(PMON_MEDIA="native", PMON_LISTEN=listen)
    await dispatch()
    people = [await join(f"p{number}", noise_dbov=-60) for number in range(PEOPLE)]
    await worker.wait("track_published", PEOPLE)
    pid = media_process(worker)
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        for name in ("libasan", "sanitized/src/pmon/_dsp", "sanitized/src/pmon/_tap"):
            assert name in maps(pid), f"the worker runs without {name}"
    chance, end, done, rooms = random.Random(1), time.monotonic() + CHURN_S / 2, [], 0
    visit: asyncio.Task[None] | None = None
    while time.monotonic() < end:
        if visit is None or visit.done():
            if visit is not None:
                visit.result()
            rooms += 1
            visit = asyncio.create_task(
                another_room(rooms, join, dispatch, lkapi, 2 + 3 * chance.random())
            )
        present = sum(person.room is not None for person in people)
        done.append(await act(chance.choice(people), chance, present))
        await asyncio.sleep(chance.random() / 2)
        assert worker.process.returncode is None
    if visit is not None:
        await visit
    assert media_process(worker) == pid, "the media process was replaced"
    assert await worker.stop() == 0
    print({what: done.count(what) for what in sorted(set(done))}, rooms, "rooms")  # -s shows it
    assert {"talk", "mute", "publish", "leave", "come"} <= set(done)
    assert worker.of("speaking_stopped")
    wrong = [line for line in worker.lines if line["level"] in ("ERROR", "CRITICAL")]
    assert not wrong, wrong
    assert "Sanitizer" not in worker.stderr
    assert "runtime error" not in worker.stderr
