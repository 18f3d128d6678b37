"""``python -m capacity``: measure, print and save the table.

Server and publishers run on one core, the watcher on the other. The whole table takes more than
an hour on a machine that does nothing else meanwhile; ``--only`` chooses blocks by name.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from load_generator import LoadGeneratorError, find_or_build

from capacity import measure, report
from capacity.results import Result, Run
from capacity.rows import Block, blocks, quick
from capacity.verdicts import verdicts
from capacity.watchers import AGENTS_PYTHON
from pmon.cli.livekit_server import ServerUnavailableError

PACKAGES = ("pmon-livekit", "livekit", "livekit-agents")


@click.command()
@click.option("--only", multiple=True, help="Only blocks whose name begins with this.")
@click.option("--quick", "is_quick", is_flag=True, help="A few people for seconds: does it work?")
@click.option("--list", "is_list", is_flag=True, help="Name the blocks, and measure nothing.")
@click.option("--window", type=float, help="Seconds of each window, to try things out.")
@click.option("--read", type=click.Path(path_type=Path, exists=True), help="Report a saved run.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/capacity.json"))
@click.option("--markdown", type=click.Path(path_type=Path), help="Save the table there, too.")
def main(
    only: tuple[str, ...],
    is_quick: bool,
    is_list: bool,
    window: float | None,
    read: Path | None,
    out: Path,
    markdown: Path | None,
) -> None:
    """Measure what watching costs; print the table and what it must be."""
    chosen = [b for b in (quick() if is_quick else blocks()) if not only or b.name.startswith(only)]
    if is_list:
        click.echo("\n".join(block.name for block in chosen))
        return
    if read is not None:
        run = msgspec.json.decode(read.read_bytes(), type=Run)
    else:
        if window is not None:
            chosen = [measure.shortened(block, window) for block in chosen]
        if not AGENTS_PYTHON.exists() and any(block.ladder for block in chosen):
            raise click.ClickException(f"{AGENTS_PYTHON} is missing: `make bench-agents` makes it")
        find_or_build()
        out.parent.mkdir(parents=True, exist_ok=True)
        run = new_run()
        for result in measure_all(chosen):
            run.results.append(result)
            out.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    text = report.table(run)
    click.echo(text)
    click.echo("\n".join(report.growth(run)))
    if markdown is not None:
        markdown.write_text(text + "\n")
    if not is_quick:
        click.echo("\n".join(map(str, verdicts(run))))
    missed = [result for result in run.results if result.error]
    sys.exit(1 if missed else 0)


def measure_all(chosen: list[Block]) -> Iterator[Result]:
    """Measure block after block, and tell on standard error how far it is."""
    sustained: set[str] = set()
    began = time.monotonic()

    def say(what: str) -> None:
        click.echo(f"[{(time.monotonic() - began) / 60:5.1f} min] {what}", err=True)

    for block in chosen:
        if block.ladder in sustained:
            continue
        try:
            measured = asyncio.run(measure.run(block, say))
        except (LoadGeneratorError, ServerUnavailableError) as error:  # the rest is worth having
            measured = [measure.failed(block, watch, error) for watch in block.watches]
        for result in measured:
            yield result
            say(f"{result.watch}: {result.error or summary(result)}")
            if block.ladder and result.sustained:
                sustained.add(block.ladder)


def summary(result: Result) -> str:
    """One line for who waits."""
    return (
        f"{result.watched} of {result.participants}, {result.ms:.2f} ms/s a participant, "
        f"{result.rss_mb:.0f} MB, server core {result.server_core:.2f}"
    )


def new_run() -> Run:
    """Of this machine, now."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Run(
        machine=platform.processor() or platform.machine(),
        cpus=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        versions=versions,
        date=time.strftime("%Y-%m-%d"),
        results=[],
    )


if __name__ == "__main__":
    main()
