"""``python -m capacity``: measure, print and save the table.

Server and publishers run on one core, the watcher on the other. The whole table takes about an
hour on a machine that does nothing else meanwhile; ``--only`` chooses blocks by name.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from load_generator import LoadGeneratorError, find_or_build

from capacity import estimate, measure, report
from capacity.machine import new_run
from capacity.results import Result, Run
from capacity.rows import Block, blocks, quick
from capacity.verdicts import kept, verdicts
from capacity.watchers import AGENTS_PYTHON
from pmon.cli.livekit_server import ServerUnavailableError


@click.command()
@click.option("--only", multiple=True, help="Only blocks whose name begins with this.")
@click.option("--quick", "is_quick", is_flag=True, help="A few people for seconds: does it work?")
@click.option(
    "--list",
    "is_list",
    is_flag=True,
    help="Name the blocks with their minutes, and measure nothing.",
)
@click.option("--window", type=float, help="Seconds of each window, to try things out.")
@click.option("--read", type=click.Path(path_type=Path, exists=True), help="Report a saved run.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/capacity.json"))
@click.option("--command", help="What the table tells as the command that made it.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Save the table there, too.")
def main(
    only: tuple[str, ...],
    is_quick: bool,
    is_list: bool,
    window: float | None,
    read: Path | None,
    out: Path,
    command: str | None,
    markdown: Path | None,
) -> None:
    """Measure what watching costs; print the table and what it must be."""
    chosen = [b for b in (quick() if is_quick else blocks()) if not only or b.name.startswith(only)]
    if is_list:
        for block in chosen:
            click.echo(f"{block.name}: {estimate.block_s(block) / 60:.1f} min")
        click.echo(f"about {estimate.total_s(chosen) / 60:.0f} min in all")
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
        run = new_run(command)
        for result in measure_all(chosen):
            run.results.append(result)
            out.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    text = report.markdown(run)
    click.echo(text)
    if markdown is not None:
        markdown.write_text(text + "\n")
    # What is measured on a ladder may break down where it is too much.
    ok = not any(result.error for result in run.results if not result.block.startswith("agents "))
    if not is_quick:
        found = verdicts(run)
        click.echo("\n".join(map(str, found)))
        ok = ok and kept(found, entire=not only and read is None)
    sys.exit(0 if ok else 1)


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


if __name__ == "__main__":
    main()
