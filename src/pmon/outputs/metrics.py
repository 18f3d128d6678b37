"""Prometheus metrics, without room or identity labels: those grow without bound and name people."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Collection
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from pmon.monitor.events import AnyEvent, IssueRaised
from pmon.monitor.people import Person


class Metrics:
    """The worker's own registry, so that two workers in one process do not share figures.

    One that does not ``reconcile`` does not know who is unwatched, and says nothing of it.
    """

    def __init__(self, *, reconcile: bool = True) -> None:
        # They double the time series, and nobody reads them.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._participants = Gauge(
            "pmon_participants",
            "Watched participants who are in their room, by kind.",
            ["kind"],
            registry=self._registry,
        )
        self._unwatched = Gauge(
            "pmon_participants_unwatched",
            "Participants whom a dispatch asks to watch, and nobody does; theirs are adopted.",
            registry=self._registry if reconcile else None,
        )
        self._speaking = Gauge(
            "pmon_speaking", "Watched participants who speak now.", registry=self._registry
        )
        self._quality = Gauge(
            "pmon_connection_quality",
            "Watched participants by the server's verdict (quality) and by kind.",
            ["quality", "kind"],
            registry=self._registry,
        )
        self._issues_open = Gauge(
            "pmon_issues_open",
            "Watched participants who have such an issue now, by issue and kind.",
            ["issue", "kind"],
            registry=self._registry,
        )
        self._issues_raised = Counter(
            "pmon_issues_raised",
            "Issues that were raised, by issue.",
            ["issue"],
            registry=self._registry,
        )
        self._dropped = Counter(
            "pmon_output_dropped",
            "Events that an output could not deliver and never will, by output.",
            ["output"],
            registry=self._registry,
        )
        self._dropped_before: dict[str, int] = {}
        self._rooms = Gauge("pmon_rooms", "Rooms with a session.", registry=self._registry)
        self._jobs = Counter(
            "pmon_jobs",
            "Jobs by what became of them (result).",
            ["result"],
            registry=self._registry,
        )
        self._events = Counter("pmon_events", "Events by type.", ["type"], registry=self._registry)
        self._lost = Counter(
            "pmon_sdk_events_lost",
            "Events of the SDK that a stuck media process did not take; it is replaced.",
            registry=self._registry,
        )
        self._listening = Gauge(
            "pmon_listening",
            "Watched microphones that are on, by mode: decoded now (heard), or resting.",
            ["mode"],
            registry=self._registry,
        )
        self._overdue = Gauge(
            "pmon_microphones_overdue",
            "Watched microphones that nobody has listened to for longer than promised.",
            registry=self._registry,
        )
        self._load = Gauge(
            "pmon_process_load",
            "CPU of a process in cores, by process: main and the media processes.",
            ["process"],
            registry=self._registry,
        )

    def set_listening(self, *, heard: int, resting: int, overdue: int) -> None:
        """Watched microphones that are on: decoded now, and resting on the server's word, and
        those of the latter whose turn to be heard all the same is over.
        """
        self._listening.labels("heard").set(heard)
        self._listening.labels("resting").set(resting)
        self._overdue.set(overdue)

    def set_rooms(self, rooms: int, people: Collection[Person]) -> None:
        """The rooms as they are now, and the watched participants who are in them."""
        self._rooms.set(rooms)
        self._speaking.set(sum(person.speaking for person in people))
        _set(self._participants, Counted((person.kind,) for person in people))
        _set(self._quality, Counted((person.quality, person.kind) for person in people))
        issues = Counted((issue, person.kind) for person in people for issue in person.issues)
        _set(self._issues_open, issues)

    def set_dropped(self, output: str, dropped: int) -> None:
        """How many events an output has lost since the start."""
        before = self._dropped_before.get(output, 0)
        self._dropped_before[output] = dropped
        self._dropped.labels(output).inc(dropped - before)

    def set_unwatched(self, participants: int) -> None:
        """How many nobody watches who should be watched, as of the last looks."""
        self._unwatched.set(participants)

    def set_load(self, process: str, load: float) -> None:
        """The load of one process, named by its role ("main")."""
        self._load.labels(process).set(load)

    def forget_load(self, process: str) -> None:
        """It is gone."""
        self._load.remove(process)

    def sdk_events_lost(self, events: int) -> None:
        """Count what a media process lost of what happened in its rooms."""
        self._lost.inc(events)

    def job(self, result: str) -> None:
        """Count a job, by one of few words for what became of it ("accepted", "declined")."""
        self._jobs.labels(result).inc()

    def event(self, event: AnyEvent) -> None:
        """Count an event."""
        self._events.labels(event.type).inc()
        if isinstance(event, IssueRaised):
            self._issues_raised.labels(event.issue).inc()

    def render(self) -> tuple[bytes, str]:
        """The page that Prometheus scrapes, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


def _set(gauge: Gauge, counted: Counted[Any]) -> None:
    """The whole of a gauge: what is not counted any more is not there any more."""
    gauge.clear()
    for labels, count in counted.items():
        gauge.labels(*labels).set(count)
