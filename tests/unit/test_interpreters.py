"""Beside the main interpreter and without the GIL: what the compiled modules say they can do."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig

import pytest

# As concurrent.interpreters of Python 3.14; the same under another name is in 3.12 and 3.13.
ELSEWHERE = """
import sys, threading

def elsewhere(code):
    if sys.version_info >= (3, 14):
        from concurrent import interpreters
        other = interpreters.create()
        try:
            other.exec(code)
        finally:
            other.close()
        return
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
    other = interpreters.create()
    try:
        failed = interpreters.run_string(other, code)
    finally:
        interpreters.destroy(other)
    if failed:
        raise RuntimeError(failed.formatted)
"""
MEASURE = """
from array import array
from pmon import _dsp
meter = _dsp.MicMeter(48000)
detector = _dsp.SpeakingDetector(48000)
for _ in range(100):
    meter.process(array("h", [1000, -1000] * 240))
    detector.process(array("h", [1000, -1000] * 240))
assert round(meter.level_dbov, 1) == -30.3, meter.level_dbov
assert detector.score is not None
try:
    _dsp.rms([1])
except TypeError:
    pass
else:
    raise AssertionError("a list is no buffer")
"""
IN_MANY = """
ended = []
def run():
    for _ in range(3):
        elsewhere(MEASURE)
    ended.append(True)

exec(MEASURE)
threads = [threading.Thread(target=run) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(ended) == 4
exec(MEASURE)
"""
REFUSED = """
try:
    elsewhere("import pmon._tap")
except Exception as error:
    assert "does not support loading in subinterpreters" in str(error), error
else:
    raise AssertionError("the tap is the process's one")
"""
own_gil = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="interpreters have a GIL of their own since Python 3.12"
)
no_gil = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python is not free-threaded"
)


def run(code: str) -> None:
    """In a process of its own: what is wrong here ends a process rather than a test."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    env.pop("PYTHON_GIL", None)
    ended = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@own_gil
def test_many_interpreters_measure_at_once() -> None:
    run(f"MEASURE = {MEASURE!r}\n{ELSEWHERE}\n{IN_MANY}")


@own_gil
def test_the_tap_lets_itself_be_loaded_by_no_second_interpreter() -> None:
    run(ELSEWHERE + REFUSED)


@no_gil
def test_the_meters_do_without_the_gil_and_the_tap_brings_it_back() -> None:
    run(
        "import sys, warnings, pmon._dsp\n"
        "assert not sys._is_gil_enabled()\n"
        "warnings.simplefilter('ignore')\n"
        "import pmon._tap\n"
        "assert sys._is_gil_enabled()\n"
    )
