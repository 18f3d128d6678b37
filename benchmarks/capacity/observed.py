"""What a watcher told, with the time it arrived."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

from pmon.monitor.events import (
    AnyEvent,
    IssueRaised,
    ParticipantConnected,
    SessionEnded,
    SpeakingStarted,
    SpeakingStopped,
    VideoState,
)

Key = tuple[str, str]
"""Room and identity."""


@dataclass
class Observed:
    """All times are Unix seconds."""

    present: dict[Key, float] = field(default_factory=dict)
    onsets: defaultdict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))
    turns: defaultdict[Key, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """End of speech, and the seconds billed."""
    talk_s: dict[Key, float] = field(default_factory=dict)
    video: defaultdict[Key, list[tuple[float, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    issues: list[tuple[Key, float, str]] = field(default_factory=list)
    heard_s: float = 0.0
    """Audio that came to code in Python, as it tells."""
    settled: float = 0.0
    """When everybody had joined and the windows began: delays before say more of joining."""
    until: float = 0.0
    """When it was told to stop."""

    def event(self, event: AnyEvent) -> None:
        """Take one of pmon's."""
        key, now = (event.room, event.participant), time.time()
        match event:
            case ParticipantConnected():
                self.present.setdefault(key, event.time.timestamp())
            case SpeakingStarted():
                self.onsets[key].append(now)
            case SpeakingStopped():
                self.turns[key].append((event.time.timestamp(), event.turn_s))
            case SessionEnded():
                self.talk_s[key] = event.summary.talk_time_s
            case VideoState():
                self.video[key].append((now, event.to))
            case IssueRaised():
                self.issues.append((key, now, event.issue))

    def line(self, facts: dict[str, object]) -> None:
        """Take one of a watcher that measures with the SDK alone."""
        match facts:
            case {"watching": [str(room), str(identity)]}:
                self.present.setdefault((room, identity), time.time())
            case {"speaking": [str(room), str(identity)], "at": float(at)}:
                self.onsets[room, identity].append(at)
            case {"heard_s": float(seconds)}:
                self.heard_s += seconds
