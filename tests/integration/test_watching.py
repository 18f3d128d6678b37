"""The main job on a real server: who is watched, for how long they speak, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api, rtc

from pmon.media.phrases import phrases

TALK_TOLERANCE_S = 0.3


async def agents_in(lkapi: api.LiveKitAPI, room: str) -> list[api.ParticipantInfo]:
    """The agents in a room, hidden ones included."""
    listed = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
    return [p for p in listed.participants if p.kind == api.ParticipantInfo.AGENT]


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 15) -> None:
    """Wait for a condition on the server."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - the server has nothing to wait on
            await asyncio.sleep(0.1)


@pytest.mark.system  # a minute of waiting
@pytest.mark.timeout(150)
async def test_three_jobs_share_one_connection_and_live_without_joining(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    """Jobs never join under their own identity; the server must not mind for a whole minute."""
    worker = await start_worker()
    people = {name: await join(name) for name in ("alice", "bob", "carol")}
    await dispatch()
    await worker.wait("participant_connected", 3)
    await asyncio.gather(*(p.say(phrases()["welcome"]) for p in people.values()))
    await worker.wait("speaking_stopped", 3)
    await asyncio.sleep(60)
    (agent,) = await agents_in(lkapi, room)
    assert agent.identity.startswith("pmon-")
    assert agent.permission.hidden
    assert not worker.of("session_ended")
    assert {e["participant"] for e in worker.of("session_started")} == set(people)
    reports = [line for line in worker.lines if line["name"] == "pmon.report"]
    assert [(r["active"], r["speaking"], r["poor_quality"]) for r in reports[-1:]] == [(3, 0, 0)]
    assert await worker.stop() == 0
    ended = worker.of("session_ended")
    assert {e["reason"] for e in ended} == {"shutdown"}
    for event in ended:
        truth_s = people[event["participant"]].talk_time_s
        assert event["summary"]["talk_time_s"] == pytest.approx(truth_s, abs=TALK_TOLERANCE_S)
        assert event["summary"]["coverage"]["heard_s"] > 55
        assert event["summary"]["quality_s"]["excellent"] > 40


async def test_the_same_identity_in_two_rooms_is_two_sessions(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    worker = await start_worker()
    here = await join("alice")
    there = await join("alice", room=f"{room}-2")
    await dispatch()
    await dispatch(room=f"{room}-2")
    await worker.wait("participant_connected", 2)
    await here.say(phrases()["numbers"])
    await worker.wait("speaking_stopped")
    await worker.stop()
    talk = {e["room"]: e["summary"]["talk_time_s"] for e in worker.of("session_ended")}
    assert talk[room] == pytest.approx(here.talk_time_s, abs=TALK_TOLERANCE_S)
    assert talk[f"{room}-2"] == there.talk_time_s == 0
    assert len({e["session"] for e in worker.of("session_ended")}) == 2


async def test_leaving_and_coming_back(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """Within the away timeout it is one session under a new job; after it, another session."""
    worker = await start_worker()
    alice = await join("alice")
    await join("bob")  # keeps the room open
    await dispatch(custom_settings={"away_timeout": "4s"}, participant_identity="alice")
    first = await worker.wait("participant_connected")
    await alice.say(phrases()["agenda"])
    await alice.leave()
    await worker.wait("participant_disconnected")
    await alice.join()
    again = await worker.wait("participant_connected", 2)
    assert again["session"] == first["session"]
    await worker.wait_for(
        lambda line: line["message"] == "job ended" and line["job_id"] == first["job"]
    )
    await alice.say(phrases()["agenda"])
    stopped = await worker.wait("speaking_stopped", 2)
    assert stopped["talk_time_s"] == pytest.approx(alice.talk_time_s, abs=TALK_TOLERANCE_S)
    assert stopped["job"] != first["job"]
    await alice.leave()
    ended = await worker.wait("session_ended")
    assert ended["reason"] == "away_timeout"
    assert ended["summary"]["turns"] == 2
    await alice.join()
    fresh = await worker.wait("participant_connected", 3)
    assert fresh["session"] != first["session"]


async def test_muting_in_the_middle_of_a_sentence(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published")
    await asyncio.sleep(1.0)
    said = alice.say(phrases()["results"])
    await worker.wait("speaking_started")
    alice.mute()
    muted = await worker.wait("track_muted")
    stopped = await worker.wait("speaking_stopped")
    assert stopped["time"] <= muted["time"]
    await said
    assert len(worker.of("speaking_started")) == 1, "what is said while muted is not heard"
    alice.unmute()
    await worker.wait("track_unmuted")
    await alice.say(phrases()["mail"])
    stopped = await worker.wait("speaking_stopped", 2)
    assert stopped["talk_time_s"] == pytest.approx(alice.talk_time_s, abs=2 * TALK_TOLERANCE_S)


async def test_dispatch_before_and_after_joining(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    await join("early")
    await dispatch()
    await worker.wait("participant_connected", participant="early")
    await join("late")
    await worker.wait("participant_connected", participant="late")
    kinds = [e["type"] for e in worker.events if e["participant"] == "late"]
    assert kinds.index("session_started") < kinds.index("participant_connected")


async def test_end_on_disconnect(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    worker = await start_worker()
    alice = await join("alice")
    await join("bob")
    await dispatch(end_on_disconnect=True, participant_identity="alice")
    await worker.wait("participant_connected")
    await alice.leave()
    ended = await worker.wait("session_ended", within_s=5)
    assert ended["reason"] == "participant_left"

    async def gone() -> bool:
        return not await agents_in(lkapi, room)

    await until(gone)  # the connection leaves with the last job


async def test_deleting_one_of_two_dispatches(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    worker = await start_worker()
    people = [await join("alice"), await join("bob")]
    first = await dispatch(labels={"which": "first"})
    await dispatch(labels={"which": "second"})
    await worker.wait("participant_connected", 4)
    await lkapi.agent_dispatch.delete_dispatch(first.id, room)
    await worker.wait("session_ended", 2)
    assert {e["labels"]["which"] for e in worker.of("session_ended")} == {"first"}
    assert {e["reason"] for e in worker.of("session_ended")} == {"dispatch_deleted"}
    await people[0].say(phrases()["welcome"])
    stopped = await worker.wait("speaking_stopped")
    assert stopped["labels"] == {"which": "second"}
    assert len(await agents_in(lkapi, room)) == 1
    assert len(worker.of("session_ended")) == 2


async def test_deleting_the_room_ends_its_sessions(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    worker = await start_worker()
    await join("alice")
    await dispatch()
    await worker.wait("participant_connected")
    await lkapi.room.delete_room(api.DeleteRoomRequest(room=room))
    assert (await worker.wait("session_ended"))["reason"] == "room_closed"


async def test_encrypted_tracks_are_never_decoded(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """Without the key the decoder yields loud noise: it may not become talk time."""
    worker = await start_worker()
    alice = await join("alice", shared_key=b"between us", camera=True)
    await dispatch()
    published = await worker.wait("track_published", kind="audio")
    assert published["encrypted"]
    await worker.wait("video_state", to="encrypted")
    await asyncio.sleep(1.0)
    for name in ("results", "numbers"):
        await alice.say(phrases()[name])
    await worker.wait("speaking_stopped")
    await asyncio.sleep(5.0)
    await worker.stop()
    summary = worker.of("session_ended")[0]["summary"]
    assert {e["heard"] for e in worker.of("speaking_started")} == {"server"}
    assert summary["heard"] == "server"
    assert summary["coverage"]["heard_s"] == 0
    assert summary["coverage"]["server_word_s"] > 5
    # The server's windows of 0.4 s are a coarse clock, but no noise machine.
    assert summary["talk_time_s"] == pytest.approx(alice.talk_time_s, abs=1.5)
    assert {t["frames"] for t in summary["tracks"]} == {None}


async def test_video_freezes_and_recovers(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    alice = await join("alice", camera=True)
    await dispatch(monitoring_type="video")
    await worker.wait("video_state", to="live")
    await asyncio.sleep(4)
    alice.freeze()
    await worker.wait("video_state", to="frozen", within_s=10)
    raised = await worker.wait("issue_raised", issue="video_frozen")
    alice.thaw()
    resolved = await worker.wait("issue_resolved", issue="video_frozen")
    assert raised["track_sid"] == resolved["track_sid"]
    assert 9 <= resolved["duration_s"] <= 18
    await worker.wait("video_state", 2, to="live")
    await worker.stop()
    assert not worker.of("speaking_started")
    assert worker.of("issue_resolved")[0]["reason"] == "recovered"
    video = next(t for t in worker.of("session_ended")[0]["summary"]["tracks"] if t["frames"])
    assert video["fps"] == pytest.approx(15, abs=5)


async def test_opting_out(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    worker = await start_worker()
    alice = await join("alice", attributes={"pmon.monitor": "off"})
    bob = await join("bob")
    await dispatch()
    await worker.wait("participant_connected", 2)
    await asyncio.sleep(1)
    await asyncio.gather(alice.say(phrases()["numbers"]), bob.say(phrases()["numbers"]))
    await worker.wait("speaking_stopped")
    await lkapi.room.update_participant(
        api.UpdateParticipantRequest(room=room, identity="alice", attributes={"pmon.monitor": "on"})
    )
    await worker.wait("track_published", participant="alice")
    await asyncio.sleep(1)
    await alice.say(phrases()["numbers"])
    await worker.wait("speaking_stopped", participant="alice")
    assert len(worker.of("speaking_stopped", participant="alice")) == 1


async def test_notices_reach_people_and_not_agents(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    alice, bob = await join("alice"), await join("bob")
    heard: dict[str, list[dict[str, object]]] = {"alice": [], "bob": []}
    for person in (alice, bob):
        assert person.room is not None
        box = heard[person.identity]

        def take(packet: rtc.DataPacket, box: list[dict[str, object]] = box) -> None:
            assert packet.topic == "pmon"
            assert packet.participant is None
            box.append(json.loads(packet.data))

        person.room.on("data_received", take)
    await dispatch()
    await worker.wait("track_published", 2)
    await asyncio.sleep(1)
    await alice.say(phrases()["numbers"])
    await worker.wait("speaking_stopped")

    async def all_there() -> bool:
        kinds = {str(n["type"]) for n in heard["bob"]}
        return kinds == {"participant_monitoring", "speaking_detection", "connection_quality"}

    await until(all_there)
    await asyncio.sleep(1)
    speaking = [n["speaking"] for n in heard["bob"] if n["type"] == "speaking_detection"]
    assert speaking == [True, False]
    assert {n["participant"] for n in heard["bob"] if n["type"] == "speaking_detection"} == {
        "alice"
    }
    assert not [n for n in heard["alice"] if n["type"] == "speaking_detection"]
    welcomes = [n for n in heard["alice"] if n["type"] == "participant_monitoring"]
    assert [n["participant"] for n in welcomes] == ["alice"]


async def test_no_notices_when_they_are_off(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker(ENABLE_NOTIFICATIONS="false")
    alice, bob = await join("alice"), await join("bob")
    heard: list[bytes] = []
    for person in (alice, bob):
        assert person.room is not None
        person.room.on("data_received", lambda packet: heard.append(packet.data))
    await dispatch()
    await worker.wait("track_published", 2)
    await asyncio.sleep(1)
    await alice.say(phrases()["numbers"])
    await worker.wait("connection_quality")
    await worker.wait("speaking_stopped")
    await asyncio.sleep(1.5)
    assert heard == []


async def test_watching_the_connection_alone_receives_no_media(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    alice = await join("alice", camera=True)
    await dispatch(monitoring_type="connection")
    await worker.wait("track_published", 2)
    await alice.say(phrases()["numbers"])
    await worker.wait("connection_quality", to="excellent")
    assert await worker.stop() == 0
    summary = worker.of("session_ended")[0]["summary"]
    assert summary["quality_s"]["excellent"] > 0
    assert summary["coverage"]["heard_s"] == summary["coverage"]["server_word_s"] == 0
    assert {track["frames"] for track in summary["tracks"]} == {None}
    assert not worker.of("speaking_started")


async def test_an_agent_that_everybody_sees(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    worker = await start_worker(PMON_HIDDEN="false")
    alice = await join("alice")
    await dispatch()
    await worker.wait("participant_connected")
    (agent,) = await agents_in(lkapi, room)
    assert not agent.permission.hidden
    assert alice.room is not None
    seen = alice.room.remote_participants

    async def alice_sees_it() -> bool:
        return set(seen) == {agent.identity}

    await until(alice_sees_it)
    assert len(worker.of("session_started")) == 1, "an agent is nobody to watch"
