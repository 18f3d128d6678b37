"""The meters: how audio is cut into calls never matters, and figures are those of the formulas."""

from __future__ import annotations

import itertools
import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmon._dsp import FrameRateMeter, LevelMeter, MicMeter, SpeakingDetector


@pytest.mark.parametrize("make", [LevelMeter, MicMeter, SpeakingDetector])
@pytest.mark.parametrize(
    ("sample_rate", "num_channels", "named"),
    [(7999, 1, "7999"), (192_001, 1, "192001"), (48_000, 0, "not 0"), (48_000, 9, "not 9")],
)
def test_streams_that_cannot_be(
    make: type[LevelMeter], sample_rate: int, num_channels: int, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        make(sample_rate, num_channels)


@pytest.mark.parametrize("make", [LevelMeter, MicMeter, SpeakingDetector])
def test_half_a_frame_is_refused_and_changes_nothing(make: type[LevelMeter]) -> None:
    meter = make(8000, 2)
    with pytest.raises(ValueError, match="no whole frames of 2 channels"):
        meter.process(np.zeros(161, np.int16))
    assert meter.samples_per_channel == 0


def test_threads_that_share_a_meter_lose_nothing() -> None:
    """Every call is atomic."""
    level, detector, frames = LevelMeter(8000), SpeakingDetector(8000), FrameRateMeter()
    mic = MicMeter(8000)
    samples = np.random.default_rng(2).integers(-9000, 9000, 77).astype(np.int16)

    def feed() -> None:
        for _ in range(2000):
            level.process(samples)
            mic.process(samples)
            detector.process(samples)
            frames.add(1.0)
            detector.take()

    threads = [threading.Thread(target=feed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert level.samples_per_channel == detector.samples_per_channel == 4 * 2000 * 77
    assert mic.samples_per_channel == 4 * 2000 * 77
    assert frames.frames == 8000


class TestLevelMeter:
    def test_the_last_hundred_milliseconds(self) -> None:
        meter = LevelMeter(48_000)
        assert (meter.rms, meter.dbov, meter.peak) == (0.0, -127.0, 0.0)
        quiet = np.full(4800, 100, np.int16)
        loud = np.tile(np.array([8000, -16000], np.int16), 2400)
        meter.process(np.concatenate([quiet, loud, quiet[:100]]))
        assert meter.rms == pytest.approx(float(np.sqrt(np.mean((loud / 32768) ** 2))))
        assert meter.dbov == pytest.approx(20 * math.log10(meter.rms))
        assert meter.peak == 16000 / 32768
        assert meter.dc == pytest.approx(-4000 / 32768)
        assert meter.samples_per_channel == 9700
        meter.reset()
        assert (meter.rms, meter.samples_per_channel) == (0.0, 0)

    def test_opposite_offsets_of_two_channels_do_not_cancel(self) -> None:
        meter = LevelMeter(8000, 2)
        meter.process(np.tile(np.array([3000, -3000], np.int16), 800))
        assert abs(meter.dc) == pytest.approx(3000 / 32768)

    def test_clipping_and_silence_are_counted_over_the_whole_stream(self) -> None:
        meter = LevelMeter(8000)
        stream = np.zeros(2400, np.int16)
        stream[800:805] = 32767
        stream[900:902] = 32767  # too short
        meter.process(stream)
        assert meter.clipped_samples == 5
        assert meter.silent_samples == 1600

    def test_each_channel_clips_by_itself(self) -> None:
        """Three samples in a row at the rail are no run if they belong to three channels."""
        meter = LevelMeter(8000, 2)
        stream = np.zeros((800, 2), np.int16)
        stream[100:110, 1] = 32767
        stream[200:202] = -32768
        meter.process(stream[:105].reshape(-1))
        meter.process(stream[105:].reshape(-1))
        assert meter.clipped_samples == 10

    @given(st.lists(st.integers(0, 1500), max_size=12), st.integers(1, 3))
    def test_chunks_do_not_matter(self, cuts: list[int], num_channels: int) -> None:
        rng = np.random.default_rng(3)
        stream = rng.integers(-32768, 32768, 2000 * num_channels).astype(np.int16)
        stream[300:320] = 32767
        whole, cut = LevelMeter(8000, num_channels), LevelMeter(8000, num_channels)
        whole.process(stream)
        for piece in np.split(stream, [c * num_channels for c in sorted(cuts)]):
            cut.process(piece)
        for name in ("rms", "peak", "dc", "clipped_samples", "silent_samples"):
            assert getattr(whole, name) == getattr(cut, name)

    @given(
        st.integers(0, 2**32 - 1),
        st.integers(0, 2500),
        st.integers(1, 3),
        st.sampled_from([1, 30, 3000, 60_000]),
        st.integers(-20_000, 20_000),
    )
    def test_all_figures_are_numpys(
        self, seed: int, frames: int, num_channels: int, spread: int, offset: int
    ) -> None:
        rng = np.random.default_rng(seed)
        stream = rng.integers(-spread, spread, (frames, num_channels)) + offset
        stream[: frames // 3] *= rng.integers(0, 2)
        samples = np.clip(stream, -32768, 32767).astype(np.int16)
        meter = LevelMeter(8000, num_channels)
        meter.process(samples.reshape(-1))
        windows = samples[: frames // 800 * 800].reshape(-1, 800, num_channels) / 32768
        if len(windows):
            assert meter.rms == pytest.approx(float(np.sqrt(np.mean(windows[-1] ** 2))))
            assert meter.peak == float(np.abs(windows[-1]).max())
            assert abs(meter.dc) == pytest.approx(float(np.abs(windows[-1].mean(axis=0)).max()))
        assert meter.silent_samples == 800 * sum(not window.any() for window in windows)
        clipped = 0
        for channel in samples.T:
            at_rail = "".join("x" if abs(int(x)) >= 32734 else " " for x in channel)
            clipped += sum(len(run) for run in at_rail.split() if len(run) >= 3)
        assert meter.clipped_samples == clipped
        assert meter.samples_per_channel == frames

    def test_the_loudest_there_is(self) -> None:
        """In int16 arithmetic the square of -32768 is 0, and it has no magnitude."""
        meter = LevelMeter(192_000, 8)
        meter.process(np.full(192_000 * 8, -32768, np.int16))
        assert (meter.dbov, meter.peak, meter.dc) == (0.0, 1.0, -1.0)
        assert meter.clipped_samples == 192_000 * 8

    def test_a_day_of_it_is_exact(self) -> None:
        meter = LevelMeter(8000)
        minute = np.tile(np.array([32767, -32768, 0, 0], np.int16), 8000 * 15)
        for _ in range(24 * 60):
            meter.process(minute)
        assert meter.samples_per_channel == 24 * 3600 * 8000
        assert meter.rms == pytest.approx(math.sqrt(0.5), rel=1e-4)
        assert meter.clipped_samples == 0


class TestFrameRateMeter:
    def test_a_steady_stream(self) -> None:
        meter = FrameRateMeter()
        for n in range(90):
            meter.add(n / 30)
        assert meter.fps(89 / 30) == pytest.approx(30.0)
        assert (meter.frames, meter.last) == (90, 89 / 30)

    def test_a_stalled_stream_decays_to_nothing(self) -> None:
        meter = FrameRateMeter()
        for n in range(61):
            meter.add(n / 30)
        rates = [meter.fps(2.0 + wait / 10) for wait in range(25)]
        assert rates[0] == pytest.approx(30.0)
        assert all(later <= before for before, later in itertools.pairwise(rates))
        assert rates[-1] == 0.0

    def test_nothing_is_no_rate(self) -> None:
        meter = FrameRateMeter()
        assert (meter.fps(5.0), meter.frames, meter.last) == (0.0, 0, None)
        meter.add(1.0)
        assert meter.fps(1.0) == 0.0
        meter.add(1.0)
        assert meter.fps(1.0) == 0.0, "two frames at one time tell no rate"

    def test_more_frames_than_it_holds(self) -> None:
        meter = FrameRateMeter(window_s=10.0, capacity=4)
        for n in range(100):
            meter.add(n / 50)
        assert meter.fps(99 / 50) == pytest.approx(50.0)
        assert meter.frames == 100

    @pytest.mark.parametrize("time", [math.nan, math.inf, 0.5])
    def test_times_that_cannot_be(self, time: float) -> None:
        meter = FrameRateMeter()
        meter.add(1.0)
        with pytest.raises(ValueError, match="timestamp_s"):
            meter.add(time)
        assert meter.frames == 1

    @pytest.mark.parametrize("window_s", [0.0, -1.0, math.nan, math.inf])
    def test_windows_that_cannot_be(self, window_s: float) -> None:
        with pytest.raises(ValueError, match="window_s"):
            FrameRateMeter(window_s)

    @pytest.mark.parametrize("capacity", [1, 513])
    def test_capacities_that_cannot_be(self, capacity: int) -> None:
        with pytest.raises(ValueError, match="capacity"):
            FrameRateMeter(2.0, capacity)

    @given(
        st.lists(st.floats(0.001, 1.0), min_size=1, max_size=80),
        st.floats(0.0, 3.0),
        st.integers(2, 60),
    )
    def test_against_brute_force(self, gaps: list[float], wait: float, capacity: int) -> None:
        times = np.cumsum(gaps).tolist()
        meter = FrameRateMeter(2.0, capacity)
        for time in times:
            meter.add(time)
        now = times[-1] + wait
        seen = [t for t in times[-capacity:] if now - t <= 2.0]
        expected = 0.0
        if len(seen) >= 2:
            span = seen[-1] - seen[0]
            if now - seen[-1] > span / (len(seen) - 1):
                span = now - seen[0]
            expected = (len(seen) - 1) / span
        assert meter.fps(now) == pytest.approx(expected)
