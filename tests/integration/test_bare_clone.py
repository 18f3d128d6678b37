"""A newcomer's machine: Python, a C compiler, make and git, no Go, nothing cached, one command."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(1500)]

CHECKOUT = Path(__file__).parents[2]
BUILD_SETTINGS = ("PIP_", "SSL_", "GOPROXY", "GOSUMDB", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def path_without(*programs: str) -> str:
    """PATH without the folders that have one of these, and without this virtual environment."""
    kept = [
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not any((Path(folder) / program).exists() for program in programs)
        and not (Path(folder).parent / "pyvenv.cfg").exists()
    ]
    path = os.pathsep.join(kept)
    for tool in ("python3", "cc", "make", "git"):
        assert shutil.which(tool, path=path), f"{tool} is gone with {programs}"
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", str(CHECKOUT), str(tmp_path / "pmon")],
        check=True,
    )
    return tmp_path / "pmon"


def test_one_command_shows_the_demo(clone: Path, tmp_path: Path) -> None:
    """It builds everything, livekit-server with the Go toolchain of PyPI included."""
    home = tmp_path / "home"
    home.mkdir()
    env = {name: value for name, value in os.environ.items() if name.startswith(BUILD_SETTINGS)}
    env |= {"PATH": path_without("go", "livekit-server"), "HOME": str(home), "COLUMNS": "100"}
    run = subprocess.run(["make", "demo"], cwd=clone, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-5000:]
    assert "fetching the Go toolchain" in run.stderr
    assert "building livekit-server" in run.stderr
    assert run.stdout.count(" ok ") == 3, run.stdout
    (server,) = (home / ".cache" / "pmon").glob("livekit-server-*-*")
    assert server.stat().st_size > 1_000_000
    assert not (home / "go").exists()  # who had no Go is left with no Go

    again = subprocess.run(["make", "demo"], cwd=clone, env=env, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout[-5000:] + again.stderr[-5000:]
    assert "building" not in again.stderr
    assert "pip install" not in again.stdout
