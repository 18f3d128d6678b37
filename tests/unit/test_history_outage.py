"""PostgreSQL is killed under load, and started again: what of that is lost, and who waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from history_samples import meeting, stored
from postgres_server import PostgresServer

from pmon.monitor import events as ev
from pmon.outputs.history.output import History

SESSIONS = 1500
TICK_S = 0.002
OUTAGE_S = 3.0
LONGEST_S = 2.0
"""A loop that waits for the database is held up for all of an outage; other processes on a busy
machine can hold it up for a second and more."""


class Loop:
    """How long the event loop was held up at the most."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK_S)
            self.longest_s = max(self.longest_s, time.monotonic() - began - TICK_S)

    async def stop(self) -> float:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return self.longest_s


def load() -> Iterator[list[ev.AnyEvent]]:
    """Many short sessions in a hundred meetings."""
    for number in range(SESSIONS):
        yield meeting(f"p{number}", room=f"room-{number % 100}", room_sid=f"RM_{number % 100}")


async def test_no_session_is_lost_and_the_loop_never_waits(mortal_postgres: PostgresServer) -> None:
    url = mortal_postgres.new_database()
    history = History(url, retry_s=0.05)
    await history.start()
    loop, outages, events = Loop(), 0, 0
    for number, session in enumerate(load()):
        for event in session:
            history.event(event)
            events += 1
        if number in (300, 900):  # in the middle of writing, each time
            await asyncio.to_thread(mortal_postgres.kill)
            outages += 1
        if number in (500, 1100):
            await asyncio.sleep(OUTAGE_S)
            await asyncio.to_thread(mortal_postgres.start)
        await asyncio.sleep(0.001)
    async with asyncio.timeout(60):
        while history.waiting:  # noqa: ASYNC110 - a thread knows nothing of the loop
            await asyncio.sleep(0.01)
    held_up_s = await loop.stop()
    await history.aclose(deadline_s=30)
    assert history.dropped == 0
    found = stored(url)
    assert len(found["sessions"]) == SESSIONS
    assert all(session["ended_at"] is not None for session in found["sessions"])
    assert len(found["turns"]) == 2 * SESSIONS  # none twice
    assert len(found["visits"]) == len(found["issues"]) == SESSIONS
    assert len(found["meetings"]) == 100
    print(f"{events} events, {outages} outages, the loop was held up {held_up_s * 1000:.0f} ms")
    assert held_up_s < LONGEST_S


async def test_a_database_that_hangs_holds_up_no_event(mortal_postgres: PostgresServer) -> None:
    """It answers again: what waited is written."""
    url = mortal_postgres.new_database()
    history = History(url, retry_s=0.05)
    await history.start()
    loop = Loop()
    mortal_postgres.pause()
    longest_s = 0.0
    for number in range(200):
        for event in meeting(f"p{number}"):
            began = time.monotonic()
            history.event(event)
            longest_s = max(longest_s, time.monotonic() - began)
        await asyncio.sleep(0.001)
    await asyncio.sleep(OUTAGE_S)
    mortal_postgres.go_on()
    held_up_s = await loop.stop()
    await history.aclose(deadline_s=30)
    assert history.dropped == 0
    assert len(stored(url)["sessions"]) == 200
    assert longest_s < LONGEST_S
    assert held_up_s < LONGEST_S
