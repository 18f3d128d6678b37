"""Microphone health: ITU-T P.56 sample by sample is the oracle, and NumPy of floor and loudness."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from dsp_material import RATE, Signal, at_level, hum, noise, phrase, silence, tone
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pmon._dsp import MicMeter, active_level
from pmon.media.phrases import phrases

Totals = tuple[float, float, tuple[float, ...], float, float]
Int16 = npt.NDArray[np.int16]


def int16(stream: Signal) -> Int16:
    return np.clip(np.round(stream), -32768, 32767).astype(np.int16)


def measured(stream: Signal, rate: int = RATE, num_channels: int = 1) -> MicMeter:
    meter = MicMeter(rate, num_channels)
    meter.process(int16(stream))
    return meter


def between(before: Totals, after: Totals) -> tuple[float, float]:
    """Active speech level and activity factor of what was heard between two totals."""
    heard_s, energy = after[0] - before[0], after[1] - before[1]
    active_s = [b - a for a, b in zip(before[2], after[2], strict=True)]
    level = active_level(energy, active_s)
    assert level is not None
    return level[0], level[1] / heard_s


NOTHING: Totals = (0.0, 0.0, (0.0,) * 15, 0.0, 0.0)


def p56(stream: Signal, rate: int) -> tuple[float, float]:
    """Method B as the recommendation has it: every sample, hangover of 0.2 s, margin 15.9 dB."""
    scaled = int16(stream) / 32768
    rise = 1 - math.exp(-1 / (0.03 * rate))
    envelope = np.abs(scaled)
    for _ in range(2):
        envelope = np.asarray(signal.lfilter([rise], [1, rise - 1], envelope))
    index, levels = np.arange(len(scaled)), []
    for threshold in 2.0 ** np.arange(-15, 0):
        last = np.maximum.accumulate(np.where(envelope >= threshold, index, -rate))
        active = int(np.sum(index - last <= 0.2 * rate))
        if active:
            level = 10 * math.log10(float(np.sum(scaled**2)) / active)
            levels.append((level, level - 20 * math.log10(threshold) - 15.9))
    for (above, before), (under, after) in itertools.pairwise(levels):
        if after <= 0:
            level = above + (under - above) * before / (before - after)
            return level, float(np.mean(scaled**2)) / 10 ** (level / 10)
    raise AssertionError("no level")


def on_and_off(period_s: float, dbov: float) -> Signal:
    wave = tone(20, 1000, dbov)
    wave[np.arange(len(wave)) // round(period_s * RATE) % 2 == 1] = 0
    return wave


class TestActiveLevel:
    @pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
    @pytest.mark.parametrize("gain_db", [0, -14, -30])
    def test_speech_as_p56_has_it(self, rate: int, gain_db: int) -> None:
        for name in phrases():
            spoken = signal.resample(phrase(name), round(len(phrase(name)) * rate / RATE))
            spoken *= 10 ** (gain_db / 20)
            level, activity = between(NOTHING, measured(spoken, rate).totals())
            expected = p56(spoken, rate)
            assert level == pytest.approx(expected[0], abs=0.1)
            assert activity == pytest.approx(expected[1], abs=0.02)

    @pytest.mark.parametrize(
        "stream",
        [
            pytest.param(tone(10, 1000, -20), id="tone"),
            pytest.param(tone(10, 100, -50), id="low tone"),
            pytest.param(noise(10, -30), id="noise"),
            pytest.param(on_and_off(0.5, -20), id="bursts of 0.5 s"),
            pytest.param(on_and_off(0.1, -20), id="bursts within the hangover"),
            pytest.param(phrase("pause") + noise(len(phrase("pause")) / RATE, -50), id="noisy"),
        ],
    )
    def test_other_sounds_as_p56_has_them(self, stream: Signal) -> None:
        level, activity = between(NOTHING, measured(stream).totals())
        expected = p56(stream, RATE)
        assert level == pytest.approx(expected[0], abs=0.3)
        assert activity == pytest.approx(expected[1], abs=0.02)

    def test_the_published_figures_of_a_tone_that_is_on_half_the_time(self) -> None:
        level, activity = between(NOTHING, measured(on_and_off(2.0, -20)).totals())
        assert level == pytest.approx(-20.6, abs=0.1)
        assert activity == pytest.approx(0.57, abs=0.01)

    def test_a_microphone_that_was_turned_up_is_not_held_to_its_past(self) -> None:
        """What lies between two totals is the level of that time alone."""
        quiet = np.tile(phrase("numbers"), 10) * 10 ** (-20 / 20)
        meter = measured(quiet)
        before = meter.totals()
        meter.process(int16(phrase("numbers")))
        level, _ = between(before, meter.totals())
        assert level == pytest.approx(p56(phrase("numbers"), RATE)[0], abs=0.2)

    @pytest.mark.parametrize("offset", [300, -3000])
    def test_an_offset_is_no_level(self, offset: int) -> None:
        spoken = np.concatenate([silence(3), phrase("numbers")])
        with_offset = measured(spoken[: 3 * RATE] + offset)
        before = with_offset.totals()
        with_offset.process(int16(spoken[3 * RATE :] + offset))
        level, _ = between(before, with_offset.totals())
        assert level == pytest.approx(p56(phrase("numbers"), RATE)[0], abs=0.2)

    @pytest.mark.parametrize("seconds", [1, 3, 60])
    @pytest.mark.parametrize("offset", [0, 300, -3000])
    def test_an_offset_that_is_not_known_yet_is_none_either(
        self, offset: int, seconds: int
    ) -> None:
        """Of a short recording the first second is much."""
        meter = measured(noise(seconds, -60) + offset)
        heard_s, energy, active_s, *_ = meter.totals()
        assert 10 * math.log10(energy / heard_s) == pytest.approx(-60, abs=0.5)
        active = active_level(energy, active_s)
        assert active is not None
        assert active[0] == pytest.approx(-60, abs=0.5)
        assert meter.level_dbov == pytest.approx(-60, abs=1)

    def test_silence_has_no_level(self) -> None:
        for stream in (silence(2), noise(2, -90), silence(0)):
            heard_s, energy, active_s, *_ = measured(stream).totals()
            assert heard_s == pytest.approx(len(stream) / RATE)
            assert active_level(energy, active_s) is None

    def test_a_click_is_as_long_as_it_is_heard(self) -> None:
        """Its envelope is too flat to be 15.9 dB under it; a level of minus infinity would be."""
        clicks = silence(10)
        clicks[:: RATE // 4] = 20_000
        level, activity = between(NOTHING, measured(clicks).totals())
        assert -45 < level < -20
        assert 0 < activity <= 1

    @pytest.mark.parametrize("active_s", [(), (1.0,) * 14, (1.0,) * 16])
    def test_other_thresholds_are_refused(self, active_s: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="active_s must have 15"):
            active_level(1.0, active_s)

    @given(st.floats(0, 1e6), st.lists(st.integers(0, 10**8), min_size=15, max_size=15))
    def test_no_totals_make_nonsense(self, energy: float, quarters: list[int]) -> None:
        level = active_level(energy, [n * 0.0025 for n in sorted(quarters, reverse=True)])
        if level is not None:
            assert math.isfinite(level[0])
            assert level[1] == pytest.approx(energy / 10 ** (level[0] / 10))


def hundreds(stream: Signal) -> list[float]:
    """The power of each 100 ms that begins at a multiple of 20 ms, by NumPy."""
    scaled = int16(stream) / 32768
    starts = range(0, len(scaled) - RATE // 10 + 1, RATE // 50)
    return [float(np.var(scaled[start : start + RATE // 10])) for start in starts]


class TestFloorAndLoudness:
    @pytest.mark.parametrize("dbov", [-75, -60, -45, -20])
    def test_the_floor_is_a_true_level(self, dbov: int) -> None:
        for stream in (noise(6, dbov), hum(6, 50, dbov), tone(6, 997, dbov)):
            assert measured(stream).floor_dbov == pytest.approx(dbov, abs=0.6)

    def test_speech_over_noise_does_not_raise_it(self) -> None:
        spoken = np.concatenate([phrase(name) for name in phrases()])
        meter = MicMeter(RATE)
        for second in np.split(spoken[: 25 * RATE] + noise(25, -55), 25):
            meter.process(int16(second))
            if meter.samples_per_channel > 4 * RATE:
                assert meter.floor_dbov == pytest.approx(-55, abs=1.5)

    @given(st.integers(0, 50), st.integers(100, 700))
    def test_it_is_the_quietest_tenth_of_a_second_of_the_last_five(
        self, seed: int, blocks: int
    ) -> None:
        steps = np.random.default_rng(seed).uniform(-70, -20, blocks // 10 + 1)
        stream = np.concatenate([at_level(noise(0.1, -20, seed), dbov) for dbov in steps])
        stream = stream[: blocks * RATE // 100]
        meter, powers = measured(stream), hundreds(stream)
        # The last 4.5 to 5 s, in windows of 25 such stretches; the first ends with block 10.
        known = 25 * 9 + (len(powers) - 21) % 25 if len(powers) > 245 else len(powers)
        assert meter.floor_dbov == pytest.approx(10 * math.log10(min(powers[-known:])), rel=1e-6)
        assert meter.loudest_dbov == pytest.approx(10 * math.log10(max(powers)), rel=1e-6)

    def test_it_follows_a_noise_that_begins_and_ends_within_five_seconds(self) -> None:
        meter = measured(np.concatenate([noise(6, -70), noise(5.1, -40)]))
        assert meter.floor_dbov == pytest.approx(-40, abs=0.6)
        meter.process(int16(noise(0.2, -70)))
        assert meter.floor_dbov == pytest.approx(-70, abs=0.6)

    def test_nothing_is_known_before_there_was_enough(self) -> None:
        meter = MicMeter(RATE)
        assert (meter.floor_dbov, meter.loudest_dbov) == (None, None)
        meter.process(int16(noise(0.09, -40)))
        assert meter.loudest_dbov is None
        meter.process(int16(noise(0.9, -40)))
        assert meter.loudest_dbov == pytest.approx(-40, abs=0.5)
        assert meter.floor_dbov is None
        meter.process(int16(noise(0.01, -40)))
        assert meter.floor_dbov == pytest.approx(-40, abs=0.5)

    def test_silence_before_the_first_sound_is_no_floor(self) -> None:
        """A decoder that waits for packets makes it; after them it is a microphone's own."""
        meter = measured(silence(3))
        assert (meter.floor_dbov, meter.loudest_dbov) == (None, -127.0)
        meter.process(int16(noise(0.9, -50)))
        assert meter.floor_dbov is None
        meter.process(int16(noise(1, -50)))
        assert meter.floor_dbov == pytest.approx(-50, abs=0.6)
        meter.process(int16(silence(1)))
        assert meter.floor_dbov == -127.0

    def test_what_a_decoder_gives_before_it_works_is_left_out(self) -> None:
        """Silence at the start of a stream is no floor, and a crack in it no voice."""
        meter = measured(np.concatenate([noise(3, -40), tone(1, 1000, -10)]))
        before = meter.totals()
        meter.resume()
        assert (meter.floor_dbov, meter.loudest_dbov) == (None, None)
        beginning = np.concatenate([silence(0.15), tone(0.05, 1000, -3)])
        meter.process(int16(np.concatenate([beginning, noise(2, -50)])))
        assert meter.floor_dbov == pytest.approx(-50, abs=0.6)
        assert meter.loudest_dbov == pytest.approx(-50, abs=0.6)
        after = meter.totals()
        assert after[0] - before[0] == pytest.approx(2.0)
        assert after[4] == before[4] == 0.0
        assert between(before, after)[0] == pytest.approx(-50, abs=0.3)


class TestEnergy:
    @settings(max_examples=50)
    @given(
        st.integers(0, 2**32 - 1),
        st.lists(
            st.tuples(st.floats(0.01, 0.6), st.floats(-110, 0), st.integers(-9000, 9000)),
            min_size=1,
            max_size=8,
        ),
        st.sampled_from([8000, 11_025, 48_000]),
        st.integers(1, 3),
    )
    def test_energy_offset_and_silence_are_numpys(
        self, seed: int, parts: list[tuple[float, float, int]], rate: int, num_channels: int
    ) -> None:
        rng = np.random.default_rng(seed)
        stream = np.concatenate(
            [
                rng.standard_normal((round(s * rate), num_channels)) * 32768 * 10 ** (dbov / 20)
                + offset
                for s, dbov, offset in parts
            ]
        )
        samples = int16(stream)
        meter = MicMeter(rate, num_channels)
        meter.process(samples.reshape(-1))
        block = (rate + 50) // 100
        blocks = samples[: len(samples) // block * block].astype(float)
        dc, energy, silent = np.zeros(num_channels), 0.0, 0
        for number, x in enumerate(blocks.reshape(-1, block, num_channels)):
            dc += (x.mean(axis=0) - dc) / min(number + 1, 100)
            power = float(np.mean((x - dc) ** 2, axis=0).max())
            energy += power / 32768**2 * block / rate
            silent += power < 32768**2 * 10 ** (-97 / 10)
        heard_s, measured_energy, _, _, silent_s = meter.totals()
        assert heard_s == pytest.approx(len(blocks) / rate)
        assert measured_energy == pytest.approx(energy, rel=1e-6, abs=1e-9)
        assert silent_s == pytest.approx(silent * block / rate, abs=2.5 * block / rate)
        assert abs(meter.dc) == pytest.approx(float(np.abs(dc).max()) / 32768, abs=1e-9)

    @settings(max_examples=30, deadline=None)
    @given(
        st.integers(0, 2**32 - 1),
        st.lists(
            st.tuples(st.floats(0.3, 1.5), st.floats(-45, -10), st.floats(0.0, 1.5)),
            min_size=2,
            max_size=8,
        ),
    )
    def test_the_active_level_of_any_bursts_is_that_of_p56(
        self, seed: int, bursts: list[tuple[float, float, float]]
    ) -> None:
        stream = np.concatenate(
            [
                *(
                    np.concatenate([noise(burst_s, dbov, seed), silence(pause_s)])
                    for burst_s, dbov, pause_s in bursts
                ),
                silence(0.5),  # the hangover of the last one
            ]
        )
        level, activity = between(NOTHING, measured(stream).totals())
        expected = p56(stream, RATE)
        assert level == pytest.approx(expected[0], abs=0.3)
        assert activity == pytest.approx(expected[1], abs=0.04)


RAILS = st.lists(st.sampled_from([-32768, -29491, -29490, 0, 29490, 29491, 32767]), max_size=400)


class TestTotals:
    @given(RAILS, RAILS)
    def test_samples_near_the_rail_of_the_channel_with_the_most(
        self, left: list[int], right: list[int]
    ) -> None:
        n = max(len(left), len(right))
        stream = np.zeros((n, 2), np.int16)
        stream[: len(left), 0], stream[: len(right), 1] = left, right
        meter = MicMeter(8000, 2)
        meter.process(stream.reshape(-1))
        most = max(sum(abs(x) >= 29491 for x in channel) for channel in (left, right))
        assert meter.totals()[3] * 8000 == pytest.approx(most)

    def test_silence_is_counted_in_blocks(self) -> None:
        """A codec makes a few steps of one of it; a step in each sample is noise."""
        stream = np.tile(np.array([1, -1], np.int16), 4000)
        stream[400:640] = 0
        stream[410:640:8] = 1
        stream[800:840] = 0  # half a block
        meter = MicMeter(8000)
        meter.process(stream)
        assert meter.totals()[4] == pytest.approx(0.03)

    @pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000])
    def test_every_rate_measures_the_same(self, rate: int) -> None:
        t = np.arange(12 * rate) / rate
        wave = 32768 * 0.1 * math.sqrt(2) * np.sin(2 * np.pi * 1000 * t)
        meter = MicMeter(rate)
        meter.process(int16(wave * (t % 2 < 1)))
        level, activity = between(NOTHING, meter.totals())
        assert level == pytest.approx(-21.06, abs=0.05)
        assert activity == pytest.approx(0.638, abs=0.005)
        assert meter.totals()[0] == pytest.approx(12, abs=0.011)
        assert meter.loudest_dbov == pytest.approx(-20, abs=0.02)

    @given(
        st.lists(st.integers(0, 4000), max_size=12),
        st.integers(1, 3),
        st.sampled_from([8000, 11_025, 44_100]),
    )
    def test_chunks_do_not_matter(self, cuts: list[int], num_channels: int, rate: int) -> None:
        rng = np.random.default_rng(3)
        stream = rng.normal(0, 9000, (6000, num_channels)) * np.linspace(0.01, 1, 6000)[:, None]
        samples = int16(stream.reshape(-1))
        samples[900:930] = 32767
        whole, cut = MicMeter(rate, num_channels), MicMeter(rate, num_channels)
        for meter, pieces in ((whole, [4000]), (cut, sorted([*cuts, 4000]))):
            for piece in np.split(
                samples[: 4000 * num_channels], [c * num_channels for c in pieces]
            ):
                meter.process(piece)
            meter.resume()
        whole.process(samples)
        for piece in np.split(samples, [c * num_channels for c in sorted(cuts)]):
            cut.process(piece)
        assert told(whole) == told(cut)

    def test_two_channels_alike_are_one(self) -> None:
        mono = int16(phrase("welcome") + 100)
        alone, both = measured(phrase("welcome") + 100), MicMeter(RATE, 2)
        both.process(np.repeat(mono, 2))
        assert told(alone) == told(both)

    @pytest.mark.parametrize("other", ["silent", "opposite"])
    def test_a_voice_in_one_channel_or_in_opposite_phase_is_as_loud(self, other: str) -> None:
        """A mix would be 6 dB quieter, or nothing at all."""
        mono = int16(phrase("welcome"))
        stereo = np.zeros((len(mono), 2), np.int16)
        stereo[:, 0] = mono
        if other == "opposite":
            stereo[:, 1] = -mono
        meter = MicMeter(RATE, 2)
        meter.process(stereo.reshape(-1))
        level = between(NOTHING, meter.totals())[0]
        assert level == pytest.approx(
            between(NOTHING, measured(phrase("welcome")).totals())[0], abs=0.05
        )

    def test_the_offset_is_that_of_the_last_second(self) -> None:
        meter = MicMeter(8000, 2)
        stream = np.tile(np.array([300, -3000], np.int16), 8000 * 8)
        meter.process(stream)
        assert meter.dc == pytest.approx(-3000 / 32768, rel=0.01)
        meter.process(np.zeros(16_000 * 8, np.int16))
        assert meter.dc == pytest.approx(0.0, abs=1e-3)

    def test_nothing_and_one_sample_are_nothing(self) -> None:
        meter = MicMeter(48_000)
        meter.process(np.zeros(0, np.int16))
        meter.process(np.array([-200], np.int16))
        assert meter.totals() == NOTHING
        assert meter.samples_per_channel == 1

    @pytest.mark.parametrize("rate", [8000, 192_000])
    def test_the_loudest_there_is(self, rate: int) -> None:
        """A rail is an offset; a square wave around it the largest magnitude that can be."""
        meter = MicMeter(rate)
        meter.process(np.full(6 * rate, -32768, np.int16))
        assert meter.dc == pytest.approx(-1.0, abs=0.01)
        assert (meter.floor_dbov, meter.level_dbov) == (None, -127.0), "an offset is no sound"
        heard_s, _, _, rail_s, _ = before = meter.totals()
        assert heard_s == rail_s == 6.0
        meter.process(np.full(rate // 10, 32767, np.int16))
        assert between(before, meter.totals())[0] == pytest.approx(6.0, abs=1.5)
        square = np.tile(np.array([32767, -32768], np.int16), 3 * rate)
        meter.process(square)
        before = meter.totals()
        meter.process(square)
        assert between(before, meter.totals())[0] == pytest.approx(0.0, abs=0.1)
        assert meter.loudest_dbov is not None and meter.loudest_dbov < 6.1

    def test_a_day_of_the_loudest_does_not_blur_a_quiet_minute_after_it(self) -> None:
        meter = MicMeter(8000)
        loud = np.tile(np.array([32700, -32700], np.int16), 8000 * 60)
        for _ in range(24 * 30):
            meter.process(loud)
        heard_s, energy, active_s, rail_s, _ = meter.totals()
        assert heard_s == rail_s == 86_400.0
        assert energy == pytest.approx(86_400 * (32700 / 32768) ** 2, rel=1e-9)
        assert active_s[0] == pytest.approx(86_400, abs=0.1)
        quiet = int16(np.random.default_rng(1).normal(0, 32768 * 10 ** (-70 / 20), 8000 * 60))
        meter.process(np.zeros(8000, np.int16))
        before = meter.totals()
        meter.process(quiet)
        assert between(before, meter.totals())[0] == pytest.approx(-70, abs=0.1)
        assert meter.floor_dbov == pytest.approx(-70, abs=0.6)


def told(meter: MicMeter) -> tuple[object, ...]:
    return meter.totals(), meter.floor_dbov, meter.loudest_dbov, meter.dc, meter.samples_per_channel
