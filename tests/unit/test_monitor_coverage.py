"""Room jobs: everybody in the room is watched, and the job outlives those who leave."""

from __future__ import annotations

from typing import Any

import pytest
from room_driver import Meeting, microphone, person, seconds, wanted

from pmon.monitor import coverage
from pmon.monitor import events as ev
from pmon.monitor.events import ParticipantKind
from pmon.monitor.sessions import EndedJob


@pytest.fixture
def meeting() -> Meeting:
    """Ann and Bob are there, and a room job watches them."""
    meeting = Meeting()
    meeting.room_job("AJ_1")
    meeting.connected(person("ann", microphone("TR_a")), person("bob", microphone("TR_b")))
    return meeting


def leave(meeting: Meeting, identity: str) -> None:
    meeting.monitor.participant_left(identity, "client_initiated", meeting.now)


def come(meeting: Meeting, identity: str, *, sid: str = "", **changes: Any) -> None:
    meeting.monitor.participant_joined(person(identity, sid=sid, **changes), meeting.now)


def names(events: list[Any]) -> list[str]:
    return [event.participant for event in events]


def test_everybody_has_a_session_of_their_own_later_joiners_too(meeting: Meeting) -> None:
    meeting.to(5)
    come(meeting, "carol")
    meeting.to(10)
    started = meeting.of(ev.SessionStarted)
    assert [(e.participant, seconds(e)) for e in started] == [("ann", 0), ("bob", 0), ("carol", 5)]
    assert len({e.session for e in started}) == 3
    assert {e.job for e in meeting.events} == {"AJ_1"}
    assert set(wanted(meeting.monitor)) == {"TR_a", "TR_b"}
    meeting.speak(11, 14, sid="TR_b")
    meeting.monitor.end_job("AJ_1", "job_terminated", meeting.now)
    talk = {e.participant: e.summary.talk_time_s for e in meeting.of(ev.SessionEnded)}
    assert talk == {"ann": 0.0, "bob": 3.0, "carol": 0.0}


def test_a_job_for_a_room_that_is_joined_already_covers_who_is_there(meeting: Meeting) -> None:
    """A second dispatch finds the connection up: nobody is told to have joined any more."""
    meeting.room_job("AJ_2", dispatch="AD_2")
    assert names([e for e in meeting.of(ev.ParticipantConnected) if e.job == "AJ_2"]) == [
        "ann",
        "bob",
    ]


def test_a_rejoin_within_the_timeout_continues_the_session(meeting: Meeting) -> None:
    meeting.speak(1, 3, sid="TR_a")
    meeting.to(10)
    leave(meeting, "ann")
    meeting.to(100)
    come(meeting, "ann", sid="PA_2")
    meeting.to(110)
    assert names(meeting.of(ev.ParticipantConnected)) == ["ann", "bob", "ann"]
    assert len(meeting.of(ev.SessionStarted)) == 2
    assert not meeting.of(ev.SessionEnded)
    assert meeting.ended == []


def test_the_job_goes_on_when_all_have_been_gone_for_the_timeout(meeting: Meeting) -> None:
    leave(meeting, "ann")
    leave(meeting, "bob")
    meeting.to(400)
    assert [e.reason for e in meeting.of(ev.SessionEnded)] == ["away_timeout"] * 2
    assert meeting.ended == []
    assert meeting.monitor.has_jobs
    assert not meeting.monitor.participants
    come(meeting, "ann")
    meeting.to(401)
    first, again = (e for e in meeting.of(ev.SessionStarted) if e.participant == "ann")
    assert first.session != again.session


def test_end_on_disconnect_ends_the_session_and_not_the_job() -> None:
    meeting = Meeting()
    meeting.room_job("AJ_1", end_on_disconnect=True)
    meeting.connected(person("ann"), person("bob"))
    leave(meeting, "ann")
    meeting.to(2)
    assert [(e.participant, e.reason) for e in meeting.of(ev.SessionEnded)] == [
        ("ann", "participant_left")
    ]
    come(meeting, "ann", sid="PA_2")
    assert names(meeting.of(ev.SessionStarted)) == ["ann", "bob", "ann"]
    assert meeting.ended == []


@pytest.mark.parametrize(
    ("kind", "watched"),
    [
        ("standard", True),
        ("sip", True),
        ("ingress", True),
        ("connector", True),
        ("bridge", True),
        ("agent", False),
        ("egress", False),
    ],
)
def test_the_kinds_are_those_with_participant_jobs(
    meeting: Meeting, kind: ParticipantKind, watched: bool
) -> None:
    """Another pmon, a bot or a recorder is nobody whose talk time counts."""
    come(meeting, "other", kind=kind)
    assert ("other" in names(meeting.of(ev.SessionStarted))) is watched


def test_who_opted_out_is_counted_only_until_they_opt_in(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(
        person("carol", microphone("TR_c"), attributes={"pmon.monitor": "off"}), 0.0
    )
    assert "TR_c" not in wanted(meeting.monitor)
    assert "carol" in names(meeting.of(ev.SessionStarted))
    assert "carol" not in names(meeting.of(ev.TrackPublished))
    meeting.monitor.attributes_changed("carol", {}, 0.0)
    assert "TR_c" in wanted(meeting.monitor)
    meeting.monitor.attributes_changed("carol", {"pmon.monitor": "off"}, 0.0)
    assert "TR_c" not in wanted(meeting.monitor)


def test_one_dispatch_deleted_leaves_the_other_job_watching(meeting: Meeting) -> None:
    meeting.room_job("AJ_2", dispatch="AD_2")
    meeting.monitor.end_dispatch("AD_1", "dispatch_deleted", meeting.now)
    assert {(e.participant, e.job) for e in meeting.of(ev.SessionEnded)} == {
        ("ann", "AJ_1"),
        ("bob", "AJ_1"),
    }
    assert meeting.ended == [EndedJob("AJ_1")]
    come(meeting, "carol")
    assert [e.job for e in meeting.of(ev.SessionStarted) if e.participant == "carol"] == ["AJ_2"]


def test_a_newer_job_of_the_same_dispatch_takes_all_sessions_over(meeting: Meeting) -> None:
    meeting.to(5)
    meeting.room_job("AJ_2")
    assert meeting.ended == [EndedJob("AJ_1")]
    assert len(meeting.of(ev.SessionStarted)) == 2
    meeting.monitor.end_job("AJ_1", "job_terminated", meeting.now)
    assert not meeting.of(ev.SessionEnded)
    meeting.monitor.end_job("AJ_2", "job_terminated", meeting.now)
    assert {e.job for e in meeting.of(ev.SessionEnded)} == {"AJ_2"}
    assert meeting.ended == [EndedJob("AJ_1"), EndedJob("AJ_2")]


@pytest.mark.parametrize("empty", [True, False])
def test_a_closed_room_ends_the_job(empty: bool) -> None:
    """The job of an empty room has no session that could end it."""
    meeting = Meeting()
    meeting.room_job("AJ_1")
    meeting.connected(*([] if empty else [person("ann")]))
    meeting.monitor.end_all("room_closed", 1.0)
    meeting.collect()
    assert meeting.ended == [EndedJob("AJ_1")]
    assert not meeting.monitor.has_jobs


def test_an_empty_room_ends_no_job() -> None:
    """It may fill again; the server closes it if it does not, and says so."""
    meeting = Meeting()
    meeting.room_job("AJ_1", join_timeout_s=5.0, away_timeout_s=5.0)
    meeting.connected()
    meeting.to(3600)
    assert meeting.ended == []
    come(meeting, "ann")
    assert names(meeting.of(ev.SessionStarted)) == ["ann"]


def test_a_room_that_stays_missing_ends_the_job() -> None:
    """Nobody says that a room is gone which was closed while the connection was down."""
    meeting = Meeting()
    meeting.room_job("AJ_1", away_timeout_s=60.0)
    meeting.connected()
    meeting.monitor.suspend(0.0)
    meeting.to(500)
    assert meeting.ended == []  # the server does not answer: nobody knows
    meeting.monitor.missing(500.0)
    meeting.to(540)
    meeting.monitor.not_missing(540.0)
    meeting.to(1000)
    assert meeting.ended == []
    meeting.monitor.missing(1000.0)
    meeting.monitor.missing(1010.0)
    meeting.to(1019)
    assert meeting.ended == []
    meeting.to(1020)
    assert meeting.ended == [EndedJob("AJ_1")]


def test_a_room_that_is_found_again_starts_the_wait_anew() -> None:
    meeting = Meeting()
    meeting.room_job("AJ_1", away_timeout_s=60.0)
    meeting.monitor.missing(0.0)
    meeting.to(50)
    meeting.monitor.not_missing(50.0)
    meeting.connected()
    meeting.monitor.suspend(50.0)
    meeting.monitor.missing(50.0)
    meeting.to(109)
    assert meeting.ended == []
    meeting.to(110)
    assert meeting.ended == [EndedJob("AJ_1")]


def test_an_outage_of_our_own_begins_no_second_session(meeting: Meeting) -> None:
    meeting.to(10)
    meeting.monitor.suspend(10.0)
    leave(meeting, "ann")
    meeting.to(15)
    meeting.monitor.resumed(15.0)
    come(meeting, "ann", sid="PA_2")
    come(meeting, "carol")
    meeting.to(60)
    assert names(meeting.of(ev.SessionStarted)) == ["ann", "bob", "carol"]
    assert not meeting.of(ev.ParticipantDisconnected)


@pytest.mark.parametrize("joined_first", [True, False])
def test_another_process_goes_on_with_all_and_covers_who_came_since(
    meeting: Meeting, joined_first: bool
) -> None:
    """After a crash the job comes before the connection, when recycling after it."""
    meeting.speak(1, 3, sid="TR_a")
    meeting.to(20)
    there = (
        person("ann", microphone("TR_a")),
        person("bob", microphone("TR_b")),
        person("carol", microphone("TR_c")),
    )
    if joined_first:
        meeting.prepared = there
    other = meeting.handed_over(gap_s=2.0)
    if not joined_first:
        other.connected(*there)
    assert names(other.of(ev.SessionStarted)) == ["carol"]
    assert names(other.of(ev.ParticipantConnected)) == ["carol"]
    other.speak(25, 26, sid="TR_a")
    other.monitor.end_job("AJ_1", "job_terminated", other.now)
    before = {e.participant: e.session for e in meeting.of(ev.SessionStarted)}
    ended = {e.participant: e for e in other.of(ev.SessionEnded)}
    assert {name: ended[name].session for name in before} == before
    assert ended["ann"].summary.talk_time_s == 3.0
    assert ended["ann"].summary.talk_share is None
    assert other.ended == [EndedJob("AJ_1")]


def test_a_job_goes_on_in_another_process_without_any_session() -> None:
    """Talk of those who left before is not known there, so no share of it is told."""
    meeting = Meeting()
    meeting.room_job("AJ_1")
    meeting.connected()
    other = meeting.handed_over(gap_s=1.0)
    other.connected(person("ann", microphone("TR_a")))
    other.speak(2, 4, sid="TR_a")
    other.monitor.end_job("AJ_1", "job_terminated", other.now)
    (ended,) = other.of(ev.SessionEnded)
    assert (ended.summary.talk_time_s, ended.summary.talk_share) == (2.0, None)


def test_two_jobs_of_a_dispatch_hand_over_each_session_once(meeting: Meeting) -> None:
    """The process died before it could say that the newer job had taken over."""
    meeting.to(20)
    other = Meeting()
    other.now = 22.0
    for job in ("AJ_1", "AJ_2"):
        other.room_job(job, states=meeting.states("AJ_1"))
    other.connected(person("ann", microphone("TR_a")), person("bob", microphone("TR_b")))
    other.speak(25, 26, sid="TR_a")
    assert len(other.of(ev.SpeakingStopped)) == 1
    other.monitor.end_job("AJ_2", "job_terminated", other.now)
    assert names(other.of(ev.SessionEnded)) == ["ann", "bob"]
    assert other.ended == [EndedJob("AJ_1"), EndedJob("AJ_2")]
    assert not other.monitor.has_jobs


def test_those_who_come_and_go_do_not_pile_up(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody with tokens for the room could fill the memory; who is there is never dropped."""
    monkeypatch.setattr(coverage, "AWAY_MAX", 3)
    for number in range(8):
        come(meeting, f"guest-{number}")
        meeting.to(meeting.now + 1)
        leave(meeting, f"guest-{number}")
        meeting.to(meeting.now + 3)
    assert [(e.participant, e.reason) for e in meeting.of(ev.SessionEnded)] == [
        (f"guest-{number}", "away_timeout") for number in range(5)
    ]
    assert len(meeting.monitor.participants) == 5
    assert meeting.ended == []
