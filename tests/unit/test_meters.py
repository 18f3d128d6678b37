"""The meters of a track: speech is dated right, whatever the loop did to the frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room_driver import Meeting, microphone, person

from pmon._dsp import SpeakingDetector
from pmon._tap import MOST_THRESHOLDS, Meters
from pmon.media.meters import DRY_AFTER_S, TrackMeters, Transition
from pmon.media.phrases import phrases

RATE = 16_000
FRAME = RATE // 10
Int16 = npt.NDArray[np.int16]


def stream(*parts: str | float) -> Int16:
    """Phrases by name and silence by seconds, as whole frames of 100 ms."""
    pieces = [
        np.zeros(round(part * RATE), np.int16) if isinstance(part, float) else say(part)
        for part in parts
    ]
    whole = np.concatenate(pieces)
    return np.concatenate([whole, np.zeros(-len(whole) % FRAME, np.int16)])


SILENT = np.zeros(FRAME, np.int16)


def heard_until(meters: TrackMeters) -> float:
    (reading,) = meters.readings()
    return reading.heard_until


def say(name: str) -> Int16:
    return phrases()[name].samples


def play(meters: TrackMeters, samples: Int16, start: float) -> list[Transition]:
    """Feed frames as they come in real time from ``start`` on."""
    transitions = []
    for index, frame in enumerate(np.split(samples, len(samples) // FRAME)):
        transitions += meters.feed(frame, start + (index + 1) * 0.1)
    return transitions


def test_speech_is_dated_when_it_was_spoken() -> None:
    meters = TrackMeters(RATE, 1, [0.01])
    transitions = play(meters, stream(1.0, "results", 1.0), start=100.0)
    ((start, stop),) = phrases()["results"].truth.segments
    assert [t.speaking for t in transitions] == [True, False]
    assert transitions[0].at == pytest.approx(101 + start, abs=0.06)
    assert transitions[1].at == pytest.approx(101 + stop, abs=0.06)
    (reading,) = meters.readings()
    assert reading.speech_s == pytest.approx(transitions[1].at - transitions[0].at)
    assert reading.speech_until == transitions[1].at
    assert reading.heard_until == pytest.approx(100 + reading.heard_s)


def test_after_a_pause_of_the_stream_time_has_gone_on() -> None:
    """Muted for 30 s, nothing is fed: what is said then was not said 30 s before."""
    meters = TrackMeters(RATE, 1, [0.01])
    play(meters, stream(1.0, "results"), start=100.0)
    (ended,) = meters.stop()
    assert ended.at == pytest.approx(104.35, abs=0.1)
    (before,) = meters.readings()
    transitions = play(meters, stream(1.0, "numbers", 1.0), start=140.0)
    assert transitions[0].at == pytest.approx(141.1, abs=0.06)
    assert transitions[1].at == pytest.approx(144.72, abs=0.1)
    (after,) = meters.readings()
    assert after.heard_s > before.heard_s


def test_a_stream_that_runs_dry_ends_speech_by_time() -> None:
    meters = TrackMeters(RATE, 1, [0.01])
    play(meters, stream(1.0, "results")[: 3 * RATE], start=100.0)
    assert meters.expire(103.0 + DRY_AFTER_S - 0.01) == []
    (ended,) = meters.expire(103.0 + DRY_AFTER_S)
    assert (ended.threshold, ended.speaking) == (0.01, False)
    assert ended.at == pytest.approx(103.0, abs=0.05)
    assert meters.expire(200.0) == []


def test_each_threshold_has_its_own_runs() -> None:
    meters = TrackMeters(RATE, 1, [0.01, 0.5])
    transitions = play(meters, stream(1.0, "results", 1.0), start=0.0)
    assert {t.threshold for t in transitions} == {0.01}
    assert {r.threshold: r.speech_s > 1 for r in meters.readings()} == {0.01: True, 0.5: False}


def test_a_threshold_that_comes_later_dates_its_runs_right() -> None:
    meters = TrackMeters(RATE, 1, [0.01])
    play(meters, stream(5.0), start=0.0)
    assert meters.listen([0.02]) == []
    transitions = play(meters, stream("results", 1.0), start=5.0)
    assert [t.threshold for t in transitions] == [0.02, 0.02]
    assert transitions[0].at == pytest.approx(5.1, abs=0.06)


def test_a_threshold_that_comes_in_the_middle_of_a_word_is_told_of_the_rest() -> None:
    """Who begins to listen while somebody talks would else hear of nothing until the next pause."""
    meters = TrackMeters(RATE, 1, [0.01])
    samples = stream(1.0, "results", 1.0)
    play(meters, samples[: 2 * RATE], start=0.0)
    assert meters.listen([0.01, 0.02]) == []
    began, *ended = play(meters, samples[2 * RATE :], start=2.0)
    assert (began.threshold, began.speaking) == (0.02, True)
    assert began.at == pytest.approx(2)
    assert [t.speaking for t in ended] == [False, False]
    first, second = meters.readings()
    assert second.speech_s == pytest.approx(ended[1].at - 2)
    assert first.speech_until == second.speech_until == ended[1].at
    assert first.speech_s - second.speech_s == pytest.approx(0.9, abs=0.06)


def test_a_threshold_that_comes_later_is_not_billed_for_what_was_said_before() -> None:
    """Somebody who had been loud before would for ever hide that they are quiet now."""
    meters = TrackMeters(RATE, 1, [0.001])
    loud, quiet = say("results")[: 2 * RATE], say("results")[: 2 * RATE] // 8
    play(meters, np.concatenate([SILENT, loud]), start=0.0)
    meters.listen([0.001, 0.002])
    play(meters, quiet, start=2.1)
    both, later = meters.readings()
    alone = TrackMeters(RATE, 1, [0.002])
    play(alone, np.concatenate([SILENT, quiet]), start=0.0)
    (expected,) = alone.readings()
    assert later.speech_power == pytest.approx(expected.speech_power, rel=0.2)
    assert both.speech_power > 10 * later.speech_power


@settings(max_examples=25)
@given(
    others=st.lists(st.sets(st.sampled_from([0.002, 0.05, 0.9])), min_size=6, max_size=6),
    joined=st.integers(0, 5),
)
def test_who_else_listens_changes_nothing(others: list[set[float]], joined: int) -> None:
    """Whose threshold comes in the middle of a run, or goes there."""
    samples = np.concatenate([SILENT, say("results"), say("numbers") // 4, SILENT, SILENT])
    parts = np.array_split(samples, 6)
    told = []
    alone: list[set[float]] = [set()] * 6
    for present in (others, alone):
        meters, transitions, at = Meters(RATE, 1), [], 0
        meters.listen([0.001])  # who listens all the time keeps the detector at work
        for number, part in enumerate(parts):
            wanted = present[number] | {0.001} | ({0.01} if number >= joined else set())
            transitions += meters.listen(wanted)
            at += len(part)
            transitions += meters.feed(part, at / RATE)
        readings = {reading[0]: reading[1:] for reading in meters.readings()}
        told.append(([t for t in transitions if t[0] == 0.01], readings[0.01]))
    assert told[0] == told[1]


@settings(max_examples=25)
@given(
    parts=st.lists(
        st.tuples(st.sampled_from(["results", "numbers"]), st.floats(0.02, 2)),
        min_size=1,
        max_size=4,
    ),
    thresholds=st.sets(st.sampled_from([0.002, 0.01, 0.05, 0.2, 0.9])),
    piece=st.integers(50, 3 * RATE),
)
def test_many_thresholds_find_what_each_finds_alone(
    parts: list[tuple[str, float]], thresholds: set[float], piece: int
) -> None:
    """They share all the work but for who is loud enough."""
    spoken = [np.clip(say(name) * gain, -32768, 32767).astype(np.int16) for name, gain in parts]
    samples = np.concatenate([SILENT, *spoken, np.zeros(RATE, np.int16)])
    meters = Meters(RATE, 1)
    meters.listen(thresholds)
    together = []
    for at in range(0, len(samples), piece):
        part = samples[at : at + piece]
        together += meters.feed(part, (at + len(part)) / RATE)
    for threshold, _, _, speech_s, speech_until, _ in meters.readings():
        alone = SpeakingDetector(RATE, 1, threshold)
        alone.process(samples)
        assert [(s, round(at * RATE)) for t, s, at in together if t == threshold] == alone.take()
        assert round(speech_s * RATE) == alone.speech_samples
        assert round(speech_until * RATE) == alone.last_speech


def test_a_threshold_that_comes_later_has_heard_what_came_since() -> None:
    """The track is an hour old, and the session that listens with it is not."""
    meeting = Meeting()
    meeting.connected(person("ann", microphone()))
    meeting.job("AJ_1", "ann")
    meters = TrackMeters(RATE, 1, [0.01])
    play(meters, stream(60.0), start=0.0)
    meeting.to(60)
    meeting.job("AJ_2", "ann", "AD_2", speaking_threshold=0.02)
    meters.listen([0.01, 0.02])
    play(meters, stream(5.0), start=60.0)
    meeting.to(65)
    for reading in meters.readings():
        assert reading.heard_until == pytest.approx(65)
        meeting.monitor.audio("TR_mic", reading)
    assert meeting.summary("AJ_1").coverage.heard_s == 65
    assert meeting.summary("AJ_2").coverage.heard_s == 5


def test_other_meters_of_a_track_count_from_zero() -> None:
    """Their first total may be more than the last of those before: that does not tell."""
    meeting = Meeting()
    meeting.connected(person("ann", microphone()))
    meeting.job("AJ_1", "ann")
    for seconds in (3.0, 5.0):
        meters = TrackMeters(RATE, 1, [0.01])
        meeting.monitor.measured_anew("TR_mic")
        play(meters, stream(seconds), start=meeting.now)
        meeting.to(meeting.now + seconds)
        for reading in meters.readings():
            meeting.monitor.audio("TR_mic", reading)
    assert meeting.summary("AJ_1").coverage.heard_s == 8


def test_a_threshold_that_goes_ends_its_run() -> None:
    meters = TrackMeters(RATE, 1, [0.01])
    play(meters, stream(1.0, "results")[: 3 * RATE], start=0.0)
    (ended,) = meters.listen([])
    assert (ended.threshold, ended.speaking) == (0.01, False)
    assert meters.readings() == []


@given(st.lists(st.floats(0.0, 0.2), min_size=30, max_size=60))
def test_jitter_does_not_move_the_clock(jitter: list[float]) -> None:
    """Once one frame came on time, the others' lateness is known for what it is."""
    meters = TrackMeters(RATE, 1, [0.01])
    meters.feed(SILENT, 100.1)
    for index, late in enumerate(jitter, start=2):
        meters.feed(SILENT, 100.0 + index / 10 + late)
    assert heard_until(meters) == pytest.approx(100.1 + 0.1 * len(jitter))


def test_a_stream_that_lost_a_second_is_set_anew() -> None:
    meters = TrackMeters(RATE, 1, [0.01])
    for index in range(1, 100):
        lost = 1.0 if index > 50 else 0.0
        meters.feed(SILENT, 100.0 + index / 10 + lost)
    assert heard_until(meters) == pytest.approx(110.9)


def test_a_hundred_thresholds_break_nothing() -> None:
    meters = TrackMeters(RATE, 1, [n / 100 for n in range(1, 101)])
    assert len(meters.readings()) == MOST_THRESHOLDS


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, float("nan")])
def test_a_threshold_that_makes_no_sense_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be above 0"):
        Meters(RATE, 1).listen([threshold])


def told_after(samples: Int16, *, expected: bool) -> float | None:
    """Seconds from where a stream begins until speech is told."""
    meters = TrackMeters(RATE, 1, [0.01])
    if expected:
        meters.expect()
    block = RATE // 100
    for index in range(len(samples) // block):
        if meters.feed(samples[index * block : (index + 1) * block], index / 100):
            return (index + 1) / 100
    return None


def held_vowel(seconds: float, dbov: float = -20.0) -> Int16:
    """120 Hz with formants, as it is sung: it does not move."""
    t = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(1, 40)
    formants = np.array([[700.0], [1200.0], [2600.0]])
    weights = (1 / (1 + ((120 * harmonics - formants) / 100) ** 2)).sum(axis=0)
    wave = np.sin(2 * np.pi * 120 * np.outer(harmonics, t)).T @ weights
    scale = 32768 * 10 ** (dbov / 20) / float(np.sqrt(np.mean(wave**2)))
    samples: Int16 = np.round(wave * scale).astype(np.int16)
    return samples


def test_who_is_called_a_speaker_is_heard_at_once_in_the_middle_of_a_vowel() -> None:
    """What has not moved is nothing that was switched on only if somebody says so."""
    assert told_after(held_vowel(0.6), expected=False) is None
    told = told_after(held_vowel(0.6), expected=True)
    assert told is not None and told <= 0.1
    vowel = say("mail")[round(0.34 * RATE) :]
    told = told_after(vowel, expected=True)
    assert told is not None and told <= 0.1


NOISE = np.random.default_rng(1).normal(0, 32768 * 10 ** (-36 / 20), 3 * RATE).astype(np.int16)
REOPENED = np.concatenate([np.zeros(3 * FRAME, np.int16), NOISE])
"""A stream that was opened gives silence until packets come."""


def test_noise_that_the_server_may_take_for_a_voice_is_not_believed() -> None:
    meters = TrackMeters(RATE, 1, [0.01])
    play(meters, NOISE, start=0.0)
    meters.stop()
    meters.expect()
    assert play(meters, REOPENED, start=10.0) == []


def test_what_was_expected_before_a_stop_is_not_believed_later() -> None:
    """Muted just then, they are heard by the patrol minutes later, of which nobody said a word."""
    meters = TrackMeters(RATE, 1, [0.01])
    meters.expect()
    play(meters, np.zeros(3 * FRAME, np.int16), start=0.0)
    meters.stop()
    assert play(meters, REOPENED, start=200.0) == []


def test_what_is_expected_must_come_soon_and_be_loud_enough() -> None:
    late = np.concatenate([np.zeros(round(1.6 * RATE), np.int16), held_vowel(0.6)])
    for samples in (late, held_vowel(0.6, -45.0)):
        meters = TrackMeters(RATE, 1, [0.01])
        meters.expect()
        assert play(meters, samples[: len(samples) // FRAME * FRAME], start=0.0) == []


def test_the_level_is_that_of_the_last_100_ms_and_of_nothing_old() -> None:
    """After a mute it would show for how loud somebody was before."""
    tone = np.round(8192 * np.sin(2 * np.pi * np.arange(FRAME) / 16)).astype(np.int16)
    meters = Meters(RATE, 1)
    for frames, level in ((2, None), (1, -15.05)):
        for _ in range(frames):
            meters.feed(tone + 500, 0.0)
        assert meters.level_dbov == (level and pytest.approx(level, abs=0.05))
    meters.feed(tone // 2, 0.0)
    assert meters.level_dbov == pytest.approx(-21.07, abs=0.05)
    meters.stop()
    assert meters.level_dbov is None
    meters.feed(tone, 0.0)
    assert meters.level_dbov is None
