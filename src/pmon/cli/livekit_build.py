"""Finds a livekit-server, or builds one: the demo and the tests need a real server."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from rich.console import Console

from pmon.cli.go_build import GoBuildError, build_once, cache_folder, version_of

SERVER_VERSION = "1.13.5"
"""What is built. Releases with a ``replace`` in their go.mod cannot be had by ``go install``."""

OLDEST_SERVER = (1, 9, 2)
"""The first version that understands a worker's ``terminate``."""

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
    try:
        build_once(
            cached,
            "livekit-server",
            f"livekit-server {SERVER_VERSION} (1.5 to 4 minutes)",
            ["install", MODULE],
            console or Console(stderr=True),
            runs=lambda built: server_version(built) is not None,
        )
    except GoBuildError as error:
        raise ServerUnavailableError(
            f"no livekit-server {'.'.join(map(str, OLDEST_SERVER))} or newer on PATH, and building "
            f"{SERVER_VERSION} failed: {error}"
        ) from None
    return cached


def cached_server() -> Path:
    """Where the built server is kept; it need not exist."""
    return cache_folder() / f"livekit-server-{SERVER_VERSION}-{sys.platform}-{platform.machine()}"


def server_version(path: Path) -> tuple[int, ...] | None:
    """Version of a livekit-server, or None when it cannot be told."""
    return version_of([str(path), "--version"], r"version (\d+)\.(\d+)\.(\d+)")
