"""The portable audio tier: the SDK's own AudioStream, on every platform that the SDK runs on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from livekit import rtc

from pmon.media.meters import TrackMeters, Transition
from pmon.media.tap import NUM_CHANNELS, SAMPLE_RATE

FRAME_SIZE_MS = 100
"""The SDK's cost is per frame, not per sample: 100 ms frames cost a tenth of 10 ms ones."""
CAPACITY = 10
"""Frames kept while the loop is busy, the oldest dropped first; the default is no bound at all."""

log = structlog.get_logger("pmon.media")


class PortableTap:
    """Pumps one AudioStream into the meters of its track."""

    def __init__(
        self,
        track: rtc.RemoteAudioTrack,
        meters: TrackMeters,
        on_transitions: Callable[[list[Transition]], None],
        on_sound: Callable[[], None],
    ) -> None:
        self._on_sound: Callable[[], None] | None = on_sound
        self.meters = meters
        self._on_transitions = on_transitions
        self._stream = rtc.AudioStream(
            track,
            capacity=CAPACITY,
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
            frame_size_ms=FRAME_SIZE_MS,
        )
        self._closed = False
        self._task = asyncio.create_task(self._pump(), name=f"audio {track.sid}")

    async def _pump(self) -> None:
        try:
            async for event in self._stream:
                if self._closed:
                    return
                transitions = self.meters.feed(event.frame.data, time.monotonic())
                if self._on_sound is not None:
                    self._on_sound()
                    self._on_sound = None
                if transitions:
                    self._on_transitions(transitions)
        except Exception:
            log.exception("audio stream failed")

    def close(self) -> None:
        self._closed = True

    async def aclose(self) -> None:
        self.close()
        await self._stream.aclose()
        await self._task


class PortableTier:
    """Opens microphones through AudioStream."""

    name = "portable"

    def open(
        self,
        track: rtc.RemoteAudioTrack,
        meters: TrackMeters,
        on_transitions: Callable[[list[Transition]], None],
        on_sound: Callable[[], None],
    ) -> PortableTap:
        return PortableTap(track, meters, on_transitions, on_sound)

    def room_joined(self, room: rtc.Room) -> None:
        """The SDK brings it its events."""
