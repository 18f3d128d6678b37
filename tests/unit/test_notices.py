"""Notices: the right people are told each change once, newest state first, and not too often."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from event_samples import TIME
from hypothesis import given
from hypothesis import strategies as st
from noticed_room import SILENT, Room

from pmon.metadata import NotificationPreferences, RecipientsByAlert
from pmon.outputs.notices import PER_S, SENDS, Packet, shapes

# --- the messages


def test_welcome() -> None:
    """The participant is told that they are watched: the consent notice."""
    room = Room("alice", "bob")
    room.watch("alice", NotificationPreferences())
    room.connects("alice")
    [(message, to)] = room.due()
    assert to == ["alice"]
    assert message.pop("message")
    assert message == {
        "type": "participant_monitoring",
        "action": "welcome",
        "participant": "alice",
        "timestamp": TIME.timestamp(),
    }


def test_speaking() -> None:
    room = Room("alice", "bob", "carol")
    room.watch("alice")
    room.starts("alice")
    [(message, to)] = room.due()
    assert to == ["bob", "carol"]
    assert message == {
        "type": "speaking_detection",
        "participant": "alice",
        "speaking": True,
        "timestamp": TIME.timestamp(),
    }
    room.stops("alice")
    [(message, _)] = room.due()
    assert message["speaking"] is False


def test_connection_quality() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.quality("alice", "excellent", "poor")
    [(message, to)] = room.due()
    assert to == ["bob"]
    assert message == {
        "type": "connection_quality",
        "participant": "alice",
        "quality": "poor",
        "previous": "excellent",
        "timestamp": TIME.timestamp(),
    }


# --- who


@pytest.mark.parametrize(
    ("recipients", "speaking_goes_to"),
    [
        ("others", ["bob", "carol"]),
        ("participant", ["alice"]),
        ("all", ["alice", "bob", "carol"]),
        ("none", []),
        (RecipientsByAlert(speaking_alerts="participant"), ["alice"]),
    ],
)
def test_recipients(recipients: Any, speaking_goes_to: list[str]) -> None:
    room = Room("alice", "bob", "carol")
    room.watch("alice", NotificationPreferences(welcome=False, recipients=recipients))
    room.starts("alice")
    assert [to for _, to in room.due()] == ([speaking_goes_to] if speaking_goes_to else [])


def test_agents_get_nothing() -> None:
    """Other agents would take notices for participants' data."""
    room = Room("alice", "bob")
    room.notices.joined("agent-1", True, room.now)
    room.watch("alice")
    room.starts("alice")
    assert [to for _, to in room.due()] == [["bob"]]


def test_nobody_to_tell_is_no_packet() -> None:
    """LiveKit takes an empty list of destinations for the whole room."""
    room = Room("alice")
    room.notices.joined("agent-1", True, room.now)
    room.watch("alice")
    room.starts("alice")
    assert room.due() == []


def test_nothing_when_switched_off() -> None:
    room = Room("alice", "bob", enabled=False)
    room.watch("alice", NotificationPreferences(recipients="all"))
    room.connects("alice")
    room.starts("alice")
    assert room.due() == []


def test_each_alert_can_be_switched_off() -> None:
    room = Room("alice", "bob")
    room.watch(
        "alice",
        NotificationPreferences(welcome=False, speaking_alerts=False, quality_alerts=True),
    )
    room.connects("alice")
    room.starts("alice")
    room.quality("alice", "good", "poor")
    assert [message["type"] for message, _ in room.due()] == ["connection_quality"]


def test_whoever_left_is_not_told() -> None:
    room = Room("alice", "bob", "carol")
    room.watch("alice")
    room.starts("alice")
    room.notices.left("carol")
    assert [to for _, to in room.due()] == [["bob"]]


# --- the welcome


def test_the_welcome_waits_until_the_participant_can_receive_it() -> None:
    """Data sent to a participant who is still joining is lost."""
    room = Room()
    room.watch("alice", NotificationPreferences())
    room.connects("alice")
    assert room.due() == []
    room.notices.joined("alice", False, room.now)
    assert [to for _, to in room.due()] == [["alice"]]


def test_a_participant_who_is_not_monitored_is_not_welcomed() -> None:
    """Whoever opted out is in the room, but their session never says so."""
    room = Room("alice")
    room.watch("alice", NotificationPreferences())
    assert room.due() == []


def test_no_second_welcome_in_the_same_session() -> None:
    """Neither after a reconnect nor when the rejoin's new job continues the session."""
    room = Room("alice")
    room.watch("alice", NotificationPreferences())
    room.connects("alice")
    assert len(room.due()) == 1
    room.notices.left("alice")
    room.watch("alice", NotificationPreferences())
    room.notices.joined("alice", False, room.now)
    room.connects("alice")
    assert room.due(after_s=5) == []


def test_no_second_welcome_after_another_process_has_said_it() -> None:
    room = Room("alice")
    room.notices.session("PS_alice", "alice", NotificationPreferences(), welcomed=True)
    room.connects("alice")
    assert room.due(after_s=5) == []


def test_a_welcome_that_was_not_sent_in_time_comes_after_the_rejoin() -> None:
    room = Room("alice", "blocker", "bob")
    room.watch("alice", NotificationPreferences())
    room.block()
    room.connects("alice")
    room.notices.left("alice")
    assert room.due(after_s=5) == []
    room.notices.joined("alice", False, room.now)
    room.connects("alice")
    told = [(message["type"], to) for message, to in room.due()]
    assert told == [("participant_monitoring", ["alice"]), ("snapshot", ["alice"])]


def test_two_sessions_of_one_participant_welcome_once() -> None:
    room = Room("alice")
    room.watch("alice", NotificationPreferences(), "s1")
    room.watch("alice", NotificationPreferences(), "s2")
    room.connects("alice", "s1")
    room.connects("alice", "s2")
    assert len(room.due()) == 1
    room.watch("alice", NotificationPreferences(), "s3")
    room.connects("alice", "s3")
    assert room.due(after_s=5) == []


def test_a_later_monitoring_welcomes_again() -> None:
    """Consent to one meeting is not consent to the next."""
    room = Room("alice")
    room.watch("alice", NotificationPreferences(), "s1")
    room.connects("alice", "s1")
    assert len(room.due()) == 1
    room.ends("alice", "s1")
    room.watch("alice", NotificationPreferences(), "s2")
    room.connects("alice", "s2")
    assert len(room.due(after_s=5)) == 1


# --- each change once


def test_two_sessions_of_one_participant_tell_each_change_once() -> None:
    room = Room("alice", "bob", "carol")
    to_self = NotificationPreferences(welcome=False, recipients="participant")
    room.watch("alice", SILENT, "s1")
    room.watch("alice", to_self, "s2")
    room.starts("alice", "s1")
    room.starts("alice", "s2")
    assert [to for _, to in room.due()] == [["alice", "bob", "carol"]]
    room.stops("alice", "s2")
    assert len(room.due(after_s=5)) == 1
    room.stops("alice", "s1")
    assert room.due(after_s=5) == []


def test_a_session_that_wants_no_notices_triggers_none() -> None:
    room = Room("alice", "bob")
    room.watch("alice", NotificationPreferences(speaking_alerts=False), "s1")
    room.watch("alice", SILENT, "s2")
    room.starts("alice", "s1")
    assert room.due() == []
    room.starts("alice", "s2")
    assert len(room.due()) == 1


def test_a_stop_without_a_start_says_nothing() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.stops("alice")
    assert room.due() == []


def test_unknown_quality_says_nothing() -> None:
    """A reconnect makes everyone's quality unknown; that is no news for the room."""
    room = Room("alice", "bob")
    room.watch("alice")
    room.quality("alice", "unknown", "excellent")
    assert len(room.due()) == 1
    room.quality("alice", "excellent", "unknown")
    room.quality("alice", "unknown", "excellent")
    assert room.due(after_s=5) == []
    room.quality("alice", "excellent", "unknown")
    room.quality("alice", "unknown", "poor")
    [(message, _)] = room.due()
    assert (message["previous"], message["quality"]) == ("excellent", "poor")


def test_the_end_of_the_last_session_ends_the_turn() -> None:
    """Otherwise clients show somebody as speaking for ever."""
    room = Room("alice", "bob")
    room.watch("alice", SILENT, "s1")
    room.watch("alice", SILENT, "s2")
    room.starts("alice", "s1")
    assert len(room.due()) == 1
    room.ends("alice", "s1")
    assert room.due(after_s=5) == []
    room.ends("alice", "s2")
    [(message, to)] = room.due()
    assert (message["speaking"], to) == (False, ["bob"])


@pytest.mark.parametrize(("ends", "left", "to"), [("s1", "s2", "alice"), ("s2", "s1", "bob")])
def test_the_notices_of_one_session_outlive_the_other(ends: str, left: str, to: str) -> None:
    """Both are found by their participant; only the one that ended may be forgotten."""
    room = Room("alice", "bob")
    room.watch("alice", SILENT, "s1")
    room.watch("alice", NotificationPreferences(welcome=False, recipients="participant"), "s2")
    room.starts("alice", "s1")
    assert [recipients for _, recipients in room.due()] == [["alice", "bob"]]
    room.ends("alice", ends)
    assert room.due(1) == [], "she speaks on"
    room.stops("alice", left)
    [(message, recipients)] = room.due(1)
    assert (message["speaking"], recipients) == (False, [to])
    room.quality("alice", "excellent", "poor", left)
    [(message, recipients)] = room.due(1)
    assert (message["quality"], recipients) == ("poor", [to])
    room.starts("alice", ends)
    assert room.due(1) == [], "that session is over"


def test_events_of_unknown_sessions_are_ignored() -> None:
    room = Room("alice", "bob")
    room.starts("alice", "other")
    room.ends("alice", "other")
    assert room.due() == []


def test_who_opted_out_is_welcomed_once_they_opt_in_again() -> None:
    """The welcome says that one is measured, which must be true."""
    room = Room("alice")
    room.opted_out.add("alice")
    room.watch("alice", NotificationPreferences())
    room.connects("alice")
    assert room.due() == []
    room.opted_out.clear()
    for sid in ("TR_1", "TR_2"):
        room.publishes("alice", sid)
    assert [(m["action"], to) for m, to in room.due()] == [("welcome", ["alice"])]


def test_who_opts_out_while_the_welcome_waits_gets_none() -> None:
    room = Room("alice", "blocker")
    room.watch("alice", NotificationPreferences())
    room.block()
    room.connects("alice")
    room.opted_out.add("alice")
    assert room.due(after_s=5) == []


# --- not too often


def test_a_room_gets_two_packets_a_second() -> None:
    room = Room(*(f"p{n}" for n in range(10)))
    for n in range(10):
        room.watch(f"p{n}")
        room.starts(f"p{n}")
    began, sent = room.now, []
    for after_s in [0.0] + [0.25] * 24:
        due = room.due(after_s)
        sent += [(room.now - began, message["participant"]) for message, _ in due]
    assert [who for _, who in sent] == [f"p{n}" for n in range(10)]
    assert [at for at, _ in sent] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_change_waits_for_the_second_to_be_over() -> None:
    room = Room("alice", "bob", "blocker")
    room.watch("alice")
    room.block()
    room.starts("alice")
    assert room.due(after_s=PER_S - 0.01) == []
    assert len(room.due(after_s=0.01)) == 1


def test_a_send_counts_from_when_it_is_out() -> None:
    """After one that took long to get out there is one more at once, and then a second's pause."""
    room = Room(*(f"p{n}" for n in range(3)))
    for n in range(3):
        room.watch(f"p{n}")
        room.starts(f"p{n}")
    assert room.notices.due(room.now)
    room.notices.sent(room.now + 0.9)
    assert room.notices.due(room.now + 0.9)
    room.notices.sent(room.now + 0.9)
    assert room.due(after_s=PER_S) == []
    assert len(room.due(after_s=0.9)) == 1


def test_what_flipped_back_while_it_waited_is_not_told() -> None:
    room = Room("alice", "bob", "blocker")
    room.watch("alice")
    room.block()
    room.starts("alice")
    room.quality("alice", "good", "poor")
    room.stops("alice")
    room.quality("alice", "poor", "good")
    assert room.due(after_s=5) == []


def test_while_waiting_the_newest_state_wins() -> None:
    room = Room("alice", "bob", "blocker")
    room.watch("alice")
    room.block()
    room.quality("alice", "excellent", "good")
    room.quality("alice", "good", "lost")
    [(message, _)] = room.due(after_s=5)
    assert (message["previous"], message["quality"]) == ("excellent", "lost")


def test_what_changes_again_and_again_keeps_its_place() -> None:
    """At the end of the queue each time, it would never be told."""
    room = Room(*(f"p{n}" for n in range(10)), "blocker")
    room.watch("p0")
    room.block()
    room.quality("p0", "excellent", "good")
    for n in range(1, 10):
        room.watch(f"p{n}")
        room.starts(f"p{n}")
    room.quality("p0", "good", "poor")
    assert [message["participant"] for message, _ in room.due(after_s=1)] == ["p0", "p1"]


def test_many_welcomes_do_not_hold_up_changes() -> None:
    """In a full room the welcomes alone take minutes at two a second."""
    room = Room(*(f"p{n}" for n in range(100)))
    for n in range(100):
        room.watch(f"p{n}", NotificationPreferences())
        room.connects(f"p{n}")
    room.starts("p7")
    assert {message["type"] for message, _ in room.due()} == {
        "participant_monitoring",
        "speaking_detection",
    }


steps = st.lists(
    st.tuples(
        st.sampled_from(["starts", "stops", "joined", "left", "watch", "ends", "connects"]),
        st.sampled_from(["alice", "bob", "carol"]),
        st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    ),
    max_size=60,
)


@given(steps)
def test_in_any_order_the_rules_hold(steps: list[tuple[str, str, float]]) -> None:
    """Never too often, never to nobody, never to the absent, states alternate."""
    room = Room()
    present: set[str] = set()
    sent: list[tuple[float, Packet]] = []
    for what, identity, pause in steps:
        room.now += pause
        match what:
            case "joined":
                room.notices.joined(identity, False, room.now)
                present.add(identity)
            case "left":
                room.notices.left(identity)
                present.discard(identity)
            case "watch":
                room.watch(identity, NotificationPreferences(recipients="all"))
            case _:
                getattr(room, what)(identity)
        for packet in room.take():
            assert packet.destination_identities
            assert present.issuperset(packet.destination_identities)
            sent.append((room.now, packet))
    for (earlier, _), (later, _) in zip(sent, sent[SENDS:], strict=False):
        assert later - earlier >= PER_S - 1e-9


@given(st.lists(st.tuples(st.sampled_from(["starts", "stops"]), st.floats(0, 1)), max_size=40))
def test_told_states_alternate_and_end_true(steps: list[tuple[str, float]]) -> None:
    """Whatever was left out on the way, the last word is what is so."""
    room = Room("alice", "bob")
    room.watch("alice")
    told = [False]
    for what, pause in steps:
        getattr(room, what)("alice")
        told += [message["speaking"] for message, _ in room.due(pause)]
    told += [message["speaking"] for message, _ in room.due(10)]
    assert all(a != b for a, b in itertools.pairwise(told))
    assert told[-1] == bool(steps and steps[-1][0] == "starts")


def test_a_turn_that_another_process_told_of_is_ended_by_this_one() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    assert room.due() == []
    speaks = shapes.SpeakingDetection(participant="alice", timestamp=1.0, speaking=True)
    room.notices.resume("s-alice", [speaks])
    room.stops("alice")
    assert [m["speaking"] for m, _ in room.due()] == [False]
