"""What was received between two looks at a receiver's counters."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import Wire

from pmon.monitor.inputs import LinkReading
from pmon.monitor.reception import ENOUGH, NOTHING, WINDOW_S, Inbound, Reception, between


def reading(received: int = 0, lost: int = 0, **changes: Any) -> LinkReading:
    totals = {"ssrc": 1, "packets_received": received, "packets_lost": lost, "jitter_s": 0.0}
    return LinkReading(**(totals | changes))


def test_loss_is_what_is_missing_of_what_was_sent() -> None:
    """Not of what came: 100 lost beside 900 are 10 %, not 11."""
    got = between(reading(1000, 10), reading(1900, 110))
    assert (got.expected, got.lost, got.loss) == (1000, 100, 0.1)


def test_nothing_sent_is_no_loss_rate() -> None:
    """A pause says nothing of the link: None, which is not 0."""
    got = between(reading(500, 5), reading(500, 5))
    assert got.expected == 0
    assert got.loss is None
    assert got.concealment is None


@pytest.mark.parametrize("lost", [0, 1, 2, 5, 10, 30])
def test_a_way_that_loses_more_is_hardly_ever_taken_for_one_that_may(lost: int) -> None:
    share = Reception(expected=1000, lost=lost).likely_at_most
    mean = 1000 * share
    as_few = sum(math.exp(-mean) * mean**n / math.factorial(n) for n in range(lost + 1))
    assert 0.005 < as_few < 0.02


def test_of_nothing_sent_any_share_may_be_lost() -> None:
    assert NOTHING.likely_at_most == Reception(expected=3, lost=-1).likely_at_most == 1.0


def test_late_packets_take_a_loss_back() -> None:
    """What retransmission brings after it was counted as lost is not lost."""
    early = between(reading(0, 0), reading(95, 5))
    late = between(reading(95, 5), reading(200, 0))
    assert early.loss == 0.05
    assert (late.lost, late.loss) == (-5, 0.0)
    assert ((early + late).lost, (early + late).expected) == (0, 200)


@pytest.mark.parametrize(
    "after",
    [reading(10, 0), reading(5000, 0, ssrc=2), reading(0, 0, ssrc=2)],
    ids=["counters fell", "another stream, already ahead", "another stream"],
)
def test_counters_that_begin_anew_are_no_loss(after: LinkReading) -> None:
    """A track that was subscribed again must not show thousands of packets, lost or not."""
    assert between(reading(4000, 100), after) == NOTHING


def test_concealment_counts_what_is_heard() -> None:
    """Silence that is made up in a DTX pause is no fault."""
    before = reading(samples=48_000, concealed=1000, silent_concealed=1000)
    after = reading(100, samples=96_000, concealed=25_960, silent_concealed=25_000)
    assert between(before, after).concealment == pytest.approx(960 / 48_000)


def test_untold_samples_are_not_zero_concealment() -> None:
    """A receiver that does not count samples is not one without concealment."""
    told = reading(100, samples=48_000, concealed=0, silent_concealed=0)
    assert between(reading(), reading(100)).concealment is None
    assert between(reading(), told).concealment is None


class TestInbound:
    def test_the_first_totals_only_begin_to_count(self) -> None:
        """They may be of hours that nobody looked at."""
        inbound = Inbound()
        assert inbound.read({"TR": reading(100_000, 9000)}, 0.0) == NOTHING
        assert inbound.loss is None
        assert inbound.heard

    def test_a_long_gap_begins_anew(self) -> None:
        """Two looks of an adaptive process, minutes apart, are not one long interval."""
        inbound = Inbound()
        inbound.read({"TR": reading(100, 0)}, 0.0)
        assert inbound.read({"TR": reading(900, 200)}, 180.0) == NOTHING
        assert inbound.read({"TR": reading(1150, 200)}, 185.0).loss == 0.0

    def test_a_track_that_was_not_heard_in_between_begins_anew(self) -> None:
        inbound = Inbound()
        inbound.read({"TR": reading(100, 0)}, 0.0)
        inbound.read({}, 3.0)
        assert not inbound.heard
        assert inbound.read({"TR": reading(300, 20)}, 5.0) == NOTHING

    def test_microphones_of_one_link_add_up(self) -> None:
        inbound = Inbound()
        inbound.read({"A": reading(ssrc=1), "B": reading(ssrc=2)}, 0.0)
        got = inbound.read({"A": reading(95, 5, ssrc=1), "B": reading(100, 0, ssrc=2)}, 5.0)
        assert (got.expected, got.lost, got.seconds) == (200, 5, 5.0)

    def test_the_jitter_is_a_mean_over_time(self) -> None:
        """The worse of two tracks counts, since they share a link."""
        inbound = Inbound()
        for now, jitter_s in ((0.0, 0.5), (5.0, 0.01), (6.0, 0.04)):
            low, high = reading(jitter_s=jitter_s / 2), reading(jitter_s=jitter_s)
            inbound.read({"A": low, "B": high}, now)
        assert inbound.lately.jitter_s == pytest.approx((5 * 0.01 + 0.04) / 6)

    def test_a_few_packets_are_no_loss(self) -> None:
        """One of the ten packets of a pause with DTX is not a loss of 10 %."""
        inbound, wire = Inbound(), Wire()
        inbound.read({"TR": wire.reading()}, 0.0)
        wire.carry(5, 0.1, pps=2.5)
        inbound.read({"TR": wire.reading()}, 5.0)
        assert inbound.lately.lost == 1
        assert inbound.loss is None
        wire.carry(5, 0.004)
        inbound.read({"TR": wire.reading()}, 10.0)
        assert inbound.lately.lost == 2
        assert inbound.loss == 0.0

    def test_what_is_old_is_forgotten(self) -> None:
        inbound, wire = Inbound(), Wire()
        for step in range(20):
            inbound.read({"TR": wire.reading()}, 5.0 * step)
            wire.carry(5, 0.2 if step < 3 else 0.0)
        assert inbound.loss == 0.0
        assert inbound.lately.seconds <= WINDOW_S + 5.0
        for step in range(20, 24):
            inbound.read({}, 5.0 * step)
        assert inbound.over


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sent", "lost", "late", "restart", "look", "deaf"]),
        st.integers(min_value=1, max_value=300),
    ),
    max_size=80,
)


@given(STEPS)
def test_intervals_add_up_to_what_was_sent(steps: list[tuple[str, int]]) -> None:
    """However often anybody looks, and whenever the counters begin anew: nothing is invented, and
    between two looks at one stream nothing is missed.
    """
    ssrc = received = lost = 0
    inbound, now, total = Inbound(), 0.0, NOTHING
    truth_sent = truth_lost = 0
    base: tuple[int, int, int] | None = None
    for what, count in steps:
        if what == "sent":
            received += count
        elif what == "lost":
            lost += count
        elif what == "late":
            came = min(count, max(lost, 0))
            received, lost = received + came, lost - came
        elif what == "restart":
            ssrc, received, lost = ssrc + 1, 0, 0
        elif what == "deaf":
            now += count
            inbound.read({}, now)
            base = None
        else:
            now += 5.0
            total += inbound.read({"TR": reading(received, lost, ssrc=ssrc)}, now)
            if base is not None and base[0] == ssrc:
                truth_sent += received + lost - base[1] - base[2]
                truth_lost += lost - base[2]
            base = ssrc, received, lost
        window = inbound.lately
        assert window.expected >= 0
        assert window.loss is None or 0.0 <= window.loss <= 1.0
        assert inbound.loss is None or window.expected >= ENOUGH
    assert (total.expected, total.lost) == (truth_sent, truth_lost)


@given(
    st.lists(
        st.builds(
            Reception,
            expected=st.integers(0, 1000),
            lost=st.integers(-1000, 1000),
            samples=st.integers(0, 10**6),
            audible=st.integers(0, 10**6),
            seconds=st.floats(0, 1e6),
            jitter=st.floats(0, 1e6),
        ),
        max_size=5,
    )
)
def test_shares_stay_shares(parts: list[Reception]) -> None:
    """Whatever is added up, a share is from 0 to 1 or not known."""
    whole = sum(parts, NOTHING)
    for share in (whole.loss, whole.concealment):
        assert share is None or 0.0 <= share <= 1.0
    assert whole.jitter_s >= 0.0


counts = st.none() | st.integers(0, 2**40)


@given(
    *[
        st.builds(
            LinkReading,
            ssrc=st.integers(0, 3),
            packets_received=st.integers(0, 2**40),
            packets_lost=st.integers(-(2**31), 2**31),
            jitter_s=st.floats(0, 10),
            samples=counts,
            concealed=counts,
            silent_concealed=counts,
        )
    ]
    * 2
)
def test_no_totals_break_the_sums(before: LinkReading, after: LinkReading) -> None:
    """Whatever a receiver tells, an interval has no negative packets or samples."""
    got = between(before, after)
    assert min(got.expected, got.samples, got.audible) >= 0
    assert got.audible <= got.samples
    assert got.loss is None or 0.0 <= got.loss <= 1.0
