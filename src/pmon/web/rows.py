"""One session as it stands now: its last snapshot, and what events have said since."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from pmon.monitor import events as ev
from pmon.monitor.view import MicrophoneState, OpenIssue, SessionView

RECENT = timedelta(minutes=5)
"""Turns are remembered for so long, to be drawn."""
MOST_TURNS = 60


class Turn(msgspec.Struct):
    """One run of speech; no end while it lasts."""

    start: datetime
    end: datetime | None = None


class Row:
    """Events that came before a snapshot may already be in it: to say them twice does no harm."""

    def __init__(self, room: str, view: SessionView, told_at: datetime) -> None:
        self.room = room
        self.view = view
        self.turns: deque[Turn] = deque(maxlen=MOST_TURNS)
        self.version = 0
        """Of the board, when anything of this row changed."""
        self._told_at = told_at
        """The time that ``talk_time_s`` reaches."""

    @classmethod
    def of(cls, event: ev.SessionStarted) -> Row:
        view = SessionView(
            session=event.session,
            job=event.job or "",
            dispatch=event.dispatch,
            participant=event.participant,
            participant_kind=event.participant_kind,
            labels=event.labels,
            since=event.time,
        )
        return cls(event.room, view, event.time)

    def talk_time_s(self, now: datetime) -> float:
        """Seconds of speech, an open turn included."""
        running_s = (now - self._told_at).total_seconds() if self.view.speaking else 0.0
        return self.view.talk_time_s + max(0.0, running_s)

    def take(self, view: SessionView, at: datetime) -> bool:
        """A snapshot. Returns whether it says anything new but a level."""
        same = replace(
            self.view,
            level_dbov=view.level_dbov,
            talk_time_s=view.talk_time_s if view.speaking else self.view.talk_time_s,
        )
        self.view, self._told_at = view, at
        if self.turns and self.turns[-1].end is None and not view.speaking:
            self.turns[-1].end = at  # its end got lost with a media process
        return view != same

    def event(self, event: ev.AnyEvent) -> None:
        """One of this session's events."""
        match event:
            case ev.ParticipantConnected():
                self.view = replace(
                    self.view, present=True, participant_kind=event.participant_kind
                )
            case ev.ParticipantDisconnected():
                self.view = replace(self.view, present=False, microphone="none", video=None)
            case ev.SpeakingStarted(time=time):
                self._speaks(time)
            case ev.SpeakingStopped():
                self._stopped(event)
            case ev.ConnectionQuality(to=to):
                self.view = replace(self.view, quality=to)
            case ev.VideoState(to=to, fps=fps):
                gone = to == "ended"
                self.view = replace(self.view, video=None if gone else to, fps=fps)
            case ev.IssueRaised() | ev.IssueUpdated():
                issue = OpenIssue(
                    issue=event.issue,
                    severity=event.severity,
                    track_sid=event.track_sid,
                    since=event.since,
                )
                self.view = replace(self.view, issues=[*self._others(event), issue])
            case ev.IssueResolved():
                self.view = replace(self.view, issues=self._others(event))
            case ev.TrackPublished() | ev.TrackMuted() | ev.TrackUnmuted() | ev.TrackUnpublished():
                self._track(event)

    def _speaks(self, at: datetime) -> None:
        if not self.view.speaking:
            self._told_at = at
            self.view = replace(self.view, speaking=True)
        if not self.turns or self.turns[-1].end is not None:
            self.turns.append(Turn(at))
        while self.turns[0].end is not None and self.turns[0].end < at - RECENT:
            self.turns.popleft()

    def _stopped(self, event: ev.SpeakingStopped) -> None:
        self.view = replace(self.view, speaking=False, talk_time_s=event.talk_time_s)
        if self.turns and self.turns[-1].end is None:
            self.turns[-1].end = event.time
        elif not self.turns or self.turns[-1].end != event.time:
            self.turns.append(Turn(event.time - timedelta(seconds=event.turn_s), event.time))

    def _others(
        self, event: ev.IssueRaised | ev.IssueUpdated | ev.IssueResolved
    ) -> list[OpenIssue]:
        key = event.issue, event.track_sid
        return [issue for issue in self.view.issues if (issue.issue, issue.track_sid) != key]

    def _track(
        self, event: ev.TrackPublished | ev.TrackMuted | ev.TrackUnmuted | ev.TrackUnpublished
    ) -> None:
        """As if it were their only microphone; the next snapshot counts all of them."""
        if event.kind != "audio" or event.source not in ("microphone", "unknown"):
            return
        if isinstance(event, ev.TrackUnpublished):
            state: MicrophoneState = "none"
        elif isinstance(event, ev.TrackMuted) or (
            isinstance(event, ev.TrackPublished) and event.muted
        ):
            state = "muted"
        else:
            state = "on"
        self.view = replace(self.view, microphone=state)
