"""The worker's main part: takes jobs from the server, gives them to the host, and tells the world.

It owns the websocket, HTTP and the durable outputs, one writer each. What goes on in the rooms it
knows only from the messages of the media processes.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import secrets
import signal
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from livekit import api

from pmon.agent import actions as act
from pmon.agent.dispatches import DispatchWatch, Ending, ending_of
from pmon.agent.protocol import WorkerProtocol
from pmon.agent.reconcile import is_adopted
from pmon.agent.websocket import AgentConnection, Unauthorized
from pmon.app import messages as msg
from pmon.app.adoption import Adoption
from pmon.app.busyness import Busyness
from pmon.app.outputs import Outputs, noted
from pmon.app.pool import Pool
from pmon.app.totals import Totals
from pmon.app.trace import check_folder
from pmon.monitor.events import AnyEvent, ParticipantConnected, SessionEnded
from pmon.monitor.people import people
from pmon.outputs import log as log_output
from pmon.outputs import pseudonyms
from pmon.outputs.metrics import Metrics
from pmon.settings import Settings, SettingsError
from pmon.web.access import Access, is_loopback_name
from pmon.web.board import Board
from pmon.web.server import WebServer
from pmon.web.state import Capacity

REPORT_S = 30.0
SWEEP_S = 30.0
LOAD_S = 0.5
RECYCLE_S = 10.0
SHOW_S = 1.0
LAST_LINE_S = 0.5
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAME_SIGNAL_S = 0.5
"""Two signals within so long are one: some tools signal a process and then its whole group."""
PROTOCOL_VERSION = 1
"""Of the agent protocol, as the server's own register message numbers it."""

log = structlog.get_logger("pmon.worker")


async def run(settings: Settings) -> int:
    """Work until a signal. Returns the exit code, 0 after a drain.

    Raises SettingsError for what only shows now: an address in use, a folder that cannot be
    written, credentials that the server refuses.
    """
    async with api.LiveKitAPI(settings.url, settings.api_key, settings.api_secret) as server:
        return await Supervisor(settings, server).run()


class Supervisor:
    """One worker, from registration to the final summary."""

    def __init__(self, settings: Settings, server: api.LiveKitAPI) -> None:
        self._settings = settings
        self._pool = Pool(settings, self._on_message)
        self._protocol = WorkerProtocol(
            settings.agent_name,
            version=importlib.metadata.version("pmon-livekit"),
            max_jobs=settings.max_jobs,
            job_type=settings.job_type,
            room_full=self._pool.full,
        )
        self._agent = AgentConnection(
            settings.url, settings.api_key, settings.api_secret, self._protocol, self._on_action
        )
        self._dispatches = DispatchWatch(server)
        self._metrics = Metrics(reconcile=settings.reconcile)
        self._adoption = Adoption(settings, server, self._protocol, self._pool, self._metrics)
        self._busyness = Busyness(self._pool, self._metrics, settings.load_threshold)
        self._totals = Totals()
        self._events = log_output.EventLog(settings.log_format)
        self._outputs = Outputs(settings)
        self._pseudonyms = pseudonyms.asked_for(settings)
        self._web = WebServer(
            self,
            self._metrics,
            Access(settings.http_token, settings.api_key, settings.api_secret),
            Board(is_adopted),
            settings.http_host,
            settings.http_port,
        )
        self._instance = secrets.token_hex(6)
        """One start of the worker: with a number behind it, an event's id is unique for ever."""
        self._seq = 0
        self._look_again = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stopped_at = 0.0
        self._background: set[asyncio.Task[None]] = set()

    # --- what the web pages ask

    @property
    def agent_name(self) -> str:
        return self._settings.agent_name

    @property
    def worker_type(self) -> str:
        return f"JT_{self._settings.job_type.upper()}"

    @property
    def worker_id(self) -> str:
        return self._protocol.worker_id if self._protocol.registered else ""

    @property
    def active_jobs(self) -> int:
        return len(self._protocol.jobs) + self._protocol.adopted

    @property
    def load(self) -> float:
        return self._busyness.load

    @property
    def tiers(self) -> dict[str, str]:
        """How audio comes in, by the name of the media process."""
        return self._pool.tiers

    @property
    def protocol_version(self) -> int:
        return PROTOCOL_VERSION

    @property
    def unready(self) -> str | None:
        if self._protocol.draining:
            return "draining"
        if not self._protocol.registered:
            return "not registered"
        return None if self._pool.works else "no media process"

    @property
    def capacity(self) -> Capacity:
        return self._busyness.capacity(self.active_jobs, self._protocol.version)

    # --- life

    async def run(self) -> int:
        self._take_signals()
        await self._start_outputs()
        stopping = asyncio.create_task(self._stopping.wait())
        starting = asyncio.create_task(self._pool.start())
        rounds: list[asyncio.Task[Any]] = [starting, stopping]
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                starting.result()
                await self._work(rounds, stopping)
            return 0
        finally:
            for task in rounds:
                task.cancel()
            await self._drain()

    async def _work(self, rounds: list[asyncio.Task[Any]], stopping: asyncio.Task[Any]) -> None:
        """Register and take jobs until it is time to stop."""
        log.info(
            "starting worker",
            agent_name=self.agent_name,
            url=self._settings.url,
            version=self._protocol.version,
            http_port=self._web.port,
        )
        agent = asyncio.create_task(self._agent.run())
        rounds += [
            asyncio.create_task(self._every(LOAD_S, self._sample_load)),
            asyncio.create_task(self._every(REPORT_S, self._report)),
            asyncio.create_task(self._every(SWEEP_S, self._sweep)),
            asyncio.create_task(self._every(RECYCLE_S, self._recycle)),
            asyncio.create_task(self._every(SHOW_S, self._show_levels)),
        ]
        if self._settings.reconcile:
            rounds.append(asyncio.create_task(self._reconcile()))
        await asyncio.wait({agent, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if agent.done():
            try:
                agent.result()
            except Unauthorized as error:
                raise SettingsError(str(error)) from None

    async def _start_outputs(self) -> None:
        """Raises one SettingsError for all that is wrong with where they go."""
        problems: list[str] = []
        with noted(problems):
            await self._web.start()
        settings = self._settings
        if settings.http_token is None and not is_loopback_name(settings.http_host):
            log.warning("without PMON_HTTP_TOKEN other machines see nothing but / and /ready")
        with noted(problems):
            if self._settings.trace:
                check_folder(self._settings.trace)
        with noted(problems):
            await self._outputs.start()
        if problems:
            await self._web.aclose()
            await self._outputs.aclose(deadline_s=0.0)
            raise SettingsError("\n".join(problems))

    async def _drain(self) -> None:
        """End what runs, with its summaries, and let every output finish."""
        self._agent.drain()
        log.info("draining worker", jobs=self.active_jobs)
        try:
            await asyncio.wait_for(self._pool.drain(), self._settings.drain_timeout_s)
        except TimeoutError:
            log.error("drain timed out", jobs=self.active_jobs)
            self._pool.kill()
        await self._agent.aclose()
        log_output.summary(self._totals.summary())
        await self._outputs.aclose()
        await self._web.aclose()
        log.info("worker stopped")
        _ignore_signals()

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        now = time.monotonic()
        if self._stopping.is_set():
            if now - self._stopped_at < SAME_SIGNAL_S:
                return
            log.warning("leaving at once, on a second signal")
            self._pool.kill()
            log_output.drain(LAST_LINE_S)
            os._exit(1)
        self._stopped_at = now
        self._stopping.set()

    # --- from the server

    def _on_action(self, action: act.Action) -> None:
        match action:
            case act.Registered():
                log.info(
                    "registered worker",
                    worker_id=action.worker_id,
                    server_version=action.server_version,
                )
                self._adoption.registered(action.worker_id)
                self._look_again.set()
                for warning in action.warnings:
                    log.warning("the server is old", problem=warning)
            case act.JobAssigned():
                self._start(action)
            case act.JobTerminated(assigned=task):
                self._in_background(self._on_terminated(task))
            case act.JobDeclined():
                self._metrics.job("declined")
                if not action.repeated and action.reason == "bad_metadata":
                    log.error("job declined: bad metadata", **_fields(action))
                elif not action.repeated:
                    log.info("job declined", **_fields(action))
            case act.MetadataKeysIgnored():
                log.warning("unknown metadata keys are ignored", **_fields(action))
            case act.AssignmentTimedOut():
                self._metrics.job("not_assigned")
                log.warning("an accepted job was not assigned", **_fields(action))
            case act.FrameRefused():
                log.warning("the server sent what is no message", size=action.size)
            case act.ConnectionStale():
                log.warning("the connection is stale", problem=action.problem)

    def _start(self, task: act.JobAssigned) -> None:
        self._metrics.job("accepted")
        log.info(
            "received job",
            job_id=task.job,
            dispatch_id=task.dispatch,
            room=task.room,
            participant=task.participant,
        )
        self._pool.handle(msg.StartJob.of(task))
        # Many more may be offered before it is measured what this one takes.
        self._agent.set_load(self._busyness.load)

    async def _on_terminated(self, task: act.JobAssigned) -> None:
        try:
            ending = await self._dispatches.terminated(task)
        except Exception:  # the server will not say it again, so that job ends at any rate
            log.exception("the dispatch could not be looked up", job_id=task.job)
            ending = ending_of(task, listed=None)
        self._end(ending)

    def _end(self, ending: Ending) -> None:
        if ending.job is None:
            self._pool.handle(
                msg.EndDispatch(room=ending.room, dispatch=ending.dispatch, reason=ending.reason)
            )
        else:
            self._pool.handle(msg.EndJob(job=ending.job, reason=ending.reason))

    # --- from the media processes

    def _on_message(self, message: msg.FromHost) -> None:
        match message:
            case msg.Happened(event=event):
                self._on_event(event)
            case msg.JobEnded(job=job) if self._adoption.ended(job):
                pass  # the server knows nothing of it
            case msg.JobEnded(job=job, error=error):
                self._metrics.job("succeeded" if error is None else "failed")
                log.info("job ended", job_id=job, error=error)
                self._agent.job_ended(job, error)
            case msg.EventsLost(events=events):
                self._metrics.sdk_events_lost(events)
            case msg.HostStatus():
                self._metrics.set_rooms(len(self._pool.rooms), people(self._pool.rooms))
                self._adoption.tell_unwatched()
                self._web.rooms(self._pool.rooms)
            case msg.LevelsNow(levels=levels):
                self._web.levels(levels)

    def _on_event(self, event: AnyEvent) -> None:
        self._seq += 1
        job = None if is_adopted(event.job or "") else event.job
        event = msgspec.structs.replace(event, id=f"{self._instance}-{self._seq}", job=job)
        self._metrics.event(event)
        told = event if self._pseudonyms is None else self._pseudonyms.event(event)
        self._totals.event(told)
        self._events.event(told)
        self._outputs.event(told)
        self._web.event(event)
        if isinstance(event, ParticipantConnected):
            self._adoption.somebody_came(event.room)
        elif isinstance(event, SessionEnded) and event.reason == "monitor_removed":
            self._adoption.removed(event.room_sid)

    # --- rounds

    async def _sample_load(self) -> None:
        for output, events in self._outputs.dropped().items():
            self._metrics.set_dropped(output, events)
        self._busyness.sample()
        self._agent.set_load(self._busyness.load)

    async def _recycle(self) -> None:
        self._pool.look_after(time.monotonic())
        self._pool.recycle(self._settings.max_rss)

    async def _show_levels(self) -> None:
        """As long as somebody looks."""
        visible = self._web.visible
        if visible:
            self._pool.handle(msg.ShowLevels(identities=visible))

    async def _report(self) -> None:
        """One line that says how everybody is."""
        present = people(self._pool.rooms)
        log_output.report(
            active=len(present),
            speaking=sum(person.speaking for person in present),
            poor_quality=sum(person.poor for person in present),
            rooms=len(self._pool.rooms),
        )

    async def _sweep(self) -> None:
        """Look for deleted dispatches among the jobs that the server has forgotten."""
        if self._protocol.registered:
            forgotten = [t for t in self._protocol.jobs if not self._protocol.reachable(t.job)]
            forgotten += self._adoption.tasks
            for ending in await self._dispatches.sweep(forgotten):
                self._end(ending)

    async def _reconcile(self) -> None:
        """Watch whom nobody watches: at once after each registration, and every few seconds."""
        while True:
            self._look_again.clear()
            try:
                await self._adoption.round()
            except Exception:
                log.exception("a round failed", round="reconcile")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_again.wait(), self._adoption.pause_s)

    async def _every(self, period_s: float, work: Any) -> None:
        while True:
            await asyncio.sleep(period_s)
            try:
                await work()
            except Exception:
                log.exception("a round failed", round=work.__name__)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _ignore_signals() -> None:
    """All is done: a signal that comes now must not turn the exit code into a failure."""
    loop = asyncio.get_running_loop()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _fields(action: msgspec.Struct) -> dict[str, Any]:
    """An action's fields under the names that livekit-agents' log lines use."""
    names = {"job": "job_id", "dispatch": "dispatch_id"}
    return {names.get(k, k): v for k, v in msgspec.structs.asdict(action).items()}
