"""The committed speech and its truth: a wrong truth would make right figures fail."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np
import pytest

from pmon.media.phrases import Phrase, phrases
from pmon.media.voice import FULL_SCALE

NAMES = sorted(phrases())


@pytest.fixture(params=NAMES)
def phrase(request: pytest.FixtureRequest) -> Phrase:
    return phrases()[request.param]


def level_dbov(samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
    power = float(np.mean(np.square(samples / FULL_SCALE)))
    return 10 * math.log10(power) if power else -math.inf


def test_every_recording_has_its_truth_and_the_other_way_round() -> None:
    files = {f.name for f in (resources.files("pmon") / "speech").iterdir()}
    assert files == {f"{name}.wav" for name in NAMES} | {"speech.json"}


def test_the_recordings_stay_small_in_a_checkout() -> None:
    sizes = [2 * len(phrase.samples) for phrase in phrases().values()]
    assert max(sizes) < 160_000
    assert sum(sizes) < 1_000_000


def test_duration_and_rate_are_those_of_the_recording(phrase: Phrase) -> None:
    assert phrase.truth.sample_rate == 16_000
    assert len(phrase.samples) == round(phrase.truth.duration_s * 16_000)
    assert 1.5 <= phrase.truth.duration_s <= 5


def test_segments_are_ordered_apart_and_inside_the_recording(phrase: Phrase) -> None:
    times = [time for segment in phrase.truth.segments for time in segment]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= phrase.truth.duration_s
    gaps = [
        later[0] - sooner[1]
        for sooner, later in zip(phrase.truth.segments, phrase.truth.segments[1:], strict=False)
    ]
    assert all(gap >= 0.2 for gap in gaps)


def test_speech_is_inside_the_segments_and_silence_outside(phrase: Phrase) -> None:
    inside = np.zeros(len(phrase.samples), dtype=bool)
    for start, end in phrase.truth.segments:
        inside[round(start * 16_000) : round(end * 16_000)] = True
    assert level_dbov(phrase.samples[inside]) == pytest.approx(-26, abs=1.5)
    assert level_dbov(phrase.samples[~inside]) < -65


def test_a_segment_begins_and_ends_with_sound(phrase: Phrase) -> None:
    """A truth with silence at its edges would call a right measurement too short."""
    for start, end in phrase.truth.segments:
        first, last = round(start * 16_000), round(end * 16_000)
        assert level_dbov(phrase.samples[first : first + 160]) > -65
        assert level_dbov(phrase.samples[last - 160 : last]) > -65


def test_one_phrase_has_a_pause_that_is_not_speech() -> None:
    assert [len(phrases()[name].truth.segments) for name in ("pause", "welcome")] == [2, 1]
