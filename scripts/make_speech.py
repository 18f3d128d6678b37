"""Makes the short phrases of src/pmon/speech/, and speech.json with their true speech segments.

The demo, the simulation and the tests let participants say them and compare measured talk time
with the truth. The truth is read off the clean synthetic signal here, by level alone and without
pmon's detector. The results are committed; espeak-ng and flite are needed only to make them again.
"""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

SPEECH = Path(__file__).parent.parent / "src" / "pmon" / "speech"
SAMPLE_RATE = 16_000
FRAME = SAMPLE_RATE // 100
ACTIVE_LEVEL_DBOV = -26.0  # the nominal level of ITU-T P.800 tests
BELOW_PEAK_DB = 40.0
JOINED_GAP_S = 0.2  # pauses shorter than this are part of a turn
MARGIN_S = 0.1
FULL_SCALE = 32768.0

PAUSE = '<break time="600ms"/>'
PHRASES = [
    # name, voice (synthesizer:name), words a minute, text
    ("welcome", "espeak-ng:en-gb+f2", 165, "Good morning everyone, and thanks for joining."),
    ("agenda", "espeak-ng:en-gb+f2", 160, "Today we look at the plan for the new release."),
    ("question", "espeak-ng:en-gb+f2", 170, "Does anybody have a question about that?"),
    ("results", "espeak-ng:en-us+m3", 160, "Sorry, before we go on, I have to tell you something."),
    ("answer", "espeak-ng:en-us+m3", 170, "Yes, I think we can be ready by Friday."),
    ("pause", "espeak-ng:en-us+m1", 170, f"Let me think. {PAUSE} I will tell you tomorrow."),
    ("numbers", "flite:slt", 0, "We counted forty two calls on Monday, and none of them failed."),
    ("mail", "flite:rms", 0, "Then I will write it down and send it to all of you."),
    ("scotland", "espeak-ng:en-gb-scotland+m1", 165, "That sounds good to me."),
]

Samples = npt.NDArray[np.float64]


def main() -> None:
    """Write every phrase and the truth about all of them."""
    SPEECH.mkdir(exist_ok=True)
    truth = {}
    for name, voice, words_per_minute, text in PHRASES:
        samples = normalized(trimmed(synthesized(voice, words_per_minute, text)))
        write_wav(SPEECH / f"{name}.wav", samples)
        truth[name] = {
            "text": text.replace(f" {PAUSE}", ""),
            "voice": voice,
            "sample_rate": SAMPLE_RATE,
            "duration_s": round(len(samples) / SAMPLE_RATE, 2),
            "segments": segments(samples),
        }
    (SPEECH / "speech.json").write_text(json.dumps(truth, indent=2) + "\n")


def synthesized(voice: str, words_per_minute: int, text: str) -> Samples:
    """The spoken text at 16 kHz, full scale 1."""
    program, _, name = voice.partition(":")
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        if program == "flite":
            command = ["flite", "-voice", name, "-t", text, "-o", file.name]
        else:
            speed = str(words_per_minute)
            command = ["espeak-ng", "-m", "-v", name, "-s", speed, "-w", file.name, text]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with wave.open(file.name) as recording:
            rate = recording.getframerate()
            pcm = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2")
    common = math.gcd(rate, SAMPLE_RATE)
    resampled = resample_poly(pcm / FULL_SCALE, SAMPLE_RATE // common, rate // common)
    return np.asarray(resampled, dtype=np.float64)


def active_frames(samples: Samples) -> npt.NDArray[np.bool_]:
    """Which 10 ms frames lie within 40 dB of the loudest one."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.mean(np.square(frames), axis=1)
    return np.asarray(power >= np.max(power) * 10 ** (-BELOW_PEAK_DB / 10))


def trimmed(samples: Samples) -> Samples:
    """The phrase with 0.1 s of silence on either side, a whole number of frames."""
    active = np.flatnonzero(active_frames(samples))
    spoken = samples[active[0] * FRAME : (active[-1] + 1) * FRAME]
    return np.pad(spoken, round(MARGIN_S * SAMPLE_RATE))


def normalized(samples: Samples) -> Samples:
    """The phrase with its active frames at -26 dBov, as int16 would hold it, full scale 1."""
    active = np.repeat(active_frames(samples), FRAME)
    rms = math.sqrt(float(np.mean(np.square(samples[active]))))
    scaled = samples * (10 ** (ACTIVE_LEVEL_DBOV / 20) / rms)
    if np.max(np.abs(scaled)) >= 1:
        raise ValueError("the phrase would clip at this level")
    return np.asarray(np.round(scaled * FULL_SCALE) / FULL_SCALE)


def segments(samples: Samples) -> list[list[float]]:
    """Start and end of the speech in seconds, short pauses joined."""
    found: list[list[float]] = []
    for frame in np.flatnonzero(active_frames(samples)):
        start, end = round(frame * 0.01, 2), round((frame + 1) * 0.01, 2)
        if found and start - found[-1][1] < JOINED_GAP_S:
            found[-1][1] = end
        else:
            found.append([start, end])
    return found


def write_wav(path: Path, samples: Samples) -> None:
    """Write 16 kHz mono 16-bit PCM."""
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(SAMPLE_RATE)
        recording.writeframes((samples * FULL_SCALE).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
