"""What the room knows of somebody, and what it should know: one fact for each thing that changes.

While a change waits for its turn, a newer one of the same thing takes its place, and one that leads
back to what the room knows cancels it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from pmon.metadata import Alert, Recipients
from pmon.monitor import events as ev
from pmon.monitor.events import IssueKind
from pmon.outputs.notices import shapes

Value = str | bool | float | None
"""What a newer state is compared by."""

NOTHING_SAID: tuple[Value, ...] = (False, "live", None)
"""Nobody speaks, videos are live and nothing is wrong until it is said."""

ISSUES: dict[IssueKind, Alert] = {
    "connection_poor": "quality_alerts",
    "video_frozen": "video_alerts",
    "video_low_fps": "video_alerts",
    "track_dry": "video_alerts",
    "mic_silent": "mic_alerts",
    "mic_quiet": "mic_alerts",
    "mic_noisy": "mic_alerts",
    "mic_clipping": "mic_alerts",
    "participant_idle": "speaking_alerts",
}
"""The alert that an issue belongs to. That a session is long concerns its operator alone."""


@dataclass(eq=False)
class Fact:
    """One thing that is so; ``known`` is what the recipients take it for."""

    alert: Alert
    known: Value
    told: shapes.Change | None = None
    """What said so, unless nothing did."""
    waiting: shapes.Change | None = None
    """What is to be said, if that differs."""
    recipients: set[Recipients] = field(default_factory=set)
    """For what waits."""
    sessions: set[str] = field(default_factory=set)
    """Which have this issue. They may judge by different thresholds: it is over when none has."""
    forgotten: bool = False
    """Whoever it is about left since, so that receivers may have forgotten what they knew."""

    def take(self, change: shapes.Change, session: str) -> None:
        """What is so now, in the eyes of a session."""
        if isinstance(change, shapes.Issue):
            if change.action == "resolved":
                self.sessions.discard(session)
                if self.sessions:
                    return
            else:
                self.sessions.add(session)
        if isinstance(change, shapes.TalkTime) and self._counted_more(change):
            return
        newest = value(change)
        if self.waiting is not None and value(self.waiting) == newest:
            return  # another session of the same participant said so before
        self.waiting = change if newest != self.known or self.forgotten else None

    def _counted_more(self, change: shapes.TalkTime) -> bool:
        """Whether another session has, which began earlier."""
        said = self.told if self.waiting is None else self.waiting
        return isinstance(said, shapes.TalkTime) and said.talk_time_s >= change.talk_time_s

    def say(self) -> shapes.Change:
        """What waits, in the words of somebody who was told all before; it is known from now on."""
        assert self.waiting is not None
        change, self.waiting = self.waiting, None
        known, self.known = self.known, value(change)
        forgotten, self.forgotten = self.forgotten, False
        if isinstance(change, shapes.ConnectionQuality | shapes.VideoState) and not forgotten:
            change = msgspec.structs.replace(change, previous=known)
        elif isinstance(change, shapes.Issue) and change.action != "resolved":
            action = "raised" if known is None or forgotten else "updated"
            change = msgspec.structs.replace(change, action=action)
        self.told = change
        return change

    @property
    def over(self) -> bool:
        """Whether there is nothing to be kept in mind."""
        if self.waiting is not None or self.sessions:
            return False
        return self.told is None or self.known in NOTHING_SAID


def value(change: shapes.Change) -> Value:
    match change:
        case shapes.SpeakingDetection():
            return change.speaking
        case shapes.ConnectionQuality():
            return change.quality
        case shapes.VideoState():
            return "live" if change.state == "ended" else change.state
        case shapes.Issue():
            return None if change.action == "resolved" else change.severity
        case shapes.TalkTime():
            return change.talk_time_s


def alert_of(change: shapes.Change) -> Alert:
    """Which preference decides on it."""
    match change:
        case shapes.SpeakingDetection():
            return "speaking_alerts"
        case shapes.ConnectionQuality():
            return "quality_alerts"
        case shapes.VideoState():
            return "video_alerts"
        case shapes.Issue():
            return ISSUES[change.issue]
        case shapes.TalkTime():
            return "talk_time_alerts"


def name_of(change: shapes.Change) -> str:
    """The name of the thing that changed, among all of one participant."""
    match change:
        case shapes.VideoState():
            return f"video {change.track_sid}"
        case shapes.Issue():
            return f"{change.issue} {change.track_sid}"
        case _:
            return str(change.__struct_config__.tag)


def changes_of(event: ev.AnyEvent) -> Iterator[tuple[shapes.Change, Value]]:
    """What an event changes, and what the room takes for true until it is told otherwise."""
    who, at = event.participant, event.time.timestamp()
    match event:
        case ev.SpeakingStarted():
            yield shapes.SpeakingDetection(participant=who, timestamp=at, speaking=True), False
        case ev.SpeakingStopped(turn_s=turn_s, talk_time_s=talk_s):
            yield shapes.SpeakingDetection(participant=who, timestamp=at, speaking=False), False
            yield (
                shapes.TalkTime(participant=who, timestamp=at, turn_s=turn_s, talk_time_s=talk_s),
                None,
            )
        case ev.ConnectionQuality(to=to) if to != "unknown":
            yield (
                shapes.ConnectionQuality(
                    participant=who, timestamp=at, quality=to, previous=event.from_
                ),
                event.from_,
            )
        case ev.VideoState(to=to) if to != "unknown":
            sid = event.track_sid or ""
            yield (
                shapes.VideoState(
                    participant=who, timestamp=at, track_sid=sid, state=to, previous="live"
                ),
                "live",
            )
        case ev.IssueRaised() | ev.IssueUpdated() | ev.IssueResolved() if event.issue in ISSUES:
            yield _issue(event), None


def _issue(event: ev.IssueRaised | ev.IssueUpdated | ev.IssueResolved) -> shapes.Issue:
    at, duration_s = event.time.timestamp(), None
    if isinstance(event, ev.IssueResolved):
        duration_s = event.duration_s
        since = at - duration_s
    else:
        since = event.since.timestamp()
    return shapes.Issue(
        participant=event.participant,
        timestamp=at,
        issue=event.issue,
        action="raised" if duration_s is None else "resolved",
        severity=event.severity,
        track_sid=event.track_sid,
        since=since,
        duration_s=duration_s,
    )


def unknown_now(event: ev.AnyEvent) -> str | None:
    """The name of what nobody knows any more: what waits to be said of it is not true now."""
    match event:
        case ev.ConnectionQuality(to="unknown") | ev.ParticipantDisconnected():
            return "connection_quality"
        case ev.VideoState(to="unknown"):
            return f"video {event.track_sid or ''}"
    return None
