"""Clips of labelled speech, made once and kept in build/speech.

``load("tune")`` and ``load("held-out")`` are told apart by speaker, by synthesizer and by noise
(``speech.voices``, ``speech.noises``), so what was tuned on the one can be judged on the other.
All is a function of the seed and of the synthesizers' versions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from speech import channel, conditions, noises, synthesizers, truth
from speech.conditions import CORE, EXTRA, Condition, Dry
from speech.sentences import SENTENCES
from speech.voices import Part, Voice, babblers, talkers

Samples = npt.NDArray[np.float64]
CACHE = Path(__file__).parents[2] / "build" / "speech"
SEED = 5
RATES = (48_000, 16_000)
TAIL_S = 0.05
EXTRAS: dict[Part, int] = {"tune": 5, "held-out": 6, "quick": 0}
"""How many of the further conditions each talker is heard under."""


@dataclasses.dataclass(frozen=True)
class Clip:
    """A recording of one talker, mono, and the truth about it: (start, end) in seconds."""

    name: str
    voice: str
    condition: str
    sample_rate: int
    level_dbov: float
    segments: truth.Segments
    file: Path

    @property
    def samples(self) -> npt.NDArray[np.int16]:
        """Read as they are used."""
        return cast(npt.NDArray[np.int16], np.load(self.file, mmap_mode="r"))

    @property
    def duration_s(self) -> float:
        """Of the whole clip."""
        return len(self.samples) / self.sample_rate


@dataclasses.dataclass(frozen=True)
class Utterance:
    """A dry text as said, at the synthesizer's rate, with its truth."""

    samples: Samples
    sample_rate: int
    segments: truth.Segments


def load(part: Part) -> list[Clip]:
    """All clips of a part, made first if they are not there. Raises SynthesizerError."""
    absent = synthesizers.missing(part)
    if absent:
        raise synthesizers.SynthesizerError(f"{part} needs also: {', '.join(absent)}")
    directory = CACHE / f"{part}-{_digest(part)}"
    index = directory / "clips.json"
    if not index.exists():
        for old in CACHE.glob(f"{part}-*"):
            shutil.rmtree(old)
        directory.mkdir(parents=True)
        made = [_row(clip) for clip in _make(part, directory)]
        index.write_text(json.dumps(made))
    return [_clip(row, directory) for row in json.loads(index.read_text())]


def _digest(part: Part) -> str:
    """Of all that the clips depend on: this code, and who speaks."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    named = ("channel", "conditions", "espeak", "material", "noises", "recordings", "sentences")
    named += ("synthesizers", "truth", "voices")
    code = b"".join(file.read_bytes() for file in sources if file.stem in named)
    names = sorted({synthesizers.package(v) for v in (*talkers(part), *babblers(part))})
    versions = [f"{name} {synthesizers.version(name)}" for name in names]
    return hashlib.sha256(code + "\n".join(versions).encode()).hexdigest()[:12]


def _row(clip: Clip) -> dict[str, Any]:
    return dataclasses.asdict(clip) | {"file": clip.file.name}


def _clip(row: dict[str, Any], directory: Path) -> Clip:
    segments = [(start, end) for start, end in row["segments"]]
    return Clip(**row | {"segments": segments, "file": directory / row["file"]})


def _make(part: Part, directory: Path) -> Iterator[Clip]:
    babble = {rate: _babble(part, rate) for rate in RATES}
    for number, voice in enumerate(talkers(part)):
        utterances = list(_say(voice))
        for place, condition in enumerate(_heard(part, number)):
            name = f"{number:02}-{place:02}"
            rate = RATES[(number + place) % len(RATES)]
            # Under the conditions of the core a talker says the same.
            track = 0 if condition in CORE else place
            samples, segments = _track(_rng(part, number, track), utterances, rate)
            dry = Dry(samples, rate, segments, _noises(part, babble[rate]))
            heard = conditions.apply(condition, _rng(part, number, track, condition.name), dry)
            file = directory / f"{name}.npy"
            np.save(file, channel.int16(heard))
            level = round(channel.level_dbov(heard, rate, segments), 1)
            yield Clip(name, voice.name, condition.name, rate, level, segments, file)


def _heard(part: Part, number: int) -> list[Condition]:
    first = number * EXTRAS[part]
    return [*CORE, *(EXTRA[(first + i) % len(EXTRA)] for i in range(EXTRAS[part]))]


def _noises(part: Part, babble: noises.Noise) -> dict[str, noises.Noise]:
    return {"white": noises.white, "pink": noises.pink, "babble": babble} | noises.KINDS[part]


def _rng(*key: object) -> np.random.Generator:
    """The same for the same key on every machine."""
    digest = hashlib.sha256(repr((SEED, *key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def _say(voice: Voice) -> Iterator[Utterance]:
    """Every sentence of the voice's language, cut to where it speaks."""
    rate, said = synthesizers.say(voice, SENTENCES[voice.language])
    for samples in said:
        found = truth.segments(truth.active_frames(samples, rate))
        if found:
            first = max(0, int((found[0][0] - TAIL_S) * rate))
            behind = int((found[-1][1] + TAIL_S) * rate)
            shift = first / rate
            moved = [(start - shift, end - shift) for start, end in found]
            yield Utterance(samples[first:behind], rate, moved)


def _resampled(utterance: Utterance, sample_rate: int) -> Samples:
    """With unit level; the filter's delay is none, for its phase is linear and made up for."""
    common = int(np.gcd(sample_rate, utterance.sample_rate))
    up, down = sample_rate // common, utterance.sample_rate // common
    made = resample_poly(utterance.samples, up, down)
    level = channel.level_dbov(utterance.samples, utterance.sample_rate, utterance.segments)
    return cast(Samples, made / 10 ** (level / 20))


def _track(
    rng: np.random.Generator, utterances: list[Utterance], sample_rate: int
) -> tuple[Samples, truth.Segments]:
    """One talker for 18 to 34 s, with pauses as people make them, and often one long silence.

    Pauses are 0.3 to 4 s, log-uniform; some tracks begin in the middle of a meeting, at once.
    """
    seconds = rng.uniform(18.0, 34.0)
    silence_at = rng.uniform(0.2, 0.8) * seconds if rng.uniform() < 0.4 else np.inf
    now = 0.02 if rng.uniform() < 0.2 else _log_uniform(rng, 0.3, 3.0)
    track = np.zeros(int((seconds + 40.0) * sample_rate))
    found: truth.Segments = []
    order: list[int] = []
    while now < seconds:
        order = order or list(rng.permutation(len(utterances)))
        utterance = utterances[order.pop()]
        made = _resampled(utterance, sample_rate) * 10 ** (rng.normal(0.0, 2.0) / 20)
        first = round(now * 100) * sample_rate // 100
        track[first : first + len(made)] += made[: len(track) - first]
        begin = first / sample_rate
        found += [(round(begin + s, 3), round(begin + e, 3)) for s, e in utterance.segments]
        now = found[-1][1] + _log_uniform(rng, 0.3, 4.0)
        if now > silence_at:
            now += rng.uniform(6.0, 12.0)
            silence_at = np.inf
    return track[: int(max(now, seconds) * sample_rate)], found


def _babble(part: Part, sample_rate: int) -> noises.Noise:
    """Of voices that never talk alone, each three times, saying other things."""
    voices = []
    for voice in babblers(part):
        said = [_resampled(utterance, sample_rate) for utterance in _say(voice)]
        for time in range(2):
            order = _rng(part, "babble", voice.name, time).permutation(len(said))
            joined = np.concatenate([said[i] for i in order])
            voices.append(joined / np.sqrt(np.mean(np.square(joined))))
    return noises.babble(voices, len(voices))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
