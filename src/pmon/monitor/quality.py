"""Connection quality: the server's levels on a scale from 0 to 1, and how long each lasted."""

from __future__ import annotations

import msgspec

from pmon.monitor.events import QualityLevel

SCORES: dict[QualityLevel, float] = {"excellent": 1.0, "good": 0.66, "poor": 0.33, "lost": 0.0}
"""Unknown has no score: it is no verdict, neither good nor bad."""


def is_worse(level: QualityLevel, *, than: QualityLevel) -> bool:
    """Whether one level is under another; unknown is neither over nor under any."""
    score, other = SCORES.get(level), SCORES.get(than)
    return score is not None and other is not None and score < other


def _no_seconds() -> dict[QualityLevel, float]:
    return {"excellent": 0.0, "good": 0.0, "poor": 0.0, "lost": 0.0, "unknown": 0.0}


class Quality(msgspec.Struct):
    """The level that holds now and the seconds spent in each."""

    level: QualityLevel = "unknown"
    seconds: dict[QualityLevel, float] = msgspec.field(default_factory=_no_seconds)

    def advance(self, elapsed_s: float) -> None:
        self.seconds[self.level] += elapsed_s

    def change(self, level: QualityLevel, late_s: float = 0.0) -> QualityLevel | None:
        """Take the server's verdict, which has held for ``late_s`` seconds already.

        Returns the level before, or None if it is the same.
        """
        if level == self.level:
            return None
        before, self.level = self.level, level
        moved_s = min(max(late_s, 0.0), self.seconds[before])
        self.seconds[before] -= moved_s
        self.seconds[level] += moved_s
        return before

    def worse_than(self, threshold: float) -> bool | None:
        """Whether the score is under the threshold; None while the quality is unknown."""
        score = SCORES.get(self.level)
        return None if score is None else score < threshold
