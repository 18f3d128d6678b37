"""Pins: microphones that are held enabled although the server says nothing of them."""

from __future__ import annotations

import math
from typing import Literal

Pin = Literal["voice", "silence", "noise"]
"""Why: a voice that the server does not hear; a microphone that may be dead; a noisy one, where
the server's word means nothing."""

RANKS: dict[Pin, int] = {"voice": 2, "silence": 1, "noise": 1}


class Pins:
    """The budget. A voice that was heard takes the place of a mere suspicion, never the reverse."""

    SHARE = 0.125
    """Of all microphones of the process. One in ten is quiet or sends no audio levels in the
    worst fleets that the figures of this project are stated for."""
    AT_LEAST = 8
    SUSPICIONS_SHARE = 0.02
    """Of all microphones, those held on a suspicion. Quiet people behind noise suppression are
    digitally silent for minutes too, so in some fleets nearly everybody is suspected."""
    SUSPICIONS_AT_LEAST = 4

    def __init__(self) -> None:
        self.microphones = 0
        self.held: dict[str, Pin] = {}
        self.refused = 0
        """How often the budget was spent when a pin was asked for."""

    @property
    def limit(self) -> int:
        return max(self.AT_LEAST, math.ceil(self.SHARE * self.microphones))

    @property
    def suspicions_limit(self) -> int:
        return max(self.SUSPICIONS_AT_LEAST, math.ceil(self.SUSPICIONS_SHARE * self.microphones))

    def grant(self, key: str, pin: Pin) -> tuple[bool, str | None]:
        """Ask for a pin. Returns whether there is one now, and who lost theirs for it."""
        if key in self.held:
            if RANKS[pin] > RANKS[self.held[key]]:
                self.held[key] = pin
            return True, None
        if RANKS[pin] == 1:
            room = self._suspicions() < self.suspicions_limit
            room = room and len(self.held) < self.limit
            loser = None
        else:
            room = len(self.held) < self.limit
            loser = None if room else self._weakest(below=RANKS[pin])
        if not room and loser is None:
            self.refused += 1
            return False, None
        if loser is not None:
            del self.held[loser]
        self.held[key] = pin
        return True, loser

    def release(self, key: str) -> None:
        self.held.pop(key, None)

    def excess(self) -> str | None:
        """Whose pin is to go, since the budget shrank."""
        if len(self.held) <= self.limit:
            return None
        loser = self._weakest(below=NO_RANK)
        if loser is not None:
            del self.held[loser]
        return loser

    def _suspicions(self) -> int:
        return sum(RANKS[pin] == 1 for pin in self.held.values())

    def _weakest(self, *, below: int) -> str | None:
        """The one pinned longest among those of the lowest rank."""
        return min(
            (key for key, pin in self.held.items() if RANKS[pin] < below),
            key=lambda key: RANKS[self.held[key]],
            default=None,
        )


NO_RANK = 99
