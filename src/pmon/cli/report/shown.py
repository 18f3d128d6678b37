"""The report as a table for people and as CSV for programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from rich import box
from rich.table import Table
from rich.text import Text

from pmon.cli.report.days import Line
from pmon.cli.shown import clock, printable

NOTHING = "-"
COLUMNS = (
    *("day", "room", "room_sid", "participant", "kind", "join", "leave", "present_s"),
    *("talk_time_s", "turns", "talk_share", "issues", "quality", "coverage", "low_coverage"),
    "partial",
)


def table(lines: Iterable[Line]) -> Table:
    """One row a line."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("day", "room", "participant"):
        shown.add_column(name, overflow="fold", min_width=10)
    for name in ("join", "leave", "present", "talk", "turns", "share"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("issues", min_width=10)
    for name in ("quality", "coverage"):
        shown.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        shown.add_row(*_row(line), style="yellow" if line.low else None)
    return shown


def _row(line: Line) -> list[str | Text]:
    talk = NOTHING if line.talk_time_s is None else clock(line.talk_time_s)
    issues = [f"{issue} {count}" for issue, count in line.issues.items()]
    return [
        line.day.isoformat(),
        Text(printable(line.room)),
        Text(printable(line.participant)),
        _time(line.join),
        "not yet" if line.leave is None else _time(line.leave),
        clock(line.present_s),
        talk,
        NOTHING if line.turns is None else str(line.turns),
        _part(line.share) + ("*" if line.partial else ""),
        "\n".join(issues) or NOTHING,
        NOTHING if line.quality is None else f"{line.quality:.2f}",
        _part(line.coverage) + (" !" if line.low else ""),
    ]


def write_csv(lines: Iterable[Line], file: TextIO) -> None:
    """With a head; times with the zone's offset, seconds and parts as numbers."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow(_cells(line))


def _cells(line: Line) -> list[str | int]:
    return [
        line.day.isoformat(),
        _cell(line.room),
        line.room_sid,
        _cell(line.participant),
        line.kind,
        line.join.isoformat(timespec="milliseconds"),
        "" if line.leave is None else line.leave.isoformat(timespec="milliseconds"),
        f"{line.present_s:.3f}",
        _number(line.talk_time_s, 3),
        "" if line.turns is None else line.turns,
        _number(line.share, 4),
        " ".join(f"{issue}:{count}" for issue, count in line.issues.items()),
        _number(line.quality, 3),
        _number(line.coverage, 4),
        str(line.low).lower(),
        str(line.partial).lower(),
    ]


def _cell(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return "'" + name if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _time(at: datetime) -> str:
    # The first moment of the next day is the end of this one; it shows as 00:00:00.
    return f"{at:%H:%M:%S}"


def _part(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
