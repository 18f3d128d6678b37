"""A media process: a host at the other end of a socket pair."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import cast

import structlog
from livekit import api

from pmon.app import messages as msg
from pmon.app.channel import Channel
from pmon.app.host import Host
from pmon.media.tiers import choose
from pmon.outputs import log as log_output
from pmon.outputs.pseudonyms import asked_for

LAST_LINES_S = 1.0
LEAVE_S = 5.0
"""How long rooms may take to be left once the supervisor is gone."""

log = structlog.get_logger("pmon.media")


async def serve(sock: socket.socket) -> None:
    """Work for the supervisor at the other end until it says so or is gone."""
    channel: Channel[msg.ToHost] = await Channel.over(sock, cast("type[msg.ToHost]", msg.ToHost))
    messages = channel.messages()
    begin = await anext(messages, None)
    if not isinstance(begin, msg.Begin):
        await channel.aclose()
        return
    settings = begin.settings
    stdout, pseudonyms = log_output.standard_output(), asked_for(settings)
    log_output.configure(settings.log_format, settings.log_level, stdout, pseudonyms)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: channel.send(msg.Interrupted()))
    async with api.LiveKitAPI(settings.url, settings.api_key, settings.api_secret) as server:
        tier = await choose(settings.media, lambda lost: channel.send(msg.EventsLost(events=lost)))
        host = Host(settings, server, tier, channel.send)
        host.start()
        channel.send(msg.Ready(tier=tier.name))
        listening = asyncio.create_task(_listen(messages, channel, host))
        drained = asyncio.create_task(host.drained.wait())
        await asyncio.wait({listening, drained}, return_when=asyncio.FIRST_COMPLETED)
        if not drained.done():
            problem = repr(listening.exception()) if listening.exception() else None
            log.warning("the supervisor is gone; leaving all rooms", problem=problem)
            await asyncio.wait_for(host.leave(), LEAVE_S)
        for task in (listening, drained):
            task.cancel()
    await channel.aclose()


async def _listen(
    messages: AsyncIterator[msg.ToHost], channel: Channel[msg.ToHost], host: Host
) -> None:
    async for message in messages:
        try:
            host.handle(message)
        except Exception:  # one job that it cannot take must not end the others
            log.exception("the host failed", request=type(message).__name__)
            if isinstance(message, msg.StartJob):
                channel.send(msg.JobEnded(job=message.job, error="the monitor failed"))


def main() -> None:
    """``python -c ... FD``: the supervisor's socket is an open file descriptor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))
    log_output.drain(LAST_LINES_S)
