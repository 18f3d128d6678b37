"""What the speaking detector is tried on: committed phrases with known segments, and made noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

from pmon._dsp import SpeakingDetector
from pmon.media.phrases import phrases

RATE = 16_000
Signal = npt.NDArray[np.float64]
"""Samples in steps of int16, not yet rounded."""


def at_level(shape: Signal, dbov: float) -> Signal:
    rms = float(np.sqrt(np.mean(shape**2)))
    return shape * (32768 * 10 ** (dbov / 20) / rms)


def noise(seconds: float, dbov: float, seed: int = 0) -> Signal:
    white = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return white * 32768 * 10 ** (dbov / 20)


def falling_noise(seconds: float, dbov: float, slope: float, rate: int = RATE) -> Signal:
    """Noise whose power falls with frequency to this power from 20 Hz on: 1 is pink, 2 is brown."""
    n = round(seconds * rate)
    frequency = np.fft.rfftfreq(n, 1 / rate)
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(n))
    spectrum *= (frequency > 20) * np.maximum(frequency, 20) ** (-slope / 2)
    return at_level(np.fft.irfft(spectrum, n), dbov)


def narrow_noise(seconds: float, dbov: float, low: float, high: float) -> Signal:
    """Noise between two frequencies, whose power cannot be steady for lack of width."""
    band = signal.butter(4, [low, high], "band", fs=RATE, output="sos")
    return at_level(signal.sosfilt(band, noise(seconds, 0)), dbov)


def tone(seconds: float, hertz: float, dbov: float) -> Signal:
    t = np.arange(round(seconds * RATE)) / RATE
    return at_level(np.sin(2 * np.pi * hertz * t), dbov)


def hum(seconds: float, hertz: float, dbov: float) -> Signal:
    """Mains hum: a sawtooth of ten harmonics."""
    t = np.arange(round(seconds * RATE)) / RATE
    waves = [np.sin(2 * np.pi * hertz * k * t + k) / k for k in range(1, 11)]
    return at_level(np.sum(waves, axis=0), dbov)


def silence(seconds: float) -> Signal:
    return np.zeros(round(seconds * RATE))


def phrase(name: str) -> Signal:
    return phrases()[name].samples.astype(float)


def spoken(name: str) -> float:
    return sum(end - start for start, end in phrases()[name].truth.segments)


def words(name: str) -> list[Signal]:
    """The segments of a phrase without the silence around them."""
    edges = [(round(a * RATE), round(b * RATE)) for a, b in phrases()[name].truth.segments]
    return [phrase(name)[start:end] for start, end in edges]


def fluent() -> Signal:
    """All phrases without a pause in between: 20 s of speech without a breath."""
    said = [words(name) for name in phrases()]
    return np.concatenate([segments[0] for segments in said if len(segments) == 1])


def detect(
    stream: Signal, *, num_channels: int = 1, rate: int = RATE, threshold: float = 0.01
) -> SpeakingDetector:
    detector = SpeakingDetector(rate, num_channels, threshold)
    detector.process(np.clip(np.round(stream), -32768, 32767).astype(np.int16))
    detector.end_run()
    return detector


def billed(stream: Signal, **options: float) -> float:
    detector = detect(stream, **options)  # type: ignore[arg-type]
    return detector.speech_samples / options.get("rate", RATE)
