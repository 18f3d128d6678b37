"""``pmon demo``: three participants with known speech, and what pmon makes of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from livekit import api
from rich.console import Console
from rich.live import Live

from pmon.cli.demo_board import Board, Verdict, final_table
from pmon.cli.livekit_server import LocalServer, ServerUnavailableError, find_or_build
from pmon.cli.progress import step
from pmon.cli.worker_process import WorkerFailedError, WorkerProcess
from pmon.media.phrases import phrases
from pmon.media.publish import SimulatedParticipant, join_token
from pmon.monitor import events as ev
from pmon.outputs.log import describe

ROOM = "demo"
AGENT_NAME = "participant-monitor"
PARTICIPANTS = {
    "alice": "talks in turns",
    "bob": "interrupts, then mutes mid-sentence",
    "carol": "keeps quiet in a noisy room",
}
NOISE_DBOV = {"alice": -65.0, "bob": -65.0, "carol": -60.0}
SEEN_TIMEOUT_S = 15.0
SETTLE_S = 1.0
REFRESH_S = 0.25


@click.command()
@click.option(
    "--server",
    "binary",
    type=click.Path(
        exists=True, dir_okay=False, executable=True, resolve_path=True, path_type=Path
    ),
    help="A livekit-server binary. Without it: from PATH, from the cache, or built.",
)
def demo(binary: Path | None) -> None:
    """Show pmon at work on a livekit-server of its own, on this machine alone.

    Three simulated participants join a room, and at the end each one's measured talk time stands
    beside the true one. The exit code is 0 if all are within 5 % or 0.3 s.
    """
    console = Console()
    try:
        verdicts = asyncio.run(_show(binary or find_or_build(), console))
    except (ServerUnavailableError, WorkerFailedError) as error:
        raise click.ClickException(str(error)) from error
    console.print(final_table(verdicts))
    sys.exit(0 if all(verdict.ok for verdict in verdicts) else 1)


async def _show(binary: Path, console: Console) -> list[Verdict]:
    board = Board(PARTICIPANTS)
    all_seen = asyncio.Event()

    def on_event(event: ev.AnyEvent) -> None:
        board.apply(event)
        if board.all_published:
            all_seen.set()
        if not console.is_terminal:
            console.print(f"{event.time:%H:%M:%S} {describe(event)}", markup=False, highlight=False)

    async with LocalServer(binary) as server, AsyncExitStack() as stack:
        worker = WorkerProcess(_settings(server), on_event)
        stack.push_async_callback(worker.close)
        with step(console, "starting livekit-server and pmon-worker"):
            await worker.start()
            people = await stack.enter_async_context(_room_with_people(server))
            await worker.unless_it_ends(_seen(all_seen))
        async with _live(board, people, console):
            await worker.unless_it_ends(_conversation(people))
        with step(console, "stopping pmon-worker, which writes its summaries"):
            exit_code = await worker.stop()
        if exit_code:
            raise worker.failed(f"ended with {exit_code}")
        return board.verdicts(_true_s(people))


def _settings(server: LocalServer) -> dict[str, str]:
    return {
        "LIVEKIT_URL": server.url,
        "LIVEKIT_API_KEY": server.api_key,
        "LIVEKIT_API_SECRET": server.api_secret,
        "LIVEKIT_AGENT_NAME": AGENT_NAME,
        "PMON_HTTP_PORT": "0",
    }


@asynccontextmanager
async def _room_with_people(server: LocalServer) -> AsyncIterator[dict[str, SimulatedParticipant]]:
    """A room that pmon is dispatched to, and everybody in it."""
    async with (
        api.LiveKitAPI(server.http_url, server.api_key, server.api_secret) as lkapi,
        AsyncExitStack() as stack,
    ):
        await lkapi.room.create_room(api.CreateRoomRequest(name=ROOM))
        dispatch = api.CreateAgentDispatchRequest(agent_name=AGENT_NAME, room=ROOM)
        await lkapi.agent_dispatch.create_dispatch(dispatch)
        people = {}
        for seed, identity in enumerate(PARTICIPANTS):
            token = join_token(server.api_key, server.api_secret, ROOM, identity)
            person = SimulatedParticipant(
                server.url, token, noise_dbov=NOISE_DBOV[identity], seed=seed
            )
            people[identity] = await stack.enter_async_context(person)
        yield people


async def _seen(all_seen: asyncio.Event) -> None:
    """Speech that nobody listens to yet would not be pmon's fault."""
    try:
        await asyncio.wait_for(all_seen.wait(), SEEN_TIMEOUT_S)
    except TimeoutError:
        raise WorkerFailedError(
            f"pmon-worker did not see every microphone within {SEEN_TIMEOUT_S:.0f} s"
        ) from None
    await asyncio.sleep(SETTLE_S)


async def _conversation(people: Mapping[str, SimulatedParticipant]) -> None:
    """About 25 s; carol never says a word."""
    await asyncio.gather(_alice(people["alice"]), _bob(people["bob"]))
    await asyncio.sleep(SETTLE_S)


async def _alice(alice: SimulatedParticipant) -> None:
    speech = phrases()
    await alice.say(speech["welcome"])
    await asyncio.sleep(1.0)
    await alice.say(speech["agenda"])
    await asyncio.sleep(5.0)
    await alice.say(speech["question"])
    await asyncio.sleep(4.0)
    await alice.say(speech["numbers"])


async def _bob(bob: SimulatedParticipant) -> None:
    speech = phrases()
    await asyncio.sleep(1.2)
    interrupting = bob.say(speech["results"])
    await asyncio.sleep(1.6)
    bob.mute()
    await interrupting  # nobody hears the rest
    await asyncio.sleep(2.5)
    bob.unmute()
    await asyncio.sleep(0.5)
    await bob.say(speech["answer"])
    await asyncio.sleep(4.0)
    await bob.say(speech["mail"])


@asynccontextmanager
async def _live(
    board: Board, people: Mapping[str, SimulatedParticipant], console: Console
) -> AsyncIterator[None]:
    """A table that moves, on a terminal; elsewhere the events are printed as they come."""
    if not console.is_terminal:
        yield
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:

        async def refresh() -> None:
            while True:
                live.update(board.live(_true_s(people), datetime.now(UTC)), refresh=True)
                await asyncio.sleep(REFRESH_S)

        refreshing = asyncio.create_task(refresh())
        try:
            yield
        finally:
            refreshing.cancel()


def _true_s(people: Mapping[str, SimulatedParticipant]) -> dict[str, float]:
    return {identity: person.talk_time_s for identity, person in people.items()}
