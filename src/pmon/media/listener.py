"""Carries out a process's listening plan: what happens to tracks goes in, requests come out."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import structlog

from pmon.monitor.listening.changes import Change
from pmon.monitor.listening.plan import Listening

log = structlog.get_logger("pmon.media")


class Actuator(Protocol):
    """The subscriptions of one room."""

    def carry_out(self, change: Change) -> None:
        """Enable or disable a track, and open or close its stream."""

    def not_carried_out(self, track_sid: str) -> None:
        """That raised, so nobody knows how the track stands: begin anew with it."""


class Listener:
    """One for all rooms of a process. After any input to ``plan`` call ``settle``."""

    def __init__(self, plan: Listening) -> None:
        self.plan = plan
        self._rooms: dict[str, Actuator] = {}
        self._settling = False
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, room: str, actuator: Actuator) -> None:
        """Changes of this room go there from now on."""
        self._rooms[room] = actuator

    def detach(self, room: str, actuator: Actuator) -> None:
        """Nothing is left to be changed there; a namesake that came since keeps its place."""
        if self._rooms.get(room) is actuator:
            del self._rooms[room]

    def settle(self) -> None:
        """Do what the plan wants by now. What that sets off in turn is done in the same call."""
        if self._settling:
            return
        self._settling = True
        try:
            while changes := self.plan.tick(time.monotonic()):
                for change in changes:
                    self._carry_out(change)
        finally:
            self._settling = False
        self._come_back()

    def _carry_out(self, change: Change) -> None:
        actuator = self._rooms.get(change.room)
        if actuator is None:
            return
        try:
            actuator.carry_out(change)
        except Exception:
            log.exception("a track was not switched", room=change.room, track=change.track_sid)
            self._begin_anew(actuator, change)

    def _begin_anew(self, actuator: Actuator, change: Change) -> None:
        """What fails here as well must not keep the other changes from being carried out."""
        try:
            actuator.not_carried_out(change.track_sid)
        except Exception:
            log.exception("a track was not given up", room=change.room, track=change.track_sid)

    def _come_back(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.plan.due()
        if due is not None:
            pause_s = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(pause_s, self.settle)

    def close(self) -> None:
        """Plan nothing more."""
        self._settling = True
        if self._timer is not None:
            self._timer.cancel()
