"""Makes one session's events: adds what every event of it says, and puts issues into words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pmon.monitor import events as ev
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.issues import Change
from pmon.monitor.participant import Participant

SERVER = "server"
"""The name of the run of speech that rests on the server's word."""


class Teller:
    """What a session says goes through here; ``job`` and ``room_sid`` change in its life."""

    def __init__(
        self,
        *,
        room: str,
        room_sid: str,
        session: str,
        job: str,
        participant: Participant,
        labels: dict[str, str],
        anchor: UtcAnchor,
        emit: Callable[[ev.AnyEvent], None],
    ) -> None:
        self.room_sid = room_sid
        self.job = job
        self._room = room
        self._session = session
        self._participant = participant
        self._labels = labels
        self._anchor = anchor
        self._emit = emit

    def say(self, event: type[Any], at: float, **fields: object) -> None:
        """Emit an event of this type that happened at ``at``."""
        self._emit(
            event(
                time=self._anchor.at(at),
                room=self._room,
                room_sid=self.room_sid,
                participant=self._participant.identity,
                participant_sid=self._participant.sid,
                participant_kind=self._participant.kind,
                session=self._session,
                job=self.job,
                labels=self._labels,
                **fields,
            )
        )

    def say_speaking(
        self, event: type[Any], at: float, source: str, heard: ev.Heard, **fields: object
    ) -> None:
        """Speech began or ended, as a track's meter or the server told."""
        track_sid = None if source == SERVER else source
        self.say(event, at, heard=heard, track_sid=track_sid, **fields)

    def say_issues(self, changes: list[Change], reason: str) -> None:
        for change in changes:
            self.say_issue(change, reason)

    def say_issue(self, change: Change | None, reason: str = "recovered") -> None:
        """What became of an issue; ``reason`` is why it is over, if it is."""
        if change is None:
            return
        fields: dict[str, object] = {"issue": change.issue, "severity": change.severity}
        if change.what == "resolved":
            duration_s = round(max(0.0, change.at - change.since), 3)
            fields |= {"duration_s": duration_s, "reason": reason}
            event: type[Any] = ev.IssueResolved
        else:
            fields |= {"since": self._anchor.at(change.since), "evidence": change.evidence}
            event = ev.IssueRaised if change.what == "raised" else ev.IssueUpdated
        self.say(event, change.at, track_sid=change.track_sid, **fields)
