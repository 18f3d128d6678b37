"""Results that belong together, and what one more of something costs in them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from capacity.results import Result, Run


def family(run: Run, name: str, watch: str) -> list[Result]:
    """The results of blocks that differ only in their number."""
    return [
        result
        for result in run.results
        if result.watch == watch
        and result.windows
        and result.block.split(",")[0].rpartition(" ")[0] == name
    ]


def points(
    results: Sequence[Result], unit: str, figure: Callable[[Result], float]
) -> list[tuple[float, float]]:
    """What a slope is drawn through."""
    count: dict[str, Callable[[Result], float]] = {
        "participant": lambda r: r.participants,
        "unmuted participant": lambda r: r.unmuted,
        "room": lambda r: r.rooms,
    }
    return [(count[unit](result), figure(result)) for result in results]


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Least squares: how much the second grows with one more of the first."""
    if len({x for x, _ in points}) < 2:
        return None
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope
