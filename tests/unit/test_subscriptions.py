"""Subscriptions and taps: what goes wrong between the SDK's callbacks, frame by frame.

The SDK's stream and publication are stand-ins here, since no server can be made to stall a loop
for half a second at the moment of a mute; the meters, the monitor and the portable tap are real.
"""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from room_driver import Meeting, microphone, person
from sdk_stand_ins import FRAME, Publication, Tier, room_of, say

from pmon.media.listener import Listener
from pmon.media.portable import PortableTier
from pmon.media.subscriptions import BATCH, RETRY_S, Subscriptions
from pmon.monitor import events as ev
from pmon.monitor.listening.plan import Listening


class Stream:
    """An AudioStream whose frames all wait already, as after a stall of the loop."""

    def __init__(self, track: Any, **_: Any) -> None:
        samples = say("results")
        self.frames = [samples[at : at + FRAME] for at in range(0, len(samples) - FRAME, FRAME)]
        self.go = asyncio.Event()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> SimpleNamespace:
        await self.go.wait()
        if not self.frames:
            raise StopAsyncIteration
        return SimpleNamespace(frame=SimpleNamespace(data=self.frames.pop(0)))

    async def aclose(self) -> None:
        self.go.set()


async def test_audio_that_waits_at_a_mute_is_not_heard_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fed to meters that had just stopped, it began a run that nobody ended before unmute."""
    streams: list[Stream] = []

    def make(*args: Any, **options: Any) -> Stream:
        streams.append(Stream(*args, **options))
        return streams[-1]

    monkeypatch.setattr("pmon.media.portable.rtc.AudioStream", make)
    meeting = Meeting()
    meeting.job("AJ_1", "ann")
    meeting.connected(person("ann", microphone()))
    publication = Publication("TR_mic")
    subscriptions = Subscriptions(
        meeting.monitor, PortableTier(), Listener(Listening()), lambda: None
    )
    subscriptions.attach(room_of(ann=publication))
    subscriptions.track_subscribed(SimpleNamespace(sid="TR_mic"), publication)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    streams[0].go.set()  # the pump is woken and has not run yet when the mute comes
    subscriptions.hang_up("TR_mic")
    meeting.monitor.track_muted("TR_mic", True, time.monotonic())
    await subscriptions.aclose()
    assert len(streams[0].frames) >= 30 - 1, "one frame at most was taken, and not fed"
    assert not meeting.of(ev.SpeakingStarted)


async def test_a_refused_track_holds_nobody_else_up() -> None:
    meeting = Meeting()
    for name in ("ann", "bob"):
        meeting.job(f"AJ_{name}", name)
    meeting.connected(
        person("ann", microphone("TR_ann")), person("bob", microphone("TR_bob", muted=True))
    )
    ann, bob = Publication("TR_ann"), Publication("TR_bob")
    tier = Tier()
    subscriptions = Subscriptions(meeting.monitor, tier, Listener(Listening()), lambda: None)
    subscriptions.attach(room_of(ann=ann, bob=bob))
    subscriptions.track_subscribed(SimpleNamespace(sid="TR_bob"), bob)  # type: ignore[arg-type]
    subscriptions.subscription_failed("TR_ann")
    meeting.monitor.track_muted("TR_bob", False, 1.0)
    subscriptions.apply()
    assert tier.opened == ["TR_bob"]
    assert ann.asked == [True], "what was refused is not asked for again at once"
    await subscriptions.aclose()


async def test_a_stream_that_does_not_open_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan took it for open, so nobody would ever have heard them again."""
    meeting = Meeting()
    meeting.job("AJ_1", "ann")
    meeting.connected(person("ann", microphone("TR_ann")))
    ann, tier = Publication("TR_ann"), Tier()
    subscriptions = Subscriptions(meeting.monitor, tier, Listener(Listening()), lambda: None)
    subscriptions.attach(room_of(ann=ann))
    track: Any = SimpleNamespace(sid="TR_ann")
    with monkeypatch.context() as broken:
        broken.setattr(tier, "open", lambda *_: 1 / 0)
        subscriptions.track_subscribed(track, ann)  # type: ignore[arg-type]
    subscriptions.apply()
    assert ann.asked == [True, False], "and not at once: it may fail again"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + RETRY_S)
    subscriptions.apply()
    subscriptions.track_subscribed(track, ann)  # type: ignore[arg-type]
    assert ann.asked == [True, False, True]
    assert tier.opened == ["TR_ann"]
    await subscriptions.aclose()


async def test_subscriptions_are_paced() -> None:
    meeting = Meeting()
    names = [f"p{number}" for number in range(2 * BATCH + 1)]
    for name in names:
        meeting.job(f"AJ_{name}", name)
    meeting.connected(*(person(name, microphone(f"TR_{name}")) for name in names))
    publications = {name: Publication(f"TR_{name}") for name in names}
    subscriptions = Subscriptions(meeting.monitor, Tier(), Listener(Listening()), lambda: None)
    subscriptions.attach(room_of(**publications))
    subscriptions.apply()
    asked = [p.asked for p in publications.values() if p.asked]
    assert len(asked) == BATCH
    async with asyncio.timeout(5):
        while sum(bool(p.asked) for p in publications.values()) < len(names):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await subscriptions.aclose()


async def test_who_mutes_and_unmutes_while_others_are_subscribed_is_heard_again() -> None:
    """The tap is closed at the mute; the plan has to know of it to open it again."""
    meeting = Meeting()
    names = [f"p{number}" for number in range(2 * BATCH)]
    for name in names:
        meeting.job(f"AJ_{name}", name)
    meeting.connected(*(person(name, microphone(f"TR_{name}")) for name in names))
    publications = {name: Publication(f"TR_{name}") for name in names}
    tier = Tier()
    subscriptions = Subscriptions(meeting.monitor, tier, Listener(Listening()), lambda: None)
    subscriptions.attach(room_of(**publications))
    subscriptions.track_subscribed(SimpleNamespace(sid="TR_p0"), publications["p0"])  # type: ignore[arg-type]
    assert tier.opened == ["TR_p0"]
    subscriptions.hang_up("TR_p0")
    meeting.monitor.track_muted("TR_p0", True, 1.0)
    subscriptions.muted("TR_p0")
    meeting.monitor.track_muted("TR_p0", False, 1.1)
    subscriptions.apply()  # is pacing itself, and does nothing
    async with asyncio.timeout(5):
        while len(tier.opened) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert tier.opened == ["TR_p0", "TR_p0"]
    await subscriptions.aclose()
