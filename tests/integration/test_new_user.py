"""Somebody new: from the wheel to the first events of a room of their own, by the page alone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pmon.cli.livekit_server import LocalServer

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "getting-started.md"
WITHIN_S = 300.0
KEYS = "LIVEKIT_URL=ws://localhost:7880 LIVEKIT_API_KEY=devkey LIVEKIT_API_SECRET=secret"


def typed() -> list[str]:
    """What the page has one type, a terminal or a part of one each."""
    _, _, section = PAGE.read_text().partition("## Watch a room of your own\n")
    return re.findall(r"```sh\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)


def wheel_in(folder: Path) -> Path:
    """The one that `make wheel` made, else one of what is committed."""
    if made := os.environ.get("PMON_WHEEL"):
        return Path(shutil.copy(ROOT / made, folder))
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "."]
    subprocess.run(command, cwd=clone, check=True)
    [wheel] = folder.glob("pmon_livekit-*.whl")
    return wheel


@contextmanager
def terminal(commands: str, folder: Path, name: str) -> Iterator[Path]:
    """Somebody types this in a folder where no pmon is; gives the file with what is printed."""
    kept = {
        n: v for n, v in os.environ.items() if not n.startswith(("PMON_", "LIVEKIT_", "PYTHON"))
    }
    python = str(Path(sys.base_prefix) / "bin")  # and not that of these tests
    kept["PATH"] = f"{python}{os.pathsep}{kept['PATH']}"
    kept["PMON_HTTP_PORT"] = "0"  # the default may be taken here
    shown = folder / f"{name}.txt"
    with shown.open("w") as file:
        shell = subprocess.Popen(
            ["bash", "-e", "-c", commands],
            cwd=folder,
            env=kept,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield shown
    finally:
        os.killpg(shell.pid, signal.SIGINT)
        shell.wait(30)


def wait(condition: Callable[[], bool], until: float, shown: list[Path]) -> None:
    while not condition():
        texts = "\n".join(path.read_text()[-3000:] for path in shown)
        assert time.monotonic() < until, texts
        time.sleep(0.2)


def test_the_first_event_comes_within_five_minutes(
    livekit_server: LocalServer, tmp_path: Path
) -> None:
    wheel = wheel_in(tmp_path)
    server = livekit_server
    keys = (
        f"LIVEKIT_URL={server.url} LIVEKIT_API_KEY={server.api_key}"
        f" LIVEKIT_API_SECRET={server.api_secret}"
    )
    worker, dispatch, simulate = (text.replace(KEYS, keys) for text in typed())
    assert "pip install .\n" in worker
    assert "pip install pmon_livekit-*.whl" in PAGE.read_text()
    assert server.url in worker
    assert server.url in dispatch

    began = time.monotonic()
    until = began + WITHIN_S
    worker = worker.replace("pip install .\n", f"pip install {wheel.name}\n")
    with terminal(worker, tmp_path, "worker") as events:
        wait(lambda: "registered worker" in events.read_text(), until, [events])
        with terminal(dispatch + simulate, tmp_path, "other") as other:
            wait(
                lambda: all(
                    any(
                        kind in line and "standup" in line
                        for line in events.read_text().splitlines()
                    )
                    for kind in ('"speaking_started"', '"mic_silent"')
                ),
                until,
                [events, other],
            )
    print(f"the first events after {time.monotonic() - began:.0f} s")
