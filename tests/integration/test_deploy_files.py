"""deploy/ as far as it runs here: the server takes its configuration, the image its sources."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pmon.cli.livekit_server import environment, find_or_build

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def test_the_server_takes_its_configuration_and_looks_for_its_redis(tmp_path: Path) -> None:
    """At a port where no Redis is, it ends before it listens anywhere."""
    config = (DEPLOY / "livekit.yaml").read_text()
    assert "127.0.0.1:6379" in config
    said = _server_with(config.replace("127.0.0.1:6379", "127.0.0.1:1"), tmp_path)
    assert "dial tcp 127.0.0.1:1" in said
    assert "could not parse" not in said
    assert "could not parse" in _server_with(config + "nonsense: 1\n", tmp_path)


def _server_with(config: str, folder: Path) -> str:
    """What the server says before it ends."""
    path = folder / "livekit.yaml"
    path.write_text(config)
    env = environment("") | {"LIVEKIT_KEYS": f"key: {'s' * 32}"}
    del env["LIVEKIT_CONFIG"]
    command = [str(find_or_build()), "--config", str(path)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    return ended.stdout + ended.stderr


@pytest.mark.system
@pytest.mark.timeout(600)
def test_what_is_copied_into_the_image_builds_a_whole_wheel(tmp_path: Path) -> None:
    """By the lines of the Dockerfile, in a folder where nothing else is."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"^COPY ([^-].*) \S+$", dockerfile, re.MULTILINE):
        for name in line.split():
            if (ROOT / name).is_dir():
                without = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
                shutil.copytree(ROOT / name, tmp_path / name, ignore=without)
            else:
                shutil.copy(ROOT / name, tmp_path / name)
    assert "pip wheel --no-cache-dir -c constraints.txt -w /wheels '.[postgres]'" in dockerfile
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"),
            *("-c", "constraints.txt", "-w", "wheels", "."),
        ],
        cwd=tmp_path,
        check=True,
    )
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for module in ("_dsp", "_tap"):
        assert [n for n in names if re.fullmatch(rf"pmon/{module}\.[\w.-]+\.so", n)]
    assert {
        "pmon/speech/speech.json",
        "pmon/web/static/dashboard.html",
        "pmon/outputs/history/migrations/versions/v0001_first.py",
    } <= set(names)
    assert not [n for n in names if n.startswith("tests")]
