"""Dry tracks: what a talker says within half a minute, with pauses, before anything is added."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from speech import channel, noises, synthesizers, truth
from speech.sentences import phrases
from speech.voices import Part, Voice, babblers

Samples = npt.NDArray[np.float64]
Rng = np.random.Generator
SEED = 5
MARGIN_S = 0.05
STREAMS = 16
"""How many people babble at once."""


@dataclasses.dataclass(frozen=True)
class Utterance:
    """A dry phrase at the synthesizer's rate, with its truth."""

    samples: Samples
    sample_rate: int
    segments: truth.Segments


def generator(*key: object) -> Rng:
    """The same numbers for the same key on every machine."""
    digest = hashlib.sha256(repr((SEED, *key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def utterances(voice: Voice) -> list[Utterance]:
    """Every phrase of the voice's language, cut to where it speaks. Raises SynthesizerError."""
    rate, said = synthesizers.say(voice, phrases(voice.language))
    made = []
    for samples in said:
        found = truth.segments(truth.active_frames(samples, rate))
        if found:
            first = max(0, int((found[0][0] - MARGIN_S) * rate))
            behind = int((found[-1][1] + MARGIN_S) * rate)
            moved = [(start - first / rate, end - first / rate) for start, end in found]
            made.append(Utterance(samples[first:behind], rate, moved))
    return made


def spoken(rng: Rng, utterance: Utterance) -> Utterance:
    """With the dynamics of people, which synthesizers lack: louder and softer sentences, words that
    stand out and words that are swallowed, and the voice dropping at the end.

    The level is unit before that; the truth is read again off what comes of it.
    """
    samples, rate = utterance.samples, utterance.sample_rate
    knots = np.arange(0.0, len(samples) / rate + 0.4, 0.4)
    gain_db = rng.normal(0.0, 3.0) + rng.normal(0.0, 3.0, len(knots))
    times = np.arange(len(samples)) / rate
    end = utterance.segments[-1][1]
    drop_db = rng.uniform(0.0, 8.0) * np.clip((times - end + 0.6) / 0.6, 0.0, 1.0)
    level = channel.level_dbov(samples, rate, utterance.segments)
    gain_db = np.interp(times, knots, gain_db) - drop_db - level
    shaped = samples * 10 ** (gain_db / 20)
    return Utterance(shaped, rate, truth.segments(truth.active_frames(shaped, rate)))


def resampled(utterance: Utterance, sample_rate: int) -> Samples:
    """Without delay: the filter's phase is linear, and made up for."""
    common = int(np.gcd(sample_rate, utterance.sample_rate))
    up, down = sample_rate // common, utterance.sample_rate // common
    return np.asarray(resample_poly(utterance.samples, up, down))


def track(rng: Rng, said: Sequence[Utterance], sample_rate: int) -> tuple[Samples, truth.Segments]:
    """One talker for 16 to 30 s, with pauses as people make them, and at times one long silence.

    Between the phrases of what would be a sentence 0.2 to 0.6 s, between sentences 0.3 to 3 s, all
    log-uniform; some tracks begin in the middle of a meeting, at once.
    """
    seconds = rng.uniform(16.0, 30.0)
    silence_at = rng.uniform(0.2, 0.8) * seconds if rng.uniform() < 0.15 else np.inf
    now = 0.02 if rng.uniform() < 0.2 else _log_uniform(rng, 0.3, 3.0)
    made = np.zeros(int((seconds + 40.0) * sample_rate))
    found: truth.Segments = []
    order: list[int] = []
    while now < seconds:
        order = order or [int(i) for i in rng.permutation(len(said))]
        utterance = spoken(rng, said[order.pop()])
        voice = resampled(utterance, sample_rate)
        first = round(now * 100) * sample_rate // 100
        made[first : first + len(voice)] += voice[: len(made) - first]
        begin = first / sample_rate
        found += [(round(begin + s, 3), round(begin + e, 3)) for s, e in utterance.segments]
        pause = (0.2, 0.6) if rng.uniform() < 0.6 else (0.3, 3.0)
        now = found[-1][1] + _log_uniform(rng, *pause)
        if now > silence_at:
            now += rng.uniform(6.0, 12.0)
            silence_at = np.inf
    return made[: int(max(now, seconds) * sample_rate)], found


@cache
def babble(part: Part, sample_rate: int) -> noises.Noise:
    """Of voices that never talk alone, each several times, a little higher or lower, in a room."""
    rng = generator(part, "babble")
    voices = []
    for voice in babblers(part):
        said = [resampled(spoken(rng, u), sample_rate) for u in utterances(voice)]
        for _ in range(3):
            joined = np.concatenate([said[i] for i in rng.permutation(len(said))])
            joined = resample_poly(joined, 100, int(rng.integers(90, 112)))
            joined = channel.room(rng, joined, sample_rate, rng.uniform(0.3, 0.9))
            voices.append(joined / np.sqrt(np.mean(np.square(joined))))
    return noises.babble(voices, STREAMS)


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
