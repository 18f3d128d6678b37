"""Noises without end, in blocks of ten seconds, so that hours of them need no memory.

Each kind is a function of a random generator and a sample rate that yields blocks of about unit
rms. The kinds that both parts of the material share (white, pink, babble) differ in seed and
voices; of the others each part has its own (``KINDS``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import signal

from speech.voices import Part

Samples = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], Iterator[Samples]]
BLOCK_S = 10


def white(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
    """Flat."""
    while True:
        yield rng.standard_normal(BLOCK_S * sample_rate)


def filtered(
    blocks: Iterator[Samples], numerator: Sequence[float], denominator: Sequence[float]
) -> Iterator[Samples]:
    """Through an IIR filter whose state goes on from block to block; unit rms in the first one."""
    state = np.zeros(max(len(numerator), len(denominator)) - 1)
    gain = 0.0
    for block in blocks:
        shaped, state = signal.lfilter(numerator, denominator, block, zi=state)
        gain = gain or 1.0 / max(_rms(shaped), 1e-12)
        yield gain * shaped


def pink(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
    """-3 dB an octave (the filter of J. O. Smith, Spectral Audio Signal Processing)."""
    numerator = [0.049922035, -0.095993537, 0.050612699, -0.004408786]
    return filtered(
        white(rng, sample_rate), numerator, [1.0, -2.494956002, 2.017265875, -0.522189400]
    )


def brown(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
    """-6 dB an octave above 30 Hz, nothing below 15 Hz: rumble of a building or a car."""
    numerator, denominator = signal.butter(1, 30.0, fs=sample_rate)
    high = signal.butter(1, 15.0, "highpass", fs=sample_rate)
    return filtered(filtered(white(rng, sample_rate), numerator, denominator), *high)


def fan(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
    """Air (noise falling above some 500 Hz) and the tones of the blades, breathing slowly.

    Tones and breath go a whole number of times into a block.
    """
    t = np.arange(BLOCK_S * sample_rate) / sample_rate
    blades_hz, breath_hz = rng.integers(700, 1800) / BLOCK_S, rng.integers(1, 5) / BLOCK_S
    tones = _harmonics(rng, t, blades_hz, 0.25 / np.arange(1, 6))
    breath = 1.0 + 0.1 * np.sin(2 * np.pi * breath_hz * t)
    falling = signal.butter(1, rng.uniform(300.0, 900.0), fs=sample_rate)
    for air in filtered(white(rng, sample_rate), *falling):
        yield (air + tones) * breath


def hum(mains_hz: int) -> Noise:
    """Mains and its harmonics, with a little hiss."""

    def generate(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
        count = min(14, int(0.45 * sample_rate / mains_hz))
        amplitudes = rng.uniform(0.2, 1.0, count) / np.arange(1, count + 1) ** rng.uniform(0.5, 1.2)
        amplitudes *= np.sqrt(2.0 / np.sum(np.square(amplitudes)))
        t = np.arange(sample_rate) / sample_rate
        tones = np.tile(_harmonics(rng, t, mains_hz, amplitudes), BLOCK_S)
        for hiss in white(rng, sample_rate):
            yield tones + 0.03 * hiss

    return generate


def keyboard(
    keys_per_s: tuple[float, float],
    resonances_hz: tuple[float, float],
    decay_s: tuple[float, float],
) -> Noise:
    """Bursts of typing between pauses; each key clicks as it goes down and as it comes up."""

    def click(rng: np.random.Generator, sample_rate: int) -> Samples:
        t = np.arange(int(0.08 * sample_rate)) / sample_rate
        made = 0.6 * rng.standard_normal(len(t)) * np.exp(-t / rng.uniform(0.001, 0.004))
        for _ in range(5):
            low, high = resonances_hz
            hz = min(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 0.45 * sample_rate)
            ring = np.sin(2 * np.pi * hz * t + rng.uniform(0, 2 * np.pi))
            made += rng.uniform(0.2, 1.0) * ring * np.exp(-t / rng.uniform(*decay_s))
        return np.asarray(made * np.exp(rng.normal(0.0, 0.4)))

    def block(rng: np.random.Generator, sample_rate: int, kinds: list[Samples]) -> Samples:
        made = np.zeros((BLOCK_S + 1) * sample_rate)
        now = rng.uniform(0.0, 2.0)
        while now < BLOCK_S - 0.3:
            until, rate = now + rng.uniform(1.0, 6.0), rng.uniform(*keys_per_s)
            while now < min(until, BLOCK_S - 0.3):
                for at, level in ((now, 1.0), (now + rng.uniform(0.06, 0.13), 0.4)):
                    key, first = kinds[rng.integers(len(kinds))], int(at * sample_rate)
                    made[first : first + len(key)] += level * key
                now += rng.gamma(4.0, 1.0 / (4.0 * rate))
            now += float(np.exp(rng.uniform(np.log(0.5), np.log(5.0))))
        return made[: BLOCK_S * sample_rate]

    def generate(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
        kinds = [click(rng, sample_rate) for _ in range(40)]
        gain = 1.0 / _rms(np.concatenate([block(rng, sample_rate, kinds) for _ in range(6)]))
        while True:
            yield gain * block(rng, sample_rate, kinds)

    return generate


def music(style: str) -> Noise:
    """``chords``: held, with many harmonics and drums. ``melody``: one voice, vibrato, rests."""

    def generate(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
        root = rng.uniform(55.0, 110.0)
        beat = 60.0 / rng.uniform(80.0, 132.0)
        drums = 0.5 if style == "chords" else 0.2
        note = cache(lambda degree, s: _note(rng, sample_rate, root, degree, s, style))
        gain = 0.0
        while True:
            block = np.zeros((BLOCK_S + 4) * sample_rate)
            for first, seconds in _bars(rng, beat, style):
                made = note(int(rng.integers(7)), seconds)
                at = int(first * sample_rate)
                block[at : at + len(made)] += made[: len(block) - at]
            for stroke in range(int(2 * BLOCK_S / beat)):
                made = _drum(rng, sample_rate, kick=stroke % 2 == 0)
                at = int(stroke * beat / 2 * sample_rate)
                block[at : at + len(made)] += drums * made
            gain = gain or 1.0 / _rms(block[: BLOCK_S * sample_rate])
            yield gain * block[: BLOCK_S * sample_rate]

    return generate


def tone(hz: int) -> Noise:
    """A steady sine."""

    def generate(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
        t = np.arange(sample_rate) / sample_rate
        return itertools.repeat(np.tile(np.sqrt(2.0) * np.sin(2 * np.pi * hz * t), BLOCK_S))

    return generate


def babble(voices: Sequence[Samples], streams: int) -> Noise:
    """People talking at once: ``voices`` are dry tracks at the sample rate, with unit rms."""

    def generate(rng: np.random.Generator, sample_rate: int) -> Iterator[Samples]:
        length = BLOCK_S * sample_rate
        places = [int(rng.integers(len(voices[i % len(voices)]))) for i in range(streams)]
        gains = 10 ** (rng.normal(0.0, 2.0, streams) / 20)
        gains /= np.sqrt(np.sum(np.square(gains)))
        while True:
            block = np.zeros(length)
            for i in range(streams):
                voice, filled = voices[i % len(voices)], 0
                while filled < length:
                    said = voice[places[i] : places[i] + length - filled]
                    block[filled : filled + len(said)] += gains[i] * said
                    filled += len(said)
                    places[i] = (places[i] + len(said)) % len(voice)
            yield block

    return generate


KINDS: dict[Part, dict[str, Noise]] = {
    "tune": {
        "hum": hum(50),
        "fan": fan,
        "keyboard": keyboard((3.0, 8.0), (400.0, 7000.0), (0.002, 0.010)),
        "music": music("chords"),
    },
    "held-out": {
        "hum": hum(60),
        "fan": brown,
        "keyboard": keyboard((2.0, 5.0), (250.0, 4000.0), (0.004, 0.018)),
        "music": music("melody"),
    },
    "quick": {
        "hum": hum(60),
        "fan": brown,
        "keyboard": keyboard((3.0, 8.0), (400.0, 7000.0), (0.002, 0.010)),
        "music": music("chords"),
    },
}
"""The noises that only one part has, under the name that the table gives them."""


def take(blocks: Iterator[Samples], count: int) -> Samples:
    """The first ``count`` samples, with unit rms."""
    taken: list[Samples] = []
    while sum(map(len, taken)) < count:
        taken.append(next(blocks))
    joined = np.concatenate(taken)[:count]
    return joined / max(_rms(joined), 1e-12)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def _harmonics(rng: np.random.Generator, t: Samples, hz: float, amplitudes: Samples) -> Samples:
    """The first of them has this frequency; phases are drawn."""
    made = np.zeros(len(t))
    for k, amplitude in enumerate(amplitudes, start=1):
        made += amplitude * np.sin(2 * np.pi * k * hz * t + rng.uniform(0.0, 2 * np.pi))
    return made


def _bars(rng: np.random.Generator, beat: float, style: str) -> Iterator[tuple[float, float]]:
    now = 0.0
    while now < BLOCK_S:
        seconds = beat * (4 if style == "chords" else float(rng.choice([0.5, 1.0, 1.0, 2.0])))
        if style == "chords" or rng.uniform() > 0.15:
            yield now, seconds
        now += seconds


def _note(
    rng: np.random.Generator,
    sample_rate: int,
    root: float,
    degree: int,
    seconds: float,
    style: str,
) -> Samples:
    t = np.arange(int(1.1 * seconds * sample_rate)) / sample_rate
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    steps = [0, 2, 4] if style == "chords" else [14]
    made = np.zeros(len(t))
    depth = 0.0 if style == "chords" else 0.006
    for step in steps:
        octave, place = divmod(degree + step, 7)
        hz = root * 2 ** (octave + (1 if style == "chords" else 0) + scale[place] / 12)
        phase = 2 * np.pi * hz * (t + depth / 5.5 * np.sin(2 * np.pi * 5.5 * t) / (2 * np.pi))
        for k in range(1, 9):
            if hz * k < 0.45 * sample_rate:
                made += np.sin(k * phase + rng.uniform(0, 2 * np.pi)) / k**1.2
    rise, fall = 0.02, 0.15 * seconds
    shape = np.minimum(np.minimum(t / rise, 1.0), np.clip((t[-1] - t) / fall, 0.0, 1.0))
    return np.asarray(made * shape * np.exp(-t / (1.5 * seconds)))


def _drum(rng: np.random.Generator, sample_rate: int, kick: bool) -> Samples:
    t = np.arange(int(0.2 * sample_rate)) / sample_rate
    if kick:
        falling = 50.0 * t - 1.2 * np.exp(-t / 0.02)
        return np.asarray(3.0 * np.sin(2 * np.pi * falling) * np.exp(-t / 0.06))
    hiss = np.diff(rng.standard_normal(len(t) + 1))
    return np.asarray(0.6 * hiss * np.exp(-t / 0.03))
