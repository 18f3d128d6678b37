"""pmon's one connection to a room: it joins, tells the monitor what happens, and comes back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Protocol

import aiohttp
import structlog
from livekit import api, rtc
from livekit.rtc.participant import PublishDataError

from pmon.media import sdk
from pmon.media.listener import Listener
from pmon.media.polls import Polls
from pmon.media.room_events import RoomEvents, Roster, listen
from pmon.media.subscriptions import Subscriptions
from pmon.media.tap import AudioTier
from pmon.monitor.events import EndReason
from pmon.monitor.room import RoomMonitor

TOKEN_TTL = timedelta(minutes=10)
RETRY_S = (0.0, 1.0, 2.0, 5.0)
"""Waits between attempts to join; the last one repeats."""
SDK_TIMEOUT_S = 5.0
"""For what the SDK answers at once, unless the connection breaks in between."""

GONE: dict[int, EndReason] = {
    rtc.DisconnectReason.ROOM_DELETED: "room_closed",
    rtc.DisconnectReason.ROOM_CLOSED: "room_closed",
    rtc.DisconnectReason.PARTICIPANT_REMOVED: "monitor_removed",
}
"""What ends a connection for good. Anything else is a connection lost, and is made again."""

log = structlog.get_logger("pmon.media")


class Credentials(Protocol):
    """How to reach the server and sign for it; the worker's settings are that."""

    @property
    def url(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def api_secret(self) -> str: ...
    @property
    def hidden(self) -> bool: ...
    @property
    def enable_notifications(self) -> bool: ...


class RoomConnection:
    """One room connection under an identity of its own, which no job's end can take away.

    It calls ``on_change`` after it told the monitor something, so that events are taken out, and
    ``attributes`` for those of its participant whenever it joins.
    """

    def __init__(
        self,
        monitor: RoomMonitor,
        credentials: Credentials,
        server: api.LiveKitAPI,
        tier: AudioTier,
        listener: Listener,
        roster: Roster,
        attributes: Callable[[], dict[str, str]],
        on_change: Callable[[], None],
    ) -> None:
        self.identity = f"pmon-{secrets.token_hex(8)}"
        self.connected = False
        self._gone = False
        self._monitor = monitor
        self._credentials = credentials
        self._server = server
        self._attributes = attributes
        self._on_change = on_change
        self._tier = tier
        self._listener = listener
        self._subscriptions = Subscriptions(monitor, tier, listener, self._changed)
        self._events = RoomEvents(
            monitor, self._subscriptions, roster, self._changed, self._is_current
        )
        self._room: rtc.Room | None = None
        self._joining: asyncio.Task[None] | None = None
        self._lost: asyncio.Future[Any] | None = None
        self._polls = Polls(monitor, self._subscriptions, listener, self._changed)
        self._sid_task: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    # --- for the host

    def start(self) -> None:
        """Join, and stay until ``aclose`` or the room's end."""
        self._task = asyncio.create_task(self._stay(), name=f"room {self._monitor.room}")
        self._task.add_done_callback(lambda _: self._listener.plan.room_gone(self._monitor.room))

    @property
    def over(self) -> bool:
        """Whether the room is gone for good, though leaving it may take a moment."""
        return self._gone

    def jobs_changed(self) -> None:
        """The monitor has other sessions now, and may want other tracks."""
        self._subscriptions.apply()

    def tick(self, now: float) -> None:
        """Look after streams that ran dry and start a look at the receivers' counters."""
        self._subscriptions.look_after(now)
        if self.connected and self._room is not None:
            self._polls.tick(self._room, now)

    def read(self, now: float) -> None:
        """Bring the totals of all meters to the monitor, before its sums are told."""
        self._subscriptions.read(now)

    def levels(self, identities: Iterable[str] | None = None) -> dict[str, float]:
        """How loud these are just now, or all, as far as they are listened to."""
        return self._subscriptions.levels(identities)

    def hang_up(self) -> None:
        """Stop listening everywhere, with the last words told to the monitor."""
        self._subscriptions.hang_up_all()

    async def publish(self, payload: bytes, topic: str, identities: list[str]) -> None:
        """Send a data packet to these participants; lost if the connection is down."""
        if self._room is None or not self.connected:
            return
        sending = self._room.local_participant.publish_data(
            payload, topic=topic, destination_identities=identities
        )
        try:
            await asyncio.wait_for(sending, SDK_TIMEOUT_S)
        except (PublishDataError, TimeoutError) as error:
            log.warning("data not sent", room=self._monitor.room, error=repr(error))

    async def aclose(self) -> None:
        """Leave the room."""
        await self._polls.aclose()
        for task in (self._sid_task, self._task):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    # --- joining and coming back

    async def _stay(self) -> None:
        """Be in the room until it is over, whatever happens to connections in between."""
        attempt = 0
        while True:
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1
            try:
                if not await self._is_listed():
                    continue
                lost = await self._join()
                attempt = 0
                reason = await lost
            except (rtc.ConnectError, TimeoutError) as error:
                # The SDK's message can hold the whole body of an HTTP answer.
                problem = str(error)[:200] or type(error).__name__
                log.warning("could not join the room", room=self._monitor.room, problem=problem)
                continue
            except Exception:
                log.exception("room connection failed", room=self._monitor.room)
                continue
            finally:
                await self._leave()
            name = rtc.DisconnectReason.Name(reason).lower()
            log.info("room connection ended", room=self._monitor.room, reason=name)
            if self._gone:
                return

    async def _is_listed(self) -> bool:
        """Whether the room exists: joining one that does not would create it."""
        try:
            sid = await self._listed_sid()
        except (aiohttp.ClientError, TimeoutError, api.ServerError) as error:
            log.warning(
                "the server does not list rooms",
                room=self._monitor.room,
                error=type(error).__name__,
            )
            self._monitor.not_missing(time.monotonic())
            return False
        if sid is None:
            self._monitor.missing(time.monotonic())
            self._changed()
            return False
        self._monitor.not_missing(time.monotonic())
        return True

    async def _listed_sid(self) -> str | None:
        listed = await self._server.room.list_rooms(
            api.ListRoomsRequest(names=[self._monitor.room])
        )
        return listed.rooms[0].sid if listed.rooms else None

    async def _learn_sid(self) -> None:
        """Ask for the room's sid: a restarted server gave it another, and the SDK does not say."""
        try:
            sid = await self._listed_sid()
        except (aiohttp.ClientError, TimeoutError, api.ServerError) as error:
            log.info("room sid not learned", room=self._monitor.room, error=type(error).__name__)
            return
        if sid:
            self._monitor.renamed(sid)

    async def _join(self) -> asyncio.Future[Any]:
        self._lost = asyncio.get_running_loop().create_future()
        self._room = room = rtc.Room()
        # Before connecting: what happens in between must not be missed.
        self._events.listen(room)
        listen(room, self._link_handlers(), self._changed, self._is_current)
        # Two peer connections: one for both ways costs six more threads and 2 ms/s a room.
        options = rtc.RoomOptions(auto_subscribe=False, single_peer_connection=False)
        self._joining = asyncio.create_task(
            room.connect(self._credentials.url, self._token(), options)
        )
        # Shielded: the SDK would go on to connect, and nobody would be there to disconnect it.
        await asyncio.shield(self._joining)
        self._tier.room_joined(room)
        self.connected = True
        present = [sdk.participant_info(p) for p in room.remote_participants.values()]
        self._monitor.connected(room._info.sid, present, time.monotonic())
        self._events.greet(room)
        self._subscriptions.attach(room)
        log.info("joined the room", room=self._monitor.room, room_sid=room._info.sid)
        self._changed()
        return self._lost

    def _token(self) -> str:
        grants = api.VideoGrants(
            room_join=True,
            room=self._monitor.room,
            agent=True,
            hidden=self._credentials.hidden,
            can_subscribe=True,
            can_publish=False,
            can_publish_data=self._credentials.enable_notifications,
        )
        return (
            api.AccessToken(self._credentials.api_key, self._credentials.api_secret)
            .with_identity(self.identity)
            .with_kind("agent")
            .with_attributes(self._attributes())
            .with_grants(grants)
            .with_ttl(TOKEN_TTL)
            .to_jwt()
        )

    async def _leave(self) -> None:
        if self.connected:  # joining went wrong half-way
            self._monitor.suspend(time.monotonic())
        self.connected = False
        joining, self._joining = self._joining, None
        if joining is not None:
            await asyncio.wait([joining])
        room, self._room = self._room, None
        await self._subscriptions.aclose()
        if room is not None:
            try:
                await asyncio.wait_for(room.disconnect(), SDK_TIMEOUT_S)
            except Exception as error:
                problem = type(error).__name__
                log.warning("could not leave the room", room=self._monitor.room, problem=problem)

    # --- how the connection stands

    def _link_handlers(self) -> dict[str, Callable[..., None]]:
        return {
            "reconnecting": self._on_reconnecting,
            "reconnected": self._on_reconnected,
            "disconnected": self._on_disconnected,
        }

    def _on_reconnecting(self) -> None:
        self.connected = False
        self._subscriptions.pause()
        self._monitor.suspend(time.monotonic())
        log.info("room connection lost, reconnecting", room=self._monitor.room)

    def _on_reconnected(self) -> None:
        self.connected = True
        self._monitor.resumed(time.monotonic())
        self._subscriptions.resume()
        self._sid_task = asyncio.create_task(self._learn_sid())
        log.info("room connection is back", room=self._monitor.room)

    def _on_disconnected(self, reason: Any) -> None:
        self._subscriptions.hang_up_all()
        if reason in GONE:
            # At once: a job that comes while we leave is for a room that was made anew.
            self._gone = True
            self._monitor.end_all(GONE[reason], time.monotonic())
        elif self.connected:
            self._monitor.suspend(time.monotonic())
        self.connected = False
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(reason)

    # --- inside

    def _is_current(self, room: rtc.Room) -> bool:
        return room is self._room

    def _changed(self) -> None:
        self._subscriptions.apply()
        self._on_change()
