"""Participants with a fault each, so that whoever wires alerts has something to be alerted of."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from pmon.media.phrases import Phrase, phrases
from pmon.media.publish import SimulatedParticipant
from pmon.media.voice import FULL_SCALE

PAUSE_S = 1.5
"""Between two phrases."""
MOVES_S, FREEZES_S = 15.0, 30.0
"""A picture that freezes moves again, so that the end of the issue can be seen, too."""

Behaviour = Callable[[SimulatedParticipant], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """How somebody behaves, for as long as they are there."""

    does: str
    noise_dbov: float | None
    live: Behaviour
    camera: bool = False


def louder(phrase: Phrase, gain_db: float) -> Phrase:
    """What is over full scale is cut off there."""
    samples = phrase.samples * 10 ** (gain_db / 20)
    cut = np.clip(np.round(samples), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return Phrase(samples=cut, truth=phrase.truth)


def _talks(gain_db: float = 0.0) -> Behaviour:
    async def live(person: SimulatedParticipant) -> None:
        for name in itertools.cycle(sorted(phrases())):
            await person.say(louder(phrases()[name], gain_db))
            await asyncio.sleep(PAUSE_S)

    return live


async def _listens(person: SimulatedParticipant) -> None:
    await asyncio.Event().wait()


async def _freezes(person: SimulatedParticipant) -> None:
    while True:
        await asyncio.sleep(MOVES_S)
        person.freeze()
        await asyncio.sleep(FREEZES_S)
        person.thaw()


HEALTHY = Fault("talks, and nothing is wrong", -65.0, _talks(), camera=True)
FAULTS = {
    "mic_silent": Fault("a microphone of which only digital silence comes", None, _listens),
    "mic_quiet": Fault("a voice that is much too quiet", -70.0, _talks(-16.0)),
    "mic_clipping": Fault("a voice that is cut off at full scale", -70.0, _talks(24.0)),
    "mic_noisy": Fault("a microphone in a noisy place", -36.0, _listens),
    "video_frozen": Fault(
        f"a camera that stops for {FREEZES_S:.0f} s after each {MOVES_S:.0f} s",
        -65.0,
        _freezes,
        camera=True,
    ),
}
"""By the issue that pmon should raise of it."""
