"""Encodes the speech and the pictures that benchmarks/loadgen sends, into benchmarks/loadgen/media.

Speech: every phrase of src/pmon/speech over the noise of a quiet room, as Ogg Opus of 20 ms a
packet; 11 dB quieter as well, as far as livekit-server then takes nobody for a speaker; and the
noise alone. Packet k decodes to the samples
from k times 20 ms on: what the encoder would delay is taken off the front. ``speech.json`` has the
RFC 6464 level of each packet and the true segments of speech. Pictures: a short VP8 loop for each
simulcast layer, led by its only key frame.

The results are committed; PyAV is needed only to make them again: ``pip install av``.
"""

from __future__ import annotations

import io
import json
import math
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent.parent
SPEECH = HERE / "src" / "pmon" / "speech"
MEDIA = HERE / "benchmarks" / "loadgen" / "media"

SAMPLE_RATE = 16_000
PACKET = SAMPLE_RATE // 50
DELAY = SAMPLE_RATE * 65 // 10_000  # how far libopus looks ahead: 6.5 ms
BIT_RATE = 28_000
QUIET_DB = -11.0  # from -26 dBov to -37
SERVER_LEVEL, SERVER_PACKETS, SERVER_WINDOW = 35, 8, 20  # a speaker: 40 % of 400 ms over -35 dBov
NOISE_DBOV = -66.0
NOISE_S = 4
FULL_SCALE = 32768.0

FPS = 15
LOOP_FRAMES = 30
LAYERS = [(320, 180, 110_000), (640, 360, 300_000), (1280, 720, 900_000)]

Samples = npt.NDArray[np.float64]


def main() -> None:
    """Write everything."""
    MEDIA.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    truth = json.loads((SPEECH / "speech.json").read_text())
    index: dict[str, Any] = {}
    noise = room_noise(random, SAMPLE_RATE * NOISE_S)
    index["noise"] = {"levels": audio_levels(noise)}
    write_speech(MEDIA / "noise.opus", noise)
    for name, facts in truth.items():
        speech = read_wav(SPEECH / f"{name}.wav")
        for variant, gain in (("", 0.0), ("-quiet", QUIET_DB)):
            mixed = speech * 10 ** (gain / 20) + room_noise(random, len(speech))
            levels = audio_levels(mixed)
            if variant and heard_by_server(levels):
                continue
            write_speech(MEDIA / f"{name}{variant}.opus", mixed)
            index[name + variant] = {"segments": facts["segments"], "levels": levels}
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in index.items()]
    (MEDIA / "speech.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for width, height, bit_rate in LAYERS:
        write_pictures(MEDIA / f"camera-{height}.ivf", width, height, bit_rate, random)


def read_wav(path: Path) -> Samples:
    """A committed phrase, full scale 1, padded to whole packets."""
    with wave.open(str(path)) as recording:
        pcm = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2")
    return np.pad(pcm / FULL_SCALE, (0, -len(pcm) % PACKET))


def room_noise(random: np.random.Generator, length: int) -> Samples:
    """White noise at the level of a quiet room."""
    return random.normal(0, 10 ** (NOISE_DBOV / 20), length)


def write_speech(path: Path, samples: Samples) -> None:
    """Encode whole packets of samples."""
    ahead = np.pad(samples, (0, DELAY))[DELAY:]
    pcm = np.round(np.pad(ahead, (0, PACKET)) * FULL_SCALE).astype(np.int16)
    encoded = io.BytesIO()
    with av.open(encoded, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = BIT_RATE
        stream.options = {"application": "voip", "frame_duration": "20"}
        for at in range(0, len(pcm), PACKET):
            frame = av.AudioFrame.from_ndarray(pcm[None, at : at + PACKET], "s16", "mono")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(encoded.getvalue())


def heard_by_server(levels: list[int]) -> bool:
    """Whether a server with default settings would ever call them a speaker."""
    loud = [level <= SERVER_LEVEL for level in levels]
    windows = range(len(loud) - SERVER_WINDOW + 1)
    return any(sum(loud[at : at + SERVER_WINDOW]) >= SERVER_PACKETS for at in windows)


def audio_levels(samples: Samples) -> list[int]:
    """The audio level of each packet."""
    return [audio_level(block) for block in samples.reshape(-1, PACKET)]


def audio_level(block: Samples) -> int:
    """-dBov of RFC 6464, whose 0 is a full-scale square wave; 127 is silence."""
    power = float(np.mean(np.square(block)))
    return min(127, max(0, round(-10 * math.log10(power)))) if power > 0 else 127


def write_pictures(
    path: Path, width: int, height: int, bit_rate: int, random: np.random.Generator
) -> None:
    """Encode a ball that goes round before a still background with some grain."""
    y, x = np.mgrid[0:height, 0:width]
    still = 90 + 60 * np.sin(x * 8 / width) * np.cos(y * 5 / height)
    still += np.kron(random.normal(0, 12, (9, 16)), np.ones((height // 9, width // 16)))
    encoded = io.BytesIO()
    with av.open(encoded, "w", format="ivf") as container:
        stream = container.add_stream("libvpx", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = bit_rate
        stream.options = {
            "deadline": "good",
            "cpu-used": "2",
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "error-resilient": "default",
        }
        stream.gop_size = LOOP_FRAMES
        for index in range(LOOP_FRAMES):
            turn = 2 * math.pi * index / LOOP_FRAMES
            across = x - width * (0.5 + 0.3 * math.cos(turn))
            down = y - height * (0.5 + 0.3 * math.sin(turn))
            picture = np.where(across**2 + down**2 < (height / 6) ** 2, 220, still)
            picture = picture + random.normal(0, 2, picture.shape)
            planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
            planes[:height] = np.clip(picture, 16, 235)
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(encoded.getvalue())


if __name__ == "__main__":
    main()
