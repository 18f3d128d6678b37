"""The command ``pmon analyze``: files in, results and an exit code out."""

from __future__ import annotations

import sys

import click

from pmon.settings import SETTINGS

FAILED = 1
"""The exit code when something was wrong with a file; click's own for wrong use is 2."""

_THRESHOLD = next(setting for setting in SETTINGS if setting.field == "speaking_threshold")


def _threshold(context: click.Context, parameter: click.Parameter, text: str) -> object:
    try:
        return _THRESHOLD.parse(text.strip())
    except ValueError as error:
        raise click.BadParameter(f"it {error}") from None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
@click.option(
    "--plot",
    metavar="PICTURE",
    help="Draw waveform, level, noise floor, speech and issues of one FILE, as .png, .svg or .pdf.",
)
@click.option(
    "--compare",
    metavar="REFERENCE",
    help="Tell missed speech, false alarms, detection cost and the error of the talk time against"
    " this file.",
)
@click.option(
    "--detector",
    type=click.Choice(["pmon", "silero"]),
    default="pmon",
    show_default=True,
    help="Who looks for speech: pmon as in a call, or Silero VAD, a neural network, to compare.",
)
@click.option(
    "--threshold",
    metavar="RMS",
    envvar=_THRESHOLD.variable,
    default=_THRESHOLD.default,
    callback=_threshold,
    show_default=True,
    show_envvar=True,
    help="RMS level, above 0 and up to 1, that the loudest 100 ms of a run must reach.",
)
@click.option("--replay", "trace", metavar="TRACE", help="Run a trace of PMON_TRACE again.")
def analyze(
    files: tuple[str, ...],
    as_json: bool,
    plot: str | None,
    compare: str | None,
    detector: str,
    threshold: float,
    trace: str | None,
) -> None:
    """Tell speech, levels and issues in recordings, by the meters that listen to calls.

    A FILE is WAV, FLAC, OGG or what else libsndfile reads, 8 to 192 kHz, 1 to 8 channels; - is
    standard input. Nothing of it is kept.

    REFERENCE says where speech is: an object {"segments": [[start_s, end_s], ...]} for one FILE,
    or lines of such objects with "file", as --json prints them. Frames of 10 ms are compared:
    Pmiss is the part of the speech that was missed, Pfa the part of all else that was taken for
    speech, DCF is 0.75 Pmiss + 0.25 Pfa. The error of the talk time is given with its sign and
    without; of all files together the absolute one is the sum of theirs.

    With --replay the events of a TRACE are printed as JSON lines, without ids: the same that the
    worker told. A trace holds identities and attributes of the people in a room.

    \b
    Exit codes:
      0  everything was analysed
      1  a file could not be analysed or compared, while the others were; or a trace not replayed;
         or results could not be written
      2  wrong use: options, REFERENCE, a missing extra; nothing was analysed
    """
    if trace is not None:
        context = click.get_current_context()
        given = {name for name in context.params if _is_given(context, name)}
        if given - {"trace"}:
            raise click.UsageError("--replay goes with no FILE and no other option.")
        sys.exit(0 if _replay(trace) else FAILED)
    if not files:
        raise click.UsageError("Missing argument 'FILE...', or --replay TRACE.")
    if plot is not None and len(files) > 1:
        raise click.UsageError(f"--plot draws one FILE, and here are {len(files)}.")
    sys.exit(0 if _analyse(files, as_json, plot, compare, detector, threshold) else FAILED)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _replay(path: str) -> bool:
    from pmon.cli.analyze.output import say
    from pmon.cli.analyze.replay import print_replay
    from pmon.monitor.trace import TraceError

    try:
        return print_replay(path, say, lambda text: click.echo(f"pmon analyze: {text}", err=True))
    except TraceError as error:
        raise click.ClickException(f"{path}: {error}") from None


def _analyse(
    files: tuple[str, ...],
    as_json: bool,
    plot: str | None,
    compare: str | None,
    detector: str,
    threshold: float,
) -> bool:
    try:
        import soundfile  # noqa: F401 - it looks for the library as it is loaded
    except OSError as error:
        raise click.UsageError(f"libsndfile is missing on this machine: {error}") from None
    from pmon.cli.analyze.files import Options, analyse_files
    from pmon.cli.analyze.plot import PlotError
    from pmon.cli.analyze.reference import UnclearReferenceError
    from pmon.cli.analyze.silero import SileroMissingError

    options = Options(
        as_json=as_json, plot=plot, compare=compare, detector=detector, threshold=threshold
    )
    try:
        return analyse_files(files, options)
    except (PlotError, UnclearReferenceError, SileroMissingError) as error:
        raise click.UsageError(str(error)) from None
