"""What the material's voices are heard through: it must do what its name says, and no delay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from speech import channel, conditions, opus, truth
from speech.conditions import CORE, EXTRA, Condition
from speech_material import RATE, dbov, dry, rng


@pytest.mark.parametrize("condition", [c for c in (*CORE, *EXTRA) if c.noise], ids=lambda c: c.name)
def test_noise_lies_so_far_under_the_voice_as_the_condition_says(condition: Condition) -> None:
    plain = Condition(condition.name, rt60_s=condition.rt60_s)
    recording = conditions.recorded(plain, rng(7), dry())
    noisy = Condition(condition.name, condition.noise, condition.snr_db)
    added = conditions.apply(noisy, rng(8), dry(), recording) - recording
    level = channel.level_dbov(recording, RATE, dry().segments)
    assert level - dbov(added) == pytest.approx(condition.snr_db, abs=0.1)


def test_the_voice_has_the_level_that_the_condition_says() -> None:
    for seed in range(5):
        quiet = Condition("quiet", background_db=(60.0, 60.0), levels_dbov=(-45.0, -40.0))
        heard = conditions.recorded(quiet, rng(seed), dry())
        assert -46 < channel.level_dbov(heard, RATE, dry().segments) < -38


@pytest.mark.parametrize("condition", [c for c in EXTRA if c.heard], ids=lambda c: c.name)
def test_no_channel_moves_the_voice_in_time(condition: Condition) -> None:
    """A codec's or a filter's delay would be counted as the detector's."""
    recording = conditions.recorded(Condition("clean", background_db=(40, 40)), rng(4), dry())
    heard = conditions.apply(condition, rng(5), dry(), recording)
    assert len(heard) == len(recording)
    envelopes = [np.sqrt(truth.frame_power(samples, RATE)) for samples in (recording, heard)]
    centred = [envelope - envelope.mean() for envelope in envelopes]
    lag = int(np.argmax(np.correlate(centred[1], centred[0], "full"))) - (len(centred[0]) - 1)
    assert abs(lag) <= 1  # frames of 10 ms


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_opus_gives_back_what_went_in_at_the_same_time(rate: int) -> None:
    """Its look-ahead of 6.5 ms is taken off: 312 samples at 48 kHz."""
    band = signal.butter(4, [200, 3000], "bandpass", fs=rate, output="sos")
    sent = channel.int16(0.1 * signal.sosfilt(band, rng(2).standard_normal(2 * rate)))
    got = opus.round_trip(sent, rate, 48_000)
    assert len(got) == len(sent)
    together = signal.correlate(got.astype(float), sent.astype(float), "full", "fft")
    assert abs(int(np.argmax(together)) - (len(sent) - 1)) <= rate // 4000


def test_opus_sends_nothing_while_there_is_nothing_to_send() -> None:
    """Without DTX the condition would not be what its name says."""
    room = 10 ** (-70 / 20) * rng().standard_normal(6 * RATE)
    room[:RATE] *= 300
    sent = channel.int16(room)
    unsent = [packet is None for packet in opus.packets(sent, RATE, 24_000)]
    assert not any(unsent[:50])
    assert sum(unsent[100:]) > len(unsent[100:]) / 2
    assert dbov(opus.round_trip(sent, RATE, 24_000)[3 * RATE :] / channel.FULL_SCALE) < -60


def test_lost_packets_are_some_of_all_and_leave_the_rest_alone() -> None:
    lost = channel.bursts(rng(1), 100_000, 0.05)
    assert lost.mean() == pytest.approx(0.05, abs=0.01)
    samples = np.ones(RATE * 60)
    kept = channel.lost(rng(1), samples, RATE, 0.05, fade=False)
    assert set(np.unique(kept)) == {0.0, 1.0}
    assert (kept == 0).mean() == pytest.approx(0.05, abs=0.02)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rt60_s=st.floats(0.05, 0.9))
def test_a_room_adds_its_echo_behind_the_direct_sound(seed: int, rt60_s: float) -> None:
    """Nothing sounds before the voice does, and the voice itself comes through as it is."""
    click = np.zeros(RATE)
    click[2000] = 1.0
    heard = channel.room(rng(seed), click, RATE, rt60_s)
    assert np.abs(heard[:2000]).max() < 1e-9
    assert heard[2000] == pytest.approx(1.0, abs=1e-6)
    assert np.argmax(np.abs(heard)) == 2000


def test_a_gate_closes_in_pauses_only() -> None:
    samples = np.ones(6 * RATE)
    heard = channel.gated(samples, RATE, dry().segments, -60.0)
    assert heard[round(3.2 * RATE)] == pytest.approx(1e-3)
    for start, end in dry().segments:
        assert np.allclose(heard[round(start * RATE) : round(end * RATE)], 1.0)
