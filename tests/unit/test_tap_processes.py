"""The tap in other processes: a forked one, one that ends, and one without the SDK."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

START = """
import os, sys, threading, time
sys.path.insert(0, PATH)
import ffi_events
from pmon import _tap
from pmon.media.ffi_fields import tap_fields
from pmon.media.native import wake_pair
_tap.set_up(tap_fields(), 0, wake_pair()[1])

streams = [_tap.Stream(n, n, _tap.Meters(48000, 1)) for n in range(5, 9)]
frames = [ffi_events.audio(n) for n in range(5, 9)] + [ffi_events.room_event(1)]

def feed():
    while True:
        for frame in frames:
            _tap.event(frame)

for stream in streams:
    stream.add()
for _ in range(3):
    threading.Thread(target=feed, daemon=True).start()
"""
FORK = """
for turn in range(50):
    meters = _tap.Meters(48000, 1)
    meters.listen([0.01])
    stream = _tap.Stream(5 + turn % 4 + 1024, "x", meters)
    stream.add()
    _tap.event(ffi_events.audio(5 + turn % 4 + 1024))
    child = os.fork()
    if child == 0:
        meters.listen([0.02]), meters.stop(), meters.readings(), meters.take()
        before = _tap.counts()["frames"]
        _tap.event(frames[0])
        stream.remove()
        assert (_tap.take(), _tap.counts()["frames"]) == (([], []), before)
        assert _tap.close()
        try:
            _tap.Stream(6, "y", meters).add()
        except RuntimeError as error:
            os._exit(3 if "forked" in str(error) else 4)
        os._exit(5)
    deadline = time.monotonic() + 10
    done = 0
    while done == 0 and time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.001)
    if done == 0:
        os.kill(child, 9)
        sys.exit("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 3, status
    stream.remove()
    _tap.take()
    assert meters.samples_per_channel == 480
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    code = code.replace("PATH", repr(str(Path(__file__).parent)))
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60
    )


def test_a_child_that_is_forked_under_traffic_leaves_it_alone() -> None:
    """Its threads are not there, and a mutex may be held by one of them for ever.

    The parent goes on as if nothing had happened.
    """
    done = run(START + FORK)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("how", ["", "sys.exit(0)", "_tap.close()"])
def test_an_interpreter_ends_under_traffic(how: str) -> None:
    """With nothing closed, and its modules taken apart while threads are in the tap."""
    done = run(START + "import atexit; atexit.register(_tap.close)\ntime.sleep(0.1)\n" + how)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_alone_loads_neither_the_sdk_nor_a_loop() -> None:
    done = run(
        "import sys, pmon._tap; "
        "print([m for m in ('livekit', 'numpy', 'asyncio', 'google') if m in sys.modules])"
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
