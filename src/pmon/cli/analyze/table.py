"""The results as a table for people."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from pmon.cli.analyze.compare import Score
from pmon.cli.analyze.engine import Analysis

NOTHING = "-"


def results(analyses: list[Analysis], scores: list[Score] | None, pooled: Score | None) -> Table:
    """One row a file; with scores what they came to, and in the footer all files together."""
    table = Table(show_footer=pooled is not None)
    table.add_column("file", "all together", overflow="fold")
    for name in ("length", "talk time", "part", "segments"):
        table.add_column(name, justify="right")
    for name in ("active dBov", "floor dBov", "SNR dB", "peak", "clipped"):
        table.add_column(name, justify="right")
    if scores is not None:
        cells = _score(pooled) if pooled is not None else [""] * 5
        for name, cell in zip(
            ("Pmiss", "Pfa", "DCF", "talk error", "absolute"), cells, strict=True
        ):
            table.add_column(name, cell, justify="right")
    table.add_column("issues")
    for number, analysis in enumerate(analyses):
        scored = [] if scores is None else _score(scores[number])
        table.add_row(*_found(analysis), *scored, _issues(analysis))
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
        f"{level.peak:.2f}",
        f"{level.clipped_s:.2f} s" if level.clipped_s else NOTHING,
    ]


def _score(score: Score) -> list[str]:
    return [
        _number(score.p_miss, "{:.3f}".format),
        _number(score.p_fa, "{:.3f}".format),
        _number(score.dcf, "{:.3f}".format),
        _number(score.talk_time_error, "{:+.1%}".format),
        _number(score.talk_time_error_abs, "{:.1%}".format),
    ]


def _issues(analysis: Analysis) -> str:
    return ", ".join(dict.fromkeys(issue.issue for issue in analysis.issues)) or NOTHING


def _number(value: float | None, shown: Callable[[float], str]) -> str:
    return NOTHING if value is None else shown(value)


def clock(seconds: float) -> str:
    """Seconds as one reads them: 12.3 s, 4:05.0, 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{int(rest):02}" if hours else f"{minutes}:{rest:04.1f}"


def printable(name: str) -> str:
    """A file's name without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in name)
