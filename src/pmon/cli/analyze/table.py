"""The results as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from pmon.cli.analyze.compare import Score
from pmon.cli.analyze.engine import Analysis
from pmon.cli.shown import clock, printable

NOTHING = "-"


def results(analyses: Iterable[Analysis]) -> Table:
    """One row a file."""
    levels = ("level\ndBov", "floor\ndBov", "SNR\ndB", "clip")
    table = _table("length", "talk", "part", "runs", *levels)
    table.add_column("issues", no_wrap=True, min_width=12)
    for analysis in analyses:
        table.add_row(*_found(analysis))
    return table


def comparison(files: Iterable[str], scores: Iterable[Score], pooled: Score | None) -> Table:
    """One row a file, and in the footer all of them together."""
    names = ("talk time\nin truth", "error", "absolute\nerror", "Pmiss", "Pfa", "DCF")
    table = _table(*names, footer=None if pooled is None else _score(pooled))
    for file, score in zip(files, scores, strict=True):
        table.add_row(Text(printable(file)), *_score(score))
    return table


def _table(*numbers: str, footer: list[str] | None = None) -> Table:
    """A table with a column for files and one for each of these figures."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_footer=footer is not None)
    table.add_column("file", "all together", overflow="fold", min_width=7)
    for name, cell in zip(numbers, footer or [""] * len(numbers), strict=True):
        table.add_column(name, cell, justify="right", no_wrap=True)
    return table


def _found(analysis: Analysis) -> list[str | Text]:
    level = analysis.level
    part = analysis.talk_time_s / analysis.duration_s if analysis.duration_s else 0.0
    return [
        Text(printable(analysis.file)),
        clock(analysis.duration_s),
        clock(analysis.talk_time_s),
        f"{part:.0%}",
        str(len(analysis.segments)),
        _number(level.active_dbov, "{:.1f}".format),
        _number(level.floor_dbov, "{:.1f}".format),
        _number(level.snr_db, "{:.1f}".format),
        f"{level.clipped_s:.2f} s" if level.clipped_s else NOTHING,
        _issues(analysis),
    ]


def _score(score: Score) -> list[str]:
    return [
        clock(score.talk_time_s),
        _number(score.talk_time_error, "{:+.1%}".format),
        _number(score.talk_time_error_abs, "{:.1%}".format),
        _number(score.p_miss, "{:.3f}".format),
        _number(score.p_fa, "{:.3f}".format),
        _number(score.dcf, "{:.3f}".format),
    ]


def _issues(analysis: Analysis) -> str:
    return "\n".join(dict.fromkeys(issue.issue for issue in analysis.issues)) or NOTHING


def _number(value: float | None, shown: Callable[[float], str]) -> str:
    return NOTHING if value is None else shown(value)
