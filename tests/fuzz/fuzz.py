"""The long form, with atheris, which sees what an input reaches.

`fuzz.py PARSER RUNS` ends with 0 after so many executions without a fault, a hang or growth. Inputs
that reach something new go to build/fuzz, and so does the input of a fault. `fuzz.py PARSER keep`
takes those of them into the corpus that it needs to reach as much; `fuzz.py PARSER FILE` runs one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import psutil

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path("build/fuzz")
HANG_S = 40
MOST_GROWTH = 24 << 20
"""Bytes of memory in the second half of a run: what is found new is kept there, too."""
LONGEST = 4096
WARM_UP = 2000
INSTRUMENTED = {
    "agent_messages": ["pmon.agent", "pmon.metadata", "pmon.durations"],
    "http": ["pmon.web"],
    "job_metadata": ["pmon.metadata", "pmon.durations", "durationpy"],
    "settings": ["pmon.settings", "pmon.durations", "durationpy"],
    "tap_bytes": [],
}


def counted(name: str, one: Callable[[bytes], None], runs: int) -> Callable[[bytes], None]:
    """``one``, which tells after its last run what it took."""
    process = psutil.Process()
    began = time.monotonic()
    half = max(WARM_UP, runs // 2)
    executions = resident = handles = 0

    def execute(data: bytes) -> None:
        nonlocal executions, resident, handles
        executions += 1
        if executions == half:
            resident, handles = process.memory_info().rss, process.num_fds()
        try:
            one(data)
        except BaseException:  # libFuzzer keeps it only where it has made it itself
            (FOUND / f"{name}-fault").write_bytes(data)
            raise
        if executions == runs:
            seconds = time.monotonic() - began
            if runs <= half:
                print(f"{name}: {runs} executions in {seconds:.0f} s", flush=True)
                return
            growth = process.memory_info().rss - resident
            more = process.num_fds() - handles
            print(
                f"{name}: {runs} executions in {seconds:.0f} s; in the last half {growth >> 10} KiB"
                f" of memory and {more} descriptors more",
                flush=True,
            )
            assert growth <= MOST_GROWTH and more <= 0, "it grows"

    return execute


def main(name: str, what: list[str]) -> None:
    import atheris

    found, corpus = FOUND / name, CORPUS / name
    found.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=[*INSTRUMENTED[name], f"fuzz_{name}"]):
        target = import_module(f"fuzz_{name}")
    getattr(target, "begin", lambda: None)()
    one = target.one
    if what[0].isdecimal():
        one = counted(name, one, int(what[0]))
        what = [f"-atheris_runs={what[0]}", str(found), str(corpus)]
    elif what == ["keep"]:
        what = ["-merge=1", str(corpus), str(found)]
    options = [
        f"-max_len={LONGEST}",
        f"-timeout={HANG_S}",
        f"-artifact_prefix={found}-",
        "-rss_limit_mb=0",
        "-verbosity=0",
    ]
    # To merge, libFuzzer runs its own command line once more.
    atheris.Setup([f"{sys.executable} {__file__} {name}", *options, *what], one)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:] == ["--tap-fields"]:
        print(import_module("fuzz_tap_bytes").fields_for_c())
    else:
        main(sys.argv[1], sys.argv[2:])
