"""Keeps one media process alive: when it dies or is full of leaks, another one goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import structlog

from pmon.app import messages as msg
from pmon.app.media_child import MediaChild
from pmon.app.slot import Slot
from pmon.settings import Settings

INTERRUPTED_S = 1.0
"""After SIGTERM to a media process: if it was meant for all, the supervisor drains by then."""
PREPARE_S = 20.0
LEAVE_S = 10.0

log = structlog.get_logger("pmon.worker")


class MediaError(RuntimeError):
    """A media process that does not even start."""


class Place:
    """A slot and the process that sits in it."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        on_message: Callable[[Place, msg.FromHost], None],
    ) -> None:
        self.slot = Slot(name)
        self.process: psutil.Process | None = None
        self._settings = settings
        self._on_message = on_message
        self._child: MediaChild | None = None
        self._successor: MediaChild | None = None
        self._draining = asyncio.Event()
        self._came_up = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._recycling: asyncio.Task[None] | None = None

    @property
    def tier(self) -> str:
        """How audio comes in; empty while no process is there."""
        return "" if self._child is None else self._child.tier

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=self.slot.name)

    async def came_up(self) -> None:
        """Wait for the first process to say that it works. Raises MediaError if it dies first."""
        await self._came_up

    def ask(self, message: msg.ToHost) -> None:
        """Have the process do this, or the next one if there is none just now."""
        for due in self.slot.ask(message):
            if self._child is not None:
                self._child.send(due)

    def recycle(self) -> None:
        """Put another process in the place of this one, which joins the rooms before it leaves."""
        if self._recycling is None or self._recycling.done():
            self._recycling = asyncio.create_task(self._recycle(), name=f"recycle {self.slot.name}")

    async def drain(self) -> None:
        """End all sessions and wait until the process is gone."""
        if self._recycling is not None:
            await asyncio.wait([self._recycling])
        self._draining.set()
        if self._child is not None:
            self._child.send(msg.Drain())
        if self._task is not None:
            await asyncio.wait([self._task])

    def kill(self) -> None:
        self._draining.set()
        if self._task is not None:
            self._task.cancel()
        for child in (self._child, self._successor):
            if child is not None:
                child.kill()

    # --- inside

    async def _keep(self) -> None:
        """One process after the other, until it is time to leave.

        A process that dies while it drains leaves sessions without a summary: another one ends
        them.
        """
        while self.slot.jobs or not self._draining.is_set():
            successor, self._successor = self._successor, None
            child = successor or await MediaChild.spawn(self._settings, self._heard)
            self._child, self.process = child, psutil.Process(child.pid)
            await child.ready.wait()
            if child.alive:
                log.info(
                    "media process works",
                    process=self.slot.name,
                    pid=child.pid,
                    media=child.tier,
                )
                for waiting in self.slot.ready(time.monotonic()):
                    child.send(waiting)
                if self._draining.is_set():
                    child.send(msg.Drain())
                if not self._came_up.done():
                    self._came_up.set_result(None)
            await child.handed_over.wait()
            self._child = self.process = None
            pause_s = self.slot.gone(time.monotonic())
            if self._draining.is_set() or self._successor is not None:
                continue
            self._tell_death(child, pause_s)
            if not self._came_up.done():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), pause_s)

    def _tell_death(self, child: MediaChild, pause_s: float) -> None:
        if not self._came_up.done():
            problem = f"the media process ended at once, with exit code {child.exit_code}"
            self._came_up.set_exception(MediaError(problem))
            return
        log.error(
            "a media process died; another one goes on",
            process=self.slot.name,
            pid=child.pid,
            exit_code=child.exit_code,
            jobs=len(self.slot.jobs),
            pause_s=pause_s,
        )

    async def _recycle(self) -> None:
        log.info("replacing a media process", process=self.slot.name, jobs=len(self.slot.jobs))
        old = self._child
        successor = await MediaChild.spawn(self._settings, self._heard)
        try:
            async with asyncio.timeout(PREPARE_S):
                await successor.ready.wait()
                successor.send(msg.Prepare(rooms=self.slot.rooms))
                await successor.prepared.wait()
        except TimeoutError:
            log.warning("the new media process is slow; it takes over as it is")
        if old is None or old is not self._child or self._draining.is_set() or not successor.alive:
            successor.kill()  # too late, or no use
            return
        self._successor = successor
        self.slot.pause()
        old.send(msg.HandOver())
        try:
            await asyncio.wait_for(old.gone(), LEAVE_S)
        except TimeoutError:
            old.kill()

    def _heard(self, child: MediaChild, message: msg.FromHost) -> None:
        if isinstance(message, msg.Interrupted):
            loop = asyncio.get_running_loop()
            loop.call_later(INTERRUPTED_S, self._replace_interrupted, child)
            return
        if child is not self._child:
            return  # of one that prepares itself, or that has handed over
        self.slot.heard(message)
        if not isinstance(message, msg.Checkpoint | msg.Drained):
            self._on_message(self, message)

    def _replace_interrupted(self, child: MediaChild) -> None:
        """SIGTERM was for the media process alone: the SDK's way to say that it panicked."""
        if child.alive and not self._draining.is_set():
            log.error("a media process was told to end", process=self.slot.name, pid=child.pid)
            child.kill()
