"""The server's API for a command: whatever goes wrong is one sentence for the user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import click
from google.protobuf.message import DecodeError
from livekit import api

from pmon.settings import Settings

CREDENTIALS = (
    "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be a pair that the server knows,"
    " and the clocks of both machines must agree"
)


@asynccontextmanager
async def server_api(settings: Settings) -> AsyncIterator[api.LiveKitAPI]:
    """The API of the server in the settings. Raises ClickException for what does not work."""
    try:
        async with api.LiveKitAPI(
            settings.url, settings.api_key, settings.api_secret, failover=False
        ) as client:
            yield client
    except (api.ServerError, aiohttp.ClientError, TimeoutError, DecodeError) as error:
        raise click.ClickException(f"{settings.url} {problem_of(error)}") from None


def problem_of(error: Exception) -> str:
    """What happened, as the end of a sentence that begins with the server's URL."""
    match error:
        case api.ServerError(status=401 | 403):
            return f"refuses the credentials: {CREDENTIALS}"
        case api.ServerError() if error.code == "unknown" and not error.message:
            return f"is no LiveKit server: it answers HTTP {error.status}"
        case api.ServerError():
            return f"answers: {error.message or error.code} ({error.code})"
        case DecodeError():
            return "is no LiveKit server: it answers something else"
        case TimeoutError():
            return "does not answer in time"
        case aiohttp.ClientConnectorCertificateError():
            return "has a certificate that is not trusted here"
        case aiohttp.ClientConnectorError():
            reason = error.strerror or type(error.os_error).__name__
            return f"cannot be reached: {reason}; is the server running, and is this its address?"
    return f"cannot be reached: {type(error).__name__}"
