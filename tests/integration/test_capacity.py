"""The quick form of the capacity benchmark: every kind of row, and whether its figures are sane."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest
from capacity.results import Result, Run

# The first one builds a generator.
pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(900)]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


async def measured(*arguments: str, out: Path) -> Run:
    """Run the benchmark; its own words if it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "capacity", *arguments, "--out", str(out)),
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return msgspec.json.decode(await asyncio.to_thread(out.read_bytes), type=Run)


async def test_quick_form(tmp_path: Path) -> None:
    """A row that watches less than everybody, or hears nothing, would make the others look dear."""
    run = await measured("--quick", out=tmp_path / "quick.json")
    rows = {(r.block, r.watch): r for r in run.results}
    for result in run.results:
        assert result.error == ""
        assert result.lost == 0
        assert result.watched == (0 if result.watch == "nobody" else result.participants)
        assert all(w.server_cores > 0 and w.publisher_cores > 0 for w in result.windows)
        if result.watch != "nobody":
            assert result.cores > 0
            assert result.rss_mb > 20
    for watch in ("native", "portable"):
        assert_talk(rows["quick", watch], "load", within=0.1)
    for watch in ("always", "adaptive"):
        assert_talk(rows["quick together", watch], "voices", within=0.35)
    each = rows["quick", "connection each"]
    assert each.speech["load"].turns_told > 1, "each of its turns ends, and the next is told"
    heard = each.heard_share
    assert heard is not None
    assert heard > 0.9
    assert rows["quick processes", "2 processes"].connections == 4
    assert rows["quick", "native"].connections == 1
    assert rows["quick together", "adaptive"].connections == 2, "one of each of the two workers"
    assert run.versions["livekit-server"]
    assert len(rows["quick alternating", "floor, SCHED_BATCH"].windows) == 1


def assert_talk(result: Result, prefix: str, within: float) -> None:
    speech = result.speech[prefix]
    assert speech.turns_told > 0
    assert speech.talk_error is not None
    assert abs(speech.talk_error) <= within, result
