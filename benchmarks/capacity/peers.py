"""livekit-agents beside pmon, with the conditions that the factor holds under."""

from __future__ import annotations

import math
from collections.abc import Iterator

from capacity.results import Result, Run
from capacity.rows import LADDERS, Ladder
from capacity.series import family

COMPARED = "talking 120, compared"


def most_sustained(run: Run, ladder: Ladder) -> Result | None:
    """Where it is at its cheapest; None unless more was tried and too much."""
    tried = family(run, f"agents {ladder.name}", ladder.watch.name)
    tried.sort(key=lambda r: r.participants)
    most = next((r for r in reversed(tried) if r.sustained), None)
    return None if most is None or most is tried[-1] else most


def conditions(run: Run, ladder: Ladder) -> str:
    """Frame size and number behind a factor, and the factor beside as many people."""
    most = most_sustained(run, ladder)
    if most is None:
        return ""
    told = f"{most.participants} with frames of {ladder.frame_ms} ms"
    near = _native_near(run, most.participants)
    if near is None:
        return told
    return f"{told}; {most.ms / near.ms:.1f} times native at {near.participants}"


def lines(run: Run) -> Iterator[str]:
    """What stands under the table, a line for each ladder."""
    native = run.find(COMPARED, "native")
    for ladder in LADDERS:
        most = most_sustained(run, ladder)
        if most is None or native is None:
            continue
        yield (
            f"{ladder.watch.name}, at the most it sustains: {most.ms:.2f} ms/s a participant, "
            f"{most.ms / native.ms:.1f} times native at 120 ({conditions(run, ladder)})"
        )


def _native_near(run: Run, count: int) -> Result | None:
    """The row of native whose number is the nearest: the cost of each falls with it."""
    return min(
        family(run, "talking", "native"),
        key=lambda r: abs(math.log(r.participants / count)),
        default=None,
    )
