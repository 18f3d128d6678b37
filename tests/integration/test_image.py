"""The image cannot be built everywhere, but the wheel that goes into it can."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


@pytest.mark.system
@pytest.mark.alone
def test_the_image_gets_all_that_a_wheel_is_built_from(tmp_path: Path) -> None:
    """As the Dockerfile does it: from what it copies, and nothing else of the clone."""
    for line in re.findall(r"^COPY ([^-].*)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            into = tmp_path / ("" if target == "./" else target)
            command = ["git", "ls-files", "--", source]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            for name in done.stdout.splitlines():
                path = into / Path(name).relative_to(source if target != "./" else ".")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes((ROOT / name).read_bytes())
    wheels = tmp_path / "wheels"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(wheels), "."]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=170)
    [wheel] = wheels.glob("pmon_livekit-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert any(re.fullmatch(r"pmon/_tap\..*\.so", name) for name in names)
    assert {
        "pmon/speech/speech.json",
        "pmon/web/static/dashboard.html",
        "pmon/outputs/history/migrations/versions/v0001_first.py",
    } <= set(names)
