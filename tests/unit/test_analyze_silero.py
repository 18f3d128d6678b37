"""Silero behind the interface of pmon's own detector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, conversation, found, write

from pmon.cli.analyze import silero
from pmon.cli.analyze.silero import CHUNK, SileroDetector

SAMPLES, TRUTH = conversation()


def transitions(detector: SileroDetector, pieces: list[int]) -> list[tuple[bool, int]]:
    told = []
    for piece in np.split(SAMPLES, np.cumsum(pieces)):
        waiting = detector.process(piece)
        taken = detector.take()
        assert waiting == len(taken)
        told += taken
    detector.end_run()
    return told + detector.take()


def test_it_finds_the_speech() -> None:
    detector = SileroDetector(RATE)
    told = transitions(detector, [])
    assert [speaking for speaking, _ in told] == [True, False] * (len(told) // 2)
    heard = np.zeros(len(SAMPLES), bool)
    spoken = np.zeros(len(SAMPLES), bool)
    for (_, start), (_, end) in zip(told[::2], told[1::2], strict=True):
        heard[start:end] = True
    for start_s, end_s in TRUTH:
        spoken[round(start_s * RATE) : round(end_s * RATE)] = True
    assert np.mean(heard == spoken) > 0.95
    assert detector.speech_samples == np.count_nonzero(heard)


@pytest.mark.parametrize("size", [37, CHUNK, 16_000])
def test_how_the_stream_is_cut_does_not_matter(size: int) -> None:
    """It judges 512 samples at a time, whatever comes."""
    whole = transitions(SileroDetector(RATE), [])
    pieces = [size] * (len(SAMPLES) // size if size > 100 else 400)
    assert transitions(SileroDetector(RATE), pieces) == whole


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (48_000, 2)])
def test_other_rates_give_about_the_same(tmp_path: Path, rate: int, channels: int) -> None:
    """The model hears 16 kHz only; positions are those of the recording."""
    import soxr

    samples = soxr.resample(SAMPLES, RATE, rate)
    path = write(tmp_path / "a.wav", np.stack([samples] * channels, axis=1), rate=rate)
    [line] = found("--detector", "silero", path)
    [same] = found("--detector", "silero", write(tmp_path / "b.wav", SAMPLES))
    assert line["talk_time_s"] == pytest.approx(same["talk_time_s"], rel=0.05)
    assert line["segments"][0][0] == pytest.approx(same["segments"][0][0], abs=0.07)


def test_the_threshold_holds_for_it_too() -> None:
    assert transitions(SileroDetector(RATE, 1, 0.5), []) == []


def test_a_run_that_is_open_at_the_end_is_ended_there() -> None:
    """And never later, though the last chunk is filled up."""
    detector = SileroDetector(RATE)
    start = round((TRUTH[0][0] + 1.0) * RATE)
    detector.process(SAMPLES[: start + 100])
    detector.end_run()
    told = detector.take()
    assert told[-1] == (False, start + 100)


def test_silence_is_nobody() -> None:
    detector = SileroDetector(48_000)
    detector.process(np.zeros(48_000, np.int16))
    detector.end_run()
    assert (detector.take(), detector.speech_samples) == ([], 0)


def test_its_constants_are_those_of_the_models_authors() -> None:
    """Otherwise a comparison is with something nobody uses."""
    assert (silero.SPEECH, silero.SILENCE) == (0.5, 0.35)
    seconds = (silero.LONGEST_PAUSE, silero.SHORTEST_RUN, silero.PAD)
    assert [samples / silero.RATE for samples in seconds] == [0.1, 0.25, 0.03]


def test_json_names_no_detector_of_its_own_shape(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", SAMPLES)
    ours, theirs = found(path)[0], found("--detector", "silero", path)[0]
    assert list(ours) == list(theirs)
    assert ours["level"] == theirs["level"]
    assert json.dumps(ours["segments"]) != json.dumps(theirs["segments"])
