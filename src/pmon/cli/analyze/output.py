"""Results at standard output, which may be a disk that is full or a reader that has gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click


@contextmanager
def output() -> Iterator[None]:
    """What is written within. Raises ClickException where that cannot be.

    A closed pipe is left to click, which ends without a word, as other tools do.
    """
    if sys.stdout is None:
        raise click.ClickException("the results cannot be written: there is no standard output")
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop()
        raise click.ClickException(f"the results cannot be written: {error.strerror}") from None


def say(line: bytes) -> None:
    """Print a line that has its end. Raises ClickException."""
    with output():
        click.echo(line, nl=False)


def _drop() -> None:
    """Let what still waits go nowhere: at its end Python would complain of it again."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
