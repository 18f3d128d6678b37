"""Shows that something slow is still going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 15.0


@contextmanager
def step(console: Console, text: str) -> Iterator[None]:
    """Say what the body does while it runs.

    A terminal gets a spinner with the time elapsed, anything else (a log of CI) a line at the
    start and one every 15 s, so that nobody takes a long build for a hang.
    """
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(text, total=None)
            yield
        return
    console.print(text, highlight=False)
    done = threading.Event()
    thread = threading.Thread(target=_print_lines, args=(console, text, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _print_lines(console: Console, text: str, done: threading.Event) -> None:
    started = time.monotonic()
    while not done.wait(LINE_EVERY_S):
        console.print(f"{text}: {time.monotonic() - started:.0f} s", highlight=False)
