"""The speaking detector: speech is billed as it is, and how it comes in calls does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from dsp_material import RATE, billed, detect, fluent, noise, phrase, silence, spoken, words
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pmon._dsp import SpeakingDetector
from pmon.media.phrases import phrases


@pytest.mark.parametrize("rate", [11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("name", list(phrases()))
def test_a_phrase_is_billed_as_it_is(name: str, rate: int) -> None:
    stream = np.concatenate([silence(1), phrase(name), silence(1)])
    resampled = signal.resample_poly(stream, rate, RATE)
    detector = detect(resampled, rate=rate)
    truth_s = spoken(name)
    assert detector.speech_samples / rate == pytest.approx(truth_s, abs=min(0.15, 0.05 * truth_s))
    onsets = [position / rate - 1 for speaking, position in detector.take() if speaking]
    truth = [start for start, _ in phrases()[name].truth.segments]
    assert onsets == pytest.approx(truth, abs=0.06)


@pytest.mark.parametrize("name", list(phrases()))
def test_a_telephone_hears_it_too(name: str) -> None:
    """At 8 kHz a sound that is all hiss is lost, and a run may break there."""
    stream = np.concatenate([silence(1), phrase(name), silence(1)])
    telephone = signal.resample_poly(stream, 1, 2)
    assert billed(telephone, rate=8000) == pytest.approx(spoken(name), abs=0.3)


@pytest.mark.parametrize("snr", [30, 20, 15])
def test_speech_in_noise(snr: float) -> None:
    stream = np.concatenate([phrase("results"), silence(2), phrase("numbers"), silence(2)])
    stream = np.concatenate([silence(3), stream])
    stream += noise(len(stream) / RATE, -26 - snr)
    truth = spoken("results") + spoken("numbers")
    assert billed(stream) == pytest.approx(truth, rel=0.07)


def test_speech_that_was_there_first_is_found() -> None:
    """Before there was any silence to know the floor from."""
    detector = detect(np.concatenate([*words("results"), silence(1)]))
    speaking, start = detector.take()[0]
    assert speaking and start / RATE <= 0.05
    assert detector.speech_samples / RATE == pytest.approx(spoken("results"), abs=0.1)


@pytest.mark.parametrize("dbov", [-60, -50, -45])
def test_a_few_words_in_a_room_are_enough(dbov: float) -> None:
    """Too short for many syllables, with their ends under the noise."""
    for said in words("pause"):
        stream = np.concatenate([silence(3), said, silence(1)])
        stream += noise(len(stream) / RATE, dbov)
        assert billed(stream) == pytest.approx(len(said) / RATE, abs=0.15)


def test_a_pop_does_not_make_the_speech_after_it_too_soft_to_be_any() -> None:
    said = np.concatenate([silence(2), fluent()[: 8 * RATE] * 0.3, silence(1)])
    for length_s in (0.01, 0.02, 0.05):
        pop = noise(length_s, -6)
        stream = said.copy()
        stream[round(2.06 * RATE) :][: len(pop)] += pop
        assert billed(stream) == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize("step_db", [4, 6, 8])
def test_an_onset_is_not_dated_back_into_noise(step_db: float) -> None:
    """Noise between the thresholds of beginning and going on would be billed with the speech."""
    stream = np.concatenate([silence(11), phrase("results"), silence(1)])
    stream += np.concatenate([noise(10, -60), noise(len(stream) / RATE - 10, step_db - 60, 1)])
    (_, start), *_ = detect(stream).take()
    assert start / RATE == pytest.approx(11.1, abs=0.11)


def test_fluent_speech_does_not_become_its_own_floor() -> None:
    stream = fluent()
    assert len(stream) / RATE > 15
    assert billed(stream) == pytest.approx(len(stream) / RATE, rel=0.01)


def test_pauses_up_to_the_hangover_belong_to_the_run() -> None:
    said = phrase("welcome")[1600:-1600]
    for pause_s, runs in ((0.15, 1), (0.6, 2)):
        stream = np.concatenate([silence(1), said, silence(pause_s), said, silence(1)])
        detector = detect(stream)
        assert len(detector.take()) == 2 * runs
        expected = 2 * len(said) / RATE + (pause_s if runs == 1 else 0)
        assert detector.speech_samples / RATE == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(
    ("threshold", "found"), [(0.01, True), (0.05, True), (0.5, False), (1.0, False)]
)
def test_the_threshold_judges_the_loudest_hundred_milliseconds(
    threshold: float, found: bool
) -> None:
    """What is quieter inside a run that is loud enough is not cut."""
    stream = np.concatenate([silence(1), phrase("numbers"), silence(1)])
    expected = spoken("numbers") if found else 0.0
    assert billed(stream, threshold=threshold) == pytest.approx(expected, abs=0.16)


class TestStereo:
    @pytest.mark.parametrize("gains", [(1, 1), (1, 0), (0, 1), (1, -1)])
    def test_a_voice_in_any_channel_is_heard(self, gains: tuple[int, int]) -> None:
        """A mix of opposite phases would be silence, one of a single side quieter by half."""
        mono = np.concatenate([silence(1), phrase("results"), silence(1)])
        stereo = np.stack([mono * gain for gain in gains], axis=1).reshape(-1)
        assert billed(stereo, num_channels=2) == pytest.approx(billed(mono), abs=0.02)

    def test_channels_may_change_places(self) -> None:
        pair = np.stack([phrase("results"), noise(10, -50)[: len(phrase("results"))]], axis=1)
        here = detect(pair.reshape(-1), num_channels=2)
        there = detect(pair[:, ::-1].reshape(-1), num_channels=2)
        assert here.take() == there.take()


def test_an_offset_is_not_level() -> None:
    said = np.concatenate([silence(1), phrase("results"), silence(1)])
    assert billed(said + 4000) == pytest.approx(billed(said), abs=0.05)
    assert billed(silence(5) + 4000) == 0.0


class TestEndRun:
    def test_it_ends_at_the_last_speech_and_what_follows_is_another_run(self) -> None:
        said = np.round(phrase("results")).astype(np.int16)
        detector = SpeakingDetector(RATE)
        detector.process(said[: 2 * RATE])
        assert detector.speaking
        detector.end_run()
        assert not detector.speaking
        (begin, start), (end, stop) = detector.take()
        assert (begin, end) == (True, False)
        assert 1.9 * RATE < stop <= 2 * RATE
        assert detector.speech_samples == stop - start
        detector.process(np.zeros(RATE, np.int16))
        detector.process(said)
        assert [speaking for speaking, _ in detector.take()] == [True]
        assert detector.samples_per_channel == 3 * RATE + len(said)

    def test_mute_and_unmute_in_a_noisy_room(self) -> None:
        """The zeros of a muted track take the floor away; the room's noise must not be speech."""
        room = noise(30, -42)
        detector = SpeakingDetector(RATE)
        for stream in (room[: 5 * RATE], silence(5), room[5 * RATE :]):
            detector.process(np.round(stream).astype(np.int16))
            detector.end_run()
        assert detector.take() == []

    def test_without_a_run_it_is_nothing(self) -> None:
        detector = SpeakingDetector(RATE)
        detector.end_run()
        detector.process(np.zeros(777, np.int16))
        detector.end_run()
        assert detector.take() == []
        assert detector.samples_per_channel == 777

    def test_the_floor_is_kept(self) -> None:
        detector = detect(noise(5, -40))
        assert detector.floor_dbov == pytest.approx(-40, abs=2)
        detector.process(np.round(noise(1, -40, 1)).astype(np.int16))
        assert detector.floor_dbov == pytest.approx(-40, abs=2)


def test_level_of_speech() -> None:
    stream = np.concatenate([silence(1), phrase("results"), silence(5)])
    level = detect(stream).speech_dbov
    assert level is not None
    (said,) = words("results")
    exact = 10 * np.log10(np.mean((said / 32768) ** 2))
    assert level == pytest.approx(exact, abs=0.05)
    assert detect(stream / 2).speech_dbov == pytest.approx(level - 6.02, abs=0.3)
    assert detect(noise(5, -40)).speech_dbov is None


def test_a_caller_that_never_asks_gets_whole_runs() -> None:
    said = np.round(np.concatenate([phrase("scotland"), silence(0.6)])).astype(np.int16)
    detector = SpeakingDetector(RATE)
    for _ in range(60):
        detector.process(said)
    detector.end_run()
    taken = detector.take()
    assert len(taken) <= 64
    assert [speaking for speaking, _ in taken] == [True, False] * (len(taken) // 2)
    detector.process(said)
    assert [speaking for speaking, _ in detector.take()] == [True, False]


STREAM = np.round(
    np.concatenate([noise(0.7, -50), phrase("pause"), noise(0.5, -45, 1), phrase("agenda")])
).astype(np.int16)


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, len(STREAM) // 2), max_size=40),
    st.sampled_from([1, 2]),
    st.sampled_from([8000, 11_025, RATE, 22_050, 44_100, 48_000]),
)
def test_how_the_stream_is_cut_does_not_matter(
    cuts: list[int], num_channels: int, rate: int
) -> None:
    """At rates where several samples are averaged into one, too; the same samples serve for all."""
    stream = STREAM[: len(STREAM) // 2 * 2]
    whole, cut = SpeakingDetector(rate, num_channels), SpeakingDetector(rate, num_channels)
    whole.process(stream)
    told = 0
    for piece in np.split(stream, sorted(c * 2 for c in cuts)):
        told += cut.process(piece)
    for detector in (whole, cut):
        detector.end_run()
    taken = cut.take()
    assert whole.take() == taken
    assert told <= len(taken) <= told + 1
    assert whole.speech_samples == cut.speech_samples
    assert whole.speech_dbov == cut.speech_dbov


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(st.integers(1, 3000), st.integers(0, 15), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_transitions_alternate_and_bill_what_lies_between(
    pieces: list[tuple[int, int, bool]],
) -> None:
    """Bursts of noise of any level, with the run ended at any point."""
    rng = np.random.default_rng(1)
    detector = SpeakingDetector(8000)
    transitions: list[tuple[bool, int]] = []
    for length, loudness, end in pieces:
        burst = rng.normal(0, 1, length) * 2**loudness
        detector.process(np.clip(burst, -32768, 32767).astype(np.int16))
        if end:
            detector.end_run()
        transitions += detector.take()
    detector.end_run()
    transitions += detector.take()
    assert [speaking for speaking, _ in transitions] == [True, False] * (len(transitions) // 2)
    positions = [position for _, position in transitions]
    assert positions == sorted(positions)
    runs = zip(positions[::2], positions[1::2], strict=True)
    assert sum(end - start for start, end in runs) == detector.speech_samples


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, float("nan")])
def test_thresholds_that_cannot_be(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        SpeakingDetector(48_000, 1, threshold)


@pytest.mark.parametrize("num_channels", [1, 8])
@pytest.mark.parametrize("rate", [8000, 192_000])
def test_the_loudest_there_is(rate: int, num_channels: int) -> None:
    """In int16 arithmetic the square of -32768 is 0; and a rail is no speech."""
    detector = SpeakingDetector(rate, num_channels)
    for value in (-32768, 32767, -32768):
        detector.process(np.full(3 * rate * num_channels, value, np.int16))
    detector.end_run()
    assert detector.take() == []
    said = np.sign(signal.resample_poly(phrase("results"), rate, RATE)) * 40_000
    loudest = np.clip(said, -32768, 32767).astype(np.int16)
    detector.process(np.repeat(loudest, num_channels))
    assert detector.samples_per_channel == 9 * rate + len(loudest)
    assert detector.speech_dbov is None or detector.speech_dbov <= 0


def test_after_a_day_a_phrase_is_what_it_was() -> None:
    """To the sample: sums that drift would have moved its edges, and positions wrapped."""
    rate = 8000
    said = signal.resample_poly(phrase("results"), 1, 2)
    minute = np.zeros(60 * rate)
    minute[10 * rate : 10 * rate + len(said)] = said
    samples = np.round(minute + noise(30, -60)).astype(np.int16)  # 30 s of it at twice the rate
    detector = SpeakingDetector(rate)
    runs = []
    for number in range(24 * 60):
        detector.process(samples)
        at = [position - number * 60 * rate for _, position in detector.take()]
        runs.append(at)
    assert len(runs[1]) == 2
    assert runs[-1] == runs[1]
    assert detector.samples_per_channel == 24 * 3600 * rate
    assert detector.speech_samples == sum(end - start for start, end in runs)
