"""``pmon simulate``: participants with faults in a room of one's own server, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import click
from livekit import api

from pmon.cli.faults import FAULTS, HEALTHY, Fault
from pmon.cli.server_api import server_api
from pmon.cli.settings_flags import SERVER, setting_options, settings_or_exit
from pmon.durations import parse_duration
from pmon.media import sdk
from pmon.media.publish import JOIN_ERRORS, SimulatedParticipant, join_token
from pmon.settings import Settings

PREFIX = "simulated-"


def _faults(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(word.strip() for word in value.split(",")))
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(FAULTS)}")
    return names


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"it {error}") from None


@click.command(params=setting_options(*SERVER, "agent_name"))
@click.argument("room")
@click.option(
    "--fault",
    "faults",
    callback=_faults,
    metavar="LIST",
    default=",".join(FAULTS),
    show_default=True,
    help="What is wrong, with commas: a participant for each.",
)
@click.option(
    "--for",
    "for_s",
    callback=_duration,
    metavar="DURATION",
    help="Leave after this long, such as 5m; without it at Ctrl-C.",
)
def simulate(room: str, faults: tuple[str, ...], for_s: float | None, **flags: str | None) -> None:
    """Let simulated participants with faults, and one without, join ROOM.

    Start a pmon-worker beside it: it is dispatched to the room, unless it is already, and raises an
    issue of each fault within two minutes. They are called simulated-FAULT, and take real places on
    the server. LiveKit calls the connection of a camera that stands still poor, and so does pmon.
    """
    settings = settings_or_exit("pmon simulate", flags)
    try:
        asyncio.run(_simulate(settings, room, faults, for_s))
    except JOIN_ERRORS as error:
        problem = str(error)[:200] or type(error).__name__
        raise click.ClickException(f"they cannot be in the room: {problem}") from None


async def _simulate(
    settings: Settings, room: str, faults: tuple[str, ...], for_s: float | None
) -> None:
    sdk.quiet()  # its threads would abort the process as it ends
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    people = {PREFIX + "healthy": HEALTHY} | {PREFIX + name: FAULTS[name] for name in faults}
    async with _dispatched(settings, room), AsyncExitStack() as stack:
        lives = [
            asyncio.create_task(_live(await stack.enter_async_context(person), fault))
            for person, fault in _people(settings, room, people)
        ]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait(
                {stopping, *lives}, timeout=for_s, return_when=asyncio.FIRST_COMPLETED
            )
            for life in lives:
                if life.done():
                    life.result()  # what went wrong with it
        finally:
            for task in (stopping, *lives):
                task.cancel()
            await asyncio.gather(stopping, *lives, return_exceptions=True)
    click.echo("they have left")


def _people(
    settings: Settings, room: str, people: dict[str, Fault]
) -> list[tuple[SimulatedParticipant, Fault]]:
    found = []
    for seed, (identity, fault) in enumerate(people.items()):
        token = join_token(settings.api_key, settings.api_secret, room, identity)
        person = SimulatedParticipant(
            settings.url, token, noise_dbov=fault.noise_dbov, seed=seed, camera=fault.camera
        )
        found.append((person, fault))
    return found


async def _live(person: SimulatedParticipant, fault: Fault) -> None:
    click.echo(f"{person.identity}: {fault.does}")
    await fault.live(person)


@asynccontextmanager
async def _dispatched(settings: Settings, room: str) -> AsyncIterator[None]:
    """The monitor is dispatched to the room meanwhile; a dispatch that was there stays."""
    made = None
    async with server_api(settings) as server:
        await server.room.create_room(api.CreateRoomRequest(name=room))
        there = await server.agent_dispatch.list_dispatch(room)
        if not any(found.agent_name == settings.agent_name for found in there):
            request = api.CreateAgentDispatchRequest(room=room, agent_name=settings.agent_name)
            made = (await server.agent_dispatch.create_dispatch(request)).id
            click.echo(f"{settings.agent_name} is dispatched to {room}: {made}")
    try:
        yield
    finally:
        if made is not None:
            async with server_api(settings) as server:
                try:
                    await server.agent_dispatch.delete_dispatch(made, room)
                except api.ServerError as error:
                    if error.code != "not_found":  # the room may have ended before
                        raise
