"""What lies between a mouth and a monitor: room, microphone, gate, clipping, lost packets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

from speech import truth

Samples = npt.NDArray[np.float64]
FULL_SCALE = 32768.0


def room(rng: np.random.Generator, samples: Samples, sample_rate: int, rt60_s: float) -> Samples:
    """Reverberation: direct sound at once, then noise that decays by 60 dB in ``rt60_s``.

    High frequencies die sooner, as they do in air and cloth. The direct sound is 0 to 8 dB stronger
    than all that follows, as at half a metre to two metres. The truth stays that of the dry signal.
    """
    if rt60_s < 0.05:
        return samples
    t = np.arange(int(1.2 * rt60_s * sample_rate)) / sample_rate
    noise = rng.standard_normal(len(t))
    low = signal.lfilter(*signal.butter(1, min(1500.0, 0.4 * sample_rate), fs=sample_rate), noise)
    decay = np.log(10.0**3) / rt60_s
    tail = low * np.exp(-decay * t) + (noise - low) * np.exp(-1.6 * decay * t)
    tail[: int(rng.uniform(0.002, 0.012) * sample_rate)] = 0.0
    tail *= 10 ** (-rng.uniform(0.0, 8.0) / 20) / np.sqrt(np.sum(np.square(tail)))
    return np.asarray(samples + signal.fftconvolve(samples, tail)[: len(samples)])


def microphone(
    samples: Samples, sample_rate: int, low_hz: float, high_hz: float, tilt_db: float = 0.0
) -> Samples:
    """Band limits of fourth order, and a tilt over the octaves around 1 kHz in dB an octave."""
    nyquist = sample_rate / 2
    shaped = samples
    if low_hz > 0:
        sections = signal.butter(4, low_hz, "highpass", fs=sample_rate, output="sos")
        shaped = signal.sosfilt(sections, shaped)
    if high_hz < 0.95 * nyquist:
        sections = signal.butter(4, high_hz, fs=sample_rate, output="sos")
        shaped = signal.sosfilt(sections, shaped)
    if tilt_db:
        # One zero and one pole, far apart, bend the response by 6 dB an octave between them.
        span = abs(tilt_db) / 6.0
        poles = np.exp(-2 * np.pi * np.array([250.0, 250.0 * 2 ** (4 * span)]) / sample_rate)
        first, second = poles if tilt_db < 0 else poles[::-1]
        shaped = signal.lfilter([1.0, -second], [1.0, -first], shaped)
    return np.asarray(shaped)


def gated(samples: Samples, sample_rate: int, segments: truth.Segments, floor_db: float) -> Samples:
    """As noise suppression leaves it: pauses sink to near zero, 0.2 s after the voice."""
    gain = np.full(len(samples), 10 ** (floor_db / 20))
    for start, end in segments:
        gain[max(0, int((start - 0.02) * sample_rate)) : int((end + 0.2) * sample_rate)] = 1.0
    width = int(0.02 * sample_rate)
    smooth = np.convolve(gain, np.full(width, 1.0 / width), "same")
    return samples * smooth


def bursts(rng: np.random.Generator, packets: int, share: float) -> npt.NDArray[np.bool_]:
    """Which packets are lost, so many of all, 1 to 8 in a row."""
    lost = np.zeros(packets, dtype=bool)
    at = 0
    while (at := at + int(rng.geometric(share / 4.5))) < packets:
        burst = int(rng.integers(1, 9))
        lost[at : at + burst] = True
        at += burst
    return lost


def lost(
    rng: np.random.Generator, samples: Samples, sample_rate: int, share: float, fade: bool
) -> Samples:
    """Without some 20 ms packets: zeros, or the sound before them fading out backwards."""
    packet = sample_rate // 50
    gone = np.repeat(bursts(rng, len(samples) // packet + 1, share), packet)[: len(samples)]
    kept = np.where(gone, 0.0, samples)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(np.int8), [0]])))
    for first, behind in edges.reshape(-1, 2) if fade else ():
        before = samples[max(0, 2 * first - behind) : first][::-1]
        kept[first : first + len(before)] = before * np.linspace(1.0, 0.0, len(before))
    return kept


def level_dbov(samples: Samples, sample_rate: int, segments: truth.Segments) -> float:
    """Active speech level: mean power of what the truth calls speech, in dBov."""
    power = truth.frame_power(samples, sample_rate)
    active = power[truth.frames(segments, len(power))]
    return float(10 * np.log10(active.mean()))


def int16(samples: Samples) -> npt.NDArray[np.int16]:
    """Full scale 1 to s16, clipped."""
    return np.clip(np.round(samples * FULL_SCALE), -32768, 32767).astype(np.int16)
