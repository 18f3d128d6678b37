"""Keeps one media process alive: when it dies or is full of leaks, another one goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Set
from contextlib import suppress
from typing import Any

import psutil
import structlog

from pmon.app import messages as msg
from pmon.app.media_child import MediaChild
from pmon.app.recycling import Recycling
from pmon.app.slot import Slot
from pmon.settings import Settings

INTERRUPTED_S = 1.0
"""After SIGTERM to a media process: if it was meant for all, the supervisor drains by then."""
PREPARE_S = 20.0
LEAVE_S = 10.0
HUNG_S = 30.0
"""A process says something every second; a machine under load may take its time."""
READY_S = 60.0
"""A process that does not work by then never will: it is told apart from one that is slow."""
DRAIN_PAUSE_S = 1.0
"""The longest wait for the next process where only summaries are left to be told."""

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
        on_gone: Callable[[Place, Set[str]], None],
    ) -> None:
        self.slot = Slot(name)
        self.process: psutil.Process | None = None
        self._settings = settings
        self._on_message = on_message
        self._on_gone = on_gone
        """The process is gone, and what it said of itself does not hold for the next; and the rooms
        in which the next one is already."""
        self._child: MediaChild | None = None
        self._next: MediaChild | None = None
        """One that prepares itself to take its place."""
        self._to_join: list[str] = []
        """The rooms that it was asked to join before."""
        self._leaving: MediaChild | None = None
        """One that has handed over, or is about to, until it is gone."""
        self._hands_over = False
        self._draining = asyncio.Event()
        self._heard_at = 0.0
        self._tries = Recycling()
        self._came_up = asyncio.get_running_loop().create_future()
        self._came_up.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._task: asyncio.Task[None] | None = None
        self._recycling: asyncio.Task[None] | None = None

    @property
    def tier(self) -> str:
        """How audio comes in; empty while no process is there."""
        return "" if self._child is None else self._child.tier

    @property
    def works(self) -> bool:
        """Whether a process watches the rooms, or is just handing them over."""
        return self.slot.running or self._hands_over

    @property
    def is_replaced(self) -> bool:
        """Whether there are two processes: one prepares itself, or has not left yet."""
        preparing = self._recycling is not None and not self._recycling.done()
        leaving = self._leaving is not None and self._leaving.alive
        return preparing or leaving

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

    def recycle(self, reason: str, away: Set[str]) -> bool:
        """Put another process in the place of this one, which joins the rooms before it leaves.

        While a room is ``away``, nobody could tell what became of its people meanwhile, which puts
        it off for a while. Returns whether a try has begun.
        """
        now = time.monotonic()
        if self.is_replaced or not self.slot.running or not self._tries.is_due(now):
            return False
        if away and self._tries.put_off(now):
            self._warn_put_off("this one is not in all rooms just now", sorted(away))
            return False
        self._tries.begins(now)
        self._recycling = asyncio.create_task(self._recycle(reason), name="recycle")
        return True

    def look_after(self, now: float) -> None:
        """End a process that has not said a word for long; another one goes on."""
        child = self._child
        if child is not None and self.slot.running and now - self._heard_at > HUNG_S:
            log.error("a media process hangs", process=self.slot.name, pid=child.pid)
            child.kill()

    async def drain(self) -> None:
        """End all sessions and wait until the process is gone."""
        self._draining.set()
        if self._recycling is not None:
            await asyncio.wait([self._recycling])  # it gives up, or has handed over already
        if self._child is not None and self.slot.running:
            self._child.send(msg.Drain())
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._leaving is not None:
            await self._leaving.gone()  # it has handed over, and leaves its rooms

    def kill(self) -> None:
        self._draining.set()
        for task in (self._task, self._recycling):
            if task is not None:
                task.cancel()
        for child in (self._child, self._next, self._leaving):
            if child is not None:
                child.kill()

    # --- inside

    async def _keep(self) -> None:
        """One process after the other, until it is time to leave.

        A process that dies while it drains leaves sessions without a summary: another one ends
        them.
        """
        while self.slot.jobs or not self._draining.is_set():
            try:
                problem, pause_s = await self._one_process()
            except Exception as error:  # no memory for another, no process id
                log.exception("no media process could be started", process=self.slot.name)
                problem = f"no media process could be started: {error!r}"
                pause_s = max(1.0, self.slot.gone(time.monotonic()))
            if not self._came_up.done():
                self._came_up.set_exception(MediaError(problem))
                return
            await self._pause(pause_s)
        if self._next is not None:
            self._next.kill()  # there is nothing left to take over

    async def _pause(self, pause_s: float) -> None:
        """Never none at all where there should be one, or the loop would do nothing else."""
        if self._draining.is_set():
            await asyncio.sleep(min(pause_s, DRAIN_PAUSE_S))
        elif pause_s:
            await _first_of(self._draining.wait(), timeout_s=pause_s)

    async def _one_process(self) -> tuple[str, float]:
        """The life of one process. Returns what became of it, and how long to wait then."""
        child, self._next = self._next, None
        self._hands_over = False
        if child is not None and not child.ready.is_set():
            child.kill()  # it may hang, and nobody watches
            child = None
        if child is None or not child.alive:
            child = await MediaChild.spawn(self._settings, self._heard)
        self._child = child
        try:
            with suppress(psutil.NoSuchProcess):  # what became of it is told below
                self.process = psutil.Process(child.pid)
            await _first_of(child.ready.wait(), timeout_s=READY_S)
            if not child.ready.is_set():
                log.error("a media process does not start", process=self.slot.name, pid=child.pid)
                child.kill()
                await child.ready.wait()
            if child.alive:
                self._welcome(child)
            await child.handed_over.wait()
        finally:
            self._child = self.process = None
        self._tries.gone()
        if self._hands_over and self._next is not None and self._next.alive:
            self._on_gone(self, set(self._to_join).difference(self._next.unprepared or ()))
            return "it handed over", 0.0
        self._hands_over = False
        pause_s = self.slot.gone(time.monotonic())
        self._on_gone(self, frozenset())
        if self._came_up.done() and not self._draining.is_set():
            log.error(
                "a media process died; another one goes on",
                process=self.slot.name,
                pid=child.pid,
                exit_code=child.exit_code,
                jobs=len(self.slot.jobs),
                pause_s=pause_s,
            )
        return f"a media process ended at once, with exit code {child.exit_code}", pause_s

    def _welcome(self, child: MediaChild) -> None:
        self._heard_at = time.monotonic()
        log.info("media process works", process=self.slot.name, pid=child.pid, media=child.tier)
        for waiting in self.slot.ready(self._heard_at):
            child.send(waiting)
        if self._draining.is_set():
            child.send(msg.Drain())
        if not self._came_up.done():
            self._came_up.set_result(None)

    async def _recycle(self, reason: str) -> None:
        old = self._child
        if old is None:
            return
        log.info(
            "replacing a media process",
            process=self.slot.name,
            reason=reason,
            jobs=len(self.slot.jobs),
        )
        try:
            successor = await MediaChild.spawn(self._settings, self._heard)
        except Exception:
            log.exception("no media process could be started", process=self.slot.name)
            self._tries.failed(time.monotonic())
            return
        if not old.alive:  # and another one goes on already
            successor.kill()
            return
        self._next = successor
        await _first_of(self._prepare(successor), self._draining.wait(), old.handed_over.wait())
        if not old.alive:
            return  # it died, and this one goes on at once
        if self._draining.is_set() or not self._can_take_over(successor):
            successor.kill()
            self._next = None
            return
        self._hands_over = True
        self._leaving = old
        self.slot.pause(time.monotonic())
        old.send(msg.HandOver())
        asyncio.get_running_loop().call_later(LEAVE_S, old.kill)

    def _can_take_over(self, successor: MediaChild) -> bool:
        """Whether it is in all rooms, or has been waited for too often."""
        now = time.monotonic()
        if not successor.alive or successor.unprepared is None:
            log.warning("the process is not replaced: the other one is not ready")
            self._tries.failed(now)
            return False
        missing = set(successor.unprepared) & set(self.slot.rooms)
        if missing and self._tries.put_off(now):
            self._warn_put_off("the other one could not join its rooms in time", sorted(missing))
            return False
        return True

    def _warn_put_off(self, why: str, rooms: list[str]) -> None:
        log.warning(f"the process is not replaced: {why}", process=self.slot.name, rooms=rooms)

    async def _prepare(self, successor: MediaChild) -> None:
        """Have it join the rooms, if it works soon, and wait for that, but not for ever."""
        await _first_of(successor.ready.wait(), timeout_s=PREPARE_S)
        if not successor.ready.is_set():
            return
        if self.slot.workers is not None:
            successor.send(self.slot.workers)
        self._to_join = self.slot.rooms
        successor.send(msg.Prepare(rooms=self._to_join))
        patience_s = PREPARE_S + msg.PREPARE_ROOM_S * len(self._to_join)
        await _first_of(successor.prepared.wait(), timeout_s=patience_s)

    def _heard(self, child: MediaChild, message: msg.FromHost) -> None:
        if isinstance(message, msg.Interrupted):
            loop = asyncio.get_running_loop()
            loop.call_later(INTERRUPTED_S, self._replace_interrupted, child)
            return
        if child is self._child:
            self._heard_at = time.monotonic()
        if isinstance(message, msg.EventsLost):
            # Whoever came or left unseen stays so: another process asks the server anew.
            log.error(
                "a media process lost events",
                process=self.slot.name,
                pid=child.pid,
                events=message.events,
            )
            child.kill()
            self._on_message(self, message)
            return
        if child is not self._child:
            return  # it prepares itself, or has handed over
        self.slot.heard(message)
        if not isinstance(message, msg.Checkpoint | msg.Drained):
            self._on_message(self, message)

    def _replace_interrupted(self, child: MediaChild) -> None:
        """SIGTERM was for the media process alone: the SDK's way to say that it panicked."""
        if child.alive and not self._draining.is_set():
            log.error("a media process was told to end", process=self.slot.name, pid=child.pid)
            child.kill()


async def _first_of(*works: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> None:
    """Wait for the first of these, for so long at most; the others are given up."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
