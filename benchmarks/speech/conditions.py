"""The conditions that speech is heard under, each a function of the dry signal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from speech import background, channel, noises, opus, truth
from speech.background import Life
from speech.noises import Noise

Samples = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Dry:
    """A talker's track before anything happens to it; ``noises`` and ``life`` are its part's."""

    samples: Samples
    sample_rate: int
    segments: truth.Segments
    noises: dict[str, Noise]
    life: Life


@dataclasses.dataclass(frozen=True)
class Condition:
    """``noise`` at ``snr_db`` comes on top of what the recording of ``recorded`` has behind the
    voice: active speech level against rms over the whole clip.

    ``levels_dbov``: active speech level, of which each clip draws its own.
    """

    name: str
    noise: str | None = None
    snr_db: float = 0.0
    background_db: tuple[float, float] = (6.0, 36.0)
    levels_dbov: tuple[float, float] = (-34.0, -14.0)
    rt60_s: tuple[float, float] = (0.1, 0.5)
    heard: Callable[[np.random.Generator, Dry, Samples], Samples] | None = None


def recorded(condition: Condition, rng: np.random.Generator, dry: Dry) -> Samples:
    """The voice in its room, with the life of that room behind it; full scale 1, not clipped."""
    count, rate = len(dry.samples), dry.sample_rate
    speech = channel.room(rng, dry.samples, rate, rng.uniform(*condition.rt60_s))
    level = channel.level_dbov(speech, rate, dry.segments)
    behind = background.sounds(rng, count, rate, dry.segments, dry.life)
    tone = background.room_tone(rng, count, rate, dry.life)
    if rng.uniform() < FAR_SHARE:
        kind = FAR[int(rng.integers(len(FAR)))]
        tone = 0.5 * tone + 0.9 * noises.take(dry.noises[kind](rng, rate), count)
    behind += tone * 10 ** (-rng.uniform(*condition.background_db) / 20)
    wanted = 10 ** (rng.uniform(*condition.levels_dbov) / 20)
    return wanted * (speech * 10 ** (-level / 20) + behind)


def apply(condition: Condition, rng: np.random.Generator, dry: Dry, recording: Samples) -> Samples:
    """What is heard of a recording, with full scale 1 and not yet clipped."""
    heard = recording
    if condition.noise is not None:
        level = channel.level_dbov(recording, dry.sample_rate, dry.segments)
        made = noises.take(dry.noises[condition.noise](rng, dry.sample_rate), len(recording))
        heard = recording + made * 10 ** ((level - condition.snr_db) / 20)
    return condition.heard(rng, dry, heard) if condition.heard else heard


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


def _opus(rng: np.random.Generator, dry: Dry, heard: Samples) -> Samples:
    return opus.round_trip(channel.int16(heard), dry.sample_rate, 24_000) / channel.FULL_SCALE


def _concealed(rng: np.random.Generator, dry: Dry, heard: Samples) -> Samples:
    lost = channel.bursts(rng, len(heard) * 50 // dry.sample_rate + 1, 0.05)
    return opus.round_trip(channel.int16(heard), dry.sample_rate, 24_000, lost) / channel.FULL_SCALE


def _noisy(*kinds: str) -> Iterator[Condition]:
    return (Condition(f"{kind} {snr} dB", kind, snr) for kind in kinds for snr in (20, 10))


FAR = ("babble", "music", "fan")
FAR_SHARE = 0.5
"""So many rooms have something going on further away, as loud as their tone."""
STUDIO = (50.0, 70.0)
CORE: tuple[Condition, ...] = (Condition("clean"), *_noisy("white", "pink", "babble"))
"""Every talker is heard under each of these, in one recording."""
EXTRA: tuple[Condition, ...] = (
    *_noisy("hum", "fan", "keyboard", "music"),
    Condition("room", rt60_s=(0.5, 0.8)),
    Condition("room, pink 20 dB", "pink", 20.0, rt60_s=(0.5, 0.8)),
    Condition("studio", background_db=STUDIO, rt60_s=(0.0, 0.0)),
    Condition("telephone", heard=_telephone),
    Condition("headset", background_db=(25.0, 35.0), heard=_headset),
    Condition("quiet", levels_dbov=(-45.0, -34.0)),
    Condition("loud", levels_dbov=(-14.0, -10.0)),
    Condition("gated", "pink", 20.0, heard=_gated),
    Condition("clipped", heard=_clipped),
    Condition("Opus with DTX", background_db=(35.0, 60.0), heard=_opus),
    Condition("other rates"),
    Condition("lost packets", heard=_lost),
    Condition("lost packets, concealed", heard=_concealed),
)
"""Each talker is heard under some of these, in further recordings."""
