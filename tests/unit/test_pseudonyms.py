"""Pseudonyms: always the same for somebody, and nothing of who it is beside them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from event_samples import base, every_type

from pmon.monitor import events as ev
from pmon.outputs import log as log_output
from pmon.outputs.pseudonyms import Pseudonyms, asked_for
from pmon.settings import load_settings

KEY = "a-key-that-nobody-guesses"
CALLER = "sip_+4930123456"
CALL = "call-_+4930123456_Xy7"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Logging is set for the whole process: put it back for the other tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def written(log_format: str = "json") -> io.StringIO:
    """What is logged from now on, with pseudonyms."""
    stream = io.StringIO()
    log_output.configure(log_format, "info", stream, Pseudonyms(KEY))
    return stream


@pytest.mark.parametrize("event", every_type(CALLER), ids=lambda event: event.type)
def test_no_event_tells_who_it_is(event: ev.AnyEvent) -> None:
    session = "PS_0123456789abcdef"
    called = msgspec.structs.replace(event, participant_kind="sip", room=CALL, session=session)
    told = msgspec.json.encode(Pseudonyms(KEY).event(called)).decode()
    assert "4930123456" not in told
    assert session not in told


def test_the_rest_of_an_event_stays() -> None:
    for event in every_type():
        told = Pseudonyms(KEY).event(event)
        changed = {
            name for name in event.__struct_fields__ if getattr(told, name) != getattr(event, name)
        }
        assert changed == {"participant", "session"}


def test_a_pseudonym_is_the_same_in_every_process() -> None:
    """Another one after a restart would make two people of one."""
    assert Pseudonyms(KEY).participant("alice") == "h:08e531908d070dd5df25"
    assert Pseudonyms(KEY).participant("bob") != Pseudonyms(KEY).participant("alice")
    assert Pseudonyms(KEY + "x").participant("alice") != Pseudonyms(KEY).participant("alice")


def test_a_room_and_somebody_of_the_same_name_have_nothing_in_common() -> None:
    both = Pseudonyms(KEY)
    assert both.room("alice") != both.participant("alice")


def event_in(room: str, kind: str) -> ev.AnyEvent:
    return ev.SpeakingStarted(**{**base(), "room": room, "participant_kind": kind})


@pytest.mark.parametrize(
    ("room", "kind", "shown"),
    [
        ("daily", "standard", True),
        ("daily-2026-03-14", "standard", True),
        ("daily", "sip", False),
        (CALL, "sip", False),
        (CALL, "agent", False),  # whoever takes the call is in the room that is called by it
    ],
)
def test_rooms_of_calls_are_not_named(room: str, kind: str, shown: bool) -> None:
    told = Pseudonyms(KEY).event(event_in(room, kind))
    assert (told.room == room) == shown
    assert told.room_sid == "RM_1"


def test_nobody_has_no_pseudonym() -> None:
    """A job for everybody names no participant; a pseudonym of nobody would look like somebody."""
    assert Pseudonyms(KEY).participant("") == ""


def test_the_worker_s_own_lines_name_nobody() -> None:
    lines = written()
    log = structlog.get_logger("pmon.worker")
    log.info("received job", job_id="AJ_1", room=CALL, participant=CALLER)
    log.warning("cannot list dispatches", room=CALL, problem="no answer")
    log.warning("the process is not replaced", rooms=[CALL])
    log.info("load", rooms=1)
    told = lines.getvalue()
    assert "4930123456" not in told
    shown: list[dict[str, Any]] = [json.loads(line) for line in told.splitlines()]
    assert shown[0]["participant"] == Pseudonyms(KEY).participant(CALLER)
    assert shown[0]["room"] == shown[1]["room"] == Pseudonyms(KEY).room(CALL)
    assert shown[2]["rooms"] == [Pseudonyms(KEY).room(CALL)]
    assert shown[3]["rooms"] == 1


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_events_are_not_hidden_twice(log_format: str) -> None:
    """The same person must have the same name in log, record and history."""
    stream, pseudonyms = written(log_format), Pseudonyms(KEY)
    log_output.EventLog(log_format).event(pseudonyms.event(every_type()[0]))
    assert pseudonyms.participant("alice") in stream.getvalue()
    assert "room-1" in stream.getvalue()


def test_they_are_there_when_they_are_asked_for() -> None:
    keys = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s", "PMON_IDENTITY_KEY": KEY}
    assert asked_for(load_settings(keys)) is None
    pseudonyms = asked_for(load_settings({**keys, "PMON_IDENTITY": "hash"}))
    assert pseudonyms is not None
    assert pseudonyms.participant("alice") == Pseudonyms(KEY).participant("alice")
