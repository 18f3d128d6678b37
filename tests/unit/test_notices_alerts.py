"""Notices of videos, microphones, issues and talk time: the right alert, each change once."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import pytest
from event_samples import TIME, every_type
from noticed_room import LATER, SILENT, Room

from pmon.metadata import Alert, NotificationPreferences, RecipientsByAlert
from pmon.monitor.events import IssueKind
from pmon.outputs.notices.facts import ISSUES

TALKS = NotificationPreferences(welcome=False, talk_time_alerts=True)


def only(alert: str, **more: Any) -> NotificationPreferences:
    switches: Any = {name: name == alert for name in get_args(Alert)}
    return NotificationPreferences(**switches, **more)


# --- videos


def test_a_video_that_freezes_and_goes_on() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.video("alice", "unknown", "live")
    assert room.due() == [], "videos are live until something else is said"
    room.video("alice", "live", "frozen")
    [(message, to)] = room.due()
    assert to == ["bob"]
    assert message == {
        "type": "video_state",
        "participant": "alice",
        "track_sid": "TR_V",
        "state": "frozen",
        "previous": "live",
        "timestamp": TIME.timestamp(),
    }
    room.video("alice", "frozen", "live")
    [(message, _)] = room.due()
    assert (message["previous"], message["state"]) == ("frozen", "live")


def test_what_nobody_sees_is_not_told() -> None:
    """While the monitor reconnects a video is unknown, which is no news for the room."""
    room = Room("alice", "bob")
    room.watch("alice")
    room.video("alice", "live", "frozen")
    assert len(room.due()) == 1
    room.video("alice", "frozen", "unknown")
    room.video("alice", "unknown", "frozen")
    assert room.due(5) == []
    room.video("alice", "frozen", "unknown")
    room.video("alice", "unknown", "live")
    [(message, _)] = room.due(5)
    assert (message["previous"], message["state"]) == ("frozen", "live")


def test_the_end_of_a_frozen_video_is_told_and_that_of_a_live_one_is_not() -> None:
    """Clients would show the one as frozen for ever; of the other they hear from LiveKit."""
    room = Room("alice", "bob")
    room.watch("alice")
    room.video("alice", "live", "ended", "TR_1")
    room.video("alice", "live", "frozen", "TR_2")
    assert len(room.due()) == 1
    room.video("alice", "frozen", "ended", "TR_2")
    assert [(m["track_sid"], m["state"]) for m, _ in room.due(5)] == [("TR_2", "ended")]


def test_two_videos_of_one_participant_are_told_apart() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.video("alice", "live", "frozen", "TR_1")
    room.video("alice", "live", "muted", "TR_2")
    told = {m["track_sid"]: m["state"] for m, _ in room.due()}
    assert told == {"TR_1": "frozen", "TR_2": "muted"}


# --- issues


def test_an_issue_from_its_begin_to_its_end() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.raises("alice", "mic_silent")
    [(message, to)] = room.due()
    assert to == ["bob"]
    assert message == {
        "type": "issue",
        "participant": "alice",
        "issue": "mic_silent",
        "action": "raised",
        "severity": "warning",
        "track_sid": None,
        "since": (TIME - LATER).timestamp(),
        "duration_s": None,
        "timestamp": TIME.timestamp(),
    }
    room.worsens("alice", "mic_silent")
    [(message, _)] = room.due()
    assert (message["action"], message["severity"]) == ("updated", "critical")
    room.resolves("alice", "mic_silent")
    [(message, _)] = room.due(5)
    assert (message["action"], message["duration_s"]) == ("resolved", 9.0)
    assert message["since"] == (TIME - LATER).timestamp()


@pytest.mark.parametrize(
    ("alert", "issue"),
    [
        ("quality_alerts", "connection_poor"),
        ("video_alerts", "video_frozen"),
        ("video_alerts", "video_low_fps"),
        ("video_alerts", "track_dry"),
        ("mic_alerts", "mic_silent"),
        ("mic_alerts", "mic_quiet"),
        ("mic_alerts", "mic_noisy"),
        ("mic_alerts", "mic_clipping"),
        ("speaking_alerts", "participant_idle"),
    ],
)
def test_each_issue_belongs_to_one_alert(alert: Alert, issue: str) -> None:
    """It goes where that alert goes, and nowhere when that is off."""
    room = Room("alice", "bob")
    nobody: Any = {name: "none" for name in get_args(Alert) if name != alert}
    recipients = RecipientsByAlert(**nobody)
    room.watch("alice", NotificationPreferences(welcome=False, recipients=recipients))
    room.raises("alice", issue)
    assert [m["issue"] for m, _ in room.due()] == [issue]
    room = Room("alice", "bob")
    room.watch("alice", NotificationPreferences(welcome=False, **{alert: False}))  # type: ignore[arg-type]
    room.raises("alice", issue)
    assert room.due() == []


def test_every_issue_has_an_alert_but_one_that_is_nobodys_in_the_room() -> None:
    """A new kind of issue must not be forgotten here."""
    assert set(get_args(IssueKind)) - set(ISSUES) == {"session_long"}
    room = Room("alice", "bob")
    room.watch("alice")
    room.raises("alice", "session_long")
    room.resolves("alice", "session_long")
    assert room.due() == []


def test_an_issue_that_two_sessions_have_is_over_when_neither_has_it() -> None:
    """They may judge by different thresholds, and one may end long before the other."""
    room = Room("alice", "bob")
    room.watch("alice", SILENT, "s1")
    room.watch("alice", SILENT, "s2")
    room.raises("alice", "connection_poor", "s1")
    room.raises("alice", "connection_poor", "s2")
    assert [m["action"] for m, _ in room.due()] == ["raised"]
    room.resolves("alice", "connection_poor", "s1")
    room.ends("alice", "s1")
    assert room.due(5) == []
    room.resolves("alice", "connection_poor", "s2")
    assert [m["action"] for m, _ in room.due(5)] == ["resolved"]


def test_the_end_of_what_was_never_told_is_not_told() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.resolves("alice", "mic_silent")
    assert room.due() == []


def test_while_it_waits_an_issue_is_told_as_it_is_by_then() -> None:
    """Raised and worse at once is raised, with the newer severity; raised and over is nothing."""
    room = Room("alice", "bob", "blocker")
    room.watch("alice")
    room.block()
    room.raises("alice", "mic_silent")
    room.worsens("alice", "mic_silent")
    room.raises("alice", "connection_poor")
    room.resolves("alice", "connection_poor")
    told = [(m["issue"], m["action"], m["severity"]) for m, _ in room.due(5)]
    assert told == [("mic_silent", "raised", "critical")]


# --- talk time


def test_talk_time_is_off_unless_asked_for() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.starts("alice")
    room.stops("alice")
    assert room.due() == []


def test_talk_time_is_told_at_the_end_of_a_turn() -> None:
    room = Room("alice", "bob")
    room.watch("alice", only("talk_time_alerts"))
    room.starts("alice")
    assert room.due() == []
    room.stops("alice", turn_s=2.5, talk_s=12.5)
    [(message, to)] = room.due()
    assert to == ["bob"]
    assert message == {
        "type": "talk_time",
        "participant": "alice",
        "turn_s": 2.5,
        "talk_time_s": 12.5,
        "timestamp": TIME.timestamp(),
    }


def test_turns_that_wait_are_one_notice() -> None:
    """Talk time is a sum: the newest says it all."""
    room = Room("alice", "bob", "blocker")
    room.watch("alice", only("talk_time_alerts"))
    room.block()
    for n in range(1, 6):
        room.starts("alice")
        room.stops("alice", talk_s=float(n))
    assert [m["talk_time_s"] for m, _ in room.due(5)] == [5.0]


def test_the_longer_of_two_sessions_tells_the_talk_time() -> None:
    """One dispatch came later and has counted less: the sum must not jump to and fro."""
    room = Room("alice", "bob")
    room.watch("alice", TALKS, "s1")
    room.watch("alice", TALKS, "s2")
    told = []
    for n in range(1, 4):
        for session, before in (("s1", 100.0), ("s2", 0.0)):
            room.stops("alice", session, talk_s=before + n)
        told += [m["talk_time_s"] for m, _ in room.due(5)]
    assert told == [101.0, 102.0, 103.0]
    room.ends("alice", "s1")
    room.stops("alice", "s2", talk_s=4.0)
    assert [m["talk_time_s"] for m, _ in room.due(5)] == [4.0]


# --- all of them


def test_recipients_may_differ_for_each_alert() -> None:
    """Such as: the speaker alone hears of their microphone, everybody else of their picture."""
    room = Room("alice", "bob", "carol")
    recipients = RecipientsByAlert(
        mic_alerts="participant", video_alerts="others", quality_alerts="all"
    )
    room.watch("alice", NotificationPreferences(welcome=False, recipients=recipients))
    room.raises("alice", "mic_silent")
    room.video("alice", "live", "frozen")
    room.quality("alice", "good", "poor")
    to = {message["type"]: to for message, to in room.seconds(3)}
    assert to == {
        "issue": ["alice"],
        "video_state": ["bob", "carol"],
        "connection_quality": ["alice", "bob", "carol"],
    }


def test_each_type_of_event_is_told_as_often_as_something_changes() -> None:
    """And each packet is as the schema has it; of a second monitoring the same."""
    room = Room("alice", "bob")
    everything = NotificationPreferences(talk_time_alerts=True, recipients="all")
    for _ in range(2):
        told: Counter[str] = Counter()
        for event in every_type():
            room.watch("alice", everything, "s1")
            room.notices.event(event, room.now)
            told.update(message["type"] for message, _ in room.seconds(1))
        assert told == {
            "participant_monitoring": 1,
            "speaking_detection": 2,
            "talk_time": 1,
            "connection_quality": 1,
            "video_state": 1,
            "issue": 2,  # the update has the severity that was told
        }
