"""Prometheus metrics, without room or identity labels: those grow without bound and name people."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from pmon.monitor.events import AnyEvent


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
            "Watched participants who are in their room.",
            ["kind"],
            registry=self._registry,
        )
        self._unwatched = Gauge(
            "pmon_participants_unwatched",
            "Participants whom a dispatch asks to watch, and nobody does; theirs are adopted.",
            registry=self._registry if reconcile else None,
        )
        self._rooms = Gauge("pmon_rooms", "Rooms with a session.", registry=self._registry)
        self._jobs = Counter(
            "pmon_jobs", "Jobs by what became of them.", ["result"], registry=self._registry
        )
        self._events = Counter("pmon_events", "Events by type.", ["type"], registry=self._registry)
        self._lost = Counter(
            "pmon_sdk_events_lost",
            "Events of the SDK that a stuck media process did not take; it is replaced.",
            registry=self._registry,
        )
        self._listening = Gauge(
            "pmon_listening",
            "Watched microphones by whether they are decoded now.",
            ["mode"],
            registry=self._registry,
        )
        self._load = Gauge(
            "pmon_process_load",
            "CPU of a process in cores.",
            ["process"],
            registry=self._registry,
        )

    def set_listening(self, *, heard: int, resting: int) -> None:
        """Watched microphones that are on: decoded now, and resting on the server's word."""
        self._listening.labels("heard").set(heard)
        self._listening.labels("resting").set(resting)

    def set_rooms(self, rooms: int, participants: Mapping[str, int]) -> None:
        """The rooms as they are now, and their watched participants by kind."""
        self._rooms.set(rooms)
        self._participants.clear()
        for kind, count in participants.items():
            self._participants.labels(kind).set(count)

    def set_unwatched(self, participants: int) -> None:
        """How many nobody watches who should be watched, as of the last looks."""
        self._unwatched.set(participants)

    def set_load(self, process: str, load: float) -> None:
        """The load of one process, named by its role ("main")."""
        self._load.labels(process).set(load)

    def sdk_events_lost(self, events: int) -> None:
        """Count what a media process lost of what happened in its rooms."""
        self._lost.inc(events)

    def job(self, result: str) -> None:
        """Count a job, by one of few words for what became of it ("accepted", "declined")."""
        self._jobs.labels(result).inc()

    def event(self, event: AnyEvent) -> None:
        """Count an event."""
        self._events.labels(event.type).inc()

    def render(self) -> tuple[bytes, str]:
        """The page that Prometheus scrapes, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
