"""The command ``pmon-worker``: settings in, exit code out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

import click
import structlog

from pmon.cli.settings_flags import EXIT_SETTINGS, setting_options, settings_of
from pmon.outputs.log import configure, drain, standard_output
from pmon.outputs.pseudonyms import asked_for
from pmon.settings import Settings, SettingsError
from pmon.settings import unknown_variables as find_unknown_variables

EXIT_INTERRUPTED = 130
EXIT_FAILURE = 70
"""EX_SOFTWARE of sysexits.h."""
LAST_LINES_S = 2.0
"""How long the exit waits for somebody to read the log."""


def _run(**flags: str | None) -> NoReturn:
    try:
        settings = settings_of(flags)
    except SettingsError as error:
        _refuse(error)
    configure(settings.log_format, settings.log_level, standard_output(), asked_for(settings))
    log = structlog.get_logger("pmon.worker")
    unknown = find_unknown_variables(os.environ)
    if unknown:
        log.warning("unknown variables are ignored", variables=unknown)
    # Loading the SDK takes a second, in which there is nothing to drain yet. Without a handler
    # the first process of a container would not even hear of it.
    signal.signal(signal.SIGTERM, _leave)
    code = _work(settings)
    drain(LAST_LINES_S)
    sys.exit(code)


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(0)


def _work(settings: Settings) -> int:
    _wait_rather_than_interrupt()
    try:
        # The SDK takes a second to load: too long for --help and bad settings.
        from pmon.app import supervisor

        return asyncio.run(supervisor.run(settings))
    except SettingsError as error:
        drain(LAST_LINES_S)  # what led to it comes before it
        _refuse(error)
    except KeyboardInterrupt:  # before the worker took over the signals
        return EXIT_INTERRUPTED
    except Exception:
        structlog.get_logger("pmon.worker").exception("the worker failed")
        return EXIT_FAILURE


def _wait_rather_than_interrupt() -> None:
    """Let no thread of ours that wakes take the core from another one that works, nor from
    anybody else: packets come one by one, and each would cost two changes of thread.

    With 120 who talk, the SDK's network threads change 5,000 times a second instead of 6,500 to
    10,000. Of the CPU that is a few percent at most; a packet waits for some milliseconds.
    """
    if hasattr(os, "sched_setscheduler"):
        with suppress(OSError):  # a container may forbid it
            if os.sched_getscheduler(0) == os.SCHED_OTHER:  # else somebody has chosen another
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _refuse(error: SettingsError) -> NoReturn:
    click.echo(f"pmon-worker: {error}", err=True)
    sys.exit(EXIT_SETTINGS)


main = click.version_option(package_name="pmon-livekit")(
    click.Command(
        "pmon-worker",
        callback=_run,
        params=setting_options(),
        help="Watch the participants of LiveKit rooms that dispatches ask for."
        "\n\nEvery flag has an environment variable, named at its end; the flag wins.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
)
