"""When one media process takes the place of another: the processes are stand-ins."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pmon.app import messages as msg
from pmon.app import place as place_module
from pmon.app.media_child import MediaChild
from pmon.app.place import MOST_REFUSALS, RECYCLE_AGAIN_S, RECYCLE_EVERY_S, Place
from pmon.metadata import JobMetadata
from pmon.settings import Settings


class Child:
    """A media process that works at once, and joins all rooms but the ``unprepared``."""

    tier = "native"
    pid = os.getpid()
    exit_code = None

    def __init__(self, unprepared: list[str], *, starts: bool = True) -> None:
        self.alive = True
        self.unprepared = unprepared
        self.ready, self.prepared = asyncio.Event(), asyncio.Event()
        self.handed_over = asyncio.Event()
        self.sent: list[msg.ToHost] = []
        if starts:
            self.ready.set()

    def send(self, message: msg.ToHost) -> None:
        self.sent.append(message)
        if isinstance(message, msg.Prepare):
            self.prepared.set()
        if isinstance(message, msg.HandOver):
            self.kill()

    def kill(self) -> None:
        self.alive = False
        for event in (self.ready, self.prepared, self.handed_over):
            event.set()


class Stage:
    """A place, its clock, and the processes that were made for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.children: list[Child] = []
        self.make: Callable[[], Child] = lambda: Child([])
        self.now = 1000.0
        monkeypatch.setattr(MediaChild, "spawn", self.spawn)
        clock = SimpleNamespace(monotonic=lambda: self.now)  # the loop keeps its own
        monkeypatch.setattr(place_module, "time", clock)
        settings = Settings(api_key="key", api_secret="secret")
        self.place = Place("media-0", settings, lambda *_: None, lambda *_: None)

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

    async def recycle(self, after_s: float) -> None:
        self.now += after_s
        self.place.recycle("it is too large")
        await self.settle()


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(monkeypatch)
    await stage.start()
    return stage


async def test_a_room_that_cannot_be_joined_puts_it_off_and_not_for_ever(stage: Stage) -> None:
    """Else a process that leaks takes all its rooms with it in the end."""
    stage.make = lambda: Child(["a"])
    for _ in range(MOST_REFUSALS):
        await stage.recycle(RECYCLE_EVERY_S)
        assert [child.alive for child in stage.children] == [True] + [False] * (
            len(stage.children) - 1
        )
        assert stage.place.works
    count = len(stage.children)
    await stage.recycle(RECYCLE_AGAIN_S / 2)
    assert len(stage.children) == count, "not at once"
    await stage.recycle(RECYCLE_AGAIN_S)
    assert [child.alive for child in stage.children] == [False] * count + [True]
    stage.place.kill()


async def test_a_room_that_is_over_by_then_puts_nothing_off(stage: Stage) -> None:
    stage.make = lambda: Child(["a room that ended meanwhile"])
    await stage.recycle(RECYCLE_EVERY_S)
    assert [child.alive for child in stage.children] == [False, True]
    assert msg.HandOver() in stage.children[0].sent
    stage.place.kill()


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
