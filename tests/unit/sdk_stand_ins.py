"""Stand-ins for the SDK's publications and streams, where no server can be made to do it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from livekit import rtc
from scipy import signal

from pmon.media.meters import TrackMeters, Transition
from pmon.media.phrases import phrases
from pmon.media.tap import SAMPLE_RATE

FRAME = SAMPLE_RATE // 10


def silence(seconds: float) -> npt.NDArray[np.int16]:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def say(name: str) -> npt.NDArray[np.int16]:
    """A phrase, as it comes from a decoder."""
    said = phrases()[name].samples.astype(float)
    return np.asarray(np.round(signal.resample_poly(said, 3, 1)), np.int16)


class Publication:
    kind = rtc.TrackKind.KIND_AUDIO
    simulcasted = False

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.asked: list[bool] = []

    def set_subscribed(self, subscribed: bool) -> None:
        self.asked.append(subscribed)


class Tap:
    def __init__(self, meters: TrackMeters) -> None:
        self.meters = meters

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


class Tier:
    name = "test"

    def __init__(self) -> None:
        self.opened: list[str] = []
        self._meters: dict[str, TrackMeters] = {}
        self._on_transitions: dict[str, Callable[[list[Transition]], None]] = {}

    def open(
        self,
        track: Any,
        meters: TrackMeters,
        on_transitions: Callable[[list[Transition]], None],
        on_sound: object,
    ) -> Tap:
        self.opened.append(track.sid)
        self._meters[track.sid] = meters
        self._on_transitions[track.sid] = on_transitions
        return Tap(meters)

    def play(self, sid: str, samples: npt.NDArray[np.int16], until: float) -> None:
        """Let an open track sound so that the last sample comes at ``until``."""
        left_s = len(samples) / SAMPLE_RATE
        for frame in np.split(samples, range(FRAME, len(samples), FRAME)):
            left_s -= len(frame) / SAMPLE_RATE
            transitions = self._meters[sid].feed(frame, until - left_s)
            self._on_transitions[sid](transitions)

    def room_joined(self, room: object) -> None: ...


def room_of(**publications: Publication) -> Any:
    return SimpleNamespace(
        remote_participants={
            name: SimpleNamespace(track_publications={publication.sid: publication})
            for name, publication in publications.items()
        }
    )
