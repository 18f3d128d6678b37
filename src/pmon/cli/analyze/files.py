"""Analyses file after file: one that cannot be read does not keep the others from it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pmon._dsp import SpeakingDetector
from pmon.cli.analyze import plot, table
from pmon.cli.analyze.audio import AudioError, Recording, recording
from pmon.cli.analyze.compare import Counts, Score, count, pooled, score
from pmon.cli.analyze.engine import Analysis, Curve, Detector, analyse
from pmon.cli.analyze.output import output, say
from pmon.cli.analyze.reference import References, Segments, UnclearReferenceError, check_length
from pmon.cli.analyze.silero import SileroDetector
from pmon.cli.shown import printable

LONG_S = 60.0
"""Recordings that take a moment: for shorter ones a progress bar would only flicker."""
WIDE = 200
"""Columns of a table that goes to no terminal."""

DETECTORS: dict[str, Callable[[int, int, float], Detector]] = {
    "pmon": SpeakingDetector,
    "silero": SileroDetector,
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    as_json: bool
    plot: str | None
    compare: str | None
    detector: str
    threshold: float


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of ``--json`` with ``--compare``: all files together."""

    files: int
    compare: Score


def analyse_files(files: Sequence[str], options: Options) -> bool:
    """Print what is found in each. Returns whether every file could be analysed and compared.

    Raises SileroMissingError, PlotError and UnclearReferenceError before anything is read.
    """
    if options.detector == "silero":
        SileroDetector(16_000)  # is it there?
    if options.plot is not None:
        plot.check(options.plot)
    references = None
    if options.compare is not None:
        references = References(options.compare).match([click.format_filename(f) for f in files])
    work = _Work(options, references)
    well = [work.analyse(file) for file in files]
    work.finish()
    return all(well)


class _Work:
    def __init__(self, options: Options, references: dict[str, Segments] | None) -> None:
        self._options = options
        self._references = references
        self._analyses: list[Analysis] = []
        self._counts: list[Counts] = []

    def analyse(self, file: str) -> bool:
        """Whether that went well; what is wrong is told at standard error."""
        name = click.format_filename(file)
        curve = None if self._options.plot is None else Curve()
        try:
            with recording(file) as source, _progress(source) as on_progress:
                source.name = name
                new_detector = DETECTORS[self._options.detector]
                detector = new_detector(
                    source.sample_rate, source.num_channels, self._options.threshold
                )
                threshold = self._options.threshold
                analysis = analyse(source, detector, threshold, curve, on_progress)
            counts = self._compare(analysis)
        except (AudioError, UnclearReferenceError) as error:
            _warn(name, str(error))
            return False
        self._warn_of(source)
        if self._options.as_json:
            self._print_json(analysis, counts)
        self._analyses.append(analysis)
        if counts is not None:
            self._counts.append(counts)
        return curve is None or self._draw(analysis, curve)

    def finish(self) -> None:
        """All files together."""
        together = score(pooled(self._counts)) if len(self._counts) > 1 else None
        if self._options.as_json:
            if together is not None:
                _print_line(Compared(files=len(self._counts), compare=together))
        elif self._analyses:
            with output():
                self._print_tables(together)

    # --- inside

    def _print_tables(self, together: Score | None) -> None:
        console = Console(width=None if sys.stdout.isatty() else WIDE)
        console.print(table.results(self._analyses))
        if self._references is not None:
            names = [analysis.file for analysis in self._analyses]
            scores = [score(counts) for counts in self._counts]
            console.print(table.comparison(names, scores, together))

    def _compare(self, analysis: Analysis) -> Counts | None:
        if self._references is None:
            return None
        truth = self._references[analysis.file]
        check_length(str(self._options.compare), truth, analysis.duration_s)
        return count(analysis.segments, truth, analysis.duration_s)

    def _print_json(self, analysis: Analysis, counts: Counts | None) -> None:
        if counts is None:
            _print_line(analysis)
        else:
            _print_line(msgspec.structs.asdict(analysis) | {"compare": score(counts)})

    def _draw(self, analysis: Analysis, curve: Curve) -> bool:
        path = str(self._options.plot)
        try:
            plot.draw(path, analysis, curve, 20 * math.log10(self._options.threshold))
        except OSError as error:
            _warn(path, f"the picture could not be written: {error.strerror}")
            return False
        return True

    def _warn_of(self, source: Recording) -> None:
        if source.over:
            text = f"{source.over} samples are beyond full scale, and were cut off there"
            _warn(source.name, text)
        if source.frames_told is None:
            return
        told_s = source.frames_told / source.sample_rate
        if told_s - source.duration_s > 0.1:
            text = f"it ends after {source.duration_s:.1f} s; its header tells of {told_s:.1f} s"
            _warn(source.name, text)


@contextmanager
def _progress(source: Recording) -> Iterator[Callable[[int], None]]:
    """A bar at the terminal while a long recording is read."""
    console = Console(stderr=True)
    if not console.is_terminal or (source.frames_told or 0) < LONG_S * source.sample_rate:
        yield lambda frames: None
        return
    columns = (TextColumn("{task.percentage:>3.0f} %"), BarColumn(None), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=source.frames_told)
        yield lambda frames: progress.advance(task, frames)


def _print_line(item: object) -> None:
    say(msgspec.json.encode(item) + b"\n")


def _warn(name: str, text: str) -> None:
    click.echo(f"pmon analyze: {printable(name)}: {text}", err=True)
