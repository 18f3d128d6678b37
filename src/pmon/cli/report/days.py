"""The report's lines: one for each day, meeting and participant.

What is of a moment is attributed exactly: presence and speech are cut at midnight, a turn counts
on the day it began, an issue on the day it was raised. Quality and coverage are known for whole
sessions only: a day has those of its sessions, weighted by the presence in it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pmon.monitor.quality import SCORES
from pmon.monitor.talk import TURN_GAP_S
from pmon.outputs.history.read import Found, Session, Span

ENOUGH = 0.9
"""The coverage under which a line is marked."""
SAME_TURN = timedelta(seconds=TURN_GAP_S, microseconds=-1)
"""The longest pause within a turn."""

Stretch = tuple[datetime, datetime]
Day = tuple[date, datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A participant in a meeting on a day."""

    day: date
    room: str
    room_sid: str
    participant: str
    kind: str
    join: datetime
    leave: datetime | None
    """None if nobody has said that they left."""
    present_s: float
    talk_time_s: float | None
    """None if their microphone was not listened to."""
    turns: int | None
    share: float | None
    """Of the talk time of all in the meeting that day."""
    partial: bool
    """The share leaves out somebody who was not listened to."""
    issues: dict[str, int]
    quality: float | None
    """Mean score of the connection, 0 to 1; None if it was never known."""
    coverage: float | None
    """The part of the presence of which it is known whether they spoke; None until the session
    has ended.
    """

    @property
    def low(self) -> bool:
        """Whether the figures rest on too little."""
        return self.coverage is None or self.coverage < ENOUGH


@dataclass
class _Person:
    """What is of somebody in a meeting on a day."""

    sessions: dict[str, Session] = field(default_factory=dict)
    visits: list[Span] = field(default_factory=list)
    turns: list[Span] = field(default_factory=list)
    issues: list[Span] = field(default_factory=list)


_Meetings = dict[tuple[str, str], dict[str, _Person]]


def lines(found: Found, zone: ZoneInfo, first: date, last: date) -> list[Line]:
    """From the first day to the last, both included; sorted by day, meeting and joining."""
    days = list(_days(zone, first, last))
    told: list[Line] = []
    for (day, start, end), meetings in zip(days, _by_day(found, days), strict=True):
        for people in meetings.values():
            told += _shares(_line(person, zone, day, start, end) for person in people.values())
    told.sort(key=lambda line: (line.day, line.room, line.room_sid, line.join, line.participant))
    return told


def _by_day(found: Found, days: list[Day]) -> list[_Meetings]:
    """Who was in which meeting on each day."""
    sessions = {session.session: session for session in found.sessions}
    begins = [start for _, start, _ in days]
    by_day: list[_Meetings] = [defaultdict(lambda: defaultdict(_Person)) for _ in days]
    for name in ("visits", "turns", "issues"):
        for span in getattr(found, name):
            session = sessions[span.session]
            # A turn that ended just before midnight may go on after it.
            last = bisect_right(begins, span.end + SAME_TURN)
            for meetings in by_day[max(bisect_right(begins, span.start) - 1, 0) : last]:
                person = meetings[_meeting(session)][session.participant]
                person.sessions[session.session] = session
                getattr(person, name).append(span)
    return by_day


def _meeting(session: Session) -> tuple[str, str]:
    """Callers' sessions may have a pseudonym for the room of which others' have the name."""
    return session.room_sid, "" if session.room_sid else session.room


def bounds(zone: ZoneInfo, first: date, last: date) -> Stretch:
    """The stretch of time that these days are."""
    return _midnight(zone, first), _midnight(zone, last + timedelta(days=1))


def coverage(session: Session) -> float | None:
    """The part of the time they were there in which it was known whether they spoke.

    Without an open microphone there was nothing to hear. With one, audio that was decoded and the
    server's word count; time in which pmon was not connected does not.
    """
    whole_s = session.present_s + session.unobserved_s
    if not session.ended or whole_s <= 0:
        return None
    open_s = min(session.microphone_s, session.present_s) if _listened(session) else 0.0
    heard_s = min(session.heard_s + session.server_word_s, open_s)
    return (session.present_s - open_s + heard_s) / whole_s


def _listened(session: Session) -> bool:
    return session.monitoring_type in ("full", "audio")


def _days(zone: ZoneInfo, first: date, last: date) -> Iterator[Day]:
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        yield day, _midnight(zone, day), _midnight(zone, day + timedelta(days=1))


def _midnight(zone: ZoneInfo, day: date) -> datetime:
    # In UTC: differences within a zone leave out the hour that a clock is put forward.
    return datetime.combine(day, time.min, zone).astimezone(ZoneInfo("UTC"))


def _line(
    person: _Person, zone: ZoneInfo, day: date, start: datetime, end: datetime
) -> Line | None:
    there = _union(_cut(person.visits, start, end))
    if not there:
        return None
    talk = _union(_cut(person.turns, start, end))
    weights = {
        name: _length_s(_union(_cut([v for v in person.visits if v.session == name], start, end)))
        for name in person.sessions
    }
    sessions = [person.sessions[name] for name in weights if weights[name] > 0]
    sessions = sessions or list(person.sessions.values())
    last = sessions[-1]
    left_at = there[-1][1]
    is_open = any(visit.open and visit.end == left_at for visit in person.visits)
    listened = any(_listened(session) for session in sessions)
    return Line(
        day=day,
        room=last.room,
        room_sid=last.room_sid,
        participant=last.participant,
        kind=last.kind,
        join=there[0][0].astimezone(zone),
        leave=None if is_open else left_at.astimezone(zone),
        present_s=_length_s(there),
        talk_time_s=_length_s(talk) if listened else None,
        turns=_turns_begun(person.turns, start, end) if listened else None,
        share=None,
        partial=any(session.partial for session in sessions),
        issues=_raised(person.issues, start, end),
        quality=_quality(sessions, weights),
        coverage=_coverage(sessions, weights),
    )


def _shares(there: Iterable[Line | None]) -> list[Line]:
    """With each one's part of what was said."""
    known = [line for line in there if line is not None]
    total_s = sum(line.talk_time_s or 0.0 for line in known)
    return [
        line
        if line.talk_time_s is None or total_s <= 0
        else replace(line, share=line.talk_time_s / total_s)
        for line in known
    ]


def _turns_begun(spans: list[Span], start: datetime, end: datetime) -> int:
    """Turns of which the first word was said in this stretch."""
    whole = _union([(s.start, s.end) for s in spans], SAME_TURN)
    return sum(start <= begun < end for begun, _ in whole)


def _raised(spans: list[Span], start: datetime, end: datetime) -> dict[str, int]:
    """How often each issue was; two dispatches for somebody see the same one."""
    seen = {(span.what, span.start) for span in spans if start <= span.start < end}
    return dict(sorted(Counter(what for what, _ in seen).items()))


def _quality(sessions: list[Session], weights: dict[str, float]) -> float | None:
    total = known = 0.0
    for session in sessions:
        of_all_s = sum(session.quality_s.values())
        if of_all_s > 0:
            weight = weights[session.session] or 1.0
            mean = sum(score * session.quality_s[level] for level, score in SCORES.items())
            total, known = total + weight * mean / of_all_s, known + weight
    return total / known if known else None


def _coverage(sessions: list[Session], weights: dict[str, float]) -> float | None:
    total = known = 0.0
    for session in sessions:
        part = coverage(session)
        if part is None:
            return None
        weight = weights[session.session] or 1.0
        total, known = total + weight * part, known + weight
    return total / known if known else None


def _cut(spans: Iterable[Span], start: datetime, end: datetime) -> list[Stretch]:
    """What of them is in this stretch; somebody who came at midnight came then."""
    return [
        (max(span.start, start), min(span.end, end))
        for span in spans
        if span.start < end and (span.end > start or span.start >= start)
    ]


def _union(stretches: Iterable[Stretch], gap: timedelta = timedelta(0)) -> list[Stretch]:
    """Together, with pauses up to ``gap`` closed; in order."""
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _length_s(stretches: Iterable[Stretch]) -> float:
    return sum((end - start).total_seconds() for start, end in stretches)
