"""When the counters of a room's receivers are read: one question at a time, for all that is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from livekit import rtc

from pmon.media.listener import Listener
from pmon.media.stats import report
from pmon.media.subscriptions import Subscriptions
from pmon.monitor.inputs import LinkReading
from pmon.monitor.room import RoomMonitor

VIDEO_EVERY_S = 2.0
LOOK_EVERY_S = 0.5
"""While a picture is looked at now and then, which takes 2 s."""
AUDIO_EVERY_S = 5.0
"""The server judges links as often, and the question is dear."""

log = structlog.get_logger("pmon.media")


class Polls:
    """Reads the counters of what one room connection receives, and tells the monitor.

    A room of which nothing is heard and nothing seen is not asked.
    """

    def __init__(
        self,
        monitor: RoomMonitor,
        subscriptions: Subscriptions,
        listener: Listener,
        on_change: Callable[[], None],
    ) -> None:
        self._monitor = monitor
        self._subscriptions = subscriptions
        self._plan = listener.plan
        self._on_change = on_change
        self._video_at = self._audio_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def tick(self, room: rtc.Room, now: float) -> None:
        """Ask for what is due, unless the last question has not been answered yet."""
        if self._task is not None:
            return
        tracks: list[rtc.RemoteTrack] = []
        every_s = VIDEO_EVERY_S if self._plan.shedding.looks == "always" else LOOK_EVERY_S
        if now - self._video_at >= every_s and (cameras := self._subscriptions.cameras):
            self._video_at = now
            tracks += cameras
        audio = now - self._audio_at >= AUDIO_EVERY_S or self._monitor.levels.waiting
        if audio:
            self._audio_at = now
            microphones = self._subscriptions.microphones
            tracks += microphones
            if not microphones:  # cameras alone tell no more of it
                audio = False
                self._received({}, None, now)
        if tracks:
            self._task = asyncio.create_task(self._read(room, tracks, audio=audio))

    async def aclose(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _read(self, room: rtc.Room, tracks: list[rtc.RemoteTrack], *, audio: bool) -> None:
        try:
            found = await report(room, tracks)
            now = time.monotonic()
            self._subscriptions.frames(found.video, now)
            if audio:
                heard = {track.sid for track in self._subscriptions.microphones}
                readings = {sid: r for sid, r in found.audio.items() if sid in heard}
                self._received(readings, found.rtt_s, now)
            self._on_change()
        except Exception:
            log.exception("statistics not read", room=self._monitor.room)
        finally:
            self._task = None

    def _received(
        self, readings: Mapping[str, LinkReading], rtt_s: float | None, now: float
    ) -> None:
        paths = self._monitor.levels.paths
        was = paths.own_loss
        self._monitor.received(readings, rtt_s, now)
        self._tell_own_path(was, paths.own_loss)

    def _tell_own_path(self, was: float | None, loss: float | None) -> None:
        if was is None and loss is not None:
            log.warning(
                "packets get lost on the way from the server to this monitor: nobody is blamed",
                room=self._monitor.room,
                loss=round(loss, 4),
            )
        elif was is not None and loss is None:
            log.info(
                "no loss is known on the way from the server to this monitor any more",
                room=self._monitor.room,
            )
