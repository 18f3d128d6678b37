"""One media process, as the supervisor sees it: started, talked to, gone."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import cast

import structlog

from pmon.app import messages as msg
from pmon.app.channel import Channel
from pmon.settings import SETTINGS, Settings

MAIN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # until it is heard, for which the SDK is loaded
from pmon.app.media_process import main
main()
"""
SECRETS = {"LIVEKIT_API_KEY", *(setting.variable for setting in SETTINGS if setting.secret)}
"""Nobody needs them in the environment of a process that gets them over its channel."""
EXIT_S = 3.0
"""How long a process may live on once it has closed its end."""


log = structlog.get_logger("pmon.worker")


class MediaChild:
    """A process that runs ``pmon.app.media_process``; ``spawn`` makes one.

    ``ready``, ``prepared`` and ``handed_over`` are set by the messages of these names, and each
    of them when the process is gone as well: look at ``alive`` behind them.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        channel: Channel[msg.FromHost],
        on_message: Callable[[MediaChild, msg.FromHost], None],
    ) -> None:
        self.tier = ""
        self.ready = asyncio.Event()
        self.prepared = asyncio.Event()
        self.unprepared: list[str] | None = None
        """The rooms that it was to join and could not; None until it has said so."""
        self.handed_over = asyncio.Event()
        self._process = process
        self._channel = channel
        self._on_message = on_message
        self._listening = asyncio.create_task(self._listen(), name=f"media process {process.pid}")

    @classmethod
    async def spawn(
        cls, settings: Settings, on_message: Callable[[MediaChild, msg.FromHost], None]
    ) -> MediaChild:
        """Start one. It is spawned, never forked: the SDK's threads do not survive a fork."""
        ours, its = socket.socketpair()
        with its:
            # A session of its own, so that Ctrl-C at a terminal reaches the supervisor alone. -P:
            # what lies in the current folder is not ours.
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", MAIN, str(its.fileno())),
                pass_fds=[its.fileno()],
                env={name: text for name, text in os.environ.items() if name not in SECRETS},
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        channel = await Channel.over(ours, cast("type[msg.FromHost]", msg.FromHost))
        child = cls(process, channel, on_message)
        child.send(msg.Begin(settings=settings))
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._listening.done()

    @property
    def exit_code(self) -> int | None:
        """As ``subprocess`` has it: negative for a signal, None while it runs."""
        return self._process.returncode

    def send(self, message: msg.ToHost) -> None:
        self._channel.send(message)

    async def gone(self) -> None:
        """Wait until the process has ended."""
        await asyncio.wait([self._listening])

    def kill(self) -> None:
        """End it now; nothing that it watches is told."""
        if self._process.returncode is None:
            self._process.kill()

    async def _listen(self) -> None:
        try:
            async for message in self._channel.messages():
                match message:
                    case msg.Ready(tier=tier):
                        self.tier = tier
                        self.ready.set()
                    case msg.Prepared(missing=missing):
                        self.unprepared = missing
                        self.prepared.set()
                    case msg.HandedOver():
                        self.handed_over.set()
                    case _:
                        self._on_message(self, message)
        except Exception:
            log.exception("a media process could not be understood", pid=self.pid)
            self.kill()
        finally:
            self._channel.close()
            try:
                await asyncio.wait_for(self._process.wait(), EXIT_S)
            except TimeoutError:
                self.kill()
                await self._process.wait()
            for event in (self.ready, self.prepared, self.handed_over):
                event.set()
