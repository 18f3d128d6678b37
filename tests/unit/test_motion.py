"""Frame rates and freezes from a receiver's counters, against the frame times themselves."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_receiver import Receiver, steady

from pmon.monitor.inputs import VideoReading
from pmon.monitor.motion import NOTHING, Motion, frozen_s
from pmon.monitor.video import FROZEN_AFTER_S, STALE_AFTER_S, Video


def seen(receiver: Receiver, until: float, every_s: float = 2.0) -> Video:
    """The receiver read as the shell does, until then."""
    video, now = Video("camera", encrypted=False, muted=False), 0.0
    while now <= until:
        video.read(receiver.at(now), now)
        video.state = video.judge(now)
        now += every_s
    return video


def test_an_even_rate_is_both_rates() -> None:
    motion = seen(Receiver(steady(0.0, 60.0, 15.0)), 60.0).motion
    assert motion.mean_fps == pytest.approx(15.0, abs=0.1)
    assert motion.harmonic_fps == pytest.approx(15.0)
    assert (motion.freezes, motion.frozen_s) == (0, 0.0)


def test_a_stall_weighs_on_the_harmonic_rate() -> None:
    """One second in twenty: the mean hardly shows it."""
    motion = seen(Receiver(steady(0.0, 10.0, 30.0) + steady(11.0, 20.0, 30.0)), 20.0).motion
    assert motion.mean_fps == pytest.approx(28.5, abs=0.5)
    assert motion.harmonic_fps == pytest.approx(11.9, abs=0.5)
    assert motion.freezes == 1
    assert motion.frozen_s == pytest.approx(1.0, abs=0.05)


def test_stalls_too_short_for_a_freeze_show_all_the_same() -> None:
    """Every tenth delay 180 ms, at 30 fps: no freeze by the W3C's rule, and no smooth picture."""
    at, frames = 0.0, []
    for i in range(1200):
        at += 0.18 if i % 10 == 0 else 1 / 30
        frames.append(at)
    motion = seen(Receiver(frames), at).motion
    assert motion.freezes == 0
    assert motion.mean_fps == pytest.approx(20.8, abs=0.5)
    assert motion.harmonic_fps == pytest.approx(11.3, abs=0.5)


@pytest.mark.parametrize(("gap_s", "counted"), [(3.5, 1), (8.0, 0), (40.0, 0)])
def test_a_long_freeze_that_the_receiver_takes_for_a_pause_is_counted(
    gap_s: float, counted: int
) -> None:
    """The worst ones would leave no trace among the freezes."""
    frames = steady(0.0, 20.0, 15.0) + steady(20.0 + gap_s, 40.0 + gap_s, 15.0)
    assert Receiver(frames).at(100.0).freezes == counted
    video = seen(Receiver(frames), 40.0 + gap_s)
    assert video.motion.freezes == 1
    assert video.frozen_s == pytest.approx(gap_s, abs=0.2)
    delays = [b - a for a, b in pairwise(frames)]
    harmonic = sum(delays) / sum(d * d for d in delays)
    assert video.motion.harmonic_fps == pytest.approx(harmonic, rel=0.06)


def test_a_freeze_that_lasts_counts_as_long_as_it_has_lasted() -> None:
    video = seen(Receiver(steady(0.0, 20.0, 15.0)), 60.0)
    assert video.state == "frozen"
    assert video.frozen_s == pytest.approx(40.0, abs=2.1)


@pytest.mark.parametrize("how", ["mute", "look", "outage"])
@pytest.mark.parametrize("gap_s", [1.0, 2.5, 30.0])
def test_a_time_in_which_no_frames_were_to_come_is_no_freeze(how: str, gap_s: float) -> None:
    """The receiver knows of no mute and counts one."""
    receiver = Receiver(steady(0.0, 20.0, 15.0) + steady(20.0 + gap_s, 60.0, 15.0))
    video, now = Video("camera", encrypted=False, muted=False), 0.0
    while now <= 60.0:
        begins, ends = now == 20.0, now == 20.0 + gap_s
        if begins and how == "outage":
            video.interrupted()
        elif (begins or ends) and how == "mute":
            video.mute(begins)
        elif begins or ends:
            video.look(ends, now)
        if how == "mute" or not 20.0 <= now < 20.0 + gap_s:
            video.read(receiver.at(now), now)
        now += 0.5
    assert video.motion.freezes == 0
    assert video.frozen_s == 0
    assert video.motion.harmonic_fps == pytest.approx(15.0, rel=0.01)


STEPS = st.tuples(
    st.sampled_from([2.0, 2.0, 2.0, 8.0]) | st.floats(0.5, 20.0),
    st.sampled_from([0, 0, 30]),
    st.sampled_from([False, False, False, True]),
)


@given(st.lists(STEPS, max_size=40))
def test_a_gap_is_neither_a_frame_nor_a_freeze(steps: list[tuple[float, int, bool]]) -> None:
    """Readings some time apart, with new frames or without, and outages of our own in between."""
    video, now, total = Video("camera", encrypted=False, muted=False), 0.0, 0
    seen_s, moved_at, moves = 0.0, -math.inf, 0
    video.read(NOTHING, now)
    for wait_s, frames, outage in steps:
        if outage:
            video.interrupted()
        elif wait_s <= STALE_AFTER_S:
            seen_s += wait_s
        now, total = now + wait_s, total + frames
        video.read(VideoReading(frames=total, freezes=0), now)
        if frames:
            moved_at, moves = now, moves + 1
        video.state = video.judge(now)
        assert (video.state in ("live", "low")) <= (now - moved_at < FROZEN_AFTER_S)
        assert (video.state == "dry") <= (not moves)
        assert (video.state == "frozen") <= bool(moves)
        told = video.summary()
        assert told["freezes"] <= moves
        assert told["frozen_s"] <= seen_s + 1e-3


def test_another_receiver_counts_from_zero() -> None:
    """The totals of one that was subscribed anew are no step back, and its first frame no delay."""
    first, second = Receiver(steady(0.0, 10.0, 15.0)), Receiver(steady(12.0, 30.0, 15.0))
    video = seen(first, 10.0)
    for now in range(12, 31, 2):
        video.read(second.at(now), float(now))
    assert video.motion.frames == 150 + 270
    assert video.motion.harmonic_fps == pytest.approx(15.0)


def test_a_receiver_that_tells_no_delays_gives_no_harmonic_rate() -> None:
    """Not told is not zero."""
    motion = Motion()
    motion.take(VideoReading(frames=10, freezes=0), 2.0)
    motion.take(VideoReading(frames=40, freezes=1), 2.0)
    assert motion.harmonic_fps is None
    assert (motion.mean_fps, motion.freezes) == (10.0, 1)


@given(
    st.lists(st.floats(0.02, 3.0), min_size=1, max_size=60),
    st.integers(1, 5),
)
def test_an_estimate_of_freezes_is_never_under_the_longest(delays: list[float], k: int) -> None:
    """Of no set of delays with this sum and sum of squares can k add up to more."""
    longest = sum(sorted(delays)[-k:])
    told = frozen_s(k, len(delays), sum(delays), sum(d * d for d in delays))
    assert longest - 1e-6 <= told <= sum(delays) + 1e-6


@given(st.integers(1, 4), st.floats(0.3, 3.0), st.integers(5, 60), st.floats(0.01, 0.07))
def test_equal_freezes_among_even_frames_are_told_exactly(
    k: int, freeze_s: float, frames: int, frame_s: float
) -> None:
    total, squared = k * freeze_s + frames * frame_s, k * freeze_s**2 + frames * frame_s**2
    assert frozen_s(k, k + frames, total, squared) == pytest.approx(k * freeze_s, rel=1e-6)


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.integers(0, 5), st.floats(0, 50), st.floats(0, 500)),
        max_size=20,
    )
)
def test_no_totals_lead_to_impossible_figures(totals: list[tuple[int, int, float, float]]) -> None:
    """Counters are another program's: whatever they say, nothing is negative or fails."""
    video = Video("camera", encrypted=False, muted=False)
    for i, (frames, freezes, delay_s, squared) in enumerate(totals):
        reading = VideoReading(
            frames=frames, freezes=freezes, delay_s=delay_s, squared_delay_s2=squared
        )
        video.read(reading, 2.0 * i)
        video.state = video.judge(2.0 * i)
        assert video.frozen_s >= 0
        told = video.summary()
        assert told["frames"] >= 0
        assert told.get("harmonic_fps", 0.0) >= 0
        assert told["freezes"] >= 0
