"""What a process does on a signal, as Linux tells it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

_FIELDS = ("SigIgn", "SigCgt")


def wait_until_heeded(pid: int, number: signal.Signals, within_s: float = 30) -> None:
    """Wait until the signal would no longer kill the process as it kills one that just began."""
    deadline = time.monotonic() + within_s
    while not _is_heeded(pid, number):
        assert time.monotonic() < deadline, f"process {pid} does nothing about {number.name}"
        time.sleep(0.01)


def _is_heeded(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return any(int(fields[name], 16) >> (number - 1) & 1 for name in _FIELDS)
