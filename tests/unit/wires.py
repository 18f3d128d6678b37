"""Simulated audio streams and the totals that their receivers count."""

from __future__ import annotations

import itertools
import random

from pmon.monitor.inputs import LinkReading

SSRCS = itertools.count(1000)


class Wire:
    """One microphone's packets, from the participant to the monitor.

    Losses are spread evenly, so that a test knows what comes of them; or with ``chance``, as they
    are in real life. A lost packet is made up, audibly, unless the sender was silent.
    """

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance
        self.sent = self.lost = self.concealed = self.silent = 0
        self.samples = 0
        self._owed = 0.0
        self.restart()

    def restart(self) -> None:
        """Another receiver, which counts from zero."""
        self.ssrc = next(SSRCS)
        self.sent = self.lost = self.samples = self.concealed = self.silent = 0
        self._missing = 0

    def carry(self, seconds: float, loss: float = 0.0, *, pps: float = 50.0) -> None:
        """Send for so long; at ``pps`` under 50 the encoder is silent in between (DTX)."""
        packets = round(seconds * pps)
        self.sent += packets
        if self._chance is None:
            self._owed += packets * loss
        else:
            self._owed += sum(self._chance.random() < loss for _ in range(packets))
        gone = int(self._owed + 1e-9)
        self._owed -= gone
        self._missing += gone
        if gone < packets:  # a receiver sees a gap only by what comes after it
            self.lost += self._missing
            self._missing = 0
        self.samples += round(seconds * 48_000)
        self.concealed += gone * 960
        pause = round(seconds * (50.0 - pps)) * 960
        self.concealed += pause
        self.silent += pause

    def reading(self) -> LinkReading:
        return LinkReading(
            ssrc=self.ssrc,
            packets_received=self.sent - self.lost - self._missing,
            packets_lost=self.lost,
            jitter_s=0.004,
            samples=self.samples,
            concealed=self.concealed,
            silent_concealed=self.silent,
        )
