"""How busy the worker's processes are: measured, put into metrics, and told when it matters."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil
import structlog

from pmon.app.load import Usage, cpu_quota, reported
from pmon.app.pool import Pool
from pmon.outputs.metrics import Metrics

MAIN = "main"
"""This process, in the metrics."""

log = structlog.get_logger("pmon.worker")


class Busyness:
    """Call ``sample`` twice a second; ``load`` is then what to tell the server."""

    def __init__(self, pool: Pool, metrics: Metrics, threshold: float) -> None:
        self.load = 0.0
        self._pool = pool
        self._metrics = metrics
        self._threshold = threshold
        self._usage: dict[str, Usage] = {}
        self._quota = cpu_quota()
        self._adaptive = False

    def sample(self) -> float:
        """Measure, and return the load."""
        cpu_s = {MAIN: time.process_time()}
        processes = self._pool.processes
        for name in set(self._usage) - set(processes) - {MAIN}:
            del self._usage[name]
        for name, process in processes.items():
            with suppress(psutil.Error):  # it died just now
                times = process.cpu_times()
                cpu_s[name] = times.user + times.system
        for name, used_s in cpu_s.items():
            usage = self._usage.setdefault(name, Usage())
            usage.sample(used_s, time.monotonic())
            self._metrics.set_load(name, round(usage.cores, 4))
        used = sum(usage.cores for usage in self._usage.values())
        shares = [load.reported for load in self._pool.loads]
        self.load = round(reported(shares, used, self._threshold, self._quota), 4)
        self._tell_listening()
        return self.load

    def _tell_listening(self) -> None:
        loads = self._pool.loads
        heard, microphones = sum(x.heard for x in loads), sum(x.microphones for x in loads)
        self._metrics.set_listening(heard=heard, resting=microphones - heard)
        adaptive = sum(load.rooms_adaptive for load in loads)
        if (adaptive > 0) != self._adaptive:
            self._adaptive = adaptive > 0
            log.info(
                "listening adaptively" if self._adaptive else "listening to everybody",
                rooms_adaptive=adaptive,
                heard=heard,
                microphones=microphones,
                load=self.load,
            )
