"""Metrics: the names that dashboards ask for, and no label that names people."""

from __future__ import annotations

import time
from typing import Any, get_args

from event_samples import TIME, every_type
from prometheus_client.parser import text_string_to_metric_families

from pmon.monitor.events import IssueKind
from pmon.monitor.people import Person, people
from pmon.monitor.view import OpenIssue, RoomView, SessionView
from pmon.outputs.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    page, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_every_series() -> None:
    metrics = Metrics()
    poor = Person("sip", poor=True, quality="poor", issues={"connection_poor", "mic_silent"})
    fine = [Person("standard", speaking=n == 0, quality="excellent") for n in range(3)]
    metrics.set_rooms(2, [poor, *fine])
    metrics.set_dropped("webhook", 2)
    metrics.set_dropped("webhook", 5)
    metrics.set_load("supervisor", 0.25)
    metrics.set_listening(heard=4, resting=7, overdue=2)
    metrics.job("accepted")
    metrics.job("accepted")
    metrics.sdk_events_lost(3)
    metrics.set_unwatched(3)
    for event in every_type():
        if event.type in ("session_started", "participant_connected", "issue_raised"):
            metrics.event(event)
    assert samples(metrics) == {
        ("pmon_rooms", ()): 2,
        ("pmon_participants_unwatched", ()): 3,
        ("pmon_participants", (("kind", "standard"),)): 3,
        ("pmon_participants", (("kind", "sip"),)): 1,
        ("pmon_speaking", ()): 1,
        ("pmon_connection_quality", (("kind", "sip"), ("quality", "poor"))): 1,
        ("pmon_connection_quality", (("kind", "standard"), ("quality", "excellent"))): 3,
        ("pmon_issues_open", (("issue", "connection_poor"), ("kind", "sip"))): 1,
        ("pmon_issues_open", (("issue", "mic_silent"), ("kind", "sip"))): 1,
        ("pmon_issues_raised_total", (("issue", "connection_poor"),)): 1,
        ("pmon_output_dropped_total", (("output", "webhook"),)): 5,
        ("pmon_events_total", (("type", "issue_raised"),)): 1,
        ("pmon_process_load", (("process", "supervisor"),)): 0.25,
        ("pmon_listening", (("mode", "heard"),)): 4,
        ("pmon_listening", (("mode", "resting"),)): 7,
        ("pmon_microphones_overdue", ()): 2,
        ("pmon_jobs_total", (("result", "accepted"),)): 2,
        ("pmon_sdk_events_lost_total", ()): 3,
        ("pmon_events_total", (("type", "session_started"),)): 1,
        ("pmon_events_total", (("type", "participant_connected"),)): 1,
    }


def test_a_kind_that_left_is_not_counted_any_more() -> None:
    metrics = Metrics()
    metrics.set_rooms(1, [Person("sip", quality="poor", issues={"connection_poor"})])
    metrics.set_rooms(1, [Person("standard")])
    assert not any("sip" in dict(labels).values() for _, labels in samples(metrics))
    assert samples(metrics).get(("pmon_participants", (("kind", "sip"),)), 0) == 0


def test_no_label_names_a_room_or_a_person() -> None:
    metrics = Metrics()
    for event in every_type("alice"):
        metrics.event(event)
    page, _ = metrics.render()
    assert b"alice" not in page
    assert b"room-1" not in page


def test_two_workers_in_one_process_do_not_share_figures() -> None:
    one, two = Metrics(), Metrics()
    one.job("accepted")
    assert ("pmon_jobs_total", (("result", "accepted"),)) not in samples(two)


def test_who_does_not_look_says_nothing_of_the_unwatched() -> None:
    """A 0 would say that all is well."""
    name = b"pmon_participants_unwatched"
    assert name in Metrics().render()[0]
    assert name not in Metrics(reconcile=False).render()[0]


def session(participant: str, **changes: Any) -> SessionView:
    defaults: dict[str, Any] = {
        "session": "PS_1",
        "job": "AJ_1",
        "dispatch": "AD_1",
        "participant": participant,
        "participant_kind": "standard",
        "since": TIME,
        "present": True,
    }
    return SessionView(**(defaults | changes))


def issues(kind: IssueKind) -> list[OpenIssue]:
    return [OpenIssue(issue=kind, severity="warning", since=TIME)]


def test_a_person_counts_once_with_the_worst_of_their_sessions() -> None:
    rooms = [
        RoomView(room=name, room_sid="", connected=True, time=TIME, sessions=sessions)
        for name, sessions in {
            "a": [
                session("ann", quality="good", issues=issues("mic_quiet")),
                session("ann", quality="poor", speaking=True, issues=issues("connection_poor")),
                session("ann", quality="unknown", poor=True),
                session("bob", present=False, speaking=True),
            ],
            "b": [session("ann", quality="excellent")],
        }.items()
    ]
    assert people(rooms) == [
        Person("standard", True, True, "poor", {"mic_quiet", "connection_poor"}),
        Person("standard", quality="excellent"),
    ]


def test_a_thousand_people_make_no_large_page_and_cost_no_time() -> None:
    """A scrape must not delay the loop, and a label too many would show here first."""
    rooms = [
        RoomView(
            room=f"room-{number}",
            room_sid="",
            connected=True,
            time=TIME,
            sessions=[
                session(
                    f"participant-{number}-{place}",
                    participant_kind=("standard", "sip", "agent")[place % 3],
                    quality=("excellent", "good", "poor", "lost", "unknown")[place % 5],
                    speaking=place % 7 == 0,
                    issues=issues(get_args(IssueKind)[place % 10]),
                )
                for place in range(50)
            ],
        )
        for number in range(20)
    ]
    metrics = Metrics()
    for event in every_type():
        metrics.event(event)
    took_s = []
    for _ in range(5):
        began = time.perf_counter()
        metrics.set_rooms(len(rooms), people(rooms))
        page, _ = metrics.render()
        took_s.append(time.perf_counter() - began)
    assert b'pmon_participants{kind="sip"} 340.0' in page
    assert len(page) < 50_000
    assert min(took_s) < 0.05
