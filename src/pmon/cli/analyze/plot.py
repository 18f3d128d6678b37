"""A picture of what was found in one recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pmon.cli.analyze.engine import COLUMN_S, Analysis, Curve
from pmon.cli.shown import clock, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSTALL = "pip install 'pmon-livekit[analyze]'"
FORMATS = (".png", ".svg", ".pdf")
MOST_COLUMNS = 3000
LOWEST_DBOV = -90.0
WAVE, SPEECH, LEVEL, FLOOR, THRESHOLD, ISSUE = (
    "#8a97a8", "#2a9d5c", "#2457a6", "#c77700", "#777777", "#c62828",
)  # fmt: skip


class PlotError(ValueError):
    """A picture that cannot be made; the message says why."""


def check(path: str) -> None:
    """Before a long recording is read: can there be a picture at all? Raises PlotError."""
    if Path(path).suffix.lower() not in FORMATS:
        raise PlotError(f"{path}: the picture's name should end in {', '.join(FORMATS)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise PlotError(f"--plot needs matplotlib, which is not installed: {INSTALL}") from None
    was_there = Path(path).exists()
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise PlotError(f"{path}: it cannot be written: {error.strerror}") from None
    if not was_there:
        Path(path).unlink()


def draw(path: str, analysis: Analysis, curve: Curve, threshold_dbov: float) -> None:
    """Write the picture. Raises OSError."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(14, 6.5), layout="constrained")
    wave, level = figure.subplots(2, 1, sharex=True, height_ratios=[2, 3])
    figure.suptitle(_title(analysis), parse_math=False)
    step = -(-len(curve.low) // MOST_COLUMNS)
    at_s = np.asarray(curve.at_s[::step])
    _draw_wave(wave, at_s, curve, step)
    _draw_levels(level, at_s, curve, step, threshold_dbov)
    for axes in (wave, level):
        for start_s, end_s in analysis.segments:
            axes.axvspan(start_s, end_s, color=SPEECH, alpha=0.2, linewidth=0)
    _draw_issues(level, analysis)
    level.set_xlim(0.0, max(analysis.duration_s, COLUMN_S))
    level.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 2, 3, 6, 10]))
    level.xaxis.set_major_formatter(lambda seconds, _: clock(seconds).replace(".0", ""))
    level.legend(loc="upper right", ncols=5, fontsize="small")
    figure.savefig(path, dpi=110)


def _title(analysis: Analysis) -> str:
    name = printable(Path(analysis.file).name)
    return (
        f"{name if len(name) <= 80 else name[:79] + '…'}: {clock(analysis.talk_time_s)} of speech"
        f" in {clock(analysis.duration_s)}, {len(analysis.segments)} segments"
    )


def _draw_wave(axes: Axes, at_s: NDArray[Any], curve: Curve, step: int) -> None:
    low, high = _reduced(curve.low, step, np.min), _reduced(curve.high, step, np.max)
    axes.fill_between(at_s, low, high, step="post", color=WAVE, linewidth=0)
    axes.set_ylim(-1.05, 1.05)
    axes.set_ylabel("waveform")


def _draw_levels(
    axes: Axes, at_s: NDArray[Any], curve: Curve, step: int, threshold_dbov: float
) -> None:
    loudness = np.maximum(_reduced(curve.dbov, step, np.max), LOWEST_DBOV)
    floor = np.maximum(_reduced(curve.floor_dbov, step, np.min), LOWEST_DBOV)
    axes.plot(at_s, loudness, color=LEVEL, linewidth=0.8, label="level of 100 ms")
    axes.plot(at_s, floor, color=FLOOR, linewidth=1.2, label="noise floor")
    axes.axhline(threshold_dbov, color=THRESHOLD, linestyle="--", linewidth=0.8, label="threshold")
    axes.fill_between([], [], color=SPEECH, alpha=0.2, label="speech")
    axes.set_ylim(LOWEST_DBOV, 3.0)
    axes.set_ylabel("dBov")
    axes.grid(alpha=0.3)


def _draw_issues(axes: Axes, analysis: Analysis) -> None:
    """A bar at the foot for each, from the time it began."""
    for row, issue in enumerate(analysis.issues):
        start_s = issue.since_s
        end_s = analysis.duration_s if issue.resolved_s is None else issue.resolved_s
        y = LOWEST_DBOV + 2 + 5 * (row % 6)
        axes.plot([start_s, end_s], [y, y], color=ISSUE, linewidth=4, solid_capstyle="butt")
        axes.text(start_s, y + 1.2, issue.issue, color=ISSUE, fontsize="small", va="bottom")


def _reduced(values: list[float], step: int, how: Any) -> NDArray[Any]:
    """One of each ``step`` values, as a picture is not so wide."""
    padded = np.pad(np.asarray(values), (0, -len(values) % step), mode="edge")
    reduced: NDArray[Any] = how(padded.reshape(-1, step), axis=1)
    return reduced
