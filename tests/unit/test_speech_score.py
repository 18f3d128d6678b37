"""Truth and score of the speech benchmark: wrong ones would make any detector look good or bad."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speech import score, truth
from speech.truth import Segments

RATE = 16_000


def sounding(*levels_db: float, rate: int = RATE) -> npt.NDArray[np.float64]:
    """A tone of 0.1 s at each of these levels; -200 is silence."""
    t = np.arange(rate // 10) / rate
    tone = 0.3 * np.sin(2 * np.pi * 400 * t)
    return np.concatenate([tone * 10 ** (level / 20) for level in levels_db])


def read(samples: npt.NDArray[np.float64], rate: int = RATE) -> Segments:
    return truth.segments(truth.active_frames(samples, rate))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_a_sound_is_found_where_it_is_at_every_sample_rate(rate: int) -> None:
    assert read(sounding(-200, 0, 0, 0, -200, rate=rate), rate) == [(0.1, 0.4)]


def test_only_pauses_of_a_fifth_of_a_second_part_an_utterance() -> None:
    assert read(sounding(0, -200, 0)) == [(0.0, 0.3)]
    assert read(sounding(0, -200, -200, 0)) == [(0.0, 0.1), (0.3, 0.4)]


def test_soft_speech_counts_and_what_is_far_below_the_voice_does_not() -> None:
    """A weak fricative lies 30 dB under the vowels; the noise of a recording lies deeper."""
    assert read(sounding(-30, 0, 0, -30)) == [(0.0, 0.4)]
    assert read(sounding(-42, 0, 0, -42)) == [(0.1, 0.3)]


def test_a_lone_click_is_not_speech() -> None:
    samples = sounding(*[-200] * 5, 0, 0, 0)
    samples[1600:1700] = 0.3
    assert read(samples) == [(0.5, 0.8)]


def test_silence_has_no_speech_in_it() -> None:
    assert read(np.zeros(RATE)) == []
    assert read(np.zeros(0)) == []


@given(st.lists(st.booleans(), max_size=300))
def test_segments_are_apart_long_enough_and_cover_what_is_active(active: list[bool]) -> None:
    flags = np.array(active, dtype=bool)
    found = truth.segments(flags)
    assert all(end - start >= truth.SHORTEST_S - 1e-6 for start, end in found)
    gaps = [later[0] - sooner[1] for sooner, later in itertools.pairwise(found)]
    assert all(gap >= truth.JOINED_GAP_S - 1e-6 for gap in gaps)
    covered = truth.frames(found, len(active))
    for frame in map(int, np.flatnonzero(flags & ~covered)):  # only what is too short for speech
        assert flags[max(0, frame - 2) : frame + 3].sum() < 3
    assert truth.segments(covered) == found


def segments_within(seconds: float) -> st.SearchStrategy[Segments]:
    """In order and apart, on a grid of 10 ms."""
    frames = round(seconds * 100)
    edges = st.lists(st.integers(0, frames), unique=True, max_size=20).map(sorted)
    return edges.map(
        lambda found: [
            (start / 100, end / 100) for start, end in zip(found[::2], found[1::2], strict=False)
        ]
    )


TRUE: Segments = [(1.0, 3.0), (4.0, 5.0)]


def test_what_is_right_costs_nothing() -> None:
    exact = score.score(TRUE, TRUE, 10.0)
    assert (exact.dcf, exact.f1, exact.talk_error) == (0.0, 1.0, 0.0)
    assert exact.onset_errors == exact.end_errors == [0.0, 0.0]


def test_always_speech_and_never_speech_cost_what_they_must() -> None:
    """The two anchors that every published figure is read against."""
    always, never = score.score([(0.0, 10.0)], TRUE, 10.0), score.score([], TRUE, 10.0)
    assert (always.p_miss, always.p_fa, always.dcf) == (0.0, 1.0, 0.25)
    assert (never.p_miss, never.p_fa, never.dcf) == (1.0, 0.0, 0.75)
    assert always.talk_error == pytest.approx(7.0 / 3.0)
    assert never.talk_error == -1.0


def test_a_case_counted_by_hand() -> None:
    """One second too early and half a second too short; the second segment missed; noise billed."""
    one = score.score([(0.5, 2.5), (8.0, 9.0)], TRUE, 10.0)
    assert (one.speech, one.missed, one.silence, one.false_alarms) == (300, 150, 700, 150)
    assert one.dcf == pytest.approx(0.75 * 0.5 + 0.25 * 150 / 700)
    assert one.talk_error == pytest.approx(0.0)
    assert one.onset_errors == pytest.approx([-0.5])
    assert one.end_errors == pytest.approx([-0.5])
    assert (one.segments, one.unfound, one.unfounded) == (2, 1, 1)
    assert one.unfound_spans == [(4.0, 5.0)]


def test_too_much_here_does_not_make_up_for_too_little_there() -> None:
    """Summed talk time may be right while every clip is wrong."""
    clips = [score.score([(1.0, 2.0)], [(1.0, 3.0)], 5.0)]
    clips.append(score.score([(1.0, 4.0)], [(1.0, 3.0)], 5.0))
    total = score.pooled(clips)
    assert total.talk_error == 0.0
    assert total.mean_absolute_talk_error == pytest.approx(0.5)


def test_segments_that_were_joined_have_no_end_and_no_onset_between_them() -> None:
    """Else the pause that was swallowed would count as an early onset and a late end."""
    joined = score.score([(1.1, 5.2)], TRUE, 10.0)
    assert joined.onset_errors == pytest.approx([0.1])
    assert joined.end_errors == pytest.approx([0.2])
    assert joined.unfound == 0


def test_of_a_segment_in_pieces_the_first_onset_and_the_last_end_count() -> None:
    pieces = score.score([(1.1, 1.5), (2.0, 2.9)], [(1.0, 3.0)], 5.0)
    assert pieces.onset_errors == pytest.approx([0.1])
    assert pieces.end_errors == pytest.approx([-0.1])


@given(segments_within(8.0), segments_within(8.0))
def test_figures_stay_in_their_ranges_and_count_every_frame_once(
    stated: Segments, true: Segments
) -> None:
    one = score.score(stated, true, 8.0)
    assert one.speech + one.silence == 800
    assert 0 <= one.p_miss <= 1
    assert 0 <= one.p_fa <= 1
    assert 0 <= one.f1 <= 1
    assert len(one.onset_errors) + one.unfound <= one.segments == len(true)
    # Stated talk time is what was found of the true one, and what was not speech.
    found = one.speech - one.missed + one.false_alarms
    assert one.stated_s == pytest.approx(found / 100, abs=1e-6)


@given(st.lists(st.tuples(segments_within(3.0), segments_within(3.0)), min_size=1, max_size=4))
def test_clips_pooled_are_as_one_long_clip(clips: list[tuple[Segments, Segments]]) -> None:
    """Frames are added, not rates averaged: a short clip must not weigh like a long one."""
    total = score.pooled(score.score(stated, true, 3.0) for stated, true in clips)

    def moved(which: int) -> Segments:
        return [(3 * i + s, 3 * i + e) for i, clip in enumerate(clips) for s, e in clip[which]]

    whole = score.score(moved(0), moved(1), 3.0 * len(clips))
    assert (total.missed, total.false_alarms) == (whole.missed, whole.false_alarms)
    assert total.dcf == pytest.approx(whole.dcf)
