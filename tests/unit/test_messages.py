"""What host and supervisor say to each other must survive a pipe between two processes."""

from __future__ import annotations

import msgspec
import pytest
from room_driver import Meeting, camera, microphone, person

from pmon.app import messages as msg
from pmon.metadata import decode_metadata
from pmon.monitor.view import view

METADATA = decode_metadata(
    '{"labels": {"a": "b"}, "custom_settings": {"away_timeout": "90s"},'
    ' "notification_preferences": {"recipients": {"welcome": "none"}}}'
)


@pytest.mark.parametrize(
    "message",
    [
        msg.StartJob(
            job="AJ_1",
            dispatch="AD_1",
            room="standup",
            participant="ann",
            participant_sid="PA_1",
            participant_kind="sip",
            metadata=METADATA,
        ),
        msg.EndJob(job="AJ_1", reason="job_terminated"),
        msg.EndDispatch(room="standup", dispatch="AD_1", reason="dispatch_deleted"),
        msg.ShowLevels(identities={"standup": ["ann"]}),
        msg.Drain(),
    ],
    ids=lambda message: type(message).__name__,
)
def test_to_the_host(message: msg.ToHost) -> None:
    sent = msgspec.msgpack.encode(message)
    assert msgspec.msgpack.decode(sent, type=msg.ToHost) == message


def test_from_the_host() -> None:
    meeting = Meeting()
    meeting.connected(person("ann", microphone(), camera()))
    meeting.job("AJ_1", "ann")
    meeting.speak(1.0, 2.0)
    status = msg.HostStatus(rooms=[view(meeting.monitor, meeting.now)])
    meeting.summary()
    messages: list[msg.FromHost] = [
        *(msg.Happened(event=event) for event in meeting.events),
        msg.JobEnded(job="AJ_1", error="participant connection timeout"),
        msg.LevelsNow(levels={"standup": {"ann": -30.5}}),
        msg.Drained(),
        status,
    ]
    for message in messages:
        sent = msgspec.msgpack.encode(message)
        assert msgspec.msgpack.decode(sent, type=msg.FromHost) == message
    assert status.rooms[0].sessions[0].talk_time_s == 1.0
