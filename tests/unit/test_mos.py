"""The estimate of a mean opinion score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmon.monitor.mos import heard_mos, link_summary, mos, rating
from pmon.monitor.reception import NOTHING, Reception


@pytest.mark.parametrize(
    ("delay_s", "loss", "r"),
    [
        (0.0, 0.0, 93.2),
        (0.15, 0.0, 93.2 - 3.6),  # 0.024 x 150
        (0.4, 0.0, 93.2 - 9.6 - 24.497),  # the delay that G.114 calls the limit
        (0.0, 0.01, 93.2 - 95 / 26.1),
        (0.0, 0.1, 93.2 - 950 / 35.1),
        (0.0, 1.0, 93.2 - 9500 / 125.1),
        (10.0, 1.0, 0.0),
    ],
)
def test_rating(delay_s: float, loss: float, r: float) -> None:
    """Beside the formula worked out by hand."""
    assert rating(loss, delay_s) == pytest.approx(r, abs=0.01)


@pytest.mark.parametrize(
    ("r", "score"), [(93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)]
)
def test_score_of_a_rating(r: float, score: float) -> None:
    """The pairs that ITU-T G.107 lists in table B.1; the loss is chosen to give the rating."""
    lossy = 93.2 - r
    percent = lossy * 25.1 / (95 - lossy)
    assert rating(percent / 100, 0.0) == pytest.approx(r)
    assert mos(percent / 100, 0.0) == pytest.approx(score, abs=0.01)


def test_the_cubic_does_not_fall_under_one() -> None:
    """Between R = 0 and 6.5 it is under 1, which is no score: peers give 0.99."""
    assert mos(0.9, 0.4) == 1.0
    assert mos(1.0, 10.0) == 1.0


@given(st.floats(-1, 2), st.floats(0, 1), st.floats(-1, 5), st.floats(0, 2))
def test_worse_is_never_better(loss: float, more: float, delay_s: float, later: float) -> None:
    """No step in the formula lifts a score as the line gets worse (peers: 150 to 151 ms)."""
    score = mos(loss, delay_s)
    assert 1.0 <= mos(loss + more, delay_s + later) <= score <= 4.5


def test_what_is_rebuilt_does_not_count_as_lost() -> None:
    """RED gives back most of 10 % lost packets: nobody hears those."""
    rebuilt = Reception(expected=500, lost=50, samples=480_000, audible=4800)
    heard = Reception(expected=500, lost=50)
    assert heard_mos(rebuilt) == round(mos(0.01, 0.02), 2)
    assert heard_mos(heard) == round(mos(0.1, 0.02), 2)


def test_what_only_this_process_missed_does_not_count() -> None:
    """A busy monitor plays made-up sound though all packets came: that is no bad link."""
    busy = Reception(expected=500, lost=0, samples=480_000, audible=96_000)
    assert heard_mos(busy) == round(mos(0.0, 0.02), 2)


def test_the_way_and_the_jitter_delay_it() -> None:
    got = Reception(expected=500, seconds=10.0, jitter=10.0 * 0.05)
    assert heard_mos(got, rtt_s=0.3) == round(mos(0.0, 0.02 + 0.1 + 0.15), 2)


def test_a_summary_of_nothing_is_none() -> None:
    """Who was not heard has no link that is fine."""
    assert link_summary(NOTHING) is None
    assert link_summary(Reception(expected=30, seconds=12.0)) is None
