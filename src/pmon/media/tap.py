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

    async def aclose(self) -> None:
        """Stop feeding the meters and let go of the stream."""


class AudioTier(Protocol):
    """A way to open microphones."""

    name: str

    def open(
        self,
        track: rtc.RemoteAudioTrack,
        meters: TrackMeters,
        on_transitions: Callable[[list[Transition]], None],
    ) -> AudioTap:
        """Feed a track's audio to ``meters`` until the tap is closed.

        ``on_transitions`` is called on the loop whenever speech begins or ends.
        """
