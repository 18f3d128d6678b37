"""Faults of microphones on a real server: each is told once, and once that it is over.

What the meters hear has been through Opus, the server and a jitter buffer, so here it shows
whether the levels that tell a dead microphone from a quiet one, and a clipped voice from a loud
one, are the right ones.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import numpy as np
import pytest
from conftest import Dispatch, Join, StartWorker
from worker import Line, Worker

from pmon.media.phrases import Phrase, phrases
from pmon.media.publish import SimulatedParticipant
from pmon.monitor.mic_faults import (
    CLIPPED_S,
    CLIPPED_SHARES,
    NOISY_S,
    NOISY_WALL_S,
    QUIET_S,
    SILENT_S,
)

ISSUES = ("mic_silent", "mic_quiet", "mic_noisy", "mic_clipping")
FAULTS = {
    "dead": "mic_silent",
    "quiet": "mic_quiet",
    "noisy": "mic_noisy",
    "clipping": "mic_clipping",
}
"""Who has what."""


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def lasted_s(raised: Line) -> float:
    """How long a fault had been there when it was told."""
    return round(seconds(raised["time"]) - seconds(raised["since"]), 3)


def spoken(gain_db: float) -> list[Phrase]:
    """Some phrases, so much louder; what is over full scale is cut off there."""
    louder = []
    for name in ("numbers", "mail", "results", "welcome"):
        phrase = phrases()[name]
        samples = np.clip(phrase.samples * 10 ** (gain_db / 20), -32768, 32767).astype(np.int16)
        louder.append(Phrase(samples=samples, truth=phrase.truth))
    return louder


class Room:
    """Some who have a fault until it is repaired, and some who have none and make no sound."""

    def __init__(self, worker: Worker, join: Join) -> None:
        self._worker = worker
        self._join = join
        self._people: dict[str, SimulatedParticipant] = {}

    async def dead(self) -> None:
        """Digital silence, until somebody plugs it in."""
        person = await self._join("dead")
        raised = await self._told("dead", "issue_raised", within_s=110)
        assert SILENT_S <= raised["evidence"]["heard_s"] <= SILENT_S + 20
        assert SILENT_S <= lasted_s(raised) <= SILENT_S + 20
        assert raised["evidence"]["loudest_dbov"] < -97
        person.voice.in_noise(-60)
        await self._told("dead", "issue_resolved", within_s=10)

    async def noisy(self) -> None:
        person = await self._join("noisy", noise_dbov=-36)
        raised = await self._told("noisy", "issue_raised", within_s=110)
        assert raised["evidence"]["floor_dbov"] == pytest.approx(-38, abs=4)  # Opus takes some
        assert NOISY_WALL_S <= lasted_s(raised) <= NOISY_WALL_S + 10
        person.voice.in_noise(-65)
        resolved = await self._told("noisy", "issue_resolved", within_s=60)
        assert NOISY_S <= seconds(resolved["time"]) - seconds(raised["time"]) <= NOISY_S + 10

    async def clipping(self) -> None:
        await self._talk("clipping", 24, "issue_raised")
        (raised,) = self._of("clipping", "issue_raised")
        assert raised["evidence"]["clipped_ratio"] > 0.01
        shares_s = CLIPPED_SHARES * CLIPPED_S
        assert shares_s <= lasted_s(raised) <= 3 * shares_s  # with the pauses between the words
        await self._talk("clipping", 0, "issue_resolved")
        (resolved,) = self._of("clipping", "issue_resolved")
        assert 2 * shares_s <= resolved["duration_s"] <= 9 * shares_s

    async def quiet(self) -> None:
        await self._talk("quiet", -16, "issue_raised")
        (raised,) = self._of("quiet", "issue_raised")
        assert raised["evidence"]["level_dbov"] == pytest.approx(-42, abs=2)
        assert QUIET_S <= lasted_s(raised) <= 3 * QUIET_S
        await self._talk("quiet", 0, "issue_resolved")
        (resolved,) = self._of("quiet", "issue_resolved")
        assert 2 * QUIET_S <= resolved["duration_s"] <= 9 * QUIET_S

    async def healthy(self) -> None:
        await self._join("hushed", noise_dbov=-85)  # what noise suppression leaves of a room
        await self._join("dithering", noise_dbov=-92)
        listening = await self._join("listening", noise_dbov=-60)
        gated = await self._join("gated")  # whose suppression makes zeros of pauses
        await self._join("encrypted", noise_dbov=-50, shared_key=b"between us")
        muted = await self._join("muted")
        muted.mute()
        await asyncio.gather(listening.say(phrases()["pause"]), gated.say(phrases()["welcome"]))

    async def all(self) -> None:
        await asyncio.gather(
            self.dead(), self.noisy(), self.clipping(), self.quiet(), self.healthy()
        )

    async def _talk(self, name: str, gain_db: float, until: str) -> None:
        """Let somebody say one phrase after the other until their fault, or its end, is told."""
        if name not in self._people:
            self._people[name] = await self._join(name, noise_dbov=-70)
        for _ in range(6):
            for phrase in spoken(gain_db):
                await self._people[name].say(phrase)
                if self._of(name, until):
                    return
        raise AssertionError(f"{until} was never told of {name}: {self._worker.lines[-40:]}")

    def _of(self, name: str, what: str) -> list[Line]:
        return self._worker.of(what, participant=name, issue=FAULTS[name])

    async def _told(self, name: str, what: str, within_s: float) -> Line:
        return await self._worker.wait(
            what, participant=name, issue=FAULTS[name], within_s=within_s
        )


def lives(worker: Worker) -> dict[tuple[str, str], list[str]]:
    """What became of the faults of each: (participant, issue) to what was told, in order."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in worker.events:
        if line.get("issue") in ISSUES:
            found.setdefault((line["participant"], line["issue"]), []).append(line["type"])
    return found


@pytest.mark.system
@pytest.mark.alone
@pytest.mark.timeout(240)
async def test_each_fault_is_told_once_and_nobody_else_has_one(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """All of them at a time, in two minutes."""
    worker = await start_worker(PMON_LISTEN="always")
    await join("first", noise_dbov=-60)  # so that there is a room
    await dispatch()
    await Room(worker, join).all()
    assert await worker.stop() == 0
    assert lives(worker) == {
        (name, issue): ["issue_raised", "issue_resolved"] for name, issue in FAULTS.items()
    }
    assert {line["reason"] for line in worker.of("issue_resolved")} == {"recovered"}
    summaries = {e["participant"]: e["summary"] for e in worker.of("session_ended")}
    (track,) = summaries["listening"]["tracks"]
    assert track["level_dbov"] == pytest.approx(-27, abs=3)
    assert track["floor_dbov"] == pytest.approx(-64, abs=4)  # Opus takes some of white noise
    (track,) = summaries["encrypted"]["tracks"]
    assert (track["level_dbov"], track["floor_dbov"]) == (None, None)


@pytest.mark.system
@pytest.mark.alone
@pytest.mark.timeout(900)
async def test_ten_minutes_of_hardly_a_sound(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """The dead one is told, and its repair, and nobody else."""
    worker = await start_worker(PMON_LISTEN="always")
    await join("first", noise_dbov=-60)
    await dispatch()
    room, dead = Room(worker, join), await join("dead")
    await room.healthy()
    await worker.wait("issue_raised", within_s=400, issue="mic_silent")
    await asyncio.sleep(540)
    dead.voice.in_noise(-60)
    await worker.wait("issue_resolved", within_s=200, issue="mic_silent")
    assert await worker.stop() == 0
    assert lives(worker) == {("dead", "mic_silent"): ["issue_raised", "issue_resolved"]}
    raised = [(line["participant"], line["issue"]) for line in worker.of("issue_raised")]
    assert raised == [("dead", "mic_silent")], "nor anything else of anybody"
