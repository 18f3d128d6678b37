"""The table that stands in the README, and how cost grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from capacity import peers
from capacity.results import Result, Run, Speech, Window
from capacity.series import family, points, slope

Cell = str
HEAD = (
    "what is watched",
    "by whom",
    "watched",
    "joined in",
    "CPU ms/s a participant",
    "cores",
    "memory MB (PSS), each",
    "threads, each",
    "onset told: median / 99 %, of so many turns",
    "talk time",
    "server + ms/s",
    "server + kbit/s",
    "cores of server, publishers",
)


def markdown(run: Run) -> str:
    """All that is printed but the verdicts."""
    parts = [head(run), table(run), "\n".join(f"- {line}" for line in growth(run))]
    return "\n\n".join(part for part in parts if part)


def head(run: Run) -> str:
    """On what it was measured, and how."""
    versions = [f"{name} {version}" for name, version in run.versions.items()]
    commit = [f"commit {run.commit}"] if run.commit else []
    facts = ", ".join([f"Python {run.python}", *versions, *commit])
    return f"{run.machine}, {run.cpus} cores, {run.date}; {facts}. `{run.command}`"


SERVER: tuple[Callable[[Window], float], ...] = (
    lambda w: 1000 * w.server_cores,
    lambda w: w.sent_kbit + w.received_kbit,
)
"""What the server does: CPU ms/s, and kbit/s of media, both ways."""


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
        alone = [result.median(figure) / result.participants for figure in SERVER]
        without = (f"({a:.2f} without)" for a in alone)
        return [result.block, result.watch, *[""] * 8, *without, their_cores(result)]
    silent = result.unmuted < result.participants
    note = f", {result.unmuted} unmuted" if silent else ""
    note += f", {result.lost} lost" if result.lost else ""
    note += "" if result.sustained else ", not sustained"
    if len(result.windows) == 1 and result.windows[0].seconds:
        note += f"; one window of {result.windows[0].seconds:.0f} s"
    threads = result.median(lambda w: w.threads)
    return [
        result.block,
        result.watch,
        f"{result.watched} of {result.participants} in {result.rooms}{note}",
        f"{result.join_s:.0f} s, {result.watched / max(result.join_s, 0.1):.0f}/s",
        spread(result, lambda w: 1000 * w.cores / result.participants),
        f"{result.cores:.2f}",
        f"{result.rss_mb:.0f} ({result.median(lambda w: w.pss_mb):.0f}), "
        f"{result.rss_mb / result.participants:.2f}",
        f"{threads:.0f}, {threads / result.participants:.2f}",
        of_loads(result, delay),
        of_loads(result, talk),
        *(f"{value:.2f}" for value in added(result, nobody)),
        *[""] * (0 if nobody else 2),
        their_cores(result),
    ]


def of_loads(result: Result, figure: Callable[[Speech], str]) -> Cell:
    """One line for each load of the block, if it has several."""
    cells = {prefix: figure(speech) for prefix, speech in result.speech.items()}
    if len(cells) < 2:
        return "".join(cells.values())
    return "<br>".join(f"{prefix}: {cell}" for prefix, cell in cells.items() if cell)


def delay(speech: Speech) -> str:
    """How late turns were told, and how many were; of few the 99 % are all."""
    if speech.late_median_s is None or speech.late_p99_s is None:
        return ""
    late = " / ".join(
        f"{s:.2f}" if math.isfinite(s) else "∞" for s in (speech.late_median_s, speech.late_p99_s)
    )
    few = ", the latest" if speech.turns <= 100 else ""
    return f"{late} s{few}, {speech.turns_told} of {speech.turns}"


def their_cores(result: Result) -> Cell:
    """Of the core that server and publishers share."""
    server = result.median(lambda w: w.server_cores)
    return f"{server:.2f}, {result.median(lambda w: w.publisher_cores):.2f}"


def talk(speech: Speech) -> str:
    """Talk time beside the truth."""
    return "" if speech.talk_error is None else f"{100 * speech.talk_error:+.1f} %"


def spread(result: Result, figure: Callable[[Window], float]) -> str:
    """The median, and least and most."""
    if len(result.windows) == 1:
        return f"{result.median(figure):.2f}"
    least, most = result.spread(figure)
    return f"{result.median(figure):.2f} ({least:.2f} to {most:.2f})"


def added(result: Result, nobody: Result | None) -> list[float]:
    """CPU ms/s and kbit/s a participant that watching adds to the server."""
    if nobody is None:
        return []
    return [
        (result.median(figure) - nobody.median(figure)) / result.participants for figure in SERVER
    ]


def growth(run: Run) -> list[str]:
    """How cost grows with participants and with rooms, in sentences."""
    lines = [*_floors(run), *peers.lines(run)]
    for watch in ("floor", "native", "adaptive"):
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
                lines.append(f"{result.block}, {prefix}, {result.watch}: {hard(speech)}")
    for result in run.results:
        if result.told is not None and result.watch == "auto":
            told = result.told
            lines.append(
                f"{result.block}, settings as shipped: of {told.heard + told.resting} microphones "
                f"{told.resting} rest, load told {told.load:.2f}"
            )
    return lines


def hard(speech: Speech) -> str:
    """What became of voices of -37 dBov and publishers without audio levels."""
    error = speech.hard_error or 0.0
    billed = speech.hard_billed
    after = "" if billed is None else f"from then on {100 * billed:.0f} % billed, "
    return (
        f"{speech.hard_found} of {speech.hard} voices that the server does not hear found; of "
        f"their talk time {after}in all {100 * error:+.0f} %"
    )


def _floors(run: Run) -> Iterator[str]:
    """The floor is what the SDK does by default; pmon-worker also chooses how it is scheduled."""
    native, floor, batch = (
        run.find(peers.COMPARED, watch) for watch in ("native", "floor", "floor, SCHED_BATCH")
    )
    if native and floor and batch:
        yield (
            f"everyone talking, 120 in a room: native is {native.ms / floor.ms:.2f} of the floor, "
            f"and {native.ms / batch.ms:.2f} of it under SCHED_BATCH, as pmon-worker runs"
        )


def _add(lines: list[str], run: Run, what: str, name: str, watch: str, unit: str) -> None:
    results = family(run, name, watch)
    cpu = slope(points(results, unit, lambda r: 1000 * r.cores))
    memory = slope(points(results, unit, lambda r: r.rss_mb))
    if cpu is not None and memory is not None:
        lines.append(f"{what}: {cpu:+.2f} ms/s and {memory:+.3f} MB for each further {unit}")
