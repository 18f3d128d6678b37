"""Runs one block: server and publishers on one core, the watcher on the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace

import psutil
from livekit import api
from load_generator import LoadGenerator, LoadGeneratorError
from load_model import Truth

from capacity import compare
from capacity.results import Result, Window
from capacity.rows import JOIN_S, Block, Watch
from capacity.server import MeteredServer
from capacity.watchers import Watcher, make
from pmon.cli.livekit_server import find_or_build
from pmon.cli.worker_process import WorkerFailedError

SERVER_CORE, WATCHER_CORE = 0, 1
READY_S = 180.0
Say = Callable[[str], None]
Attached = tuple[Result, Watcher]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started meanwhile runs on this core alone, if the machine has another."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {sorted(before)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Stage:
    """The server and the publishers of one block."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.server = MeteredServer(find_or_build())
        self.generators: list[LoadGenerator] = []
        self.unmuted = 0

    @property
    def room_names(self) -> list[str]:
        """Of all loads."""
        return [room for generator in self.generators for room in generator.truth.rooms]

    async def start(self) -> None:
        """Return once everybody has joined and published."""
        server = self.server
        with pinned(SERVER_CORE):
            await asyncio.to_thread(server.start)
        for load in self.block.loads:
            generator = LoadGenerator(
                server.url, server.api_key, server.api_secret, load, ready_timeout_s=READY_S
            )
            with pinned(SERVER_CORE):  # a thread inherits it, and the process from the thread
                await asyncio.to_thread(generator.start)
            self.generators.append(generator)
            people = [p for room in generator.truth.rooms.values() for p in room.values()]
            self.unmuted += sum(person.kind != "muted" for person in people)

    async def end(self) -> list[Truth]:
        """Let everybody leave; what each load really was."""
        truths = [await asyncio.to_thread(generator.stop) for generator in self.generators]
        self.generators.clear()
        return truths

    async def close(self) -> None:
        """Make sure that nothing runs on."""
        for generator in self.generators:
            with contextlib.suppress(LoadGeneratorError):
                await asyncio.to_thread(generator.stop)
        await asyncio.to_thread(self.server.close)


async def run(block: Block, say: Say) -> list[Result]:
    """The results of a block, one for each watcher."""
    stage = Stage(block)
    attached: list[Attached] = []
    try:
        await stage.start()
        if block.order == "together":
            attached = await _together(stage, say)
        elif block.order == "alternating":
            rounds = [w for _ in range(block.windows) for w in block.watches]
            for watch in rounds:
                attached.append(await _attach(stage, watch, 1, say))
        else:
            for watch in block.watches:
                attached.append(await _attach(stage, watch, block.windows, say))
        truths = await stage.end()
    finally:
        await stage.close()
    results = merged([result for result, _ in attached])
    for result in results:
        observed = [watcher.observed for one, watcher in attached if one.watch == result.watch]
        for load, truth in zip(block.loads, truths, strict=True):
            result.speech[load.room_prefix] = compare.speech(observed, truth)
            result.video = compare.cameras(observed[0], truth) or result.video
    return results


def merged(results: list[Result]) -> list[Result]:
    """One result a watcher: the windows of all its rounds, the worst of being there."""
    found: dict[str, Result] = {}
    for result in results:
        first = found.setdefault(result.watch, result)
        if first is not result:
            first.windows = [*first.windows, *result.windows]
            first.watched = min(first.watched, result.watched)
            first.lost += result.lost
            first.join_s = max(first.join_s, result.join_s)
            first.error = first.error or result.error
            first.told = result.told or first.told
    return list(found.values())


async def _attach(stage: Stage, watch: Watch, windows: int, say: Say) -> Attached:
    """Start a watcher, measure, stop it; a watcher that fails does not fail the run."""
    result, watcher = _new(stage, watch)
    say(f"{stage.block.name}: {watch.name}")
    try:
        async with _watching(stage, watch, result, watcher):
            block = stage.block
            await asyncio.sleep(block.settle_of(watch))
            watcher.observed.settled = time.time()
            for _ in range(windows):
                window = await _window(stage, watch, watcher)
                result.windows = [*result.windows, window]
                missing = block.ladder and watcher.observed.watched < block.participants
                if window.hopeless or missing:
                    break
            await _look_back(stage, watch, result, watcher)
    except (WorkerFailedError, RuntimeError, TimeoutError, psutil.Error, OSError) as error:
        result.error = f"{type(error).__name__}: {error}"[:500]
    return result, watcher


async def _together(stage: Stage, say: Say) -> list[Attached]:
    """All watch at once."""
    block = stage.block
    say(f"{block.name}: {' and '.join(watch.name for watch in block.watches)}")
    attached = []
    async with AsyncExitStack() as stack:
        for watch in block.watches:
            result, watcher = _new(stage, watch)
            await stack.enter_async_context(_watching(stage, watch, result, watcher))
            attached.append((result, watcher))
        await asyncio.sleep(block.settle_s)
        for _, watcher in attached:
            watcher.observed.settled = time.time()
        windows = (
            _window(stage, watch, watcher)
            for watch, (_, watcher) in zip(block.watches, attached, strict=True)
        )
        found = await asyncio.gather(*windows)
        for watch, (result, watcher), window in zip(block.watches, attached, found, strict=True):
            result.windows = [window]
            await _look_back(stage, watch, result, watcher)
    return attached


def _new(stage: Stage, watch: Watch) -> Attached:
    block = stage.block
    result = Result(
        block=block.name,
        watch=watch.name,
        participants=block.participants,
        rooms=block.rooms,
        unmuted=stage.unmuted,
    )
    return result, make(watch, stage.server)


@asynccontextmanager
async def _watching(
    stage: Stage, watch: Watch, result: Result, watcher: Watcher
) -> AsyncIterator[None]:
    observed = watcher.observed
    try:
        with pinned(WATCHER_CORE):
            await watcher.start(stage.room_names)
        wanted = 0 if watch.kind == "nobody" else result.participants
        while observed.watched < wanted:
            watcher.processes()  # it says so if it has ended
            await asyncio.sleep(0.1)
            if time.time() - observed.asked > JOIN_S:
                break
        result.join_s = round(time.time() - observed.asked, 1)
        yield
    finally:
        observed.until = time.time()
        await watcher.stop()


async def _look_back(stage: Stage, watch: Watch, result: Result, watcher: Watcher) -> None:
    """What only shows while the watcher is still there."""
    result.watched, result.lost = watcher.observed.watched, watcher.observed.lost
    result.told = watcher.observed.told
    if watch.kind == "pmon":
        result.connections = await _connections(stage)


async def _connections(stage: Stage) -> int:
    server, found = stage.server, 0
    async with api.LiveKitAPI(server.http_url, server.api_key, server.api_secret) as lkapi:
        for room in stage.room_names:
            listed = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
            found += sum(p.identity.startswith("pmon-") for p in listed.participants)
    return found


async def _window(stage: Stage, watch: Watch, watcher: Watcher) -> Window:
    """Measure for one window."""
    block = stage.block
    processes = watcher.processes()
    server = psutil.Process(stage.server.pid)
    publishers = [psutil.Process(generator.pid) for generator in stage.generators]
    groups = processes, [server], publishers
    traffic = await asyncio.to_thread(stage.server.traffic)
    heard_s, before = watcher.observed.heard_s, [cpu_s(group) for group in groups]
    began = time.monotonic()
    await asyncio.sleep(block.window_of(watch))
    elapsed_s = time.monotonic() - began
    used = [(cpu_s(group) - first) / elapsed_s for group, first in zip(groups, before, strict=True)]
    now = await asyncio.to_thread(stage.server.traffic)
    kbit = {way: (now[way] - traffic[way]) * 8 / 1000 / elapsed_s for way in now}
    heard_s = watcher.observed.heard_s - heard_s
    memory = [process.memory_full_info() for process in processes]
    return Window(
        seconds=elapsed_s,
        cores=used[0],
        server_cores=used[1],
        publisher_cores=used[2],
        rss_mb=sum(m.rss for m in memory) / 1e6,
        pss_mb=sum(m.pss for m in memory) / 1e6,
        threads=sum(process.num_threads() for process in processes),
        sent_kbit=kbit["outgoing"],
        received_kbit=kbit["incoming"],
        heard_share=heard_s / elapsed_s / block.participants if watch.measures else None,
    )


def failed(block: Block, watch: Watch, error: Exception) -> Result:
    """A row of a block that could not be measured."""
    return Result(
        block=block.name,
        watch=watch.name,
        participants=block.participants,
        rooms=block.rooms,
        unmuted=0,
        error=f"{type(error).__name__}: {error}"[:500],
    )


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU seconds used so far."""
    total = 0.0
    for process in processes:
        times = process.cpu_times()
        total += times.user + times.system
    return total


def shortened(block: Block, window_s: float) -> Block:
    """The block with other windows, for trying things out."""
    return replace(block, window_s=window_s, settle_s=min(block.settle_s, window_s))
