"""What goes over the wire for each kind of job, seen by a wiretap before a real server."""

from __future__ import annotations

import json

import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api, rtc
from livekit.protocol import agent
from wiretap import Wiretap

from pmon.cli.livekit_server import LocalServer
from pmon.media.publish import join_token


async def test_a_target_that_never_comes_fails_its_job(
    start_worker: StartWorker,
    dispatch: Dispatch,
    wiretap: Wiretap,
    lkapi: api.LiveKitAPI,
    livekit_server: LocalServer,
    room: str,
) -> None:
    """The participant is gone before pmon has joined: the job comes 0.2 s after they did."""
    worker = await start_worker(url=wiretap.url)
    await dispatch(custom_settings={"join_timeout": "2s"})
    target = rtc.Room()
    server = livekit_server
    token = join_token(server.api_key, server.api_secret, room, "flash")
    await target.connect(server.url, token, rtc.RoomOptions(auto_subscribe=False))
    await target.disconnect()
    ended = await worker.wait("session_ended")
    assert ended["reason"] == "join_timeout"
    assert not worker.of("participant_connected")
    await wiretap.wait_until(lambda: len(wiretap.job_statuses(ended["job"])) == 2)
    assert wiretap.job_statuses(ended["job"]) == [
        (ended["job"], "JS_RUNNING", ""),
        (ended["job"], "JS_FAILED", "participant connection timeout"),
    ]


async def test_a_job_that_ends_well_says_so(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, wiretap: Wiretap
) -> None:
    worker = await start_worker(url=wiretap.url)
    alice = await join("alice")
    await join("bob")
    await dispatch(participant_identity="alice", end_on_disconnect=True)
    started = await worker.wait("participant_connected")
    await alice.leave()
    await worker.wait("session_ended")
    await wiretap.wait_until(lambda: len(wiretap.job_statuses(started["job"])) == 2)
    assert [status for _, status, _ in wiretap.job_statuses(started["job"])] == [
        "JS_RUNNING",
        "JS_SUCCESS",
    ]


async def test_a_wrong_target_is_declined_for_good(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, wiretap: Wiretap
) -> None:
    worker = await start_worker(url=wiretap.url)
    for name in ("alice", "bob", "carol"):
        await join(name)
    await dispatch(participant_identity="bob")
    await worker.wait("participant_connected", participant="bob")
    await wiretap.wait_until(lambda: len(answers(wiretap)) == 3)
    declined = [a for a in answers(wiretap) if not a.available]
    assert len(declined) == 2
    assert all(a.terminate for a in declined)
    assert {e["participant"] for e in worker.of("session_started")} == {"bob"}


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        pytest.param("not json", "", id="not JSON"),
        pytest.param(json.dumps([1]), "", id="not an object"),
        pytest.param(
            json.dumps({"custom_settings": {"speaking_threshold": "loud"}}),
            "custom_settings.speaking_threshold",
            id="wrong type",
        ),
        pytest.param(
            json.dumps({"monitoring_type": "everything"}), "monitoring_type", id="wrong word"
        ),
        pytest.param(json.dumps({"note": "x" * 100_000}), "", id="100 kB"),
    ],
)
async def test_bad_metadata_is_declined_and_logged_once(
    start_worker: StartWorker,
    lkapi: api.LiveKitAPI,
    join: Join,
    wiretap: Wiretap,
    room: str,
    metadata: str,
    key: str,
) -> None:
    worker = await start_worker(url=wiretap.url)
    for name in ("alice", "bob"):
        await join(name)
    await lkapi.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(
            room=room, agent_name="participant-monitor", metadata=metadata
        )
    )
    await wiretap.wait_until(lambda: len(answers(wiretap)) == 2)
    assert [(a.available, a.terminate) for a in answers(wiretap)] == [(False, True)] * 2
    await worker.wait_for(lambda line: line["message"] == "job declined: bad metadata")
    declined = [line for line in worker.lines if line["message"].startswith("job declined")]
    assert len(declined) == 1
    assert declined[0]["key"] == key
    assert declined[0]["level"] == "ERROR"
    assert len(str(declined[0])) < 2000
    # The worker is as good as before.
    await lkapi.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(room=room, agent_name="participant-monitor")
    )
    await worker.wait("participant_connected", 2)


async def test_unknown_metadata_keys_are_named_once(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    for name in ("alice", "bob"):
        await join(name)
    await dispatch(colour="blue", custom_settings={"speed": 3})
    await worker.wait("participant_connected", 2)
    ignored = [
        line for line in worker.lines if line["message"] == "unknown metadata keys are ignored"
    ]
    assert [line["keys"] for line in ignored] == [["colour", "custom_settings.speed"]]


async def test_a_cut_websocket_touches_no_job(
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
    wiretap: Wiretap,
    lkapi: api.LiveKitAPI,
    room: str,
) -> None:
    worker = await start_worker(url=wiretap.url)
    await join("alice")
    made = await dispatch()
    await worker.wait("participant_connected")
    wiretap.cut_agent()
    await wiretap.wait_until(lambda: len(wiretap.registrations) == 2)
    await join("bob")  # the new registration takes new jobs of the old dispatch
    await worker.wait("participant_connected", participant="bob")
    assert not worker.of("session_ended")
    assert len(set(wiretap.registrations)) == 2
    agents = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
    assert len([p for p in agents.participants if p.kind == api.ParticipantInfo.AGENT]) == 1
    # The server can no longer terminate alice's job: pmon must find out by itself.
    await lkapi.agent_dispatch.delete_dispatch(made.id, room)
    ended = await worker.wait("session_ended", participant="alice", within_s=40)
    assert ended["reason"] == "dispatch_deleted"


def answers(wiretap: Wiretap) -> list[agent.AvailabilityResponse]:
    return [
        message.availability
        for message in wiretap.from_worker
        if message.WhichOneof("message") == "availability"
    ]
