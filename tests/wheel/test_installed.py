"""What was installed, not what lies in a checkout.

``make wheel`` and cibuildwheel copy this file to where nothing else is, and run it with the Python
that the wheel was installed for.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata, resources
from pathlib import Path

import pytest

import pmon
from pmon.media.phrases import phrases
from pmon.media.tiers import choose

SCRIPTS = Path(sysconfig.get_path("scripts"))


def printed_by(command: str, *arguments: str) -> str:
    run = subprocess.run(
        [SCRIPTS / command, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return run.stdout


def test_it_is_the_installed_package() -> None:
    assert Path(pmon.__file__).is_relative_to(sysconfig.get_path("platlib"))


def test_all_came_along_and_nothing_else() -> None:
    files = {str(path) for path in metadata.files("pmon-livekit") or []}
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert {
        f"pmon/_dsp{suffix}",
        f"pmon/_tap{suffix}",
        "pmon/_dsp.pyi",
        "pmon/py.typed",
        "pmon/speech/speech.json",
        "pmon/web/static/dashboard.html",
        "pmon/outputs/history/migrations/versions/v0001_first.py",
    } <= files
    assert not [name for name in files if name.startswith(("tests", "benchmarks"))]
    assert not [name for name in files if name.endswith(".c")]


def test_the_commands_start() -> None:
    version = metadata.version("pmon-livekit")
    assert version in printed_by("pmon", "--version")
    assert "LIVEKIT_URL" in printed_by("pmon-worker", "--help")


def test_speech_is_measured_as_it_was_spoken() -> None:
    recording = resources.files("pmon") / "speech" / "welcome.wav"
    told = json.loads(printed_by("pmon", "analyze", "--json", str(recording)))
    spoken_s = sum(end - start for start, end in phrases()["welcome"].truth.segments)
    assert abs(told["talk_time_s"] - spoken_s) < 0.1


def test_the_native_tier_proves_itself_where_there_is_one() -> None:
    """A tone through the SDK of this platform, without a room; macOS may fall back."""
    tier = asyncio.run(choose("auto"))
    assert tier.name == "native" or sys.platform == "darwin"


@pytest.mark.skipif(not shutil.which("ldd"), reason="where the C library is not GNU's")
@pytest.mark.parametrize("module", ["_dsp", "_tap"])
def test_each_library_that_is_needed_is_named(module: str) -> None:
    """What Python happens to have loaded is found as well, and no tag of a wheel knows of it."""
    file = Path(pmon.__file__).with_name(module + sysconfig.get_config_var("EXT_SUFFIX"))
    ldd = subprocess.run(["ldd", "-r", file], capture_output=True, text=True, check=True)
    missing = re.findall(r"^undefined symbol: (\w+)", ldd.stdout + ldd.stderr, re.MULTILINE)
    assert missing, "Python's own are"
    assert not [name for name in missing if not name.startswith(("Py", "_Py"))]
