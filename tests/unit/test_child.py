"""A child must not outlive us: a server left behind holds its port and its memory for days."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

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
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


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
