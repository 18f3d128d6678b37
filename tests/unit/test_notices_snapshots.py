"""Newcomers are told what the others have been told already, in few packets."""

from __future__ import annotations

from event_samples import TIME
from hypothesis import given
from hypothesis import strategies as st
from noticed_room import SILENT, Client, Room

from pmon.metadata import NotificationPreferences, RecipientsByAlert
from pmon.outputs.notices.snapshots import audiences

NAMES = st.sets(st.integers(0, 60).map(lambda n: f"p{n}"))


def busy_room() -> Room:
    """Alice speaks over a bad connection, her picture is frozen, her microphone noisy."""
    room = Room("alice", "bob")
    room.watch("alice")
    room.watch("bob")
    room.starts("alice")
    room.quality("alice", "good", "poor")
    room.video("alice", "live", "frozen")
    room.raises("alice", "mic_noisy")
    assert len(room.seconds(3)) == 4
    return room


def test_a_newcomer_learns_what_stands() -> None:
    room = busy_room()
    room.notices.joined("carol", False, room.now)
    [(message, to)] = room.due(1)
    assert to == ["carol"]
    assert message == {
        "type": "snapshot",
        "timestamp": TIME.timestamp(),
        "participants": [
            {
                "participant": "alice",
                "speaking": True,
                "quality": "poor",
                "videos": [{"track_sid": "TR_V", "state": "frozen"}],
                "issues": [
                    {
                        "issue": "mic_noisy",
                        "severity": "warning",
                        "track_sid": None,
                        "since": TIME.timestamp() - 9,
                    }
                ],
            }
        ],
    }
    assert room.seconds(3) == [], "once"


def test_newcomers_at_the_same_time_share_a_packet() -> None:
    room = busy_room()
    for n in range(50):
        room.notices.joined(f"p{n}", False, room.now)
    [(_, to)] = room.seconds(3)
    assert len(to) == 50


def test_nothing_to_tell_is_no_packet_and_agents_get_none() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.notices.joined("carol", False, room.now)
    assert room.seconds(2) == []
    room = busy_room()
    room.notices.joined("agent-1", True, room.now)
    assert room.seconds(2) == []


def test_who_was_there_all_the_time_is_no_newcomer() -> None:
    """After a short outage the SDK says again who is active, of whom some never left."""
    room = busy_room()
    room.notices.joined("bob", False, room.now)
    assert room.seconds(2) == []


def test_who_comes_back_has_forgotten_everything() -> None:
    """A page that was loaded anew knows nothing."""
    room = busy_room()
    room.notices.left("bob")
    room.notices.joined("bob", False, room.now)
    assert [(m["type"], to) for m, to in room.seconds(2)] == [("snapshot", ["bob"])]


def test_a_newcomer_is_told_only_what_they_would_have_been_told() -> None:
    room = Room("alice", "bob")
    mine = RecipientsByAlert(mic_alerts="participant", speaking_alerts="none")
    room.watch("alice", NotificationPreferences(welcome=False, recipients=mine))
    room.starts("alice")
    room.raises("alice", "mic_noisy")
    room.raises("alice", "connection_poor")
    room.seconds(3)
    room.notices.joined("carol", False, room.now)
    [(message, _)] = room.due(1)
    (person,) = message["participants"]
    assert [issue["issue"] for issue in person["issues"]] == ["connection_poor"]
    assert "speaking" not in person


def test_of_who_opted_out_or_is_not_there_nothing_is_said() -> None:
    room = busy_room()
    room.opted_out.add("alice")
    room.notices.joined("carol", False, room.now)
    assert room.seconds(2) == []
    room.opted_out.clear()
    room.leaves("alice")
    room.notices.joined("dave", False, room.now)
    assert room.seconds(2) == []


def test_who_was_there_before_our_outage_learns_what_is_over() -> None:
    """While all seemed to be gone the end of it was told to nobody; it must not stand for ever."""
    room = busy_room()
    bob = Client()
    bob.of("alice")["mic_noisy"] = "warning"
    for name in ("alice", "bob"):
        room.notices.left(name)
    room.resolves("alice", "mic_noisy")
    room.video("alice", "frozen", "live")
    assert room.due(1) == []
    for name in ("bob", "alice"):
        room.notices.joined(name, False, room.now)
    [message] = [message for message, to in room.seconds(2) if to == ["bob"]]
    bob.take(message)
    assert bob.of("alice") == {"speaking": True, "quality": "poor"}


def test_who_returns_is_told_even_that_there_is_nothing() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    assert room.due() == []
    room.notices.left("bob")
    room.notices.joined("bob", False, room.now)
    [(message, _)] = room.due()
    assert message["participants"] == [{"participant": "alice"}]
    nothing = NotificationPreferences(recipients="participant")
    room.watch("alice", nothing)
    room.notices.left("bob")
    room.notices.joined("bob", False, room.now)
    assert room.seconds(2) == [], "nothing of her is for others"


def test_who_came_back_is_told_of_again_and_not_as_they_were_before() -> None:
    """How the connection is by now, nobody has said yet."""
    room = Room("alice", "bob")
    room.watch("alice")
    room.quality("alice", "good", "poor")
    assert len(room.due()) == 1
    room.leaves("alice")
    room.connects("alice")
    room.starts("alice")
    assert [m["type"] for m, _ in room.seconds(2)] == ["speaking_detection"]
    room.notices.joined("carol", False, room.now)
    [(message, _)] = room.seconds(2)
    assert message["participants"] == [{"participant": "alice", "speaking": True}]


def test_whoever_comes_back_and_speaks_is_told_though_they_spoke_as_they_left() -> None:
    """Clients forget whoever leaves; the end of the turn still waits when the next one begins."""
    room = Room("alice", "bob", "blocker")
    room.watch("alice")
    room.starts("alice")
    room.raises("alice", "mic_noisy")
    assert len(room.due()) == 2
    room.now += 5
    room.block()
    room.stops("alice")
    room.resolves("alice", "mic_noisy")
    room.leaves("alice")
    room.connects("alice")
    room.starts("alice")
    room.raises("alice", "mic_noisy")
    told = {m["type"]: m for m, _ in room.seconds(3) if m.get("participant") == "alice"}
    assert told["speaking_detection"]["speaking"] is True
    assert told["issue"]["action"] == "raised"


def test_what_waits_is_told_after_the_snapshot_and_what_it_cancels_is_not() -> None:
    """Told in advance, a change that is taken back would stand for ever with the newcomer."""
    room = busy_room()
    room.watch("blocker")
    room.block()
    room.quality("alice", "poor", "lost")
    room.notices.joined("carol", False, room.now)
    room.quality("alice", "lost", "poor")
    carol = Client()
    for message, to in room.seconds(3):
        assert "carol" in to
        carol.take(message)
    assert carol.of("alice")["quality"] == "poor"


def test_a_full_room_is_told_in_packets_that_livekit_takes() -> None:
    """``Room.due`` looks at the size of each."""
    room = Room(*(f"participant-number-{n}" for n in range(200)))
    for n in range(200):
        room.watch(f"participant-number-{n}")
        room.raises(f"participant-number-{n}", "mic_noisy")
    assert len(room.seconds(101)) == 200
    room.notices.joined("newcomer", False, room.now)
    carol = Client()
    packets = room.seconds(10)
    for message, to in packets:
        assert to == ["newcomer"]
        carol.take(message)
    assert 1 < len(packets) < 10
    assert len(carol.known) == 200


def test_after_an_outage_a_room_of_100_is_told_in_few_packets() -> None:
    """One for each of them would take a minute, and keep changes waiting."""
    people = [f"p{n}" for n in range(100)]
    room = Room(*people)
    for name in people:
        room.watch(name)
        room.quality(name, "unknown", "good")
    assert len(room.seconds(51)) == 100
    for name in people:
        room.notices.left(name)
    for name in people:
        room.notices.joined(name, False, room.now)
    clients = {name: Client() for name in people}
    packets = room.seconds(20)
    assert len(packets) <= 14
    for message, to in packets:
        for name in to:
            clients[name].take(message)
    for name in people:
        assert set(clients[name].known) == set(people) - {name}


@given(NAMES, NAMES)
def test_everybody_is_told_of_everybody_else(newcomers: set[str], subjects: set[str]) -> None:
    """And nobody of themselves, which their preferences may not want."""
    found = audiences(newcomers, subjects)
    told = {(who, of) for audience in found for who in audience.people for of in audience.subjects}
    assert told == {(who, of) for who in newcomers for of in subjects if who != of}
    assert len(found) <= 2 + 2 * len(newcomers & subjects).bit_length()


def test_talk_time_is_part_of_it_where_it_is_asked_for() -> None:
    room = Room("alice", "bob")
    room.watch("alice", NotificationPreferences(welcome=False, talk_time_alerts=True))
    room.watch("bob", SILENT)
    for name in ("alice", "bob"):
        room.starts(name)
        room.stops(name, talk_s=3.0)
    room.seconds(3)
    room.notices.joined("carol", False, room.now)
    [(message, _)] = room.due(1)
    assert message["participants"] == [{"participant": "alice", "talk_time_s": 3.0}]
