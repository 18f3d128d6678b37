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

from speech import background, channel, conditions, noises, synthesizers, truth
from speech.conditions import CORE, EXTRA, Condition, Dry
from speech.sentences import phrases
from speech.voices import Part, Voice, babblers, talkers

Samples = npt.NDArray[np.float64]
CACHE = Path(__file__).parents[2] / "build" / "speech"
SEED = 5
RATES = (48_000, 16_000)
TAIL_S = 0.05
STREAMS = 16
"""How many people babble at once."""
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
    named: tuple[str, ...] = (
        "background",
        "channel",
        "conditions",
        "espeak",
        "material",
        "noises",
        "recordings",
        "opus",
        "sentences",
    )
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
            # Under the conditions of the core a talker says the same in the same recording.
            take = 0 if condition in CORE else place
            samples, segments = _track(_rng(part, number, take), utterances, rate)
            made = _noises(part, babble[rate])
            dry = Dry(samples, rate, segments, made, background.LIVES[part])
            recording = conditions.recorded(condition, _rng(part, number, take, "room"), dry)
            own = _rng(part, number, take, condition.name)
            heard = conditions.apply(condition, own, dry, recording)
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
    """Every phrase of the voice's language, cut to where it speaks."""
    rate, said = synthesizers.say(voice, phrases(voice.language))
    for samples in said:
        found = truth.segments(truth.active_frames(samples, rate))
        if found:
            first = max(0, int((found[0][0] - TAIL_S) * rate))
            behind = int((found[-1][1] + TAIL_S) * rate)
            shift = first / rate
            moved = [(start - shift, end - shift) for start, end in found]
            yield Utterance(samples[first:behind], rate, moved)


def _spoken(rng: np.random.Generator, utterance: Utterance) -> Utterance:
    """With the dynamics of people, which synthesizers lack: louder and softer sentences, words that
    stand out and words that are swallowed, and the voice dropping at the end.

    The truth is read again off what comes of it.
    """
    samples, rate = utterance.samples, utterance.sample_rate
    knots = np.arange(0.0, len(samples) / rate + 0.4, 0.4)
    gain_db = rng.normal(0.0, 3.0) + rng.normal(0.0, 3.0, len(knots))
    times = np.arange(len(samples)) / rate
    end = utterance.segments[-1][1]
    drop_db = rng.uniform(0.0, 8.0) * np.clip((times - end + 0.6) / 0.6, 0.0, 1.0)
    shaped = samples * 10 ** ((np.interp(times, knots, gain_db) - drop_db) / 20)
    found = truth.segments(truth.active_frames(shaped, rate))
    level = channel.level_dbov(samples, rate, utterance.segments)
    return Utterance(shaped * 10 ** (-level / 20), rate, found)


def _resampled(utterance: Utterance, sample_rate: int) -> Samples:
    """Without delay: the filter's phase is linear, and made up for."""
    common = int(np.gcd(sample_rate, utterance.sample_rate))
    up, down = sample_rate // common, utterance.sample_rate // common
    return cast(Samples, resample_poly(utterance.samples, up, down))


def _track(
    rng: np.random.Generator, utterances: list[Utterance], sample_rate: int
) -> tuple[Samples, truth.Segments]:
    """One talker for 16 to 30 s, with pauses as people make them, and often one long silence.

    Between the phrases of what would be a sentence 0.2 to 0.6 s, between sentences 0.3 to 3 s, all
    log-uniform; some tracks begin in the middle of a meeting, at once.
    """
    seconds = rng.uniform(16.0, 30.0)
    silence_at = rng.uniform(0.2, 0.8) * seconds if rng.uniform() < 0.15 else np.inf
    now = 0.02 if rng.uniform() < 0.2 else _log_uniform(rng, 0.3, 3.0)
    track = np.zeros(int((seconds + 40.0) * sample_rate))
    found: truth.Segments = []
    order: list[int] = []
    while now < seconds:
        order = order or list(rng.permutation(len(utterances)))
        utterance = _spoken(rng, utterances[order.pop()])
        made = _resampled(utterance, sample_rate)
        first = round(now * 100) * sample_rate // 100
        track[first : first + len(made)] += made[: len(track) - first]
        begin = first / sample_rate
        found += [(round(begin + s, 3), round(begin + e, 3)) for s, e in utterance.segments]
        pause = (0.2, 0.6) if rng.uniform() < 0.6 else (0.3, 3.0)
        now = found[-1][1] + _log_uniform(rng, *pause)
        if now > silence_at:
            now += rng.uniform(6.0, 12.0)
            silence_at = np.inf
    return track[: int(max(now, seconds) * sample_rate)], found


def _babble(part: Part, sample_rate: int) -> noises.Noise:
    """Of voices that never talk alone, each several times, a little higher or lower, in a room."""
    rng = _rng(part, "babble")
    voices = []
    for voice in babblers(part):
        said = [_resampled(_spoken(rng, u), sample_rate) for u in _say(voice)]
        for _ in range(3):
            joined = np.concatenate([said[i] for i in rng.permutation(len(said))])
            pitch = int(rng.integers(90, 112))
            joined = resample_poly(joined, 100, pitch)
            joined = channel.room(rng, joined, sample_rate, rng.uniform(0.3, 0.9))
            voices.append(joined / np.sqrt(np.mean(np.square(joined))))
    return noises.babble(voices, STREAMS)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
