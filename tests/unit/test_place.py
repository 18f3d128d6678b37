"""When one media process takes the place of another: the processes are stand-ins."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pmon.app import messages as msg
from pmon.app import place as place_module
from pmon.app.media_child import MediaChild
from pmon.app.place import HUNG_S, Place
from pmon.app.recycling import MOST_REFUSALS, RECYCLE_AGAIN_S, RECYCLE_EVERY_S
from pmon.metadata import JobMetadata
from pmon.settings import Settings


class Child:
    """A media process that works at once, and joins all rooms but the ``unprepared``."""

    tier = "native"
    pid = os.getpid()
    exit_code = None

    def __init__(
        self, unprepared: list[str] | None, *, starts: bool = True, leaves: bool = True
    ) -> None:
        self.alive = True
        self.unprepared = unprepared
        self._leaves = leaves
        self.ready, self.prepared = asyncio.Event(), asyncio.Event()
        self.handed_over, self.ended = asyncio.Event(), asyncio.Event()
        self.sent: list[msg.ToHost] = []
        if starts:
            self.ready.set()

    def send(self, message: msg.ToHost) -> None:
        self.sent.append(message)
        if isinstance(message, msg.Prepare) and self.unprepared is not None:
            self.prepared.set()
        if isinstance(message, msg.HandOver) and self._leaves:
            self.kill()

    async def gone(self) -> None:
        await self.ended.wait()

    def kill(self) -> None:
        self.alive = False
        self.ended.set()
        for event in (self.ready, self.prepared, self.handed_over):
            event.set()


class Stage:
    """A place, its clock, and the processes that were made for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.children: list[Child] = []
        self.make: Callable[[], Child] = lambda: Child([])
        self.now = 1000.0
        self.said: list[msg.FromHost] = []
        self.kept: list[set[str]] = []
        """The rooms that each process that went left to one that was in them already."""
        monkeypatch.setattr(MediaChild, "spawn", self.spawn)
        clock = SimpleNamespace(monotonic=lambda: self.now)  # the loop keeps its own
        monkeypatch.setattr(place_module, "time", clock)
        settings = Settings(api_key="key", api_secret="secret")
        self.place = Place(
            "media-0",
            settings,
            lambda _, message: self.said.append(message),
            lambda _, kept: self.kept.append(set(kept)),
        )

    async def spawn(self, *_: Any) -> Child:
        self.children.append(self.make())
        return self.children[-1]

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def start(self) -> None:
        self.place.ask(
            msg.StartJob(
                job="AJ_1",
                dispatch="AD_1",
                room="a",
                participant="ann",
                participant_sid="",
                participant_kind="standard",
                metadata=JobMetadata(),
            )
        )
        self.place.start()
        await self.settle()

    async def recycle(self, after_s: float, away: frozenset[str] = frozenset()) -> bool:
        self.now += after_s
        begun = self.place.recycle("it is too large", away)
        await self.settle()
        return begun

    @property
    def alive(self) -> list[bool]:
        return [child.alive for child in self.children]

    def says(self, child: Child, message: msg.FromHost) -> None:
        self.place._heard(child, message)  # type: ignore[arg-type]


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    stage = Stage(monkeypatch)
    await stage.start()
    yield stage
    stage.place.kill()
    await stage.settle()
    assert not any(stage.alive), "a process was left behind"


async def test_a_room_that_cannot_be_joined_puts_it_off_and_not_for_ever(stage: Stage) -> None:
    """Else a process that leaks takes all its rooms with it in the end."""
    stage.make = lambda: Child(["a"])
    for _ in range(MOST_REFUSALS):
        assert await stage.recycle(RECYCLE_EVERY_S)
        assert stage.alive == [True] + [False] * (len(stage.children) - 1)
        assert stage.place.works
    assert not await stage.recycle(RECYCLE_AGAIN_S / 2), "not at once"
    assert await stage.recycle(RECYCLE_AGAIN_S)
    assert stage.alive == [False] * (MOST_REFUSALS + 1) + [True]
    assert stage.kept == [set()], "nobody is in the room for now"


async def test_a_room_that_is_away_puts_it_off_and_not_for_ever(stage: Stage) -> None:
    """One room that could not be reached kept a process that leaks in its place for ever."""
    away = frozenset({"a"})
    for _ in range(MOST_REFUSALS):
        assert not await stage.recycle(RECYCLE_EVERY_S, away)
    assert not await stage.recycle(RECYCLE_AGAIN_S / 2, away)
    stage.make = lambda: Child(["a"])  # which it cannot join either
    assert await stage.recycle(RECYCLE_AGAIN_S, away)
    assert stage.alive == [False, True]


async def test_a_room_that_is_over_by_then_puts_nothing_off(stage: Stage) -> None:
    stage.make = lambda: Child(["a room that ended meanwhile"])
    await stage.recycle(RECYCLE_EVERY_S)
    assert stage.alive == [False, True]
    assert msg.HandOver() in stage.children[0].sent
    assert stage.kept == [{"a"}]


async def test_one_replacement_follows_another_but_not_too_soon(stage: Stage) -> None:
    """A process that is too large from the start stays so, whoever takes its place."""
    for count in (1, 2):
        assert await stage.recycle(RECYCLE_EVERY_S)
        assert stage.alive == [False] * count + [True]
        assert not stage.place.is_replaced
        assert stage.place.works
        assert not await stage.recycle(RECYCLE_EVERY_S / 2)


async def test_there_are_two_until_the_old_one_has_left(stage: Stage) -> None:
    """The next place was replaced meanwhile, and there was memory for one more, not for two."""
    old = stage.children[0]
    old.send = lambda message: old.handed_over.set()  # type: ignore[method-assign]
    await stage.recycle(RECYCLE_EVERY_S)
    assert stage.alive == [True, True]
    assert stage.kept == [{"a"}]
    assert stage.place.is_replaced
    assert not await stage.recycle(RECYCLE_EVERY_S)
    old.kill()
    assert not stage.place.is_replaced


async def test_a_room_that_came_after_the_next_one_was_asked_is_not_kept(stage: Stage) -> None:
    stage.children[0]._leaves = False
    await stage.recycle(RECYCLE_EVERY_S)
    [job] = stage.place.slot.jobs.values()
    stage.place.ask(msgspec.structs.replace(job, job="AJ_2", room="b"))
    stage.children[0].handed_over.set()
    await stage.settle()
    assert stage.kept == [{"a"}]
    stage.children[0].kill()


async def test_what_the_next_one_says_is_no_sign_that_the_old_one_lives(stage: Stage) -> None:
    stage.make = lambda: Child(None)
    await stage.recycle(RECYCLE_EVERY_S)
    stage.now += HUNG_S + 1
    stage.says(stage.children[1], msg.HostStatus(rooms=[]))
    stage.place.look_after(stage.now)
    await stage.settle()
    assert stage.alive == [False, True], "which goes on at once"


@pytest.mark.parametrize("jobs", [True, False])
@pytest.mark.parametrize("stage_of_it", ["prepares", "hands over"])
async def test_a_drain_leaves_no_process_behind(stage: Stage, jobs: bool, stage_of_it: str) -> None:
    if stage_of_it == "prepares":
        stage.make = lambda: Child(None)
    else:
        stage.children[0]._leaves = False
    await stage.recycle(RECYCLE_EVERY_S)
    assert stage.alive == [True, True]
    if not jobs:
        stage.place.slot.heard(msg.JobEnded(job="AJ_1"))
    draining = asyncio.create_task(stage.place.drain())
    await stage.settle()
    assert stage.place.slot.running == (stage_of_it == "prepares")
    if stage_of_it == "prepares":  # the old one ends its session
        stage.place.slot.heard(msg.JobEnded(job="AJ_1"))
    stage.children[0].kill()
    await stage.settle()
    stage.place.slot.heard(msg.JobEnded(job="AJ_1"))
    stage.children[1].kill()
    await draining
    drains = [msg.Drain() in child.sent for child in stage.children]
    assert drains == [stage_of_it == "prepares", stage_of_it != "prepares" and jobs]


async def test_a_drain_waits_for_one_that_has_handed_over(stage: Stage) -> None:
    """It leaves its rooms, where else it would stay for others to see until the server noticed."""
    old = stage.children[0]
    old._leaves = False
    await stage.recycle(RECYCLE_EVERY_S)
    old.handed_over.set()
    await stage.settle()
    draining = asyncio.create_task(stage.place.drain())
    await stage.settle()
    stage.place.slot.heard(msg.JobEnded(job="AJ_1"))
    stage.children[1].kill()
    await stage.settle()
    assert stage.alive == [True, False]
    assert not draining.done()
    old.kill()
    await draining


async def test_a_kill_leaves_no_process_behind_that_prepares_itself(stage: Stage) -> None:
    stage.make = lambda: Child(None)
    await stage.recycle(RECYCLE_EVERY_S)
    stage.place.kill()
    await stage.settle()
    assert stage.alive == [False, False]


async def test_the_next_process_has_refused_nothing_yet(stage: Stage) -> None:
    """What was put off twice was taken over without the room by the next one, at once."""
    stage.make = lambda: Child(["a"])
    for _ in range(MOST_REFUSALS):
        await stage.recycle(RECYCLE_EVERY_S)
    stage.make = lambda: Child([])
    stage.children[0].kill()
    await stage.settle()
    stage.make = lambda: Child(["a"])
    assert await stage.recycle(RECYCLE_EVERY_S)
    assert stage.alive == [False] * (MOST_REFUSALS + 1) + [True, False]


async def test_a_try_without_a_process_is_made_again_soon(stage: Stage) -> None:
    """It waited ten minutes, in which what leaks took the memory."""

    def nothing() -> Child:
        raise OSError("no memory for another")

    stage.make = nothing
    assert await stage.recycle(RECYCLE_EVERY_S)

    def dead() -> Child:
        child = Child([])
        child.kill()
        return child

    stage.make = dead
    assert await stage.recycle(RECYCLE_AGAIN_S)
    stage.make = lambda: Child([])
    assert not await stage.recycle(RECYCLE_AGAIN_S / 2)
    assert await stage.recycle(RECYCLE_AGAIN_S)
    assert stage.alive == [False, False, True]


async def test_who_prepares_itself_goes_on_when_the_old_one_dies(stage: Stage) -> None:
    """A third process was started while the second one joined the rooms, for nobody."""
    stage.make = lambda: Child(None)
    await stage.recycle(RECYCLE_EVERY_S)
    stage.children[0].kill()
    await stage.settle()
    assert stage.alive == [False, True]
    assert [type(message) for message in stage.children[1].sent] == [msg.Prepare, msg.StartJob]
    assert stage.kept == [set()], "it may not be in any room yet"
    assert not stage.place.is_replaced


async def test_one_that_does_not_work_yet_is_not_waited_for_when_the_old_one_dies(
    stage: Stage,
) -> None:
    """It may hang, and had a minute for that, in which nobody watched."""
    stage.make = lambda: Child(None, starts=False)
    await stage.recycle(RECYCLE_EVERY_S)
    stage.make = lambda: Child([])
    stage.children[0].kill()
    await stage.settle()
    assert stage.alive == [False, False, True]
    assert stage.place.works


async def test_one_that_does_not_start_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_module, "PREPARE_S", 0.01)
    stage.make = lambda: Child(None, starts=False)
    await stage.recycle(RECYCLE_EVERY_S)
    async with asyncio.timeout(10):
        while stage.children[1].alive:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await stage.settle()
    assert stage.alive == [True, False]
    assert stage.place.works
    stage.make = lambda: Child([])
    assert not await stage.recycle(RECYCLE_AGAIN_S / 2)
    assert await stage.recycle(RECYCLE_AGAIN_S)
    assert stage.alive == [False, False, True]


async def test_one_that_dies_before_its_turn_has_taken_nothing_over(stage: Stage) -> None:
    """All were told as watched by it."""
    stage.children[0]._leaves = False
    await stage.recycle(RECYCLE_EVERY_S)
    assert stage.place.works
    stage.children[1].kill()
    stage.make = lambda: Child([])
    stage.children[0].kill()
    await stage.settle()
    assert stage.kept == [set()]
    assert stage.alive == [False, False, True]
    assert [type(message) for message in stage.children[2].sent] == [msg.StartJob]


async def test_events_that_one_loses_before_its_turn_are_lost_too(stage: Stage) -> None:
    """It took over with people in mind who had left."""
    stage.make = lambda: Child(None)
    await stage.recycle(RECYCLE_EVERY_S)
    stage.says(stage.children[1], msg.EventsLost(events=7))
    await stage.settle()
    assert stage.alive == [True, False]
    assert stage.said == [msg.EventsLost(events=7)], "the metric counts them"


async def test_who_has_nothing_to_take_over_any_more_ends_with_the_old_one(stage: Stage) -> None:
    stage.children[0]._leaves = False
    await stage.recycle(RECYCLE_EVERY_S)
    stage.place.slot.heard(msg.JobEnded(job="AJ_1"))
    draining = asyncio.create_task(stage.place.drain())
    await stage.settle()
    stage.children[0].kill()
    await draining
    assert stage.alive == [False, False]


async def test_a_drain_can_be_given_up_where_no_process_can_be_started(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tried again and again without any pause, and no deadline of anybody's came to pass."""
    monkeypatch.setattr(place_module, "DRAIN_PAUSE_S", 0.01)
    tries = 0

    async def refused(*_: Any) -> Child:
        nonlocal tries
        tries += 1
        if tries > 100:  # what never yields cannot be timed out, only come to its end
            stage.place.slot.jobs.clear()
        raise OSError("no process id is left")

    monkeypatch.setattr(MediaChild, "spawn", refused)
    stage.children[0].kill()
    with suppress(TimeoutError):
        await asyncio.wait_for(stage.place.drain(), 0.1)
    assert 1 < tries < 20


async def test_a_process_that_never_works_is_killed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its place was taken by nothing for ever, and nobody was told."""
    monkeypatch.setattr(place_module, "READY_S", 0.01)
    stage = Stage(monkeypatch)
    await stage.start()
    first = stage.children[0]
    stage.make = lambda: Child([], starts=len(stage.children) > 1)
    first.kill()  # and the next one hangs
    async with asyncio.timeout(10):
        while len(stage.children) < 2 or stage.children[1].alive:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert "a media process does not start" in capsys.readouterr().out
    stage.place.kill()
