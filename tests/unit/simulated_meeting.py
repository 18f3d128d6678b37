"""Simulated meetings for the listening plan: people, a server, a decoder and a detector.

The server is as its source says: it judges windows of 400 ms, of which two fifths have to be over
-35 dBov, and tells what it found every 400 ms. With DTX the last packet before the speech opens
the window. The first sound comes 75-300 ms after enabling; the detector tells an onset within
150 ms and an end 250 ms late. Speech has pauses of 0.3-0.5 s, which always listening does not bill.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from pmon.monitor.hearing import onset
from pmon.monitor.listening import Change, Listening, Mode
from pmon.monitor.listening.load import Costs

SERVER_LIMIT_DBOV = -35.0
WINDOW_S, ACTIVE_S = 0.4, 0.16
"""Of the server: what it judges and how often it tells; how much of it has to be loud."""
DISABLED_MS, HEARD_MS, HEARD_DTX_MS = 0.65, 5.2, 2.5
"""CPU milliseconds a second of a microphone; the last is heard while its publisher sends DTX."""


@dataclass
class Person:
    room: str
    identity: str
    share: float = 0.02
    """Of the time that they talk."""
    burst_s: float = 6.0
    voice_dbov: float = -22.0
    levels: bool = True
    floor_dbov: float = -60.0
    dtx: bool = True
    muted: bool = False
    segments: list[tuple[float, float]] = field(default_factory=list)
    burst_until: float = 0.0
    truth_s: float = 0.0
    billed_s: float = 0.0
    billed_until: float = 0.0
    talked_s: float = 0.0
    run_from: float | None = None
    opening: int = 0
    was_disabled: bool = False
    open_at: float | None = None
    on_at: float | None = None
    called_at: float | None = None
    heard: list[tuple[float, float]] = field(default_factory=list)
    enabled: list[tuple[float, float]] = field(default_factory=list)
    bursts: list[tuple[float, float]] = field(default_factory=list)
    found_at: float | None = None
    truth_found_s: float = 0.0
    billed_found_s: float = 0.0

    @property
    def sid(self) -> str:
        return f"TR_{self.identity}"

    @property
    def server_hears(self) -> bool:
        return self.levels and self.voice_dbov >= SERVER_LIMIT_DBOV

    @property
    def noisy(self) -> bool:
        return self.floor_dbov >= SERVER_LIMIT_DBOV


Step = Callable[..., None]


class Meeting:
    """Runs people against a plan, from one event to the next; seconds from 0."""

    def __init__(
        self,
        people: list[Person],
        listen: Mode = "adaptive",
        seed: int = 1,
        server_late_s: float = 0.17,
        resume_s: tuple[float, float] = (0.075, 0.3),
    ) -> None:
        self.server_late_s = server_late_s
        """Of a voice that rises, and of the way, as against the way of the sound itself; by default
        so that an onset is told as late as on a real server, 0.57 s on average.
        """
        self.resume_s = resume_s
        self.plan = Listening(listen, "off")
        self.people = {person.sid: person for person in people}
        self.random = random.Random(seed)
        self.now = 0.0
        self.toggled_at: list[float] = []
        self._steps: list[tuple[float, int, Step, tuple[object, ...]]] = []
        self._count = count()
        self._told: set[str] = set()
        self._reopening: set[str] = set()
        """Enabled on the server all the time, so that it is asked for nothing."""
        self._connected = True
        for person in people:
            self._at(0.0, self._join, person)

    def run(self, until: float) -> None:
        while True:
            at = self._steps[0][0] if self._steps else until
            due = self.plan.due()
            if due is not None and due <= min(at, until):
                self.now = max(self.now, due)
            elif at <= until and self._steps:
                self.now, _, step, args = heapq.heappop(self._steps)
                step(*args)
            else:
                break
            for change in self.plan.tick(self.now):
                self._change(change)
        self.now = until

    def measure_load(self) -> None:
        """Tell the plan each second what the process takes, by the plan's own model."""
        self.plan.load(self.now, Costs().model(self.plan.counts()))
        self._later(1.0, self.measure_load)

    def finish(self, until: float) -> None:
        """Run, and close what is open."""
        self.run(until)
        for person in self.people.values():
            self._close(person)

    def blip(self, outage_s: float) -> None:
        """All room connections break, and come back with the tracks that they had."""
        self._connected = False
        self._reopening = {sid for sid, person in self.people.items() if person.on_at is not None}
        for sid, person in self.people.items():
            self._close(person)
            self.plan.suspended(self.now, sid)
        self._later(outage_s, self._reconnected)

    def _reconnected(self) -> None:
        self._connected = True
        for sid in self.people:
            self.plan.resumed(self.now, sid)

    # --- people

    def _join(self, person: Person) -> None:
        self.plan.track_added(
            self.now, person.room, person.identity, person.sid, "audio", muted=person.muted
        )
        if person.noisy:
            self._later(0.3, self._named, person)
        if person.share > 0:
            gap_s = person.burst_s * (1 - person.share) / person.share
            self._later(self.random.uniform(0, 2 * gap_s) + 0.5, self._talk, person)

    def _talk(self, person: Person) -> None:
        """One burst of speech, with pauses in it."""
        end = self.now + person.burst_s * self.random.uniform(0.8, 1.2)
        person.segments = list(self._speech(self.now, end))
        person.burst_until = end
        person.bursts.append((self.now, end))
        spoken_s = sum(b - a for a, b in person.segments)
        person.truth_s += spoken_s
        if person.found_at is not None:
            person.truth_found_s += spoken_s
        if person.open_at is not None:
            self._detect(person)
        if person.server_hears:
            self._later(self._server_lag_s(person), self._named, person)
            if not person.noisy:
                self._at(end + self.random.uniform(0.4, 0.8), self._stopped, person)
        mean_gap_s = person.burst_s * (1 - person.share) / person.share
        self._at(end + self.random.uniform(0.5, 1.5) * mean_gap_s, self._talk, person)

    def _speech(self, start: float, end: float) -> Iterator[tuple[float, float]]:
        while end - start > 2.5:
            stop = start + self.random.uniform(0.8, 2.0)
            yield start, stop
            start = stop + self.random.uniform(0.3, 0.5)
        yield start, end

    # --- the server

    def _server_lag_s(self, person: Person) -> float:
        window_left_s = self.random.uniform(0.0, WINDOW_S)
        if not person.dtx and window_left_s < ACTIVE_S:
            window_left_s += WINDOW_S
        return window_left_s + self.random.uniform(0.0, WINDOW_S) + self.server_late_s

    def _named(self, person: Person) -> None:
        if not self._connected:
            return
        self.plan.speakers(self.now, person.room, [person.identity])
        if person.called_at is None or self.now - person.called_at > 1.5:
            person.called_at = self.now

    def _stopped(self, person: Person) -> None:
        if not self._connected:
            return
        self.plan.speakers(self.now, person.room, [])

    # --- the actuator, the decoder and the detector

    def _change(self, change: Change) -> None:
        person = self.people[change.track_sid]
        assert self._connected
        if change.track_sid in self._reopening:
            self._reopening.discard(change.track_sid)
        elif change.track_sid in self._told and change.reason != "muted":
            self.toggled_at.append(self.now)
        self._told.add(change.track_sid)
        if change.enabled:
            person.on_at = self.now
            self._later(self.random.uniform(*self.resume_s), self._open, person, person.opening)
        else:
            self._close(person)
            person.was_disabled = True

    def _open(self, person: Person, opening: int) -> None:
        if opening != person.opening:
            return
        person.open_at = self.now
        self.plan.started(self.now, person.sid)
        if self.now < person.burst_until:
            self._detect(person)
        self._later(1.0, self._read, person, opening)

    def _close(self, person: Person) -> None:
        if person.on_at is not None:
            person.enabled.append((person.on_at, self.now))
        if person.open_at is not None:
            person.heard.append((person.open_at, self.now))
            if person.run_from is not None:
                self._bill(person, self.now)
        person.opening += 1
        person.open_at = person.on_at = person.run_from = None

    def _read(self, person: Person, opening: int) -> None:
        if opening == person.opening and person.open_at is not None:
            loudest = person.floor_dbov
            if person.bursts and person.bursts[-1][1] > person.open_at:
                loudest = person.voice_dbov
            self.plan.reading(
                self.now, person.sid, floor_dbov=person.floor_dbov, loudest_dbov=loudest
            )
            self._later(10.0, self._read, person, opening)

    def _detect(self, person: Person) -> None:
        for start, end in person.segments:
            heard_from = max(start, self.now)
            if end - heard_from > 0.1:
                found_at = heard_from + self.random.uniform(0.05, 0.15)
                at = heard_from + self.random.uniform(0.0, 0.03)
                self._at(found_at, self._begin, person, at, person.opening)
                self._at(max(end + 0.25, found_at), self._end, person, end, person.opening)

    def _begin(self, person: Person, at: float, opening: int) -> None:
        if opening == person.opening and person.open_at is not None:
            heard_since = person.open_at if person.was_disabled else None
            person.run_from, _ = onset(at, heard_since, person.called_at)
            self.plan.speech(self.now, person.sid, True, at)

    def _end(self, person: Person, at: float, opening: int) -> None:
        if opening == person.opening and person.run_from is not None:
            self._bill(person, at)
            self.plan.speech(self.now, person.sid, False, at)
        if person.found_at is None and self.plan.microphones.ears[person.sid].deaf:
            person.found_at = self.now

    def _bill(self, person: Person, until: float) -> None:
        billed_s = max(0.0, until - max(person.run_from or 0.0, person.billed_until))
        person.billed_until = max(until, person.billed_until)
        person.billed_s += billed_s
        if person.found_at is not None:
            person.billed_found_s += billed_s
        person.run_from = None

    # --- time

    def _at(self, at: float, step: Step, *args: object) -> None:
        heapq.heappush(self._steps, (at, next(self._count), step, args))

    def _later(self, after_s: float, step: Step, *args: object) -> None:
        self._at(self.now + after_s, step, *args)


def cost_ms(person: Person, until: float) -> tuple[float, float]:
    """CPU milliseconds that a microphone took, and would have taken in ``always``."""
    enabled_s = sum(b - a for a, b in person.enabled)
    talked_s = sum(min(b, until) - a for a, b in person.bursts)
    both_s = overlap_s(person.enabled, person.bursts)
    quiet_ms = HEARD_DTX_MS if person.dtx else HEARD_MS
    spent = both_s * HEARD_MS + (enabled_s - both_s) * quiet_ms + (until - enabled_s) * DISABLED_MS
    always = talked_s * HEARD_MS + (until - talked_s) * quiet_ms
    return spent, always


def overlap_s(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> float:
    """Seconds that lie in both of two sorted lists of spans."""
    total, i, j = 0.0, 0, 0
    while i < len(one) and j < len(other):
        total += max(0.0, min(one[i][1], other[j][1]) - max(one[i][0], other[j][0]))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return total


def longest_unheard_s(person: Person, until: float) -> float:
    """The longest time in which no two seconds in one piece were heard, those included."""
    longest, covered_at = 0.0, 0.0
    for start, end in person.heard:
        if end - start >= 2.0:
            longest = max(longest, start + 2.0 - covered_at)
            covered_at = end
    return max(longest, until - covered_at)


def most_in_a_second(times: list[float]) -> int:
    """The most of these that lie within any one second."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] > 0.999999:
            first += 1
        most = max(most, last - first + 1)
    return most
