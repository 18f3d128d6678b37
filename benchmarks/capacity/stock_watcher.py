"""Watches rooms with the SDK alone: ``python -m capacity.stock_watcher [--batch] HOW ROOM...``.

``floor`` joins each room once, subscribes to all microphones and listens to none: what the SDK
costs whoever uses it. ``each`` joins once for every participant and measures that one. With
``--batch`` it is scheduled as pmon-worker is. The server's URL and keys come from the environment.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys

from livekit import api, rtc

from capacity.stock import Heard, tell
from pmon.media import sdk


def token(room: str) -> str:
    """Of a hidden agent, as pmon joins."""
    grants = api.VideoGrants(
        room_join=True, room=room, agent=True, hidden=True, can_publish=False, can_subscribe=True
    )
    return (
        api.AccessToken(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
        .with_identity(f"stock-{secrets.token_hex(6)}")
        .with_kind("agent")
        .with_grants(grants)
        .to_jwt()
    )


class StockWatcher:
    """The rooms it joined, and who listens there."""

    def __init__(self, sink: bool) -> None:
        self.rooms: list[rtc.Room] = []
        self._sink = sink
        self._heard = Heard()
        self._tasks: list[asyncio.Task[None]] = [asyncio.create_task(self._heard.keep_telling())]

    async def join(self, name: str, only: str | None = None) -> rtc.Room:
        """Join a room, and take everybody's microphone or only one."""
        room = rtc.Room()

        def published(publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
            wanted = only in (None, who.identity)
            if wanted and publication.source == rtc.TrackSource.SOURCE_MICROPHONE:
                publication.set_subscribed(True)

        def subscribed(
            track: rtc.Track, _: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
        ) -> None:
            if self._sink:
                listening = self._heard.listen(track, name, who.identity, 100)
                self._tasks.append(asyncio.create_task(listening))
            else:
                tell(watching=[name, who.identity])

        def unsubscribed(
            _: rtc.Track, __: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
        ) -> None:
            if not self._sink:  # who listens sees the end of the stream
                tell(left=[name, who.identity])

        room.on("track_published", published)
        room.on("track_unsubscribed", unsubscribed)
        room.on("track_subscribed", subscribed)
        options = rtc.RoomOptions(auto_subscribe=False, single_peer_connection=False)
        await room.connect(os.environ["LIVEKIT_URL"], token(name), options)
        self.rooms.append(room)
        for participant in room.remote_participants.values():
            for publication in participant.track_publications.values():
                published(publication, participant)
        return room

    async def leave(self) -> None:
        """All of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(room.disconnect() for room in self.rooms))


async def main(how: str, names: list[str]) -> None:
    """Watch until SIGTERM."""
    sdk.quiet()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    watcher = StockWatcher(sink=how == "each")
    tell(registered=True)
    if how == "floor":
        for name in names:
            await watcher.join(name)
    else:
        async with api.LiveKitAPI() as server:
            for name in names:
                listed = await server.room.list_participants(api.ListParticipantsRequest(room=name))
                people = [p.identity for p in listed.participants if not p.permission.hidden]
                for identity in people:
                    await watcher.join(name, only=identity)
    await stop.wait()
    await watcher.leave()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[0] == "--batch":
        arguments = arguments[1:]
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # before the SDK has threads
    asyncio.run(main(arguments[0], arguments[1:]))
