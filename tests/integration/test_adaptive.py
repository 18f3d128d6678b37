"""Adaptive listening on a real server, which has to forward what is enabled and nothing else."""

from __future__ import annotations

import asyncio

import pytest
from conftest import Dispatch, Join, StartWorker

from pmon.media.phrases import phrases


async def test_only_who_speaks_is_heard(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """The server names speakers whose tracks it holds back, and then forwards them at once."""
    worker = await start_worker(PMON_LISTEN="adaptive")
    # In a quiet room: a microphone of no sound at all would be held, as it may be dead.
    alice, _ = await join("alice", noise_dbov=-60.0), await join("bob", noise_dbov=-60.0)
    await dispatch()
    await worker.wait("track_published", 2)
    await asyncio.sleep(6.0)  # the first looks are over
    for turn in (1, 2):  # a look of the patrol may lie in one of the pauses, hardly in both
        await alice.say(phrases()["results"])
        await worker.wait("speaking_stopped", turn)
        await asyncio.sleep(5.0)
    assert await worker.stop() == 0
    assert {e["participant"] for e in worker.of("speaking_started")} == {"alice"}
    assert "server" in {e["heard"] for e in worker.of("speaking_started")}
    summaries = {e["participant"]: e["summary"] for e in worker.of("session_ended")}
    assert summaries["alice"]["talk_time_s"] == pytest.approx(alice.talk_time_s, abs=2.5)
    for name, spoken_s in (("alice", alice.talk_time_s), ("bob", 0.0)):
        coverage = summaries[name]["coverage"]
        # A first look, one of the patrol, one again, and 2 s after each turn, of some 20 s.
        assert 1.0 < coverage["heard_s"] < spoken_s + 10.0
        assert coverage["server_word_s"] > 5.0
    assert summaries["bob"]["coverage"]["heard_s"] < 8.0
