"""The final summary: what the worker has watched, over all its rooms."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import msgspec

from pmon.monitor import events as ev

DETAILS = 200
"""How many of the sessions that ended last are told one by one."""


class Totals:
    """Sums over all sessions, the details of those open and of the last that ended."""

    def __init__(self) -> None:
        self._open: dict[str, ev.SessionStarted] = {}
        self._ended: deque[ev.SessionEnded] = deque(maxlen=DETAILS)
        self._ends: Counter[str] = Counter()
        self._issues: Counter[str] = Counter()
        self._sessions = 0
        self._talk_time_s = 0.0
        self._watched_s = 0.0

    def event(self, event: ev.AnyEvent) -> None:
        """Take one event."""
        match event:
            case ev.SessionStarted():
                self._sessions += 1
                self._open[event.session] = event
            case ev.SessionEnded(summary=summary):
                self._open.pop(event.session, None)
                self._ended.append(event)
                self._ends[event.reason] += 1
                self._talk_time_s += summary.talk_time_s
                self._watched_s += summary.coverage.observed_s
            case ev.IssueRaised():
                self._issues[event.issue] += 1

    def summary(self) -> dict[str, Any]:
        """All of it as plain data for the log. Sums cover the sessions that ended."""
        return {
            "sessions": self._sessions,
            "sessions_open": len(self._open),
            "ended_by_reason": dict(self._ends),
            "issues_raised": dict(self._issues),
            "talk_time_s": round(self._talk_time_s, 3),
            "observed_s": round(self._watched_s, 3),
            "open": [
                {
                    "session": e.session,
                    "room": e.room,
                    "participant": e.participant,
                    "started_at": msgspec.to_builtins(e.time),
                }
                for e in self._open.values()
            ],
            "ended": [
                {
                    "session": e.session,
                    "room": e.room,
                    "participant": e.participant,
                    "labels": e.labels,
                    "reason": e.reason,
                    "summary": msgspec.to_builtins(e.summary),
                }
                for e in self._ended
            ],
        }
