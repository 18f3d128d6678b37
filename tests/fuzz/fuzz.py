"""The long form: `fuzz.py PARSER RUNS FOLDER`, with atheris, which sees what an input reaches.

Inputs that reach something new go to FOLDER, beside the corpus that is committed. It ends with 0
after so many executions without a fault, a hang or growth; the input of a fault is in FOLDER.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path

import psutil

CORPUS = Path(__file__).parent / "corpus"
HANG_S = 10
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


def main(name: str, runs: int, folder: Path) -> None:
    import atheris

    folder.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=[*INSTRUMENTED[name], f"fuzz_{name}"]):
        target = import_module(f"fuzz_{name}")
    if hasattr(target, "begin"):
        target.begin()
    process = psutil.Process()
    began = time.monotonic()
    half = max(WARM_UP, runs // 2)
    executions = resident = handles = 0

    def execute(data: bytes) -> None:
        nonlocal executions, resident, handles
        executions += 1
        if executions == half:
            resident, handles = process.memory_info().rss, process.num_fds()
        target.one(data)
        if executions == runs:
            growth = process.memory_info().rss - resident
            more = process.num_fds() - handles
            print(
                f"{name}: {executions} executions in {time.monotonic() - began:.0f} s,"
                f" {len(list(folder.iterdir()))} inputs found, {growth >> 10} KiB and"
                f" {more} descriptors more in the last half",
                flush=True,
            )
            assert runs <= half or (growth <= MOST_GROWTH and more <= 0), "it grows"

    atheris.Setup(
        [
            sys.argv[0],
            f"-atheris_runs={runs}",
            f"-max_len={LONGEST}",
            f"-timeout={HANG_S}",
            f"-artifact_prefix={folder.parent / name}-",
            "-rss_limit_mb=0",
            "-verbosity=0",
            "-print_final_stats=0",
            str(folder),
            str(CORPUS / name),
        ],
        execute,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:] == ["--tap-fields"]:
        print(import_module("fuzz_tap_bytes").fields_for_c())
        sys.exit()
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
