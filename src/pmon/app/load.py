"""How busy this process is, as LiveKit's dispatcher wants to hear it."""

from __future__ import annotations

from collections import deque

SERVER_CUT = 0.7
"""The server gives no more jobs to a worker that reports this load (``agents.target_load``)."""
WINDOW = 5


class Load:
    """The mean share of one core over the last few samples, scaled to the server's cut."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._samples: deque[tuple[float, float]] = deque(maxlen=WINDOW + 1)

    def sample(self, cpu_s: float, now: float) -> None:
        """Take the CPU time that the process has used so far, threads of the SDK included."""
        self._samples.append((cpu_s, now))

    @property
    def cores(self) -> float:
        """CPU seconds a second; above 1 where several threads are busy at once."""
        if len(self._samples) < 2:
            return 0.0
        (cpu_before, before), (cpu_after, after) = self._samples[0], self._samples[-1]
        return (cpu_after - cpu_before) / (after - before) if after > before else 0.0

    @property
    def reported(self) -> float:
        """0 to 1, where reaching the threshold reads as the server's cut."""
        return min(1.0, self.cores / self._threshold * SERVER_CUT)
