"""The log: one line a happening, as JSON with livekit-agents' keys or as text for people."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pmon.monitor import events as ev
from pmon.outputs.log_writer import LineWriter
from pmon.outputs.pseudonyms import Pseudonyms

EVENTS = "pmon.events"

_events = structlog.get_logger(EVENTS)
_report = structlog.get_logger("pmon.report")

_NOISE = frozenset({"v", "id", "time", "room_sid", "participant_sid", "session", "job", "labels"})
"""Fields of an event that a person at a terminal does not read."""


def configure(
    log_format: str, level: str, stream: TextIO, pseudonyms: Pseudonyms | None = None
) -> logging.Handler:
    """Send structlog's and the standard library's lines through one format to ``stream``.

    ``log_format`` is "json" or "console"; ``pseudonyms`` stand for the people and rooms that lines
    name, but for events, which come with them. Returns the handler that writes: a ``LineWriter``
    where ``stream`` is a real file, which ``drain`` lets finish.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    if pseudonyms is not None:
        common.append(_hiding(pseudonyms))
    last: list[Processor]
    if log_format == "json":
        last = [_livekit_keys, structlog.processors.JSONRenderer(serializer=_to_json)]
    else:
        # Plain tracebacks: rich ones show local variables, and one of them may be a secret.
        plain = structlog.dev.plain_traceback
        console = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=plain, sort_keys=False
        )
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
        last = [stamp, _for_people, console]
    handler = _writer(stream)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
    )
    return handler


def _hiding(pseudonyms: Pseudonyms) -> Processor:
    """Whether a room is one of telephone calls does not show here, so none is named."""

    def hide(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        if fields.get("logger") != EVENTS:
            if isinstance(fields.get("participant"), str):
                fields["participant"] = pseudonyms.participant(fields["participant"])
            if isinstance(fields.get("room"), str):
                fields["room"] = pseudonyms.room(fields["room"])
            if isinstance(fields.get("rooms"), list):  # else it is how many
                fields["rooms"] = [pseudonyms.room(name) for name in fields["rooms"]]
        return fields

    return hide


def _writer(stream: TextIO) -> logging.Handler:
    try:
        return LineWriter(stream.fileno())
    except OSError:  # io.UnsupportedOperation: a text in memory
        return logging.StreamHandler(stream)


def standard_output() -> TextIO:
    """Standard output. One that was closed leads nowhere from now on, here and in our children:
    its number would otherwise go to the next file that is opened.
    """
    if sys.stdout is None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        sys.stdout = os.fdopen(1, "w", closefd=False)
    return sys.stdout


def drain(deadline_s: float) -> None:
    """Have what was logged written, as far as that is possible within ``deadline_s``.

    It is for the end: lines that come later are not written.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineWriter):
            handler.drain(deadline_s)


class EventLog:
    """Writes each event as one line: its JSON object, a sentence and a level.

    ``log_format`` is that of ``configure``. In a full room most lines are events, so as JSON they
    are put together from the parts, past structlog's processors.
    """

    def __init__(self, log_format: str) -> None:
        self._is_json = log_format == "json"
        self._logger = logging.getLogger(EVENTS)
        self._encoder = msgspec.json.Encoder()

    def event(self, event: ev.AnyEvent) -> None:
        """Log one event."""
        level = logging.INFO
        if isinstance(event, ev.IssueRaised | ev.IssueUpdated) and event.severity != "info":
            level = logging.WARNING
        if not self._is_json:
            _events.log(level, describe(event), **msgspec.to_builtins(event))
        elif self._logger.isEnabledFor(level):
            self._write(self._line(event, level), level)

    def _write(self, line: str, level: int) -> None:
        handlers = logging.getLogger().handlers
        if len(handlers) == 1 and isinstance(handlers[0], LineWriter):
            handlers[0].line(line)
            return
        record = logging.LogRecord(EVENTS, level, "", 0, line, None, None)
        record.is_line = True
        self._logger.handle(record)

    def _line(self, event: ev.AnyEvent, level: int) -> str:
        """As ``_livekit_keys`` has it."""
        body = self._encoder.encode(event)
        says = self._encoder.encode(describe(event))
        time = datetime.now(UTC).isoformat().removesuffix("+00:00")
        return (
            f'{{"message":{says.decode()},"level":"{logging.getLevelName(level)}",'
            f'"name":"{EVENTS}",{body[1:-1].decode()},"timestamp":"{time}Z"}}'
        )


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """What is a line already stays as it is."""

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "is_line", False):
            return str(record.msg)
        return super().format(record)


def report(*, active: int, speaking: int, poor_quality: int, rooms: int) -> None:
    """The line that comes now and then: watched participants who are present, and how they are."""
    _report.info(
        f"{active} active, {speaking} speaking, {poor_quality} with a poor connection",
        active=active,
        speaking=speaking,
        poor_quality=poor_quality,
        rooms=rooms,
    )


def summary(totals: Mapping[str, Any]) -> None:
    """The final summary at shutdown, one line: whatever plain data the totals are."""
    _report.info("final summary", **totals)


def describe(event: ev.AnyEvent) -> str:
    """The event as a sentence for people."""
    who = event.participant
    match event:
        case ev.SessionStarted():
            return f"watching {who} in {event.room}"
        case ev.SessionEnded(summary=summary):
            talked = f"talked {summary.talk_time_s:.1f} of {summary.duration_s:.1f} s"
            return f"stopped watching {who} in {event.room}: {event.reason}, {talked}"
        case ev.ParticipantConnected():
            return f"{who} is in {event.room}"
        case ev.ParticipantDisconnected():
            return f"{who} left {event.room}: {event.reason}"
        case ev.TrackPublished():
            return f"{who} published {_track(event)}"
        case ev.TrackUnpublished():
            return f"{who} unpublished {_track(event)}"
        case ev.TrackMuted():
            return f"{who} muted {_track(event)}"
        case ev.TrackUnmuted():
            return f"{who} unmuted {_track(event)}"
        case ev.SpeakingStarted():
            return f"{who} speaks"
        case ev.SpeakingStopped():
            return f"{who} stopped after {event.turn_s:.1f} s"
        case ev.ConnectionQuality():
            return f"connection of {who}: {event.from_} to {event.to}"
        case ev.VideoState():
            return f"video of {who}: {event.from_} to {event.to}"
        case ev.IssueRaised():
            return f"{event.issue} for {who} ({event.severity})"
        case ev.IssueUpdated():
            return f"{event.issue} for {who} is now {event.severity}"
        case ev.IssueResolved():
            return f"{event.issue} for {who} over after {event.duration_s:.1f} s: {event.reason}"


def _track(
    event: ev.TrackPublished | ev.TrackUnpublished | ev.TrackMuted | ev.TrackUnmuted,
) -> str:
    return event.kind if event.source == "unknown" else event.source


def _livekit_keys(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """The order and names of livekit-agents' lines: message, level, name, ..., timestamp."""
    line: dict[str, Any] = {
        "message": fields.pop("event", ""),
        "level": str(fields.pop("level", "")).upper(),
        "name": fields.pop("logger", ""),
    }
    return structlog.processors.TimeStamper(fmt="iso", utc=True)(
        _logger, _method, {**line, **fields}
    )


def _for_people(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Leave out what nobody reads, and make names from outside harmless to a terminal."""
    is_event = "v" in fields
    return {
        key: _printable(value, newlines=key in ("exception", "stack"))
        for key, value in fields.items()
        if not (is_event and (key in _NOISE or value is None))
    }


def _printable(value: object, *, newlines: bool) -> object:
    if not isinstance(value, str) or value.isprintable():
        return value  # what is not a string is shown by repr, which escapes
    return "".join(
        c if c.isprintable() or (newlines and c == "\n") else c.encode("unicode_escape").decode()
        for c in value
    )


def _to_json(fields: EventDict, **_: object) -> str:
    try:
        return msgspec.json.encode(fields, enc_hook=repr).decode()
    except (TypeError, ValueError):  # a key that is no string, half a surrogate pair
        return json.dumps(fields, default=repr, skipkeys=True)
