"""What a watcher told, with the time it arrived."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

from capacity.results import Told
from pmon.monitor.events import (
    AnyEvent,
    IssueRaised,
    ParticipantConnected,
    ParticipantDisconnected,
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
    """Since when, the first time."""
    gone: set[Key] = field(default_factory=set)
    """Of them, not watched any more although nobody said to stop."""
    lost: int = 0
    """How often somebody went like that, back again or not."""
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
    told: Told | None = None
    """What pmon said of itself the last time."""
    asked: float = 0.0
    """When it was told whom to watch."""
    heard_s: float = 0.0
    """Audio that came to code in Python, as it tells."""
    settled: float = 0.0
    """When everybody had joined and the windows began: delays before say more of joining."""
    until: float = 0.0
    """When it was told to stop."""

    @property
    def watched(self) -> int:
        """How many are watched now."""
        return len(self.present.keys() - self.gone)

    def event(self, event: AnyEvent) -> None:
        """Take one of pmon's."""
        key, now = (event.room, event.participant), time.time()
        match event:
            case ParticipantConnected():
                self._came(key, event.time.timestamp())
            case ParticipantDisconnected():
                self._went(key)
            case SpeakingStarted():
                self.onsets[key].append(now)
            case SpeakingStopped():
                self.turns[key].append((event.time.timestamp(), event.turn_s))
            case SessionEnded():
                self._went(key)
                self.talk_s[key] = self.talk_s.get(key, 0.0) + event.summary.talk_time_s
            case VideoState():
                self.video[key].append((now, event.to))
            case IssueRaised():
                self.issues.append((key, now, event.issue))

    def line(self, facts: dict[str, object]) -> None:
        """Take one of a watcher that measures with the SDK alone."""
        match facts:
            case {"watching": [str(room), str(identity)]}:
                self._came((room, identity), time.time())
            case {"left": [str(room), str(identity)]}:
                self._went((room, identity))
            case {"speaking": [str(room), str(identity)], "at": float(at)}:
                self.onsets[room, identity].append(at)
            case {"silent": [str(room), str(identity)], "at": float(at)}:
                self.turns[room, identity].append((at, 0.0))  # it bills nothing
            case {"heard_s": float(seconds)}:
                self.heard_s += seconds

    def _came(self, key: Key, at: float) -> None:
        self.present.setdefault(key, at)
        self.gone.discard(key)

    def _went(self, key: Key) -> None:
        if not self.until and key in self.present and key not in self.gone:
            self.gone.add(key)
            self.lost += 1
