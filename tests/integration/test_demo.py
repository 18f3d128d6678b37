"""``pmon demo`` as a newcomer sees it, and that it leaves nothing running however it ends."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

PMON = str(Path(sys.executable).with_name("pmon"))
VERDICT = re.compile(
    r"(alice|bob|carol)\D+([\d.]+) s\D+([\d.]+) s\s*\S\s*([+-][\d.]+) s\W+(ok|off)"
)


@pytest.fixture
def env() -> dict[str, str]:
    """An environment by which every process of the demo can be told from others."""
    return {**os.environ, "DEMO_MARK": uuid.uuid4().hex, "COLUMNS": "100", "TERM": "xterm"}


def left_running(env: dict[str, str]) -> list[str]:
    mark = f"DEMO_MARK={env['DEMO_MARK']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def until(condition: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def test_it_measures_what_was_said_within_a_minute(env: dict[str, str]) -> None:
    started = time.monotonic()
    run = subprocess.run([PMON, "demo"], env=env, capture_output=True, text=True, timeout=120)
    took_s = time.monotonic() - started
    assert run.returncode == 0, run.stdout + run.stderr
    assert took_s < 60
    rows = {name: values for name, *values in VERDICT.findall(run.stdout)}
    assert {name: values[-1] for name, values in rows.items()} == dict.fromkeys(rows, "ok")
    assert set(rows) == {"alice", "bob", "carol"}
    assert float(rows["alice"][1]) > 10
    assert float(rows["bob"][1]) > 5
    assert float(rows["carol"][0]) == float(rows["carol"][1]) == 0
    assert "bob muted microphone" in run.stdout
    assert not left_running(env)


def test_a_terminal_shows_a_table_that_moves(env: dict[str, str]) -> None:
    controller, terminal = pty.openpty()
    with subprocess.Popen([PMON, "demo"], env=env, stdout=terminal, stderr=terminal) as demo:
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(controller, 1 << 16)
            except OSError:  # Linux says EIO at the end
                break
            if not part:
                break
            shown += part
        assert demo.wait(10) == 0, shown.decode(errors="replace")[-3000:]
    os.close(controller)
    text = shown.decode(errors="replace")
    assert text.count("what pmon sees") > 40
    assert "speaks" in text
    assert "muted" in text
    assert "excellent" in text
    assert not left_running(env)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_whoever_stops_it_in_the_middle_leaves_nothing_running(
    env: dict[str, str], how: signal.Signals, tmp_path: Path
) -> None:
    env["TMPDIR"] = str(tmp_path)
    # A shell that runs the tests in the background has it ignored, which a child would inherit.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen([PMON, "demo"], env=env, stdout=subprocess.PIPE, text=True) as demo:
        signal.signal(signal.SIGINT, before)
        assert demo.stdout is not None
        while "alice speaks" not in demo.stdout.readline():
            assert demo.poll() is None
        assert len(left_running(env)) > 2  # itself, the server, the worker
        demo.send_signal(how)
        demo.stdout.read()
        assert demo.wait(20) != 0
    until(lambda: not left_running(env), 10)
    if how == signal.SIGINT:
        assert not list(tmp_path.iterdir())


def test_a_server_that_does_not_start_is_named_with_its_last_words(
    env: dict[str, str], tmp_path: Path
) -> None:
    broken = tmp_path / "livekit-server"
    broken.write_text("#!/bin/sh\necho the disk is full\nexit 1\n")
    broken.chmod(0o755)
    run = subprocess.run(
        [PMON, "demo", "--server", str(broken)], env=env, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert "the disk is full" in run.stderr
    assert "Traceback" not in run.stderr
    assert not left_running(env)
