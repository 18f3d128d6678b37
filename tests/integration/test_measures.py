"""What is measured of real publishers: conversations, pictures that stop, people who idle."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from conftest import Dispatch, Join, StartWorker

from pmon.media.phrases import phrases

Spoken = list[tuple[float, float]]


def overlap_s(one: Spoken, other: Spoken) -> float:
    return sum(
        max(0.0, min(a_stop, b_stop) - max(a_start, b_start))
        for a_start, a_stop in one
        for b_start, b_stop in other
    )


async def test_a_conversation_of_two(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """Bob takes the word from Alice, then she lets him finish."""
    worker = await start_worker()
    alice, bob = await join("alice"), await join("bob")
    await dispatch()
    await worker.wait("track_published", 2)
    await asyncio.sleep(2.0)
    said = alice.say(phrases()["results"])
    await asyncio.sleep(2.0)
    await bob.say(phrases()["numbers"])
    await said
    await asyncio.sleep(3.0)
    await bob.say(phrases()["agenda"])
    await asyncio.sleep(1.0)
    await alice.say(phrases()["question"])
    await worker.wait("speaking_stopped", 2, participant="alice")
    await worker.wait("speaking_stopped", 2, participant="bob")
    assert await worker.stop() == 0
    summaries = {e["participant"]: e["summary"] for e in worker.of("session_ended")}
    both_s = overlap_s(alice.spoken, bob.spoken)
    assert both_s > 1.0
    for name in ("alice", "bob"):
        assert summaries[name]["overlap_s"] == pytest.approx(both_s, abs=0.3)
    assert [summaries["bob"][key] for key in ("interruptions", "interrupted")] == [1, 0]
    assert [summaries["alice"][key] for key in ("interruptions", "interrupted")] == [0, 1]
    assert summaries["alice"]["turns"] == 2
    assert summaries["alice"]["mean_turn_s"] == pytest.approx(alice.talk_time_s / 2, abs=0.3)
    room = summaries["bob"]["room"]
    assert room["overlap_s"] == pytest.approx(both_s, abs=0.3)
    spoken_s = alice.talk_time_s + bob.talk_time_s - both_s
    assert room["talk_s"] == pytest.approx(spoken_s, abs=0.5)
    assert (room["turns"], room["interruptions"], room["partial"]) == (4, 1, False)
    turns = sorted(alice.spoken + bob.spoken)
    pause_s = turns[2][0] - max(turns[0][1], turns[1][1])
    assert pause_s == pytest.approx(3.0, abs=0.5)
    assert room["longest_silence_s"] >= pause_s - 0.3


async def test_a_room_that_is_watched_in_part_says_so(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    await join("alice")
    await join("bob")
    await dispatch(participant_identity="alice")
    await worker.wait("track_published")
    await asyncio.sleep(11.0)
    assert await worker.stop() == 0
    (ended,) = worker.of("session_ended")
    assert ended["summary"]["partial"]
    assert ended["summary"]["room"]["partial"]


async def test_a_camera_of_which_nothing_comes_is_dry_until_it_does(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """It stops before anybody watches: a new receiver gets nothing to begin with."""
    worker = await start_worker()
    alice = await join("alice", camera=True)
    await asyncio.sleep(2.0)
    alice.freeze()
    await asyncio.sleep(1.0)
    await dispatch(monitoring_type="video")
    raised = await worker.wait("issue_raised", issue="track_dry", within_s=25)
    assert [e["to"] for e in worker.of("video_state")] == ["dry"]
    await asyncio.sleep(3.0)
    alice.thaw()
    resolved = await worker.wait("issue_resolved", issue="track_dry")
    assert (resolved["track_sid"], resolved["reason"]) == (raised["track_sid"], "recovered")
    assert 12.0 <= resolved["duration_s"] <= 20.0
    await worker.wait("video_state", to="live")
    await asyncio.sleep(5.0)
    assert await worker.stop() == 0
    assert len(worker.of("issue_raised", issue="track_dry")) == 1
    assert len(worker.of("issue_resolved", issue="track_dry")) == 1
    assert not worker.of("issue_raised", issue="video_frozen")


@pytest.mark.system  # it waits for the next look, up to a minute later
async def test_a_look_finds_a_dry_camera_and_the_next_that_it_is_not(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """Between looks the server has dynacast pause the healthy one, whom each look wakes."""
    worker = await start_worker(PMON_VIDEO="adaptive")
    alice, _ = await join("alice", camera=True), await join("bob", camera=True)
    await asyncio.sleep(2.0)
    alice.freeze()
    await asyncio.sleep(1.0)
    await dispatch(monitoring_type="video")
    await worker.wait("issue_raised", issue="track_dry", within_s=25)
    alice.thaw()
    await worker.wait("issue_resolved", issue="track_dry", within_s=80)
    await asyncio.sleep(30.0)
    assert await worker.stop() == 0
    video = [e for e in worker.of("issue_raised") if e["issue"] != "connection_poor"]
    assert [(e["participant"], e["issue"]) for e in video] == [("alice", "track_dry")]
    states = {
        name: [e["to"] for e in worker.of("video_state", participant=name)]
        for name in ("alice", "bob")
    }
    assert states == {"alice": ["dry", "live"], "bob": ["live"]}


async def test_freezes_and_their_length(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """Short ones, which the receiver counts, and one so long that it takes it for a pause.

    A machine that is busy may add some of its own.
    """
    worker = await start_worker()
    alice = await join("alice", camera=True)
    await dispatch(monitoring_type="video")
    await worker.wait("video_state", to="live")
    await asyncio.sleep(6.0)
    frozen_s = 0.0
    for length_s in (1.0, 1.0, 14.0):
        alice.freeze()
        await asyncio.sleep(length_s)
        alice.thaw()
        frozen_s += length_s
        await asyncio.sleep(5.0)
    assert await worker.stop() == 0
    (track,) = [t for t in worker.of("session_ended")[0]["summary"]["tracks"] if t["frames"]]
    assert track["freezes"] >= 3
    assert frozen_s - 0.5 <= track["frozen_s"] <= frozen_s + 4.0
    assert track["fps"] == pytest.approx(14.0, abs=4.0)
    assert track["harmonic_fps"] < 0.5
    assert (track["width"], track["height"]) == (320, 180)
    (raised,) = worker.of("issue_raised", issue="video_frozen")
    (resolved,) = worker.of("issue_resolved", issue="video_frozen")
    assert seconds(raised["time"]) - seconds(raised["since"]) == pytest.approx(10.0, abs=1.5)
    assert 13.0 <= resolved["duration_s"] <= 18.0


async def test_who_gives_no_sign_of_life_is_idle_until_they_do(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    alice, _ = await join("alice"), await join("bob")
    await dispatch(custom_settings={"idle_after": "8s"}, participant_identity="alice")
    await worker.wait("track_published")
    await alice.say(phrases()["results"])
    spoke = await worker.wait("speaking_stopped")
    raised = await worker.wait("issue_raised", issue="participant_idle")
    assert raised["severity"] == "info"
    idle_s = seconds(raised["since"]) - seconds(spoke["time"])
    assert idle_s == pytest.approx(0.0, abs=0.6)
    assert seconds(raised["time"]) - seconds(raised["since"]) == pytest.approx(8.0, abs=0.6)
    assert alice.room is not None
    await alice.room.local_participant.publish_data(b"hello", topic="chat")
    await worker.wait("issue_resolved", issue="participant_idle")
    await worker.wait("issue_raised", 2, issue="participant_idle")
    await alice.say(phrases()["results"])
    await worker.wait("issue_resolved", 2, issue="participant_idle")
    assert await worker.stop() == 0


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
