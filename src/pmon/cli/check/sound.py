"""The way of the sound: a room of its own, a tone in it, and the room's end."""

from __future__ import annotations

import secrets

import aiohttp
from livekit import api

from pmon.cli.check.findings import Finding, ok, wrong
from pmon.cli.server_api import problem_of
from pmon.media.hearing import TONE_DBOV, WITHIN_S, Heard, HearingError, hear_tone
from pmon.media.tap import AudioTier
from pmon.settings import Settings

EMPTY_S = 30
"""After which the server closes the room by itself, should nobody be left to delete it."""
_ERRORS = (api.ServerError, aiohttp.ClientError, TimeoutError)


async def check_sound(settings: Settings, tier: AudioTier) -> list[Finding]:
    """Whether a microphone would be heard, by which way, and whether the room is gone again."""
    room = f"pmon-check-{secrets.token_hex(6)}"
    found = []
    async with api.LiveKitAPI(
        settings.url, settings.api_key, settings.api_secret, failover=False
    ) as server:
        try:
            await server.room.create_room(
                api.CreateRoomRequest(name=room, empty_timeout=EMPTY_S, departure_timeout=EMPTY_S)
            )
            found += _findings(await hear_tone(settings, room, tier))
        except HearingError as error:
            found.append(
                wrong(
                    "sound",
                    f"{error}: between this machine and the server UDP must pass, or ICE over TCP"
                    " or TURN be there instead",
                )
            )
        except _ERRORS as error:
            found.append(wrong("sound", f"{settings.url} {problem_of(error)}"))
        finally:
            found.append(await _delete(server, room))
    return found


def _findings(heard: Heard) -> list[Finding]:
    sent = f"a tone of {TONE_DBOV:.1f} dBov"
    if heard.level_dbov is None:
        found = wrong("sound", f"nothing of {sent} was heard within {WITHIN_S:.0f} s")
    elif heard.well:
        found = ok("sound", f"{sent} came as {heard.level_dbov:.1f}, after {heard.after_s:.1f} s")
    else:
        found = wrong("sound", f"{sent} came as {heard.level_dbov:.1f}")
    if heard.path is None:
        return [found]
    return [found, ok("sound's way", heard.path)]


async def _delete(server: api.LiveKitAPI, room: str) -> Finding:
    try:
        await server.room.delete_room(api.DeleteRoomRequest(room=room))
    except _ERRORS as error:
        text = f"{room} was not deleted, the server {problem_of(error)}; it ends in {EMPTY_S} s"
        return wrong("room", text)
    return ok("room", "the room for it is deleted")
