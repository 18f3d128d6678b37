"""The native audio tier on the real SDK: the same as the portable one, and only where it fits."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api

from pmon.media.phrases import Phrase, phrases

SABOTAGE = {
    "a wrong field number": (
        "numbers = native.tap_fields()\n"
        "native.tap_fields = lambda: numbers | {'data': numbers['samples']}",
        "the tap read",
    ),
    "audio for video": (
        "numbers = native.tap_fields()\n"
        "native.tap_fields = lambda: numbers | {'audio_event': numbers['video_event']}",
        "the tap read",
    ),
    "a field that is no more": (
        "places['data'] = ('audio_stream_event.frame_received.gone', 4)",
        "has no audio_stream_event.frame_received.gone",
    ),
    "a field of another type": (
        "places['data'] = (places['data'][0], ffi_fields.UINT32)",
        "data_ptr has type 4, not 13",
    ),
    "a missing symbol": ("native.DROP_HANDLE = 'livekit_ffi_gone'", "livekit_ffi_gone"),
    "another shape of the start": (
        "_ffi_client.FfiClient.instance._ffi_lib"
        ".livekit_ffi_initialize.argtypes = [_ffi_client.ffi_cb_fnc]",
        "another shape",
    ),
    "a level that is off": ("tiers.TEST_DBOV += 1", "-14.1 dBov came out as -15.1"),
    "nothing that is heard": (
        "tiers.TEST_S = 0.5; places['samples'] = places['sample_rate']; "
        "native.check_reading = lambda: None",
        "no audio came through",
    ),
}
CHOOSE = """
import asyncio
from livekit.rtc import _ffi_client
from pmon.media import ffi_fields, native, tiers
places = ffi_fields.PLACES
{sabotage}
async def main():
    tier = await tiers.choose("auto")
    print(tier.name)
asyncio.run(main())
"""


def run_python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | env,
    )


def test_here_the_native_tier_is_used() -> None:
    done = run_python(CHOOSE.format(sabotage=""))
    assert done.stdout.splitlines() == ["native"], done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("what", SABOTAGE)
def test_an_sdk_that_does_not_fit_is_used_the_portable_way(what: str) -> None:
    sabotage, why = SABOTAGE[what]
    done = run_python(CHOOSE.format(sabotage=sabotage))
    *said, tier = done.stdout.splitlines() or [""]
    assert tier == "portable", done.stderr
    (line,) = [line for line in said if "native media path not used" in line]
    assert why in line
    assert done.returncode == 0, done.stderr


async def test_a_worker_says_why_it_is_portable(
    start_worker: StartWorker, join: Join, lkapi: api.LiveKitAPI, room: str, tmp_path: Path
) -> None:
    """And it works all the same."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'media_process' in ' '.join(sys.orig_argv):\n"
        "    from pmon.media import tiers\n"
        "    tiers.TEST_DBOV += 1\n"
    )
    worker = await start_worker(PYTHONPATH=with_path(tmp_path))
    await worker.wait_for(lambda line: line["message"].startswith("native media path not used"))
    ready = await worker.wait_for(lambda line: line["message"] == "media process works")
    assert ready["media"] == "portable"
    alice = await join("alice")
    await dispatch(lkapi, room, "participant-monitor")
    await worker.wait("track_published")
    await asyncio.sleep(1)
    await alice.say(phrases()["welcome"])
    stopped = await worker.wait("speaking_stopped")
    assert stopped["turn_s"] == pytest.approx(alice.talk_time_s, abs=0.3)


def with_path(folder: Path) -> str:
    """This folder first, and whatever else Python is to look in."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


FLOOD = """
import sys
from pathlib import Path
once = Path(__file__).with_name("flooded")
if "media_process" in " ".join(sys.orig_argv) and not once.exists():
    from livekit.rtc._proto import ffi_pb2
    from pmon import _tap
    from pmon.media import native
    joined = native.Tap.room_joined
    def room_joined(self, room):
        joined(self, room)
        once.touch()
        event = ffi_pb2.FfiEvent()
        event.room_event.room_handle = 2**60
        event.room_event.room_metadata_changed.metadata = "x" * 2**20
        for _ in range(70):
            _tap.event(event.SerializeToString())
    native.Tap.room_joined = room_joined
"""


async def test_a_media_process_that_lost_events_is_replaced(
    start_worker: StartWorker, join: Join, dispatch: Dispatch, tmp_path: Path
) -> None:
    """What it knows of rooms may be wrong. Sessions go on, and the loss is told and counted."""
    (tmp_path / "sitecustomize.py").write_text(FLOOD)
    worker = await start_worker(PYTHONPATH=with_path(tmp_path))
    alice = await join("alice")
    await dispatch()
    # What the process itself says of it may be killed with it.
    lost = await worker.wait_for(lambda line: line["message"] == "a media process lost events")
    assert 6 <= lost["events"] <= 8
    died = await worker.wait_for(lambda line: line["message"].startswith("a media process died"))
    await worker.wait_for(
        lambda line: line["message"] == "joined the room" and line["timestamp"] > died["timestamp"]
    )
    await asyncio.sleep(2)
    await alice.say(phrases()["welcome"])
    stopped = await worker.wait("speaking_stopped")
    assert stopped["turn_s"] == pytest.approx(alice.talk_time_s, abs=0.3)
    port = worker.http_port
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert f"pmon_sdk_events_lost_total {lost['events']}.0" in await answer.text()
    assert await worker.stop() == 0


@pytest.mark.timeout(150)
async def test_both_tiers_tell_the_same(
    start_worker: StartWorker, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    """The same events in the same order, times within 120 ms, talk time within 1 %; and the same
    is said of a microphone, a good one and one that is overdriven.
    """
    workers = {
        tier: await start_worker(PMON_MEDIA=tier, LIVEKIT_AGENT_NAME=f"monitor-{tier}")
        for tier in ("native", "portable")
    }
    alice, bob = await join("alice", noise_dbov=-60), await join("bob", noise_dbov=-60)
    for tier, worker in workers.items():
        ready = await worker.wait_for(lambda line: line["message"] == "media process works")
        assert ready["media"] == tier
        await dispatch(lkapi, room, f"monitor-{tier}")
        await worker.wait("connection_quality", 2, to="excellent")
    for _ in range(6):  # two shares of 5 s, and some
        await bob.say(overdriven(phrases()["results"]))
    for name in ("welcome", "numbers", "results", "scotland"):
        await alice.say(phrases()[name])
        await asyncio.sleep(0.8)
    said = alice.say(phrases()["results"])
    await asyncio.sleep(1.2)
    alice.mute()
    await said
    await asyncio.sleep(1)
    alice.unmute()
    await alice.say(phrases()["welcome"])
    told = {}
    for tier, worker in workers.items():
        await worker.wait("track_unmuted")
        await worker.wait("speaking_stopped", 6, participant="alice")
        assert await worker.stop() == 0
        told[tier] = worker.events
    for participant in (alice, bob):
        native, portable = (of(events, participant.identity) for events in told.values())
        assert [e["type"] for e in native] == [e["type"] for e in portable]
        at_once = [
            abs(seconds(a) - seconds(b))
            for a, b in zip(native, portable, strict=True)
            if "speaking" in a["type"] or "mute" in a["type"]
        ]
        assert max(at_once) < 0.12, at_once
        one, other = (events[-1]["summary"] for events in (native, portable))
        within = 0.05 if participant is alice else 0.08  # overdriven pauses fill up
        assert one["talk_time_s"] == pytest.approx(participant.talk_time_s, rel=within)
        assert_same_microphone(one, other)
    for events in told.values():
        assert [e["issue"] for e in events if e["type"] == "issue_raised"] == ["mic_clipping"]


def overdriven(phrase: Phrase) -> Phrase:
    """As from an input whose gain is 24 dB too high."""
    samples = np.clip(phrase.samples.astype(np.int32) * 16, -32768, 32767).astype(np.int16)
    return msgspec.structs.replace(phrase, samples=samples)


def of(events: list[Any], participant: str) -> list[Any]:
    """What was told of somebody at once: not what hangs on the beat of each worker's readings."""
    beaten = ("session_started", "connection_quality", "issue_raised", "issue_resolved")
    return [e for e in events if e["participant"] == participant and e["type"] not in beaten]


def assert_same_microphone(native: Any, portable: Any) -> None:
    assert native["talk_time_s"] == pytest.approx(portable["talk_time_s"], rel=0.01)
    assert native["turns"] == portable["turns"]
    assert native["level_dbov"] == pytest.approx(portable["level_dbov"], abs=0.3)
    [one], [other] = native["tracks"], portable["tracks"]
    assert one["level_dbov"] == pytest.approx(other["level_dbov"], abs=0.5)
    assert abs(one["floor_dbov"] - other["floor_dbov"]) <= 1.0  # told in whole decibels
    assert one["clipped_ratio"] == pytest.approx(other["clipped_ratio"], abs=0.002)
    missed = [s["present_s"] - s["coverage"]["heard_s"] for s in (native, portable)]
    assert missed[0] == pytest.approx(missed[1], abs=1.0)


STOP = """
import asyncio, sys
from array import array
from livekit import rtc
from pmon.media import tiers
from pmon.media.meters import TrackMeters
from pmon.media.native import NativeTap

async def main():
    tier = await tiers.choose("native")
    assert tier.name == "native"
    sources = [rtc.AudioSource(48000, 1) for _ in range(4)]
    tracks = [rtc.LocalAudioTrack.create_audio_track(str(n), s) for n, s in enumerate(sources)]
    taps = []
    for _ in range(3):
        for track in tracks:
            meters = TrackMeters(48000, 1, [0.01])
            taps.append(NativeTap(track, meters, lambda _: None, lambda: None))
    frame = rtc.AudioFrame(array("h", [3000, -3000] * 240).tobytes(), 48000, 1, 480)
    async def play(source):
        while True:
            await source.capture_frame(frame)
    playing = [asyncio.create_task(play(source)) for source in sources]
    await asyncio.sleep(0.05)
    for tap in taps[::2]:
        tap.close()
    print(sum(tap.meters.meters.samples_per_channel > 0 for tap in taps))
    # and out, in the middle of it all: frames are on their way
asyncio.run(main())
"""


@pytest.mark.timeout(170)
def test_a_process_ends_while_audio_is_on_its_way() -> None:
    """Again and again: a frame that meets a dying interpreter would crash or hang."""
    for cycle in range(int(os.environ.get("PMON_STOP_CYCLES", "8"))):
        done = run_python(STOP, PYTHONFAULTHANDLER="1")
        assert done.returncode == 0, (cycle, done.returncode, done.stderr)
        assert int(done.stdout) > 0


async def dispatch(lkapi: api.LiveKitAPI, room: str, agent_name: str) -> None:
    await lkapi.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(room=room, agent_name=agent_name, metadata=json.dumps({}))
    )


def seconds(event: dict[str, str]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


@pytest.mark.system
@pytest.mark.timeout(1800)
def test_two_hundred_processes_end_while_audio_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PMON_STOP_CYCLES", "200")
    test_a_process_ends_while_audio_is_on_its_way()
