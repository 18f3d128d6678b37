"""The log: every line parses, carries its event whole, and cannot be forged from outside."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from event_samples import every_type

from pmon.monitor.events import AnyEvent
from pmon.outputs import log


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Logging is set for the whole process: put it back for the other tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def written(log_format: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    log.configure(log_format, level, stream)
    return stream


def only_line(stream: io.StringIO) -> dict[str, Any]:
    [line] = stream.getvalue().splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_json_has_the_keys_that_livekit_agents_users_look_for() -> None:
    stream = written("json")
    structlog.get_logger("pmon.worker").info("registered worker", worker_id="AW_1")
    line = only_line(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "message": "registered worker",
        "level": "INFO",
        "name": "pmon.worker",
        "worker_id": "AW_1",
    }


@pytest.mark.parametrize("event", every_type(), ids=lambda event: event.type)
def test_an_event_is_its_json_object_and_a_sentence(event: AnyEvent) -> None:
    stream = written("json")
    log.EventLog("json").event(event)
    line = only_line(stream)
    assert list(line)[:3] == ["message", "level", "name"], "what a reader looks for comes first"
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)
    for key in ("timestamp", "name"):
        del line[key]
    assert line.pop("message")
    assert line.pop("level") == (
        "WARNING" if event.type in ("issue_raised", "issue_updated") else "INFO"
    )
    assert line == json.loads(msgspec.json.encode(event))


@pytest.mark.parametrize("event", every_type(), ids=lambda event: event.type)
def test_each_sentence_names_the_participant(event: AnyEvent) -> None:
    assert "alice" in log.describe(event)


EVIL = 'x\n{"level":"INFO","message":"forged"}\r\x1b[2J%s%(a)s{0}\x9b\u202e'


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_name_from_outside_forges_no_line_and_moves_no_cursor(log_format: str) -> None:
    stream = written(log_format)
    for event in every_type(EVIL):
        log.EventLog(log_format).event(event)
    lines = stream.getvalue().split("\n")
    assert len(lines) == len(every_type()) + 1
    if log_format == "console":
        assert all(line.isprintable() for line in lines)
    else:
        assert all(json.loads(line)["participant"] == EVIL for line in lines[:-1])


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_standard_library_logs_in_the_same_format(log_format: str) -> None:
    """Libraries' lines between ours would otherwise not parse."""
    stream = written(log_format)
    logging.getLogger("aiohttp.client").warning("slow %s", "server", extra={"seconds": 3})
    if log_format == "json":
        line = only_line(stream)
        assert (line["message"], line["name"], line["seconds"]) == (
            "slow server",
            "aiohttp.client",
            3,
        )
    else:
        assert "slow server" in stream.getvalue()
        assert "seconds=3" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("logger", [structlog.get_logger("pmon.x"), logging.getLogger("livekit")])
def test_a_traceback_shows_no_local_variables(log_format: str, logger: Any) -> None:
    """Rich tracebacks print them, and one of them may be the API secret."""
    stream = written(log_format)
    secret = "hush" + "-" + "hush"  # in pieces: the source line stands in the traceback
    try:
        raise ValueError(f"no{len(secret) and ' good'}")
    except ValueError:
        logger.exception("failed")
    assert "ValueError: no good" in stream.getvalue()
    assert "test_log.py" in stream.getvalue()
    assert "hush-hush" not in stream.getvalue()
    if log_format == "json":
        assert "exception" in only_line(stream)


def test_a_traceback_moves_no_cursor_either() -> None:
    stream = written("console")
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        structlog.get_logger("pmon.x").exception("failed")
    assert "\x1b" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("error", 1)])
def test_the_level_holds_for_both_kinds_of_loggers(level: str, count: int) -> None:
    stream = written("json", level)
    for logger in (structlog.get_logger("pmon.x"), logging.getLogger("x")):
        logger.debug("x")
        logger.info("x")
        logger.error("x")
    assert len(stream.getvalue().splitlines()) == 2 * count


def test_what_json_cannot_say_is_logged_all_the_same() -> None:
    """A line that raised would be lost when it matters most."""
    stream = written("json")
    structlog.get_logger("pmon.x").info("odd", path="\udc80", thing=object, nested={1j: 2})
    assert only_line(stream)["message"] == "odd"


def test_a_line_is_the_same_by_way_of_the_writers_thread(tmp_path: Path) -> None:
    """Events go past the formatter there, which must not show."""
    event = every_type()[5]
    stream = written("json")
    log.EventLog("json").event(event)
    with (tmp_path / "log").open("w") as file:
        log.configure("json", "info", file)
        log.EventLog("json").event(event)
        log.drain(5)
    (line,) = (tmp_path / "log").read_text().splitlines()
    facts, expected = json.loads(line), only_line(stream)
    del facts["timestamp"], expected["timestamp"]
    assert facts == expected


@pytest.mark.parametrize(
    ("kind", "severity", "level"),
    [
        ("issue_raised", "info", "INFO"),
        ("issue_raised", "warning", "WARNING"),
        ("issue_updated", "critical", "WARNING"),
        ("issue_updated", "info", "INFO"),
        ("issue_resolved", "critical", "INFO"),
    ],
)
def test_what_is_no_trouble_is_no_warning(kind: str, severity: str, level: str) -> None:
    stream = written("json")
    (event,) = [event for event in every_type() if event.type == kind]
    log.EventLog("json").event(msgspec.structs.replace(event, severity=severity))
    assert json.loads(stream.getvalue())["level"] == level


@pytest.mark.parametrize(("level", "count"), [("info", 2), ("warning", 1), ("error", 0)])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_level_holds_for_events(log_format: str, level: str, count: int) -> None:
    stream = written(log_format, level)
    events = {event.type: event for event in every_type()}
    for name in ("speaking_started", "issue_raised"):
        log.EventLog(log_format).event(events[name])
    assert len(stream.getvalue().splitlines()) == count


def test_the_console_leaves_out_what_nobody_reads() -> None:
    stream = written("console")
    log.EventLog("console").event(every_type()[5])
    assert "alice speaks" in stream.getvalue()
    assert "RM_1" not in stream.getvalue()


def test_report_and_summary() -> None:
    stream = written("json")
    log.report(active=3, speaking=1, poor_quality=2, rooms=1)
    line = only_line(stream)
    assert line["message"] == "3 active, 1 speaking, 2 with a poor connection"
    assert (line["active"], line["speaking"], line["poor_quality"], line["rooms"]) == (3, 1, 2, 1)
    stream = written("json")
    log.summary({"sessions": 2, "ended": [{"participant": "alice"}]})
    assert only_line(stream)["ended"] == [{"participant": "alice"}]
