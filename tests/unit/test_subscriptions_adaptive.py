"""What adaptive listening asks the server for, and in which order: the plan's hands.

The requests are recorded where they would leave for the SDK; the plan and the monitor are real.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from room_driver import Meeting, microphone, person

from pmon.media.connection import RoomConnection
from pmon.media.listener import Listener
from pmon.media.meters import TrackMeters
from pmon.media.subscriptions import Subscriptions
from pmon.monitor.listening.plan import Listening
from pmon.monitor.listening.toggles import Toggles


class Tap:
    def __init__(self, sid: str, room: Room, meters: TrackMeters) -> None:
        self.meters = meters
        self._sid, self._room = sid, room

    def close(self) -> None:
        self._room.open.discard(self._sid)

    async def aclose(self) -> None: ...


class Tier:
    name = "test"

    def __init__(self, room: Room) -> None:
        self._room = room

    def open(self, track: Any, meters: TrackMeters, _: object, on_sound: Callable[[], None]) -> Tap:
        self._room.open.add(track.sid)
        self._room.on_sound[track.sid] = on_sound
        return Tap(track.sid, self._room, meters)

    def room_joined(self, room: object) -> None: ...


class Room:
    """A room of an adaptive process: ``said`` is what went to the server and came from it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.said: list[tuple[str, str]] = []
        self.open: set[str] = set()
        """The names whose microphones are decoded."""
        self.on_sound: dict[str, Callable[[], None]] = {}
        self.now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(
            "pmon.media.subscription._send_enabled",
            lambda publication, enabled: self.said.append(
                (publication.sid, "enable" if enabled else "disable")
            ),
        )
        self.meeting = Meeting()
        self.meeting.now = self.now
        for name in names:
            self.meeting.job(f"AJ_{name}", name)
        self.meeting.connected(*(person(name, microphone(name)) for name in names))
        self.publications: dict[str, Any] = {name: self._publication(name) for name in names}
        self.plan = Listening("adaptive", "adaptive")
        self.subscriptions = Subscriptions(
            self.meeting.monitor, Tier(self), Listener(self.plan), lambda: None
        )
        remote = {
            name: SimpleNamespace(track_publications={name: publication})
            for name, publication in self.publications.items()
        }
        room: Any = SimpleNamespace(remote_participants=remote)
        self.subscriptions.attach(room)

    def _publication(self, name: str) -> SimpleNamespace:
        def set_subscribed(subscribed: bool) -> None:
            self.said.append((name, "subscribe" if subscribed else "unsubscribe"))

        return SimpleNamespace(
            sid=name,
            kind=rtc.TrackKind.KIND_AUDIO,
            simulcasted=False,
            set_subscribed=set_subscribed,
        )

    # --- what happens

    def subscribed(self, name: str) -> None:
        self.said.append((name, "subscribed"))
        track: Any = SimpleNamespace(sid=name)
        self.subscriptions.track_subscribed(track, self.publications[name])

    def first_look(self, name: str) -> None:
        """Subscribe, and listen until that ends."""
        self.subscribed(name)
        self.on_sound[name]()
        self.later(3.0)

    def later(self, seconds: float) -> None:
        """Let time pass, in ticks of half a second."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            self.subscriptions.look_after(self.now)

    def told(self, name: str) -> list[str]:
        return [what for whose, what in self.said if whose == name]

    def rests_on(self, name: str) -> str:
        return self.meeting.monitor.participants[name].tracks[name].rests_on


async def test_a_microphone_is_disabled_after_its_first_look_and_enabled_for_a_speaker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Settings that are sent before ``track_subscribed`` are lost, and the media flows on."""
    room = Room(monkeypatch, "ann")
    room.subscribed("ann")
    assert room.open == {"ann"}
    assert room.told("ann") == ["subscribe", "subscribed"], "a subscription is born enabled"
    room.on_sound["ann"]()
    assert room.rests_on("ann") == "pcm"
    room.later(3.0)
    assert room.told("ann") == ["subscribe", "subscribed", "disable"]
    assert room.open == set()
    assert room.rests_on("ann") == "server"
    room.subscriptions.speakers({"ann"}, room.now)
    assert room.told("ann")[-1] == "enable"
    assert room.open == {"ann"}
    room.later(6.0)
    assert room.told("ann")[-1] == "disable"
    await room.subscriptions.aclose()


async def test_a_mute_closes_the_stream_and_asks_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room(monkeypatch, "ann")
    room.subscribed("ann")
    for muted in (True, False):
        if muted:
            room.subscriptions.hang_up("ann")
        room.meeting.monitor.track_muted("ann", muted, room.now)
        room.subscriptions.apply()
        assert room.open == (set() if muted else {"ann"})
    assert room.told("ann") == ["subscribe", "subscribed"]
    await room.subscriptions.aclose()


async def test_after_a_blip_nothing_is_enabled_that_was_disabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All microphones were decoded at once after every signal resume."""
    names = [f"p{i}" for i in range(15)]
    room = Room(monkeypatch, *names)
    for name in names:
        room.first_look(name)
    room.subscriptions.speakers({"p0"}, room.now)
    assert room.open == {"p0"}
    before = list(room.said)
    room.subscriptions.pause()
    assert room.open == set()
    room.later(1.0)
    room.subscriptions.resume()
    assert room.open == {"p0"}, "what the server still sends is heard on"
    assert room.said == before
    await room.subscriptions.aclose()


async def test_a_receiver_that_is_new_after_an_outage_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is born enabled, whatever the one before it was; nobody would have disabled it."""
    room = Room(monkeypatch, "ann")
    room.first_look("ann")
    room.subscriptions.pause()
    room.subscribed("ann")
    assert room.open == set()
    room.subscriptions.resume()
    assert room.open == {"ann"}
    room.on_sound["ann"]()
    room.later(3.0)
    assert room.told("ann")[-2:] == ["subscribed", "disable"]
    await room.subscriptions.aclose()


async def test_what_a_crowd_has_too_much_is_disabled_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"p{i}" for i in range(60)]
    room = Room(monkeypatch, *names)
    for _ in range(3):  # which are paced
        room.subscriptions._on_timer()
    for name in names:
        room.subscribed(name)
    assert len(room.open) == Toggles.ROUTINE_PER_S
    disabled = [name for name in names if name not in room.open]
    assert all(room.told(name) == ["subscribe", "subscribed", "disable"] for name in disabled)
    assert {room.rests_on(name) for name in disabled} == {"server"}
    await room.subscriptions.aclose()


async def test_the_plan_knows_of_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch, "ann")
    room.meeting.monitor.quality("ann", "lost", room.now)
    room.subscribed("ann")
    (ear,) = room.plan.microphones.ears.values()
    assert ear.lost
    for level in ("good", "lost", "unknown"):
        room.meeting.monitor.quality("ann", level, room.now)
        room.subscriptions.quality("ann")
        assert ear.lost == (level == "lost")
    await room.subscriptions.aclose()


async def test_a_room_is_forgotten_with_its_connection_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It came back as one where everybody is heard, after any time without a track."""
    forgotten: list[str] = []
    over = asyncio.Event()

    async def stay(_: RoomConnection) -> None:
        await over.wait()

    monkeypatch.setattr(RoomConnection, "_stay", stay)
    plan = Listening("auto", "off")
    monkeypatch.setattr(plan, "room_gone", forgotten.append)
    anything: Any = None
    monitor = Meeting().monitor
    connection = RoomConnection(
        monitor, anything, anything, anything, Listener(plan), anything, dict, lambda: None
    )
    connection.start()
    await asyncio.sleep(0)
    assert not forgotten
    over.set()
    await connection.aclose()
    await asyncio.sleep(0)
    assert forgotten == [monitor.room]
