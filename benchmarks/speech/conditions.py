"""The conditions that speech is heard under, each a function of the dry signal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from speech import channel, noises, truth
from speech.noises import Noise

Samples = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Dry:
    """A talker's track before anything happens to it; ``noises`` are those that its part has."""

    samples: Samples
    sample_rate: int
    segments: truth.Segments
    noises: dict[str, Noise]


@dataclasses.dataclass(frozen=True)
class Condition:
    """``snr_db``: active speech level against the noise's rms over the whole clip.

    ``levels_dbov``: active speech level, of which each clip draws its own.
    """

    name: str
    noise: str | None = None
    snr_db: tuple[float, float] = (35.0, 60.0)
    levels_dbov: tuple[float, float] = (-36.0, -18.0)
    spoken: Callable[[np.random.Generator, Dry], Samples] | None = None
    heard: Callable[[np.random.Generator, Dry, Samples], Samples] | None = None


def apply(condition: Condition, rng: np.random.Generator, dry: Dry) -> Samples:
    """What is heard, with full scale 1 and not yet clipped."""
    speech = condition.spoken(rng, dry) if condition.spoken else dry.samples
    level = channel.level_dbov(speech, dry.sample_rate, dry.segments)
    wanted = rng.uniform(*condition.levels_dbov)
    speech = speech * 10 ** ((wanted - level) / 20)
    kind = condition.noise or str(rng.choice(["white", "pink"]))
    made = noises.take(dry.noises[kind](rng, dry.sample_rate), len(speech))
    heard = speech + made * 10 ** ((wanted - rng.uniform(*condition.snr_db)) / 20)
    return condition.heard(rng, dry, heard) if condition.heard else heard


def _room(rng: np.random.Generator, dry: Dry) -> Samples:
    return channel.room(rng, dry.samples, dry.sample_rate, rng.uniform(0.2, 0.8))


def _telephone(rng: np.random.Generator, dry: Dry, heard: Samples) -> Samples:
    return channel.microphone(heard, dry.sample_rate, 300.0, 3400.0)


def _headset(rng: np.random.Generator, dry: Dry, heard: Samples) -> Samples:
    high = float(rng.choice([4000.0, 8000.0]))
    tilt = float(rng.choice([-3.0, 3.0]))
    return channel.microphone(heard, dry.sample_rate, 100.0, high, tilt)


def _gated(rng: np.random.Generator, dry: Dry, heard: Samples) -> Samples:
    floor_db = float(rng.choice([-25.0, -45.0, -120.0]))
    return channel.gated(heard, dry.sample_rate, dry.segments, floor_db)


def _clipped(rng: np.random.Generator, dry: Dry, heard: Samples) -> Samples:
    return np.clip(heard, *np.quantile(heard, [0.01, 0.99]))


def _lost(rng: np.random.Generator, dry: Dry, heard: Samples) -> Samples:
    return channel.lost(rng, heard, dry.sample_rate, 0.05, bool(rng.integers(2)))


NOISY = [(name, float(snr)) for name in ("white", "pink", "babble") for snr in (20, 10)]
CORE: tuple[Condition, ...] = (
    Condition("clean"),
    *(Condition(f"{name} {snr:.0f} dB", name, (snr, snr)) for name, snr in NOISY),
)
"""Every talker is heard under each of these, saying the same."""

OTHERS = [(name, float(snr)) for name in ("hum", "fan", "keyboard", "music") for snr in (20, 10)]
EXTRA: tuple[Condition, ...] = (
    *(Condition(f"{name} {snr:.0f} dB", name, (snr, snr)) for name, snr in OTHERS),
    Condition("room", spoken=_room),
    Condition("room, pink 20 dB", "pink", (20.0, 20.0), spoken=_room),
    Condition("telephone", heard=_telephone),
    Condition("headset", "white", (25.0, 35.0), heard=_headset),
    Condition("quiet", snr_db=(25.0, 35.0), levels_dbov=(-45.0, -36.0)),
    Condition("loud", levels_dbov=(-18.0, -10.0)),
    Condition("gated", "pink", (20.0, 20.0), heard=_gated),
    Condition("clipped", heard=_clipped),
    Condition("lost packets", heard=_lost),
)
"""Each talker is heard under some of these."""
