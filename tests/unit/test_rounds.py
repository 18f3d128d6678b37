"""When rooms are looked at, and when whom nobody watches is adopted."""

from __future__ import annotations

import pytest

from pmon.agent.reconcile import Attendee, Judgement, Key, ListedDispatch
from pmon.agent.rounds import (
    ADOPTIONS_A_ROUND,
    ELSEWHERE_S,
    GRACE_S,
    LOOKS_A_ROUND,
    RARELY_S,
    ROUND_S,
    RoomCount,
    Rounds,
)

DISPATCH = ListedDispatch("AD_1", "")
STANDUP = RoomCount("standup", "RM_1", 2)


def unwatched(*names: str, join: bool = False) -> Judgement:
    return Judgement(
        adopt=[(DISPATCH, Attendee(name, "PA")) for name in names],
        unwatched={Key("AD_1", name) for name in names},
        join=join,
    )


def looked(
    rounds: Rounds, judgement: Judgement, now: float, allowed: int = 1000, *adopted: Key
) -> list[str]:
    ripe = rounds.looked("standup", judgement, now, allowed=allowed, adopted=adopted)
    return [attendee.identity for _, attendee in ripe]


def test_a_room_in_which_all_are_watched_is_looked_at_rarely() -> None:
    rounds = Rounds()
    assert rounds.rooms([STANDUP], {"standup": 2}, 0.0) == ["standup"]
    looked(rounds, Judgement(), 0.0)
    assert rounds.rooms([STANDUP], {"standup": 2}, RARELY_S - 0.1) == []
    assert rounds.rooms([STANDUP], {"standup": 2}, RARELY_S) == ["standup"]


def test_a_room_whose_counts_change_is_looked_at_at_once() -> None:
    rounds = Rounds()
    rounds.rooms([STANDUP], {"standup": 2}, 0.0)
    looked(rounds, Judgement(), 0.0)
    more = RoomCount("standup", "RM_1", 3)
    assert rounds.rooms([more], {"standup": 2}, 5.0) == ["standup"]
    looked(rounds, Judgement(), 5.0)
    assert rounds.rooms([more], {"standup": 1}, 10.0) == ["standup"]
    looked(rounds, Judgement(), 10.0)
    assert rounds.rooms([more], {"standup": 1}, 15.0) == []


def test_who_comes_is_looked_for_once_their_job_would_be_listed() -> None:
    """The job of somebody who came back may have gone to another worker."""
    rounds = Rounds()
    rounds.rooms([STANDUP], {"standup": 2}, 0.0)
    looked(rounds, Judgement(), 0.0)
    rounds.changed("standup", 3.0)
    assert rounds.rooms([STANDUP], {"standup": 2}, 5.0) == []
    assert rounds.rooms([STANDUP], {"standup": 2}, 3.0 + GRACE_S) == ["standup"]


@pytest.mark.parametrize("why", ["shared", "adopted"])
def test_a_room_that_others_watch_too_is_looked_at_every_round(why: str) -> None:
    """Nobody is to be watched twice for more than ten seconds."""
    rounds = Rounds()
    rounds.rooms([STANDUP], {"standup": 2}, 0.0)
    if why == "shared":
        looked(rounds, Judgement(shared=True), 0.0)
    else:
        looked(rounds, Judgement(), 0.0, 1000, Key("AD_1", "ann"))
    assert rounds.rooms([STANDUP], {"standup": 2}, ROUND_S) == ["standup"]


def test_nobody_is_adopted_whose_job_may_be_on_its_way() -> None:
    rounds = Rounds()
    rounds.rooms([STANDUP], {}, 0.0)
    assert looked(rounds, unwatched("ann"), 0.0) == []
    assert rounds.unwatched == 1
    assert rounds.pressing
    rounds.rooms([STANDUP], {}, 2.0)
    assert looked(rounds, Judgement(), 2.0) == []  # there it was
    assert rounds.unwatched == 0
    rounds.rooms([STANDUP], {}, GRACE_S)
    assert looked(rounds, unwatched("ann"), GRACE_S) == []
    rounds.rooms([STANDUP], {}, 2 * GRACE_S)
    assert looked(rounds, unwatched("ann"), 2 * GRACE_S) == ["ann"]
    assert rounds.unwatched == 0


def test_whose_job_is_listed_with_a_worker_that_is_gone_is_adopted_at_once() -> None:
    rounds = Rounds()
    rounds.rooms([STANDUP], {}, 0.0)
    judgement = unwatched("ann", "ben")
    judgement.orphans.add(Key("AD_1", "ann"))
    assert looked(rounds, judgement, 0.0) == ["ann"]


def test_a_room_is_not_joined_while_a_job_may_be_on_its_way() -> None:
    rounds = Rounds()
    rounds.rooms([STANDUP], {}, 0.0)
    assert looked(rounds, unwatched("ann", join=True), 0.0) == []
    rounds.rooms([STANDUP], {}, 6.0)
    assert looked(rounds, unwatched("ann", join=True), 6.0) == ["ann"]
    assert rounds.unwatched == 1  # joining is not watching
    rounds.rooms([STANDUP], {}, 7.0)
    assert looked(rounds, unwatched("ann"), 7.0) == ["ann"]
    assert rounds.unwatched == 0


def test_what_there_is_no_room_for_waits() -> None:
    rounds = Rounds()
    rounds.rooms([STANDUP], {}, 0.0)
    looked(rounds, unwatched("ann", "ben"), 0.0)
    rounds.rooms([STANDUP], {}, 10.0)
    assert looked(rounds, unwatched("ann", "ben"), 10.0, 1) == ["ann"]
    assert rounds.unwatched == 1
    rounds.rooms([STANDUP], {}, 15.0)
    assert looked(rounds, unwatched("ben"), 15.0, 0) == []
    assert not rounds.pressing  # a full worker need not hurry
    rounds.rooms([STANDUP], {}, 20.0)
    assert looked(rounds, unwatched("ben"), 20.0) == ["ben"]


def test_a_crowd_is_adopted_bit_by_bit() -> None:
    names = [f"p{n}" for n in range(ADOPTIONS_A_ROUND + 20)]
    rounds = Rounds()
    rounds.rooms([STANDUP], {}, 0.0)
    looked(rounds, unwatched(*names), 0.0)
    rounds.rooms([STANDUP], {}, 10.0)
    assert looked(rounds, unwatched(*names), 10.0) == names[:ADOPTIONS_A_ROUND]
    assert rounds.pressing


def test_an_administrators_wish_stands_until_the_room_is_another() -> None:
    rounds = Rounds()
    rounds.removed("RM_1")
    assert rounds.rooms([STANDUP], {}, 0.0) == []
    assert rounds.rooms([RoomCount("standup", "RM_2", 2)], {}, 1.0) == ["standup"]


def test_a_question_without_an_answer_is_asked_again_in_the_next_round() -> None:
    """A server that is busy as a crowd comes must not leave the crowd unwatched for a minute."""
    rounds = Rounds()
    rounds.rooms([STANDUP], {}, 0.0)
    looked(rounds, unwatched("ann"), 0.0)
    rounds.rooms([STANDUP], {}, 2.0)
    rounds.unanswered("standup", 2.0)
    assert rounds.unwatched == 1, "nobody watches her yet, as far as is known"
    assert rounds.rooms([STANDUP], {}, 2.0 + ROUND_S) == ["standup"]
    assert looked(rounds, unwatched("ann"), 2.0 + ROUND_S) == ["ann"]


def test_rooms_of_others_cost_little() -> None:
    rounds = Rounds()
    others = [RoomCount(f"room{n}", f"RM_{n}", n) for n in range(120)]
    first = rounds.rooms(others, {}, 0.0)
    assert len(first) == LOOKS_A_ROUND
    assert rounds.pressing
    for name in first:
        rounds.nothing(name, 0.0)
    second = rounds.rooms(others, {}, 1.0)
    assert not set(first) & set(second)
    for name in second:
        rounds.nothing(name, 1.0)
    busier = [RoomCount(room.name, room.sid, room.participants + 1) for room in others]
    third = rounds.rooms(busier, {}, 5.0)
    assert len(third) == 20
    for name in third:
        rounds.nothing(name, 5.0)
    assert set(rounds.rooms(busier, {}, ELSEWHERE_S)) >= set(first)


def test_after_a_registration_every_room_is_looked_at_a_few_at_a_time() -> None:
    """A dispatch that was made while the worker was away has changed no count, so whom it is for
    would go unwatched for a minute."""
    rounds = Rounds()
    rooms = [RoomCount(f"room{n}", f"RM_{n}", 2) for n in range(LOOKS_A_ROUND + 10)]
    for now in (0.0, 1.0):
        for name in rounds.rooms(rooms, {}, now):
            if name == "room0":
                rounds.looked(name, Judgement(), now, allowed=1000, adopted=[])
            else:
                rounds.nothing(name, now)
    assert rounds.rooms(rooms, {}, 6.0) == []
    rounds.registered(10.0)
    first = rounds.rooms(rooms, {}, 10.0)
    assert len(first) == LOOKS_A_ROUND
    assert rounds.pressing
    for name in first:
        rounds.nothing(name, 10.0)
    assert {*first, *rounds.rooms(rooms, {}, 11.0)} == {room.name for room in rooms}


def test_the_grace_does_not_begin_anew_when_others_are_to_adopt_in_between() -> None:
    """A worker that is full now and then would put it off for ever."""
    rounds = Rounds()
    rounds.rooms([STANDUP], {}, 0.0)
    assert looked(rounds, unwatched("ann"), 0.0) == []
    assert looked(rounds, Judgement(unwatched={Key("AD_1", "ann")}), GRACE_S / 2) == []
    assert rounds.unwatched == 0, "they count with whoever is to adopt them"
    assert looked(rounds, unwatched("ann"), GRACE_S) == ["ann"]
