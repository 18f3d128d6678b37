"""The simulated microphone: measured talk time is held against its record of true speech."""

from __future__ import annotations

import numpy as np
import pytest

from pmon.media.phrases import Pcm, Phrase, Truth, phrases
from pmon.media.voice import FRAME, FRAME_S, FULL_SCALE, SAMPLE_RATE, Voice


def nothing() -> None:
    """Called when a phrase is said."""


def play(voice: Voice, frames: int, *, start: float = 100.0, heard: bool = True) -> Pcm:
    said = [voice.next_frame(start + n * FRAME_S, heard=heard) for n in range(frames)]
    return np.concatenate(said)


def test_a_phrase_comes_out_sample_by_sample_and_then_silence() -> None:
    voice, phrase = Voice(), phrases()["pause"]
    voice.say(phrase, nothing)
    pcm = play(voice, 400)
    assert np.array_equal(pcm[: len(phrase.samples)], phrase.samples)
    assert not pcm[len(phrase.samples) :].any()


def test_a_room_can_fall_silent_and_be_noisy_again() -> None:
    voice = Voice(noise_dbov=-40)
    levels = []
    for dbov in (-60, None, -40):
        voice.in_noise(dbov)
        levels.append(float(np.sqrt(np.mean((play(voice, 300) / FULL_SCALE) ** 2))))
    assert levels == pytest.approx([0.001, 0.0, 0.01], rel=0.02)


def test_the_truth_is_the_phrases_own_moved_to_when_it_was_said() -> None:
    voice, phrase = Voice(), phrases()["pause"]
    voice.say(phrase, nothing)
    play(voice, 400, start=7.0)
    expected = [(7 + start, 7 + end) for start, end in phrase.truth.segments]
    assert np.allclose(voice.spoken, expected, atol=1e-6)
    assert voice.talk_time_s == pytest.approx(sum(end - start for start, end in expected))


def test_what_is_muted_is_not_true_speech_but_time_goes_on() -> None:
    voice = Voice()
    voice.say(phrases()["welcome"], nothing)
    play(voice, 50)
    play(voice, 100, start=100.5, heard=False)
    play(voice, 200, start=101.5)
    assert np.allclose(voice.spoken, [(100.1, 100.5), (101.5, 102.79)], atol=1e-6)


def test_phrases_follow_each_other_and_each_says_when_it_is_done() -> None:
    voice, done = Voice(), []
    voice.say(phrases()["scotland"], lambda: done.append("first"))
    voice.say(phrases()["scotland"], lambda: done.append("second"))
    play(voice, 155)
    assert done == ["first"]
    play(voice, 155, start=101.55)
    assert done == ["first", "second"]
    assert len(voice.spoken) == 2


def test_stop_cuts_a_word_and_releases_who_waits_for_it() -> None:
    voice, done = Voice(), []
    voice.say(phrases()["welcome"], lambda: done.append("cut"))
    voice.say(phrases()["welcome"], lambda: done.append("never said"))
    play(voice, 50)
    voice.stop()
    assert done == ["cut", "never said"]
    assert not play(voice, 10, start=100.5).any()
    assert voice.talk_time_s == pytest.approx(0.4)


def test_room_noise_has_its_level_and_is_the_same_for_the_same_seed() -> None:
    noise = play(Voice(noise_dbov=-60, seed=3), 1000)
    level = 10 * np.log10(np.mean(np.square(noise / FULL_SCALE)))
    assert level == pytest.approx(-60, abs=0.2)
    assert np.array_equal(noise, play(Voice(noise_dbov=-60, seed=3), 1000))
    assert not np.array_equal(noise, play(Voice(noise_dbov=-60, seed=4), 1000))


def test_noise_goes_on_after_its_ten_seconds_and_is_never_speech() -> None:
    voice = Voice(noise_dbov=-40)
    assert len(play(voice, 2500)) == 2500 * FRAME
    assert voice.spoken == []


def test_speech_over_loud_noise_clips_and_does_not_wrap_around() -> None:
    full = np.full(SAMPLE_RATE, 32767, dtype=np.int16)
    truth = Truth(text="", voice="", sample_rate=SAMPLE_RATE, duration_s=1, segments=((0, 1),))
    voice = Voice(noise_dbov=-20)
    voice.say(Phrase(samples=full, truth=truth), nothing)
    assert play(voice, 100).min() > 0


def test_a_phrase_of_another_rate_is_refused() -> None:
    truth = Truth(text="", voice="", sample_rate=48_000, duration_s=0, segments=())
    with pytest.raises(ValueError, match="16000 Hz, not 48000"):
        Voice().say(Phrase(samples=np.zeros(0, dtype=np.int16), truth=truth), nothing)
