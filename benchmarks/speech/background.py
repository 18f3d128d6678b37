"""What a microphone hears besides the talker even where it is quiet: a room, and its life.

Synthesized speech over nothing is far easier than any recording. So every clip lies over a room
tone that is neither white nor quite steady, and over single sounds: breaths before an utterance,
clicks, thumps, rustling, clinking. None of them is speech.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import signal

from speech import noises, truth
from speech.voices import Part

Samples = npt.NDArray[np.float64]
Rng = np.random.Generator


@dataclasses.dataclass(frozen=True)
class Life:
    """What the parts do not share. Ranges: rumble and breath in Hz, decay of clicks in s."""

    rumble_hz: tuple[float, float]
    breath_hz: tuple[float, float]
    click_decay_s: tuple[float, float]
    kinds: tuple[str, ...]


LIVES: dict[Part, Life] = {
    "tune": Life(
        (60.0, 400.0),
        (500.0, 4500.0),
        (0.002, 0.02),
        ("click", "thump", "rustle", "steps", "swell"),
    ),
    "held-out": Life(
        (40.0, 250.0),
        (900.0, 7000.0),
        (0.004, 0.05),
        ("clink", "thump", "creak", "scrape", "swell"),
    ),
    "quick": Life(
        (50.0, 300.0),
        (700.0, 5500.0),
        (0.002, 0.03),
        ("click", "thump", "rustle", "steps", "swell"),
    ),
}


def room_tone(rng: Rng, count: int, sample_rate: int, life: Life) -> Samples:
    """Noise that falls with frequency, hiss, and both drifting by some dB; unit rms."""
    low = noises.take(
        noises.filtered(
            noises.white(rng, sample_rate),
            *signal.butter(1, rng.uniform(*life.rumble_hz), fs=sample_rate),
        ),
        count,
    )
    hiss = noises.take(noises.pink(rng, sample_rate), count)
    made = low * _drift(rng, count, sample_rate) + hiss * _drift(rng, count, sample_rate) * (
        10 ** (rng.uniform(-15.0, 5.0) / 20)
    )
    return np.asarray(made / np.sqrt(np.mean(np.square(made))))


def sounds(rng: Rng, count: int, sample_rate: int, segments: truth.Segments, life: Life) -> Samples:
    """Breaths and other single sounds, in units of the talker's active level."""
    made = np.zeros(count)
    for at, sound in _all(rng, count, sample_rate, segments, life):
        first = max(0, int(at * sample_rate))
        fitting = sound[: count - first]
        made[first : first + len(fitting)] += fitting
    return made


def _all(
    rng: Rng, count: int, sample_rate: int, segments: truth.Segments, life: Life
) -> Iterator[tuple[float, Samples]]:
    """(when in seconds, what)."""
    breathing = rng.uniform() < 0.5
    level = rng.uniform(-38.0, -22.0)
    for i, (start, _) in enumerate(segments):
        before = segments[i - 1][1] if i else 0.0
        length = rng.uniform(0.15, 0.5)
        at = start - length - rng.uniform(0.02, 0.1)
        if breathing and at > before + 0.1:
            yield at, _shaped(_band(rng, length, sample_rate, life.breath_hz), level)
    now, rate = 0.0, float(np.exp(rng.uniform(np.log(0.1), np.log(1.2))))
    while (now := now + rng.exponential(1.0 / rate)) < count / sample_rate:
        kind = life.kinds[rng.integers(len(life.kinds))]
        yield now, _shaped(_single(rng, kind, sample_rate, life), rng.uniform(-28.0, -4.0))


def _single(rng: Rng, kind: str, sample_rate: int, life: Life) -> Samples:
    if kind in RINGING:
        low, high, decay = RINGING[kind]
        return _ringing(rng, sample_rate, (low, high), decay or life.click_decay_s)
    if kind == "rustle":  # cloth or paper: noise in quick strokes
        made = _band(rng, rng.uniform(0.2, 1.0), sample_rate, (800.0, 7000.0))
        return np.asarray(made * _strokes(rng, len(made), sample_rate // 25))
    if kind == "scrape":  # a chair or a lid: rougher, and lower
        made = _band(rng, rng.uniform(0.3, 1.2), sample_rate, (200.0, 2500.0))
        return np.asarray(made * _strokes(rng, len(made), sample_rate // 60))
    if kind == "swell":  # somebody drives by
        return _band(rng, rng.uniform(1.5, 6.0), sample_rate, (60.0, rng.uniform(500.0, 2000.0)))
    made = np.zeros(int(rng.uniform(0.5, 2.5) * sample_rate))
    if kind == "steps":
        made[:: int(rng.uniform(0.35, 0.6) * sample_rate)] = 1.0
        ring = _ringing(rng, sample_rate, (60.0, 500.0), (0.01, 0.03))
    else:  # a creak: a slow train of clicks
        gaps = rng.integers(sample_rate // 60, sample_rate // 15, len(made) * 15 // sample_rate)
        made[np.cumsum(gaps) % len(made)] = 1.0
        ring = _ringing(rng, sample_rate, (300.0, 1500.0), (0.003, 0.008))
    return np.asarray(signal.fftconvolve(made, ring)[: len(made)])


RINGING: dict[str, tuple[float, float, tuple[float, float] | None]] = {
    "click": (800.0, 6000.0, None),
    "clink": (2000.0, 7000.0, (0.05, 0.25)),
    "thump": (50.0, 180.0, (0.02, 0.08)),
}
"""What rings after one stroke: between which frequencies, and how long."""


def _strokes(rng: Rng, count: int, period: int) -> Samples:
    """A gain that is drawn anew every so many samples."""
    knots = np.arange(0, count + period, period)
    return np.asarray(np.interp(np.arange(count), knots, rng.uniform(0.0, 1.0, len(knots)) ** 2))


def _ringing(
    rng: Rng, sample_rate: int, band_hz: tuple[float, float], decay_s: tuple[float, float]
) -> Samples:
    t = np.arange(int(4 * decay_s[1] * sample_rate)) / sample_rate
    made = np.zeros(len(t))
    for _ in range(4):
        hz = min(rng.uniform(*band_hz), 0.45 * sample_rate)
        made += (
            rng.uniform(0.3, 1.0)
            * np.sin(2 * np.pi * hz * t + rng.uniform(0.0, 6.3))
            * np.exp(-t / rng.uniform(*decay_s))
        )
    return made


def _band(rng: Rng, seconds: float, sample_rate: int, band_hz: tuple[float, float]) -> Samples:
    """Noise between two frequencies that swells and ebbs."""
    high = min(band_hz[1], 0.45 * sample_rate)
    sections = signal.butter(2, [band_hz[0], high], "bandpass", fs=sample_rate, output="sos")
    made = signal.sosfilt(sections, rng.standard_normal(int(seconds * sample_rate)))
    return np.asarray(made * np.hanning(len(made)))


def _shaped(sound: Samples, level_db: float) -> Samples:
    """With its loudest 20 ms, or all of it, at this level."""
    width = max(1, min(len(sound) - 1, 320))
    energy = np.concatenate([[0.0], np.cumsum(np.square(sound))])
    power = (energy[width:] - energy[:-width]).max() / width
    return np.asarray(sound * 10 ** (level_db / 20) / np.sqrt(max(power, 1e-20)))


def _drift(rng: Rng, count: int, sample_rate: int) -> Samples:
    """A gain that wanders by some 2 dB from one second to the next."""
    knots = np.arange(0, count + 2 * sample_rate, sample_rate)
    walk = signal.lfilter([1.0], [1.0, -0.8], rng.normal(0.0, 1.5, len(knots)))
    return np.asarray(10 ** (np.interp(np.arange(count), knots, walk) / 20))
