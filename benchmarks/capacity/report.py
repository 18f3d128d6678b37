"""The table that stands in the README, and how cost grows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from capacity.results import Result, Run, Window

Cell = str
HEAD = (
    "what is watched",
    "by whom",
    "watched",
    "joined in",
    "CPU ms/s a participant",
    "cores",
    "memory MB (PSS)",
    "threads",
    "onset told: median / 99 %",
    "talk time",
    "server + ms/s",
    "server + kbit/s",
)


def table(run: Run) -> str:
    """All results in Markdown."""
    rows: list[Sequence[Cell]] = [HEAD, ["---"] * len(HEAD)]
    rows += [row(result, run.find(result.block, "nobody")) for result in run.results]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def row(result: Result, nobody: Result | None) -> list[Cell]:
    """One line of the table; what watching adds to the server is told where nobody watched, too."""
    if not result.windows:
        why = result.error.splitlines()[0] if result.error else "not measured"
        return [result.block, result.watch, why.replace("|", "/"), *[""] * (len(HEAD) - 3)]
    if result.watch == "nobody":
        server = 1000 * result.median(lambda w: w.server_cores) / result.participants
        return [result.block, result.watch, *[""] * 8, f"({server:.2f} without)", ""]
    first = next(iter(result.speech.values()), None)
    delay = talk = ""
    if first is not None and first.delay_median_s is not None and first.delay_p99_s is not None:
        delay = f"{first.delay_median_s:.2f} / {first.delay_p99_s:.2f} s"
    if first is not None and first.talk_error is not None:
        talk = f"{100 * first.talk_error:+.1f} %"
    note = "" if result.sustained else ", not sustained"
    return [
        result.block,
        result.watch,
        f"{result.watched} of {result.participants} in {result.rooms}{note}",
        f"{result.join_s:.0f} s, {result.watched / max(result.join_s, 0.1):.0f}/s",
        spread(result, lambda w: 1000 * w.cores / result.participants),
        f"{result.cores:.2f}",
        f"{result.rss_mb:.0f} ({result.median(lambda w: w.pss_mb):.0f})",
        f"{result.median(lambda w: w.threads):.0f}",
        delay,
        talk,
        *(f"{value:.2f}" for value in added(result, nobody)),
        *[""] * (0 if nobody else 2),
    ]


def spread(result: Result, figure: Callable[[Window], float]) -> str:
    """The median, and least and most."""
    least, most = result.spread(figure)
    return f"{result.median(figure):.2f} ({least:.2f} to {most:.2f})"


def added(result: Result, nobody: Result | None) -> list[float]:
    """CPU ms/s and kbit/s a participant that watching adds to the server."""
    if nobody is None:
        return []
    figures: tuple[Callable[[Window], float], ...] = (
        lambda w: 1000 * w.server_cores,
        lambda w: w.sent_kbit + w.received_kbit,
    )
    return [
        (result.median(figure) - nobody.median(figure)) / result.participants for figure in figures
    ]


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Least squares: how much the second grows with one more of the first."""
    if len({x for x, _ in points}) < 2:
        return None
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def growth(run: Run) -> list[str]:
    """How cost grows with participants and with rooms, in sentences."""
    lines: list[str] = []
    for watch in ("native", "adaptive"):
        _add(lines, run, f"everyone talking, {watch}", "talking", watch, "participant")
    for watch in ("always", "adaptive"):
        _add(lines, run, f"a meeting, {watch}", "meeting", watch, "participant")
    _add(lines, run, "rooms of 50, adaptive", "large", "adaptive", "unmuted participant")
    _add(lines, run, "120 people in ever more rooms, adaptive", "rooms", "adaptive", "room")
    most = max(
        (r for r in family(run, "large", "adaptive") if r.sustained and r.cores <= 0.8),
        key=lambda r: r.participants,
        default=None,
    )
    if most is not None:
        lines.append(
            f"as many as one core takes, adaptive: {most.participants} measured "
            f"at {most.cores:.2f} core; at that price {0.8 / most.cores * most.participants:.0f} "
            "fill 0.8 core"
        )
    for result in run.results:
        if result.watch == "nobody" or not result.windows:
            continue
        for prefix, speech in result.speech.items():
            if speech.hard:
                error = speech.hard_error or 0.0
                lines.append(
                    f"{result.block}, {prefix}, {result.watch}: {speech.hard_found} of "
                    f"{speech.hard} voices that the server does not hear found; of all their "
                    f"talk time {100 * error:+.0f} %"
                )
    return lines


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


def _add(lines: list[str], run: Run, what: str, name: str, watch: str, unit: str) -> None:
    results = family(run, name, watch)
    cpu = slope(points(results, unit, lambda r: 1000 * r.cores))
    memory = slope(points(results, unit, lambda r: r.rss_mb))
    if cpu is not None and memory is not None:
        lines.append(f"{what}: {cpu:+.2f} ms/s and {memory:+.2f} MB for each further {unit}")
