"""On what is measured, and with which versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from capacity.results import Run
from capacity.watchers import AGENTS_PYTHON
from pmon.cli.livekit_server import find_or_build, server_version

PACKAGES = ("pmon-livekit", "livekit")
ROOT = Path(__file__).parents[2]
ASK = "from importlib.metadata import version as v; print(v('livekit-agents'), v('livekit'))"


def new_run(command: str | None = None) -> Run:
    """Of this machine, now."""
    called = ["PYTHONPATH=benchmarks", "python", "-m", "capacity", *sys.argv[1:]]
    return Run(
        machine=cpu_model(),
        cpus=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        versions=versions(),
        date=time.strftime("%Y-%m-%d"),
        commit=commit(),
        command=command or shlex.join(called),
        results=[],
    )


def commit() -> str:
    """The commit that is checked out, marked where files differ from it; empty without one."""
    here = [f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}"]  # not that of a folder above
    describe = ["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        done = subprocess.run(["git", *here, *describe], capture_output=True, text=True, timeout=60)
    except OSError:  # no git
        return ""
    return done.stdout.strip()


def cpu_model() -> str:
    """As the kernel knows it, which an emulated or another machine than a PC may not tell."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Of everything that the figures depend on and that is there."""
    found = {package: importlib.metadata.version(package) for package in PACKAGES}
    server = server_version(find_or_build())
    if server is not None:
        found["livekit-server"] = ".".join(map(str, server))
    if AGENTS_PYTHON.exists():
        done = subprocess.run(
            [AGENTS_PYTHON, "-c", ASK], capture_output=True, text=True, check=True, timeout=60
        )
        found["livekit-agents"], own = done.stdout.split()
        found["livekit of livekit-agents"] = own
    return found
