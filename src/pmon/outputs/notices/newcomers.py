"""Those who have just come, and what they are told of what was said before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from pmon.outputs.notices import shapes
from pmon.outputs.notices.snapshots import Audience, audiences, fitting, standing
from pmon.outputs.notices.subjects import Subject

REMEMBERED = 5_000
"""So many of those who were there are known again when they come back."""


class Newcomers:
    """Gives one snapshot after the other, for as long as somebody waits for one."""

    def __init__(
        self, subjects: Mapping[str, Subject], is_monitored: Callable[[str], bool]
    ) -> None:
        self._subjects = subjects
        self._is_monitored = is_monitored
        self._waiting: set[str] = set()
        self._seen: dict[str, None] = {}
        """Who was there before, and left. After an outage of ours, in which all seem to be gone for
        a moment, they know what was said until then, and not that it is over."""
        self._planned: deque[Audience] = deque()

    def joined(self, identity: str) -> None:
        self._waiting.add(identity)

    def left(self, identity: str) -> None:
        self._waiting.discard(identity)
        self._seen[identity] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def next(self, people: set[str], at: float) -> tuple[shapes.Snapshot, set[str]] | None:
        """What to tell to whom of ``people``: they are there. ``at`` is of the newest event.

        What newcomers missed is what the others were told: what waits, all will be told.
        """
        if self._waiting and not self._planned:
            self._plan()
        while self._planned:
            audience = self._planned.popleft()
            told = self._snapshot(audience, at)
            destinations = audience.people & people
            if told is not None and destinations:
                return told, set(destinations)
        return None

    def _plan(self) -> None:
        subjects = {
            name
            for name, subject in self._subjects.items()
            if subject.present and subject.for_others and self._is_monitored(name)
        }
        told = {name for name in subjects if self._subjects[name].told_others()}
        returned = self._waiting & self._seen.keys()
        self._planned.extend(audiences(self._waiting - returned, told))
        self._planned.extend(audiences(returned, subjects, whole=True))
        self._waiting.clear()

    def _snapshot(self, audience: Audience, at: float) -> shapes.Snapshot | None:
        people = [
            standing(name, self._subjects[name].told_others())
            for name in sorted(audience.subjects & self._subjects.keys())
            if self._subjects[name].present  # who left since is forgotten by now
        ]
        if not audience.whole:
            people = [person for person in people if person != _nothing_of(person.participant)]
        if not people:
            return None
        fit = fitting(people)
        if people[fit:]:  # once more, as it is by then
            rest = frozenset(person.participant for person in people[fit:])
            self._planned.appendleft(audience._replace(subjects=rest))
        return shapes.Snapshot(timestamp=at, participants=people[:fit])


def _nothing_of(identity: str) -> shapes.ParticipantNow:
    return shapes.ParticipantNow(participant=identity)
