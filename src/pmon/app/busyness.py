"""How busy the worker's processes are: measured, put into metrics, and told when it matters."""

from __future__ import annotations

import math
import time
from contextlib import suppress

import msgspec
import psutil
import structlog

from pmon.app.load import Usage, cpu_quota, reported
from pmon.app.pool import Pool
from pmon.monitor.listening.cameras import Looks
from pmon.monitor.listening.load import SERVER_CUT
from pmon.outputs.metrics import Metrics
from pmon.web.state import Capacity

MAIN = "main"
"""This process, in the metrics."""
LINE_S = 10.0
"""Between two lines about the load at least."""
LATE_LINE_S = 60.0
"""Between two about microphones that wait; one that sends nothing comes and goes."""
RARENESS: tuple[Looks, ...] = ("always", "looks", "rare", "off")

log = structlog.get_logger("pmon.worker")


class Shed(msgspec.Struct, frozen=True):
    """What is given up at present, as coarsely as is worth a line."""

    looks: Looks
    """How rarely pictures are looked at, in the process that does so the least."""
    quarters: int
    """Of the rooms that are listened to adaptively; 0 is none, and 1 to 4 are some to all."""
    refusing: int
    """Media processes that have nothing left to shed."""
    full: bool
    """The server gives us no more jobs."""

    @property
    def words(self) -> str:
        if self.full:
            return "the worker is full and takes no more jobs"
        if self.quarters:
            return "listening adaptively"
        if self.looks in ("looks", "rare"):
            return "listening to everybody, and looking at video now and then"
        return "listening to everybody"


class Busyness:
    """Call ``sample`` twice a second; ``load`` is what to tell the server, also in between."""

    def __init__(self, pool: Pool, metrics: Metrics, threshold: float) -> None:
        self._pool = pool
        self._metrics = metrics
        self._threshold = threshold
        self._usage: dict[str, Usage] = {}
        self._used = 0.0
        """Cores, over all processes."""
        self._quota = cpu_quota()
        self._told: Shed | None = None
        self._told_at = float("-inf")
        self._late = False
        """The last line said that microphones wait for too long."""
        self._late_told_at = float("-inf")

    @property
    def load(self) -> float:
        """The worker's load for LiveKit, 0 to 1, with the jobs that were taken just now."""
        return round(reported(self._pool.shares, self._used, self._threshold, self._quota), 4)

    def capacity(self, jobs: int, version: str) -> Capacity:
        """The same for whoever looks at the dashboard."""
        loads = self._pool.loads
        room_for = None
        if loads and all(load.one_more > 0 for load in loads):
            room_for = sum(
                int(max(0.0, SERVER_CUT - load.reported) / load.one_more) for load in loads
            )
        return Capacity(
            load=round(self.load, 2),
            full_at=SERVER_CUT,
            jobs=jobs,
            room_for=room_for,
            microphones=sum(load.audible for load in loads),
            heard=sum(load.heard for load in loads),
            processes=len(self._pool.processes),
            version=version,
        )

    def sample(self) -> None:
        """Measure, and tell what is new."""
        now = time.monotonic()
        cpu_s = {MAIN: time.process_time()}
        processes = self._pool.processes
        for name in set(self._usage) - set(processes) - {MAIN}:
            del self._usage[name]
            self._metrics.forget_load(name)
        for name, process in processes.items():
            with suppress(psutil.Error):  # it died just now
                times = process.cpu_times()
                cpu_s[name] = times.user + times.system
        for name, used_s in cpu_s.items():
            usage = self._usage.setdefault(name, Usage())
            usage.sample(used_s, now)
            self._metrics.set_load(name, round(usage.cores, 4))
        self._used = sum(usage.cores for usage in self._usage.values())
        loads = self._pool.loads
        heard, audible = sum(x.heard for x in loads), sum(x.audible for x in loads)
        overdue = sum(x.overdue for x in loads)
        self._metrics.set_listening(heard=heard, resting=audible - heard, overdue=overdue)
        self._tell(now)
        self._tell_overdue(overdue, now)

    def _tell(self, now: float) -> None:
        """One line when something else is shed than the last line said."""
        shed = self._shed()
        if shed is None or shed == self._told or now - self._told_at < LINE_S:
            return
        before, self._told = self._told, shed
        if before is None:  # how the settings will have it
            return
        self._told_at = now
        loads = self._pool.loads
        log.info(
            shed.words,
            looks=shed.looks,
            rooms_adaptive=sum(load.rooms_adaptive for load in loads),
            rooms=sum(load.rooms for load in loads),
            processes_refusing=shed.refusing,
            heard=sum(load.heard for load in loads),
            microphones=sum(load.audible for load in loads),
            load=self.load,
        )

    def _tell_overdue(self, overdue: int, now: float) -> None:
        """Who is quiet and in nobody's ear for longer than promised must not be so in silence."""
        if bool(overdue) == self._late or now - self._late_told_at < LATE_LINE_S:
            return
        self._late, self._late_told_at = bool(overdue), now
        if overdue:
            log.warning("microphones were not heard within their 3 minutes", microphones=overdue)
        else:
            log.info("every microphone is heard within its 3 minutes again")

    @property
    def _quarters(self) -> int:
        return 0 if self._told is None else self._told.quarters

    def _shed(self) -> Shed | None:
        """None while no process has said anything."""
        loads = self._pool.loads
        if not loads:
            return None
        rooms = sum(load.rooms for load in loads)
        adaptive = sum(load.rooms_adaptive for load in loads)
        return Shed(
            looks=max((load.looks for load in loads), key=RARENESS.index),
            # With nobody to hear it has not changed how anybody is heard.
            quarters=math.ceil(4 * adaptive / rooms) if rooms else self._quarters,
            refusing=sum(load.refuse_jobs for load in loads),
            full=self.load >= SERVER_CUT,
        )
