"""What the SDK tells in passing: the meters' totals of till then come to the monitor first."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from room_driver import Meeting, microphone, person
from sdk_stand_ins import Publication, Tier, room_of, say, silence

from pmon.media.listener import Listener
from pmon.media.room_events import RoomEvents
from pmon.media.subscriptions import Subscriptions
from pmon.media.tap import SAMPLE_RATE
from pmon.monitor import events as ev
from pmon.monitor.listening.plan import Listening


class Heard:
    """Ann's microphone is heard; the SDK's events come from the test."""

    def __init__(self, **ann: Any) -> None:
        self.meeting = Meeting()
        self.meeting.now = time.monotonic() - 20
        self.meeting.job("AJ_1", "ann")
        self.meeting.connected(person("ann", microphone(), **ann))
        self.tier, publication = Tier(), Publication("TR_mic")
        self.subscriptions = Subscriptions(
            self.meeting.monitor, self.tier, Listener(Listening()), lambda: None
        )
        sdk: Any = rtc.EventEmitter()
        self._sdk = sdk
        roster: Any = None
        events = RoomEvents(
            self.meeting.monitor, self.subscriptions, roster, lambda: None, lambda _: True
        )
        events.listen(sdk)
        self.subscriptions.attach(room_of(ann=publication))
        self.subscriptions.track_subscribed(SimpleNamespace(sid="TR_mic"), publication)  # type: ignore[arg-type]

    def say_of_her(self, **attributes: str) -> None:
        told = {name.replace("_", "."): value for name, value in attributes.items()}
        ann = SimpleNamespace(identity="ann", attributes=told)
        self._sdk.emit("participant_attributes_changed", told, ann)

    def sends(self, event: str, identity: str | None) -> None:
        sender = None if identity is None else SimpleNamespace(identity=identity)
        packet = (
            rtc.SipDTMF(code=1, digit="1", participant=sender)  # type: ignore[arg-type]
            if event == "sip_dtmf_received"
            else rtc.DataPacket(data=b"hi", kind=rtc.DataPacketKind.KIND_LOSSY, participant=sender)  # type: ignore[arg-type]
        )
        self._sdk.emit(event, packet)

    async def summary(self) -> ev.SessionSummary:
        self.meeting.now = time.monotonic()
        summary = self.meeting.summary()
        await self.subscriptions.aclose()
        return summary


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("standard", {"pmon_monitor": "off"}),
        ("sip", {"sip_callStatus": "hangup"}),
    ],
)
async def test_speech_that_is_cut_off_is_billed_whole(kind: str, change: dict[str, str]) -> None:
    """By the reading of some seconds ago it would end a second before the cut."""
    heard = Heard(kind=kind, attributes={"sip.callStatus": "active"})
    at, said = time.monotonic(), say("results")
    begun, rest = said[:SAMPLE_RATE], said[SAMPLE_RATE : 3 * SAMPLE_RATE]
    heard.tier.play("TR_mic", silence(1), at - 3)
    heard.tier.play("TR_mic", begun, at - 2)
    heard.subscriptions.read(at - 2)
    heard.tier.play("TR_mic", rest, at)
    assert heard.meeting.of(ev.SpeakingStarted)
    heard.say_of_her(**change)
    (stopped,) = heard.meeting.of(ev.SpeakingStopped)
    assert stopped.turn_s == pytest.approx(2.9, abs=0.15)
    assert (await heard.summary()).coverage.heard_s == 4.0


async def test_ringing_is_not_heard_after_the_call_is_picked_up() -> None:
    """It would enter with the first reading of the call."""
    heard = Heard(kind="sip", attributes={"sip.callStatus": "ringing"})
    at = time.monotonic()
    heard.tier.play("TR_mic", silence(4), at - 1)
    heard.say_of_her(sip_callStatus="active")
    heard.tier.play("TR_mic", silence(1), at)
    heard.subscriptions.read(at)
    assert (await heard.summary()).coverage.heard_s == 1.0


async def test_only_they_are_read_whose_attributes_change() -> None:
    """In a large room somebody's always do."""
    heard = Heard()
    heard.tier.play("TR_mic", silence(1), time.monotonic())
    heard.subscriptions.read(time.monotonic(), "bob")
    assert (await heard.summary()).coverage.heard_s == 0.0
    heard = Heard()
    heard.tier.play("TR_mic", silence(1), time.monotonic())
    heard.subscriptions.read(time.monotonic(), "ann")
    assert (await heard.summary()).coverage.heard_s == 1.0


async def test_another_connection_counts_from_zero() -> None:
    """Its meters have heard more by their first reading than those before by their last."""
    heard = Heard()
    for seconds in (3, 5):
        publication = Publication("TR_mic")
        heard.subscriptions.attach(room_of(ann=publication))
        heard.subscriptions.track_subscribed(SimpleNamespace(sid="TR_mic"), publication)  # type: ignore[arg-type]
        heard.tier.play("TR_mic", silence(seconds), time.monotonic())
        heard.subscriptions.read(time.monotonic())
    assert (await heard.summary()).coverage.heard_s == 8.0


@pytest.mark.parametrize("event", ["data_received", "sip_dtmf_received"])
async def test_data_and_keys_are_signs_of_life(event: str) -> None:
    heard = Heard()
    (session,) = heard.meeting.monitor.sessions.all()
    before = time.monotonic()
    heard.sends(event, "ann")
    assert session.idle.since is not None
    assert session.idle.since >= before
    heard.sends(event, None)  # from a server, which lives for ever
    await heard.summary()
