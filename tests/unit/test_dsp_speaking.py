"""The speaking detector: noise is not speech, speech is billed as it is, and cuts do not matter.

Speech here is the committed phrases, synthesized and with known segments; noise is made in place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pmon._dsp import SpeakingDetector
from pmon.media.phrases import phrases

RATE = 16_000
Signal = npt.NDArray[np.float64]


def noise(seconds: float, dbov: float, seed: int = 0) -> Signal:
    white = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return white * 32768 * 10 ** (dbov / 20)


def silence(seconds: float) -> Signal:
    return np.zeros(round(seconds * RATE))


def tone(seconds: float, hertz: float, dbov: float) -> Signal:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * hertz * t) * 32768 * 2**0.5 * 10 ** (dbov / 20)


def phrase(name: str) -> Signal:
    return phrases()[name].samples.astype(float)


def spoken(name: str) -> float:
    return sum(end - start for start, end in phrases()[name].truth.segments)


def fluent() -> Signal:
    """All phrases without a pause in between: 20 s of speech without a breath."""
    parts = []
    for name, said in phrases().items():
        if len(said.truth.segments) == 1:
            start, end = (round(edge * RATE) for edge in said.truth.segments[0])
            parts.append(phrase(name)[start:end])
    return np.concatenate(parts)


def detect(
    stream: Signal, *, num_channels: int = 1, rate: int = RATE, threshold: float = 0.01
) -> SpeakingDetector:
    detector = SpeakingDetector(rate, num_channels, threshold)
    detector.process(np.clip(np.round(stream), -32768, 32767).astype(np.int16))
    detector.end_run()
    return detector


def billed(stream: Signal, **options: float) -> float:
    detector = detect(stream, **options)  # type: ignore[arg-type]
    return detector.speech_samples / options.get("rate", RATE)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("name", list(phrases()))
def test_a_phrase_is_billed_as_it_is(name: str, rate: int) -> None:
    stream = np.concatenate([silence(1), phrase(name), silence(1)])
    resampled = signal.resample_poly(stream, rate, RATE)
    detector = detect(resampled, rate=rate)
    assert detector.speech_samples / rate == pytest.approx(spoken(name), rel=0.05)
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


@pytest.mark.parametrize("dbov", [-70, -60, -50, -45, -39, -30, -20, -10])
@pytest.mark.parametrize("before", [0.0, 3.0])
def test_steady_noise_is_not_speech(dbov: float, before: float) -> None:
    """From the very first sample, or switched on after digital silence."""
    assert billed(np.concatenate([silence(before), noise(60, dbov)])) == 0.0


def test_noise_that_steps_up_or_comes_for_a_while_is_not_speech() -> None:
    for seconds in (0.3, 1, 30):
        steps = np.concatenate([noise(10, -60), noise(seconds, -35, 1), noise(10, -60, 2)])
        assert billed(steps) == 0.0


@pytest.mark.parametrize("hertz", [50, 120, 440, 1000])
def test_hum_and_tones_are_not_speech(hertz: float) -> None:
    assert billed(np.concatenate([silence(1), tone(20, hertz, -25), silence(1)])) == 0.0


def test_fluent_speech_does_not_become_its_own_floor() -> None:
    stream = fluent()
    assert len(stream) / RATE > 15
    assert billed(stream) == pytest.approx(len(stream) / RATE, rel=0.01)


def test_after_loud_noise_stops_speech_is_found_again() -> None:
    stream = np.concatenate([noise(10, -25), noise(3, -65), phrase("welcome"), noise(1, -65)])
    assert billed(stream) == pytest.approx(spoken("welcome"), abs=0.16)


def test_a_click_or_a_blip_after_silence_is_not_speech() -> None:
    for length in (1, RATE // 50, RATE // 5):
        stream = silence(4)
        stream[2 * RATE : 2 * RATE + length] = noise(1, -12)[:length]
        assert billed(stream) == 0.0


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
    assert level == pytest.approx(-26, abs=2)
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
@given(st.lists(st.integers(0, len(STREAM) // 2), max_size=40), st.sampled_from([1, 2]))
def test_how_the_stream_is_cut_does_not_matter(cuts: list[int], num_channels: int) -> None:
    stream = STREAM[: len(STREAM) // 2 * 2]
    whole, cut = SpeakingDetector(RATE, num_channels), SpeakingDetector(RATE, num_channels)
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
