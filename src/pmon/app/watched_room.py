"""One room of a media process: its monitor, its connection and its notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec
import structlog
from livekit import api

from pmon.app.messages import Checkpoint, FromHost, Happened, JobEnded, StartJob
from pmon.app.told import told
from pmon.app.trace import Traces
from pmon.media.connection import RoomConnection
from pmon.media.listener import Listener
from pmon.media.tap import AudioTier
from pmon.metadata import NotificationPreferences
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.coverage import RoomJob
from pmon.monitor.events import SessionEnded, SessionStarted
from pmon.monitor.inputs import ParticipantInfo
from pmon.monitor.link import Link
from pmon.monitor.room import RoomMonitor
from pmon.monitor.session import Session, SessionState
from pmon.monitor.watch import Watch
from pmon.outputs.notices import Notices, Packet
from pmon.settings import Settings

log = structlog.get_logger("pmon.host")


class WatchedRoom:
    """Its messages go to ``emit``: events, checkpoints of sessions, and jobs that ended."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        server: api.LiveKitAPI,
        tier: AudioTier,
        listener: Listener,
        anchor: UtcAnchor,
        attributes: Callable[[], dict[str, str]],
        emit: Callable[[FromHost], None],
        traces: Traces | None = None,
    ) -> None:
        monitor = RoomMonitor if traces is None else traces.record
        self.monitor = monitor(name, anchor, opt_out=settings.opt_out)
        self.notices = Notices(settings.enable_notifications, self.monitor.is_monitored)
        self.connection = RoomConnection(
            self.monitor,
            settings,
            server,
            tier,
            listener,
            self.notices,
            attributes,
            self._on_change,
        )
        self.preferences: dict[str, NotificationPreferences] = {}
        """What the running jobs ask for."""
        self._anchor = anchor
        self._emit = emit
        self._encoder = msgspec.msgpack.Encoder()
        self._flushing = False
        self._sending: asyncio.Task[None] | None = None

    def _on_change(self) -> None:
        """Take events out on the next turn of the loop, once for all that happens in this one."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        self._flushing = False
        now = time.monotonic()
        touched = set()
        for event in self.monitor.take_events():
            if isinstance(event, SessionStarted):
                self._notify(event.session, event.job or "", event.participant)
            self.notices.event(event, now)
            self._emit(Happened(event=event))
            touched.add(event.session)
            if isinstance(event, SessionEnded):
                over = Checkpoint(job=event.job or "", participant=event.participant, state=None)
                self._emit(over)
        # What has been told must not be told again by a process that goes on from here.
        self.checkpoint(s for s in self.monitor.sessions.all() if s.id in touched)
        for job in self.monitor.take_ended_jobs():
            self.preferences.pop(job.job, None)
            self._emit(JobEnded(job=job.job, error=job.error))

    def checkpoint(self, sessions: Iterable[Session]) -> None:
        """Leave the supervisor what another process needs to go on with these."""
        for session in sessions:
            state = self._encoder.encode(session.state())
            name = session.participant.identity
            # Before the room is joined, nobody has been seen there who was not there before.
            looked = session.ever_present or self.monitor.link is Link.CONNECTED
            absent = looked and not session.present
            self._emit(Checkpoint(job=session.job, participant=name, state=state, absent=absent))

    def start(self, message: StartJob, watch: Watch, now: float) -> None:
        """Watch for a job, from the sessions on that another process has left."""
        states = None
        if message.states is not None:
            states = [msgspec.msgpack.decode(s, type=SessionState) for s in message.states]
        said = {state.id: told(state, self._anchor) for state in states or ()}
        job, dispatch = message.job, message.dispatch
        self.preferences[job] = message.metadata.notification_preferences
        if message.participant:
            info = ParticipantInfo(
                identity=message.participant,
                sid=message.participant_sid,
                kind=message.participant_kind,
            )
            known = states[0] if states else None
            self.monitor.start_job(job, dispatch, info, watch, now, known)
        else:
            self.monitor.start_room_job(RoomJob(job, dispatch, watch), now, states)
        going_on = self.monitor.sessions.of_job(job)
        welcomed = {state.id for state in states or () if state.ever_present}
        for session in going_on:
            name = session.participant.identity
            self._notify(session.id, job, name, welcomed=session.id in welcomed)
        for session_id, changes in said.items():
            self.notices.resume(session_id, changes)
        self.checkpoint(going_on)  # under the name of the job that has them now

    def _notify(self, session: str, job: str, identity: str, *, welcomed: bool = False) -> None:
        preferences = self.preferences.get(job)
        if preferences is not None:  # else the job is over, and the session with it
            self.notices.session(session, identity, preferences, welcomed=welcomed)

    def tick(self, now: float) -> None:
        self.connection.tick(now)
        self.monitor.tick(now)
        self.connection.jobs_changed()
        self.flush()
        if self._sending is None:
            packet = self._due(now)
            if packet is not None:
                self._sending = asyncio.create_task(self._send(packet))

    def _due(self, now: float) -> Packet | None:
        return self.notices.due(now) if self.connection.connected else None

    async def _send(self, packet: Packet | None) -> None:
        """This one and all that are due then."""
        try:
            while packet is not None:
                await self.connection.publish(
                    packet.payload, packet.topic, packet.destination_identities
                )
                self.notices.sent(time.monotonic())
                await asyncio.sleep(self.notices.free_at - time.monotonic())
                packet = self._due(time.monotonic())
        except Exception:
            log.exception("notices not sent", room=self.monitor.room)
        finally:
            self._sending = None

    def last_word(self, now: float) -> None:
        """Bring what the meters know by now to the monitor."""
        self.connection.tick(now)
        self.connection.read(now)

    def hand_over(self, now: float) -> None:
        """Say the last of everything: another process goes on from here."""
        self.connection.read(now)
        self.tick(now)
        self.monitor.settle(now)
        self.checkpoint(self.monitor.sessions.all())
        self._emit = lambda _: None

    def end(self, now: float) -> None:
        """End all sessions, with their summaries."""
        self.connection.hang_up()
        self.monitor.end_all("shutdown", now)
        self.flush()

    async def aclose(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        await self.connection.aclose()
