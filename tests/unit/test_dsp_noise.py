"""What is not speech: noise of any colour and level, hum, steps, clicks."""

from __future__ import annotations

import numpy as np
import pytest
from dsp_material import (
    RATE,
    Signal,
    billed,
    detect,
    falling_noise,
    hum,
    narrow_noise,
    noise,
    phrase,
    silence,
    spoken,
    tone,
    words,
)


@pytest.mark.parametrize("dbov", [-70, -60, -50, -45, -39, -30, -20, -10])
@pytest.mark.parametrize("before", [0.0, 3.0])
def test_steady_noise_is_not_speech(dbov: float, before: float) -> None:
    """From the very first sample, or switched on after digital silence."""
    detector = detect(np.concatenate([silence(before), noise(60, dbov)]))
    assert detector.speech_samples == 0
    assert detector.last_speech == 0
    assert detector.speech_dbov is None


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
@pytest.mark.parametrize("slope", [1, 2])
@pytest.mark.parametrize("before", [-127, -60])
def test_fans_and_traffic_are_not_speech(before: float, slope: float, rate: int) -> None:
    """Pink and brown noise: slow and wild at low frequencies, where it looks like syllables.

    As it sets in it may be billed, until the floor knows it, and never again.
    """
    loud = falling_noise(30, -30, slope, rate)
    quiet = falling_noise(3, before, 0, rate)
    detector = detect(np.concatenate([quiet, loud]), rate=rate)
    assert detector.speech_samples / rate <= 1.9
    assert detector.last_speech / rate <= 3 + 1.9


@pytest.mark.parametrize(
    ("low_high", "most_s"), [((20, 100), 25), ((20, 200), 6), ((950, 1050), 6)]
)
def test_noise_too_narrow_to_be_steady_is_learnt(
    low_high: tuple[float, float], most_s: float
) -> None:
    """Its first seconds may look like speech, until the floor knows it; rumble goes on longer."""
    detector = detect(narrow_noise(120, -30, *low_high))
    assert detector.speech_samples / RATE <= most_s
    assert detector.last_speech / RATE <= most_s


def test_noise_that_steps_up_or_comes_for_a_while_is_not_speech() -> None:
    for seconds in (0.3, 1, 30):
        steps = np.concatenate([noise(10, -60), noise(seconds, -35, 1), noise(10, -60, 2)])
        assert billed(steps) == 0.0


@pytest.mark.parametrize("hertz", [50, 120, 440, 1000])
def test_hum_and_tones_are_not_speech(hertz: float) -> None:
    assert billed(np.concatenate([silence(1), tone(20, hertz, -25), silence(1)])) == 0.0


@pytest.mark.parametrize(("hertz", "most_s"), [(50, 0.0), (60, 1.85)])
def test_mains_hum_is_learnt_before_two_seconds(hertz: float, most_s: float) -> None:
    """A period of 60 Hz does not fit the blocks, so it seems to move until the floor knows it."""
    stream = np.concatenate([silence(1), hum(20, hertz, -25), silence(1)])
    assert billed(stream) <= most_s


@pytest.mark.parametrize("depth_db", [1, 3])
def test_a_slow_swell_is_not_speech(depth_db: float) -> None:
    swell = np.sin(2 * np.pi * np.arange(60 * RATE) / RATE)
    assert billed(noise(60, -35) * 10 ** (depth_db * swell / 20)) == 0.0


@pytest.mark.parametrize("dbov", [-60, -50, -40])
def test_noise_that_comes_with_speech_is_billed_until_the_floor_knows_it(dbov: float) -> None:
    """Unmuted, somebody speaks at once: the end of it is known after 1.8 s at the latest."""
    (said,) = words("scotland")
    room: Signal = np.concatenate([said, silence(6)])
    room += noise(len(room) / RATE, dbov)
    talk = billed(np.concatenate([silence(5), room]))
    assert len(said) / RATE - 0.05 <= talk <= 1.85


def test_after_loud_noise_stops_speech_is_found_again() -> None:
    stream = np.concatenate([noise(10, -25), noise(3, -65), phrase("welcome"), noise(1, -65)])
    assert billed(stream) == pytest.approx(spoken("welcome"), abs=0.16)


def test_a_click_or_a_blip_after_silence_is_not_speech() -> None:
    for length in (1, RATE // 50, RATE // 5):
        stream = silence(4)
        stream[2 * RATE : 2 * RATE + length] = noise(1, -12)[:length]
        assert billed(stream) == 0.0
