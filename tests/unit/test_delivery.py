"""What is sent when: in order within a session, and again until it is taken."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pmon.outputs.delivery import LONGEST_PAUSE_S, PARALLEL, REFUSED_FOR_S, Delivery, Message


def message(number: int, session: str = "s", since: float = 0.0) -> Message:
    return Message(f"e-{number}", session, b"{}", since)


def delivery(*messages: Message, most: int = 100) -> Delivery:
    made = Delivery(most, chance=random.Random(1))
    for one in messages:
        assert made.add(one) is None
    return made


def ids(messages: list[Message]) -> list[str]:
    return [m.id for m in messages]


def test_a_session_is_sent_one_by_one_and_sessions_side_by_side() -> None:
    made = delivery(message(1), message(2), message(3, "t"))
    first = made.due(0.0)
    assert ids(first) == ["e-1", "e-3"]
    assert made.due(0.0) == []
    made.delivered(first[0])
    assert ids(made.due(0.0)) == ["e-2"]
    assert len(made) == 2


def test_only_so_many_are_on_their_way() -> None:
    made = delivery(*(message(n, f"s{n}") for n in range(PARALLEL + 3)))
    assert len(made.due(0.0)) == PARALLEL


def test_when_nobody_takes_them_one_is_tried_until_one_gets_through() -> None:
    made = delivery(*(message(n, f"s{n}") for n in range(5)))
    for one in made.due(0.0):
        made.failed(one, 0.0)
    at = made.next_at()
    assert at is not None and 0 < at <= LONGEST_PAUSE_S
    assert made.due(at - 0.01) == []
    (probe,) = made.due(at)
    assert made.next_at() is None, "its answer comes first"
    made.delivered(probe)
    assert len(made.due(at)) == 4


def test_pauses_grow_to_a_minute_and_have_chance_in_them() -> None:
    made, now, pauses = delivery(message(1)), 0.0, []
    for _ in range(20):
        (one,) = made.due(now)
        made.failed(one, now)
        at = made.next_at()
        assert at is not None
        pauses.append(at - now)
        now = at
    assert pauses[0] <= 0.5
    assert all(LONGEST_PAUSE_S / 2 <= pause <= LONGEST_PAUSE_S for pause in pauses[8:])
    assert len(set(pauses)) == len(pauses)


def test_the_receiver_may_ask_for_a_longer_pause() -> None:
    made = delivery(message(1))
    (one,) = made.due(0.0)
    made.failed(one, 0.0, retry_after_s=120.0)
    assert made.next_at() == 120.0


def test_one_that_is_refused_holds_up_its_session_alone_and_is_given_up_after_a_day() -> None:
    made = delivery(message(1), message(2), message(3, "t"))
    bad, other = made.due(0.0)
    assert not made.refused(bad, 0.0)
    made.delivered(other)
    assert made.due(0.0) == []
    at = made.next_at()
    assert at is not None
    assert ids(made.due(at)) == ["e-1"]
    assert made.refused(bad, REFUSED_FOR_S)
    assert ids(made.due(REFUSED_FOR_S)) == ["e-2"]


def test_the_oldest_goes_when_there_would_be_too_many() -> None:
    made = delivery(*(message(n, f"s{n % 2}") for n in range(12)), most=12)
    flying = made.due(0.0)
    dropped = made.add(message(12))
    assert dropped is not None
    assert dropped.id == "e-2", "those that are on their way stay"
    assert len(made) == 12
    made.delivered(flying[0])
    assert "e-4" in ids(made.due(0.0))


class AnyDelivery(RuleBasedStateMachine):
    """Whatever the receiver does, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.made = Delivery(20, chance=random.Random(0))
        self.now = 0.0
        self.number = 0
        self.flying: list[Message] = []
        self.waiting: dict[str, list[str]] = {}

    @rule(session=st.sampled_from("abc"))
    def add(self, session: str) -> None:
        self.number += 1
        dropped = self.made.add(message(self.number, session, self.now))
        self.waiting.setdefault(session, []).append(f"e-{self.number}")
        if dropped is not None:
            assert dropped not in self.flying
            self.waiting[dropped.session].remove(dropped.id)

    @rule(wait_s=st.floats(0.0, 90.0))
    def send(self, wait_s: float) -> None:
        self.now += wait_s
        for one in self.made.due(self.now):
            assert one.id == self.waiting[one.session][0], "out of order"
            assert one.session not in {m.session for m in self.flying}, "two of one session"
            self.flying.append(one)

    @rule(
        which=st.integers(0, 7),
        answer=st.sampled_from(["delivered", "delivered", "refused", "failed"]),
    )
    def answer(self, which: int, answer: str) -> None:
        if not self.flying:
            return
        one = self.flying.pop(which % len(self.flying))
        match answer:
            case "delivered":
                self.made.delivered(one)
                self.waiting[one.session].remove(one.id)
            case "refused":
                if self.made.refused(one, self.now):
                    self.waiting[one.session].remove(one.id)
            case "failed":
                self.made.failed(one, self.now)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        assert len(self.made) == sum(map(len, self.waiting.values())) <= 20
        if len(self.made) and not self.flying:
            assert self.made.next_at() is not None, "it would wait for ever"

    def teardown(self) -> None:
        for one in self.flying:
            self.made.failed(one, self.now)
        for _ in range(200):
            self.now += LONGEST_PAUSE_S
            for one in self.made.due(self.now):
                self.made.delivered(one)
        assert len(self.made) == 0, "all get through once there is somebody"


TestAnyDelivery = AnyDelivery.TestCase
TestAnyDelivery.settings = settings(max_examples=100, stateful_step_count=60)


@pytest.mark.parametrize("most", [0, 1])
def test_what_is_on_its_way_always_fits(most: int) -> None:
    made = delivery(*(message(n, f"s{n}") for n in range(PARALLEL)), most=most)
    assert len(made.due(0.0)) == PARALLEL
