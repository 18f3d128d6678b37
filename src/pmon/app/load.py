"""How busy the worker is, as LiveKit's dispatcher wants to hear it."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pmon.monitor.listening.load import SERVER_CUT

WINDOW = 5


class Usage:
    """CPU seconds a second of one process over the last few samples; its threads all count."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=WINDOW + 1)

    def sample(self, cpu_s: float, now: float) -> None:
        """Take the CPU time that the process has used so far."""
        if self._samples and cpu_s < self._samples[-1][0]:
            self._samples.clear()  # another process in the same place
        self._samples.append((cpu_s, now))

    @property
    def cores(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (cpu_before, before), (cpu_after, after) = self._samples[0], self._samples[-1]
        return (cpu_after - cpu_before) / (after - before) if after > before else 0.0


def reported(media: Iterable[float], used: float, threshold: float, quota: float) -> float:
    """0 to 1, where reaching the threshold reads as the server's cut.

    ``media`` is what each media process reports of itself; the next room goes to the least busy.
    All of them and the supervisor use so many cores, and share the ``quota`` of them.
    """
    return min(1.0, max(min(media, default=0.0), used / quota / threshold * SERVER_CUT))


def cpu_share(quota: float, workers: int) -> float:
    """The cores that one of so many media processes may use: its Python part fills one at most."""
    return min(1.0, quota / workers)


def cpu_quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """The cores that we may use: those of the machine, or fewer by CPU limits or affinity."""
    return min(_cpus(), _limit(root, own))


def _cpus() -> int:
    """Those that our threads may run on: a container may have been given some of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _limit(root: Path, own: Path) -> float:
    """The cores that Linux cgroups leave us; without bound if they say nothing.

    A container sees its own group as the root. The limit of a systemd service stands in its group
    further down, and each group above may have another: the least one holds.
    """
    limits = [limit for group in _groups(root, own) if (limit := _cpu_max(group)) is not None]
    if limits:
        return min(limits)
    with suppress(OSError, ValueError):  # the older layout
        quota_us = int((root / "cpu" / "cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu" / "cpu.cfs_period_us").read_text())
        return quota_us / period_us if quota_us > 0 else math.inf
    return math.inf


def _groups(root: Path, own: Path) -> list[Path]:
    """Our group and those above it, as far as they are seen from here."""
    path = ""
    with suppress(OSError):
        lines = own.read_text().splitlines()
        path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _cpu_max(group: Path) -> float | None:
    """The limit of one group of the newer layout."""
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    return None
