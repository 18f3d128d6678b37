"""One input of the fuzzer: a life of the worker's side of the agent websocket.

The input is a row of steps: one byte for what happens, one for how much of the rest belongs to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import cast

import aiohttp
from agent_messages import TOKEN, TURN_PASSWORD, assignment, availability, job, registration
from livekit.protocol import agent

from pmon.agent.actions import ConnectionStale, FrameRefused
from pmon.agent.protocol import WorkerProtocol
from pmon.agent.websocket import AgentConnection

MOST_STEPS = 40
MAX_JOBS = 3


class Frames:
    """A websocket whose frames are all there, and then it is closed."""

    def __init__(self, *messages: aiohttp.WSMessage) -> None:
        self._messages = messages
        self.close_code = 1006

    async def __aiter__(self) -> AsyncIterator[aiohttp.WSMessage]:
        for message in self._messages:
            yield message


class Life:
    def __init__(self, data: bytes) -> None:
        self.worker = WorkerProtocol("participant-monitor", version="1.0", max_jobs=MAX_JOBS)
        self.told: list[object] = []
        self.connection = AgentConnection(
            "ws://127.0.0.1:1", "key", "secret", self.worker, self.told.append
        )
        self.now = 0.0
        # What stands in the input itself may stand in any field.
        self.secrets = [word for word in (TOKEN, TURN_PASSWORD) if word.encode() not in data]

    def step(self, what: int, body: bytes) -> None:
        worker, now = self.worker, self.now
        word = body.decode(errors="replace")
        match what % 12:
            case 0:
                worker.connection_made(now)
            case 1:
                worker.connection_lost()
            case 2:
                worker.receive_bytes(registration(version=word), now)
            case 3:
                worker.receive_bytes(availability(job(word[:4], metadata=word[4:])), now)
            case 4:
                worker.receive_bytes(assignment(job(word[:4], metadata=word[4:])), now)
            case 5 | 6:
                self.read(aiohttp.WSMsgType.BINARY, body)
            case 7:
                self.read(aiohttp.WSMsgType.TEXT, word)
            case 8:
                self.now += sum(body)
                worker.tick(self.now)
                due = worker.next_deadline
                assert due is None or due > self.now, "the shell would spin"
            case 9:
                worker.job_ended(word[:4], word[4:] or None)
            case 10:
                worker.set_load(len(body) / 16)
            case _:
                worker.receive_bytes(body, now)
        self.check()

    def read(self, kind: aiohttp.WSMsgType, data: bytes | str) -> None:
        """As the shell does: it ends with a reason, however it ends."""
        message = aiohttp.WSMessage(kind, data, None)
        frames = cast(aiohttp.ClientWebSocketResponse, Frames(message))
        reading = self.connection._read(frames)
        try:
            reading.send(None)
        except StopIteration as end:
            assert end.value, "no reason"
            return
        raise AssertionError("it waits for something")

    def check(self) -> None:
        worker = self.worker
        for data in worker.bytes_to_send():
            assert agent.WorkerMessage.FromString(data).WhichOneof("message")
        self.told += worker.actions()
        for action in self.told:
            said = repr(action)
            assert not any(secret in said for secret in self.secrets), "it shows a secret"
            assert not isinstance(action, ConnectionStale) or action.problem
            assert not isinstance(action, FrameRefused) or action.size > 0
        self.told.clear()
        assert not worker.registered or worker.next_deadline is not None
        assert worker.free >= 0
        assert all(running.job for running in worker.jobs)


def steps(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    for _ in range(MOST_STEPS):
        if at >= len(data):
            return
        size = data[at + 1] if at + 1 < len(data) else 0
        yield data[at], data[at + 2 : at + 2 + size]
        at += 2 + size


def one(data: bytes) -> None:
    life = Life(data)
    for what, body in steps(data):
        life.step(what, body)


def life_of(*parts: tuple[int, bytes]) -> bytes:
    """An input, for whoever writes one into the corpus."""
    return b"".join(bytes([what, len(body)]) + body for what, body in parts)
