"""The host: what a job finds of a room that is watched already."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from noticed_room import Room
from room_driver import microphone, person
from sdk_stand_ins import FRAME, Publication, Tier, room_of, say, silence

from pmon.app import messages as msg
from pmon.app import watched_room
from pmon.app.host import SHOW_S, Host
from pmon.app.watched_room import WatchedRoom
from pmon.media.connection import RoomConnection
from pmon.metadata import CustomSettings, JobMetadata
from pmon.monitor.events import SessionEnded
from pmon.settings import load_settings

KEYS = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "secret",
}


def job(number: int, threshold: float = 0.01) -> msg.StartJob:
    return msg.StartJob(
        job=f"AJ_{number}",
        dispatch=f"AD_{number}",
        room="standup",
        participant="ann",
        participant_sid="PA_ann",
        participant_kind="standard",
        metadata=JobMetadata(custom_settings=CustomSettings(speaking_threshold=threshold)),
    )


def listening_to_ann(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Host, WatchedRoom, Tier, list[msg.FromHost]]:
    """A host with one job in a room where ann's microphone is subscribed, and what it says."""
    monkeypatch.setattr(RoomConnection, "start", lambda _: None)
    said: list[msg.FromHost] = []
    tier, nobody = Tier(), Any
    host = Host(load_settings(KEYS), nobody, tier, said.append)  # type: ignore[arg-type]
    host.handle(job(1))
    room, microphone_of_ann = host._rooms["standup"], Publication("TR_mic")
    room.monitor.connected("RM_1", [person("ann", microphone())], time.monotonic())
    subscriptions = room.connection._subscriptions
    subscriptions.attach(room_of(ann=microphone_of_ann))
    subscriptions.track_subscribed(SimpleNamespace(sid="TR_mic"), microphone_of_ann)  # type: ignore[arg-type]
    return host, room, tier, said


@pytest.mark.parametrize("threshold", [0.01, 0.02])
async def test_a_second_job_hears_what_comes_from_its_start_on(
    monkeypatch: pytest.MonkeyPatch, threshold: float
) -> None:
    """The track's meters are older than its session, and told last some seconds before it."""
    host, room, tier, said = listening_to_ann(monkeypatch)
    subscriptions = room.connection._subscriptions
    tier.play("TR_mic", silence(4), time.monotonic())
    room.connection.read(time.monotonic())
    tier.play("TR_mic", silence(3), time.monotonic())
    host.handle(job(2, threshold))
    tier.play("TR_mic", silence(2), time.monotonic())
    for number in (1, 2):
        host.handle(msg.EndJob(job=f"AJ_{number}", reason="job_terminated"))
    await subscriptions.aclose()
    await host.leave()
    ended = [m.event for m in said if isinstance(m, msg.Happened)]
    summaries = [e.summary for e in ended if isinstance(e, SessionEnded)]
    assert [s.coverage.heard_s for s in summaries] == [9.0, 2.0]


async def test_what_is_left_for_another_process_tells_who_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If this one dies, nobody is to be missed who had left; nor taken for gone who never came,
    while nobody has looked.
    """
    monkeypatch.setattr(RoomConnection, "start", lambda _: None)
    said: list[msg.FromHost] = []
    nobody = Any
    host = Host(load_settings(KEYS), nobody, Tier(), said.append)  # type: ignore[arg-type]
    host.handle(job(1))
    room, now = host._rooms["standup"], time.monotonic()

    def absent() -> bool:
        room.flush()
        room.checkpoint(room.monitor.sessions.all())
        [*_, last] = [m for m in said if isinstance(m, msg.Checkpoint)]
        return last.absent

    assert not absent()
    room.monitor.connected("RM_1", [], now)
    assert absent()
    room.monitor.participant_joined(person("ann"), now)
    assert not absent()
    room.monitor.participant_left("ann", "client_initiated", now)
    room.monitor.tick(now + 10)
    assert absent()
    await host.leave()


async def test_levels_are_told_of_those_who_are_looked_at_and_while_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody looks most of the time, and then nothing of it is sent between processes."""
    host, room, tier, said = listening_to_ann(monkeypatch)
    subscriptions = room.connection._subscriptions
    now = time.monotonic()
    host._tell_levels(now)
    assert not [m for m in said if isinstance(m, msg.LevelsNow)]
    host.handle(msg.ShowLevels(identities={"standup": ["ann", "bob"], "elsewhere": ["ann"]}))
    host._tell_levels(now)
    phrase = say("numbers")
    tier.play("TR_mic", phrase[: int(abs(phrase).argmax()) + FRAME], now)
    host._tell_levels(now)
    host._tell_levels(now + 2 * SHOW_S)
    silent, loud = [m.levels for m in said if isinstance(m, msg.LevelsNow)]
    assert silent == {"standup": {}}
    assert -50 < loud["standup"].pop("ann") < -5
    assert loud == {"standup": {}}
    level = host.status(now).rooms[0].sessions[0].level_dbov
    assert level is not None
    await subscriptions.aclose()
    await host.leave()


async def test_a_notice_that_takes_long_to_send_holds_up_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the room would get it, the next and the one after that within a moment."""
    host, room, _, _ = listening_to_ann(monkeypatch)
    meeting = Room("bob", "carol", "dave", "erin")
    for identity in ("bob", "carol", "dave", "erin"):
        meeting.watch(identity)
        meeting.starts(identity)
    now, sent = meeting.now, []

    async def publish(*_: Any) -> None:
        nonlocal now
        now += 0.75
        sent.append(now - meeting.now)

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += max(0.0, seconds)

    room.notices = meeting.notices
    room.connection.connected = True
    monkeypatch.setattr(room.connection, "publish", publish)
    with monkeypatch.context() as patch:
        patch.setattr(watched_room, "time", SimpleNamespace(monotonic=lambda: now))
        patch.setattr(watched_room, "asyncio", SimpleNamespace(sleep=sleep))
        await room._send(room._due(now))
    assert sent == [0.75, 1.5, 2.5, 3.25]
    await room.connection._subscriptions.aclose()
    await host.leave()
