"""What watching costs, on a real server with real speech: ``python benchmarks/capacity.py``.

Server and publishers run on one core, pmon on the other. Each row prints when it is measured; all
of them are saved as JSON. ``--only NAME`` measures the rows whose name contains NAME.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import click
import psutil
from livekit import api
from load_generator import LoadGenerator, find_or_build
from load_model import Load, Person, Truth

from pmon.cli import livekit_server
from pmon.cli.livekit_server import LocalServer
from pmon.cli.worker_process import WorkerProcess
from pmon.monitor.events import AnyEvent, SessionEnded, SpeakingStarted

SETTLE_S = 20.0
MEASURE_S = 60.0
MEETING = Load(participants=150, talking_at_once=1.5, burst=6, dtx=True)
TALKING = Load(participants=120, talk_share=1.0)


@dataclass
class Row:
    """One measurement: what is watched, and with which settings."""

    name: str
    load: Load
    settings: dict[str, str] = field(default_factory=dict)
    measure_s: float = MEASURE_S


@dataclass
class Result:
    """CPU is milliseconds a second; delays are seconds; errors are shares of the truth."""

    name: str
    participants: int
    rooms: int
    watched: int = 0
    cores: float = 0.0
    ms_per_participant: float = 0.0
    supervisor_ms: float = 0.0
    rss_mib: float = 0.0
    threads: int = 0
    join_s: float = 0.0
    delay_median_s: float | None = None
    delay_p99_s: float | None = None
    talk_error: float | None = None
    server_cores: float = 0.0
    publisher_cores: float = 0.0


ROWS = [
    Row("talking 120 always native", TALKING, {"PMON_LISTEN": "always", "PMON_MEDIA": "native"}),
    Row(
        "talking 120 always portable", TALKING, {"PMON_LISTEN": "always", "PMON_MEDIA": "portable"}
    ),
    Row("meeting 150 always", MEETING, {"PMON_LISTEN": "always"}),
    Row("meeting 150 adaptive", MEETING, {"PMON_LISTEN": "adaptive"}),
    Row(
        "meeting 150 adaptive, bursts of 1.5 s",
        replace(MEETING, burst=1.5),
        {"PMON_LISTEN": "adaptive"},
    ),
    Row(
        "750 in 15 rooms adaptive",
        replace(MEETING, rooms=15, participants=50, muted=0.15),
        {"PMON_LISTEN": "adaptive"},
    ),
    Row(
        "1000 in 20 rooms adaptive",
        replace(MEETING, rooms=20, participants=50, muted=0.15),
        {"PMON_LISTEN": "adaptive"},
    ),
]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started meanwhile runs on this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


class Watched:
    """The events of one row, with the time they arrived."""

    def __init__(self) -> None:
        self.sessions = 0
        self.present: set[tuple[str, str]] = set()
        self.onsets: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.talk_s: dict[tuple[str, str], float] = {}

    def event(self, event: AnyEvent) -> None:
        key = event.room, event.participant
        if event.type == "participant_connected":
            self.present.add(key)
        elif isinstance(event, SpeakingStarted):
            self.onsets[key].append(time.time())
        elif isinstance(event, SessionEnded):
            self.talk_s[key] = event.summary.talk_time_s


async def measure(row: Row) -> Result:
    count = row.load.rooms * row.load.participants
    result = Result(row.name, count, row.load.rooms)
    watched = Watched()
    with pinned(0):
        server_at = LocalServer(livekit_server.find_or_build())
    with pinned(0):
        server_at.__enter__()
    try:
        credentials = server_at.url, server_at.api_key, server_at.api_secret
        generator = LoadGenerator(*credentials, row.load, prefix=("taskset", "-c", "0"))
        worker = WorkerProcess(
            {
                "LIVEKIT_URL": server_at.url,
                "LIVEKIT_API_KEY": server_at.api_key,
                "LIVEKIT_API_SECRET": server_at.api_secret,
                "PMON_HTTP_PORT": "0",
                **row.settings,
            },
            watched.event,
        )
        with pinned(1):
            await worker.start()
        await asyncio.to_thread(generator.start)
        try:
            await watch(row, result, watched, worker, generator, server_at)
        finally:
            await worker.close()
            truth = await asyncio.to_thread(generator.stop)
        compare(result, watched, truth)
    finally:
        server_at.__exit__(None, None, None)
    return result


async def watch(
    row: Row,
    result: Result,
    watched: Watched,
    worker: WorkerProcess,
    generator: LoadGenerator,
    server: LocalServer,
) -> None:
    began = time.monotonic()
    async with api.LiveKitAPI(server.http_url, server.api_key, server.api_secret) as lkapi:
        for room in generator.truth.rooms:
            request = api.CreateAgentDispatchRequest(room=room, agent_name="participant-monitor")
            await lkapi.agent_dispatch.create_dispatch(request)
    while len(watched.present) < result.participants:
        await asyncio.sleep(0.2)
        if time.monotonic() - began > 120:
            break
    result.join_s = round(time.monotonic() - began, 1)
    result.watched = len(watched.present)
    await asyncio.sleep(SETTLE_S)
    main = psutil.Process(worker.pid)
    processes = [main, *main.children()]
    others = psutil.Process(server.pid), psutil.Process(generator.pid)
    before, before_others = [cpu_s(p) for p in processes], [cpu_s(p) for p in others]
    started = time.monotonic()
    await asyncio.sleep(row.measure_s)
    elapsed_s = time.monotonic() - started
    used = [(cpu_s(p) - b) / elapsed_s for p, b in zip(processes, before, strict=True)]
    used_others = [(cpu_s(p) - b) / elapsed_s for p, b in zip(others, before_others, strict=True)]
    result.cores = round(sum(used), 3)
    result.supervisor_ms = round(1000 * used[0], 1)
    result.ms_per_participant = round(1000 * sum(used) / result.participants, 3)
    result.rss_mib = round(sum(p.memory_info().rss for p in processes) / 2**20)
    result.threads = sum(p.num_threads() for p in processes)
    result.server_cores, result.publisher_cores = (round(x, 3) for x in used_others)
    await worker.stop()


def compare(result: Result, watched: Watched, truth: Truth) -> None:
    """Delays from the true onsets of turns, and talk time beside the truth."""
    delays, measured_s, true_s = [], 0.0, 0.0
    for room, people in truth.rooms.items():
        for identity, person in people.items():
            key = room, identity
            delays += list(delays_of(person, watched.onsets[key]))
            if person.kind == "normal" and key in watched.talk_s:
                measured_s += watched.talk_s[key]
                true_s += person.talk_time_s
    if delays:
        delays.sort()
        result.delay_median_s = round(statistics.median(delays), 2)
        result.delay_p99_s = round(delays[int(0.99 * (len(delays) - 1))], 2)
    if true_s:
        result.talk_error = round(measured_s / true_s - 1, 4)


def delays_of(person: Person, onsets: list[float]) -> Iterator[float]:
    """From the first speech of each turn to the first event in it."""
    for start, end in person.bursts if person.kind == "normal" else ():
        first = next((s for s, _ in person.segments if start - 0.05 <= s <= end), None)
        told = next((o for o in onsets if first is not None and first <= o <= end + 2), None)
        if first is not None and told is not None:
            yield told - first


@click.command()
@click.option("--only", default="", help="Measure the rows whose name contains this.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("capacity.json"))
def main(only: str, out: Path) -> None:
    """Measure, print and save the table."""
    find_or_build()
    rows = []
    for row in ROWS:
        if only in row.name:
            rows.append(asdict(asyncio.run(measure(row))))
            print(json.dumps(rows[-1]), flush=True)
    machine = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
    out.write_text(json.dumps({**machine, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
