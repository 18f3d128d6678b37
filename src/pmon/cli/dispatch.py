"""``pmon dispatch``: ask for a room to be monitored, with metadata that was looked at first."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
from livekit import api

from pmon.cli.server_api import server_api
from pmon.cli.settings_flags import SERVER, setting_options, settings_or_exit
from pmon.metadata import MAX_BYTES, MetadataError, decode_metadata, unknown_keys
from pmon.settings import Settings


@click.command(params=setting_options(*SERVER, "agent_name"))
@click.argument("room")
@click.option(
    "--metadata",
    metavar="JSON|@FILE",
    default="",
    help="What the monitor is asked for, as a JSON object or in a file; docs/metadata.md"
    " says what may stand there.",
)
@click.option(
    "--participant-identity",
    help="Watch this participant alone: participant_identity in the metadata.",
)
@click.option("--list", "listed", is_flag=True, help="Only list the room's dispatches.")
@click.option("--delete", metavar="ID", help="Only delete this dispatch: monitoring ends.")
def dispatch(
    room: str,
    metadata: str,
    participant_identity: str | None,
    listed: bool,
    delete: str | None,
    **flags: str | None,
) -> None:
    """Dispatch pmon to ROOM, and print the dispatch's id.

    The metadata is checked as the worker checks it, so that a mistake shows here and not in
    somebody's log. A room that does not exist yet is made.
    """
    checked = _checked(metadata, participant_identity)
    settings = settings_or_exit("pmon dispatch", flags)
    if listed and delete:
        raise click.UsageError("--list and --delete exclude each other")
    if listed:
        asyncio.run(_list(settings, room))
    elif delete:
        asyncio.run(_delete(settings, room, delete))
    else:
        click.echo(asyncio.run(create(settings, room, checked)))


async def create(settings: Settings, room: str, metadata: str = "") -> str:
    """Dispatch the monitor to a room, which is made if need be; returns the dispatch's id."""
    async with server_api(settings) as server:
        await server.room.create_room(api.CreateRoomRequest(name=room))
        request = api.CreateAgentDispatchRequest(
            room=room, agent_name=settings.agent_name, metadata=metadata
        )
        return (await server.agent_dispatch.create_dispatch(request)).id


def _checked(given: str, participant_identity: str | None) -> str:
    """The metadata as it goes to the server. Exits with 2 when the worker would refuse it."""
    raw = _read(given)
    try:
        known = decode_metadata(raw)
        unknown = unknown_keys(raw)
    except MetadataError as error:
        click.echo(f"pmon dispatch: {error}", err=True)
        sys.exit(2)
    if unknown:
        click.echo(f"pmon dispatch: unknown keys are ignored: {', '.join(unknown)}", err=True)
    if participant_identity is None:
        return raw.decode()
    if known.participant_identity not in ("", participant_identity):
        raise click.UsageError(
            "--participant-identity and the metadata name different participants"
        )
    document = msgspec.json.decode(raw) if raw.strip() else {}
    return msgspec.json.encode(document | {"participant_identity": participant_identity}).decode()


def _read(given: str) -> bytes:
    if not given.startswith("@"):
        return given.encode(errors="surrogateescape")
    try:
        with Path(given[1:]).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"--metadata: cannot read {given[1:]}: {error.strerror}") from None


@asynccontextmanager
async def _server_with(settings: Settings, room: str) -> AsyncIterator[api.LiveKitAPI]:
    """The server's API, if there is such a room. Asked for the dispatches of another, the server
    says after some seconds that it is unavailable, as if it were broken.
    """
    async with server_api(settings) as server:
        listed = await server.room.list_rooms(api.ListRoomsRequest(names=[room]))
        if not listed.rooms:
            raise click.ClickException(f"{settings.url} has no room {room}")
        yield server


async def _list(settings: Settings, room: str) -> None:
    async with _server_with(settings, room) as server:
        for found in await server.agent_dispatch.list_dispatch(room):
            if found.agent_name:  # the server's own, for workers without a name, has none
                click.echo(f"{found.id} {found.agent_name} {found.metadata}".rstrip())


async def _delete(settings: Settings, room: str, dispatch_id: str) -> None:
    async with _server_with(settings, room) as server:
        await server.agent_dispatch.delete_dispatch(dispatch_id, room)
