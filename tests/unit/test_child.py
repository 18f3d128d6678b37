"""A child must not outlive us: a server left behind holds its port and its memory for days."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pmon.cli.child import Guard

PARENT = """
import subprocess, sys, time
from pmon.cli.child import Guard
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
Guard(child.pid)
print(child.pid, flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    """A zombie that nobody has waited for yet is not running."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no /proc on this system, or gone just now
        return not Path("/proc/self").exists()


def test_a_guarded_child_dies_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def test_a_released_child_lives_on() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        Guard(child.pid).release()
        time.sleep(0.2)
        assert child.poll() is None
        child.kill()
