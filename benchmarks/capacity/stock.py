"""The measurement as one writes it with LiveKit's SDK alone: RMS, and speaking above a threshold.

It runs under livekit-agents, too, whose environment knows nothing of pmon.
"""

from __future__ import annotations

import asyncio
import json
import time

import numpy as np
from livekit import rtc

THRESHOLD = 0.01
HANGOVER_S = 0.5
TELL_S = 0.1
"""Short beside a window of 10 s, whose ends cut it anywhere."""


def tell(**facts: object) -> None:
    """One line for whoever measures us, in one write, since several processes share the pipe."""
    print(json.dumps(facts) + "\n", end="", flush=True)


class Heard:
    """Sums up the audio that came in, and tells it now and then."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def keep_telling(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(TELL_S)
            told, self.seconds = self.seconds, 0.0
            tell(heard_s=told)

    async def listen(
        self, track: rtc.Track, room: str, identity: str, frame_ms: int | None
    ) -> None:
        """Measure a track until it ends."""
        stream = rtc.AudioStream(
            track, capacity=10, sample_rate=48_000, num_channels=1, frame_size_ms=frame_ms
        )
        speaking, silent_s = False, 0.0
        tell(watching=[room, identity])
        async for event in stream:
            samples = np.frombuffer(event.frame.data, dtype=np.int16)
            seconds = len(samples) / 48_000
            self.seconds += seconds
            rms = float(np.sqrt(np.mean((samples / 32768.0) ** 2)))
            silent_s = 0.0 if rms >= THRESHOLD else silent_s + seconds
            if speaking != (silent_s < HANGOVER_S and (speaking or rms >= THRESHOLD)):
                speaking = not speaking
                if speaking:
                    tell(speaking=[room, identity], at=time.time())
                else:
                    tell(silent=[room, identity], at=time.time() - HANGOVER_S)
        tell(left=[room, identity])
