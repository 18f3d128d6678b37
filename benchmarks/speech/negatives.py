"""What is never speech, by the hour: how much of it would be billed.

Each kind is a stream in chunks of ten seconds, so that hours of it need no memory. The level is
the rms over all, and every stream begins with ten seconds of next to nothing, so that it sets in
once while somebody listens.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from speech import channel, noises, opus, tracks
from speech.detectors import Detector
from speech.noises import KINDS, Noise

Int16 = npt.NDArray[np.int16]
Samples = npt.NDArray[np.float64]
NEXT_TO_NOTHING_DBOV = -75.0
STEADY_S, KEYBOARD_S = 10.0, 60.0
"""What an hour may be billed for."""


@dataclasses.dataclass(frozen=True)
class Negative:
    """``at_most_s`` an hour, if there is a bound."""

    name: str
    noise: Noise
    level_dbov: float = -30.0
    at_most_s: float | None = STEADY_S


def _silence(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
    while True:
        yield np.zeros(noises.BLOCK_S * sample_rate)


def _codec(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
    """The noise of a quiet room as Opus with DTX leaves it: a minute, again and again.

    The encoder stops sending only what lies far under the loudest that it has heard, so there is
    something loud before it.
    """
    level = channel.FULL_SCALE * 10 ** (NEXT_TO_NOTHING_DBOV / 20)
    quiet = level * noises.take(noises.pink(rng, sample_rate), 70 * sample_rate)
    quiet[:sample_rate] *= 300.0
    sent = np.round(quiet).astype(np.int16)
    made = opus.round_trip(sent, sample_rate, 24_000)[-60 * sample_rate :] / level
    return itertools.cycle(np.split(made, 60 // noises.BLOCK_S))


def _steps(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
    """Noise that becomes 10 dB louder or softer every 20 s."""
    for number, block in enumerate(noises.pink(rng, sample_rate)):
        yield block * (1.0 if number // 2 % 2 else 0.3)


def _beat(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
    """Two tones so close that they swell and fade three times a second."""
    pair = noises.tone(440)(rng, sample_rate), noises.tone(443)(rng, sample_rate)
    for one, other in zip(*pair, strict=True):
        yield (one + other) / np.sqrt(2.0)


NEGATIVES: tuple[Negative, ...] = (
    Negative("silence", _silence),
    Negative("Opus with DTX, near zero", _codec, NEXT_TO_NOTHING_DBOV),
    Negative("white noise", noises.white),
    Negative("pink noise", noises.pink),
    Negative("brown noise", noises.brown),
    Negative("fan", noises.fan),
    Negative("hum, 50 Hz", noises.hum(50)),
    Negative("hum, 60 Hz", noises.hum(60)),
    Negative("tone, 440 Hz", noises.tone(440)),
    Negative("tone, 1 kHz", noises.tone(1000)),
    Negative("keyboard", KINDS["tune"]["keyboard"], -46.0, KEYBOARD_S),
    Negative("typewriter", KINDS["held-out"]["keyboard"], -46.0, KEYBOARD_S),
    Negative("keyboard, 10 dB louder", KINDS["tune"]["keyboard"], -36.0, None),
    Negative("typewriter, 10 dB louder", KINDS["held-out"]["keyboard"], -36.0, None),
    Negative("noise in steps", _steps, -30.0, None),
    Negative("two tones that beat", _beat, -26.0, None),
    Negative("chords and drums", KINDS["tune"]["music"], -26.0, None),
    Negative("melody", KINDS["held-out"]["music"], -26.0, None),
)


def stream(negative: Negative, sample_rate: int, seconds: float) -> Iterator[Int16]:
    """So much of it in chunks of ten seconds."""
    rng = tracks.generator("negative", negative.name)
    quiet = noises.white(rng, sample_rate)
    gain = 10 ** (negative.level_dbov / 20)
    blocks = itertools.chain(
        [next(quiet) * 10 ** (NEXT_TO_NOTHING_DBOV / 20)],
        (gain * block for block in negative.noise(rng, sample_rate)),
    )
    for block in itertools.islice(blocks, 1 + round(seconds / noises.BLOCK_S)):
        yield channel.int16(block)


def billed_s(detector: Detector, negative: Negative, sample_rate: int, seconds: float) -> float:
    """What an hour of it would be billed for, in seconds, measured on ``seconds`` of it."""
    stated = detector(stream(negative, sample_rate, seconds), sample_rate)
    return sum(end - start for start, end in stated) * 3600.0 / seconds
