"""A newcomer's machine: Python, a C compiler, make and git, no Go, nothing cached, one command."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(1500)]

CHECKOUT = Path(__file__).parents[2]
BUILD_SETTINGS = ("PIP_", "SSL_", "GOPROXY", "GOSUMDB", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def path_without(*programs: str, links: Path) -> str:
    """PATH without these programs and without this virtual environment.

    A folder that has one of them is replaced by links to all else in it, made in ``links``.
    """
    kept: list[str] = []
    for number, name in enumerate(os.environ["PATH"].split(os.pathsep)):
        folder = Path(name)
        if not folder.is_dir() or (folder.parent / "pyvenv.cfg").exists():
            continue
        if any((folder / program).exists() for program in programs):
            replaced = links / str(number)
            replaced.mkdir(parents=True)
            for file in folder.iterdir():
                if file.name not in programs:
                    (replaced / file.name).symlink_to(file)
            folder = replaced
        kept.append(str(folder))
    path = os.pathsep.join(kept)
    for tool in ("python3", "cc", "make", "git"):
        assert shutil.which(tool, path=path), f"{tool} is gone with {programs}"
    for program in programs:
        assert not shutil.which(program, path=path)
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
    env = {n: v for n, v in os.environ.items() if n.upper().startswith(BUILD_SETTINGS)}
    path = path_without("go", "livekit-server", links=tmp_path / "bin")
    env |= {"PATH": path, "HOME": str(home), "COLUMNS": "100"}
    run = make_demo(clone, env, within_s=1200)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-5000:]
    assert "fetching the Go toolchain" in run.stderr
    assert "building livekit-server" in run.stderr
    assert run.stdout.count(" ok ") == 3, run.stdout
    (server,) = (home / ".cache" / "pmon").glob("livekit-server-*-*")
    assert server.stat().st_size > 1_000_000
    assert not (home / "go").exists()  # who had no Go is left with no Go

    again = make_demo(clone, env, within_s=200)
    assert again.returncode == 0, again.stdout[-5000:] + again.stderr[-5000:]
    assert "building" not in again.stderr
    assert "pip install" not in again.stdout


def make_demo(
    clone: Path, env: dict[str, str], *, within_s: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "demo"], cwd=clone, env=env, capture_output=True, text=True, timeout=within_s
    )
