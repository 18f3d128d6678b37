"""How a decoded microphone reaches its meters: the interface that every audio tier offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from livekit import rtc

from pmon.media.meters import TrackMeters, Transition

SAMPLE_RATE = 48_000
NUM_CHANNELS = 1
"""What Opus is decoded to: asking for anything else costs a resampling and saves nothing."""


class AudioTap(Protocol):
    """One open microphone."""

    meters: TrackMeters

    def close(self) -> None:
        """Feed the meters no more, from this moment on, whatever audio still waits."""

    async def aclose(self) -> None:
        """Let go of the stream, which may take a moment."""


class AudioTier(Protocol):
    """A way to open microphones."""

    name: str

    def open(
        self,
        track: rtc.RemoteAudioTrack,
        meters: TrackMeters,
        on_transitions: Callable[[list[Transition]], None],
        on_sound: Callable[[], None],
    ) -> AudioTap:
        """Feed a track's audio to ``meters`` until the tap is closed.

        ``on_transitions`` is called on the loop whenever speech begins or ends, ``on_sound`` once
        the first frame has come, which may be silence.
        """

    def room_joined(self, room: rtc.Room) -> None:
        """This room's events flow from now on."""
