"""The trace of a room: every input of its monitor as a line of JSON, and the same run from them.

Which inputs there are, and of what types their arguments, is read off ``RoomMonitor``: a public
method that returns nothing takes something in. So a new one is in the trace by itself.

The first line tells the version of the trace and what the monitor was made with. A line in between
may tell that the wall clock stepped, and the last one why the trace stops before its room does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from types import GenericAlias, NoneType, UnionType
from typing import Any, Protocol, cast, get_args, get_origin, get_type_hints

import msgspec

from pmon.monitor import events as ev
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.room import RoomMonitor
from pmon.monitor.session import SessionState

VERSION = 1
"""Of the lines. Raise it when an older trace would be understood wrongly, not for a new input."""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="what", tag="trace"):
    """The first line: what the monitor was made with, and the anchor of its times."""

    v: int = VERSION
    pmon: str
    """The version of pmon that wrote it."""
    room: str
    opt_out: bool
    monotonic: float
    utc: datetime


class _AnyVersion(msgspec.Struct, frozen=True, tag_field="what", tag="trace"):
    v: int


class Anchored(msgspec.Struct, frozen=True, tag_field="what", tag="anchored"):
    """The wall clock stepped: from here on this pair is the anchor."""

    monotonic: float
    utc: datetime


class Stopped(msgspec.Struct, frozen=True, tag_field="what", tag="stopped"):
    """The last line of a trace that says nothing of what came after it."""

    reason: str


class Remark(msgspec.Struct, frozen=True):
    """What there is to know of a replay beside its events."""

    line: int
    text: str
    failed: bool
    """The monitor raised an exception, as it must have done when the trace was written."""


class TraceError(ValueError):
    """Lines that cannot be run again; the message names the first of them."""


class Sink(Protocol):
    """Where lines go."""

    @property
    def open(self) -> bool:
        """Whether it takes any more."""

    def line(self, line: bytes) -> None: ...

    def stop(self, reason: str) -> None:
        """Take a last line that tells why, and no more."""


# --- the inputs


def _inputs() -> dict[str, type[msgspec.Struct]]:
    """The line of each input, by its method's name."""
    found = {}
    for name, method in inspect.getmembers(RoomMonitor, inspect.isfunction):
        hints = get_type_hints(method)
        if name.startswith("_") or hints["return"] is not NoneType:
            continue
        fields: list[Any] = []
        for parameter in list(inspect.signature(method).parameters.values())[1:]:
            kind = _in_json(hints[parameter.name])
            optional = () if parameter.default is parameter.empty else (parameter.default,)
            fields.append((parameter.name, kind, *optional))
        found[name] = msgspec.defstruct(
            name,
            fields,
            tag_field="what",
            tag=True,
            frozen=True,
            omit_defaults=True,
            forbid_unknown_fields=True,
        )
    return found


def _in_json(hint: Any) -> Any:
    """The type that stands in a line for an argument of this type."""
    if hint is SessionState:
        return bytes  # as between processes: it has keys and times that JSON does not know
    arguments, origin = tuple(map(_in_json, get_args(hint))), get_origin(hint)
    if not arguments:
        return hint
    if origin is UnionType:
        return reduce(or_, arguments)
    return GenericAlias(list, arguments) if origin is Iterable else origin[arguments]


def _plain(value: Any) -> Any:
    """An argument as it stands in its line."""
    if isinstance(value, SessionState):
        return msgspec.msgpack.encode(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _given(value: Any) -> Any:
    """The argument that stands in a line like this."""
    if isinstance(value, bytes):
        return msgspec.msgpack.decode(value, type=SessionState)
    if isinstance(value, list):
        return [_given(item) for item in value]
    return value


INPUTS = _inputs()
_LINE: Any = reduce(or_, INPUTS.values(), Anchored | Stopped)
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_LINE)


# --- writing


def recorded(
    room: str, anchor: UtcAnchor, sink: Sink, *, opt_out: bool = True, version: str = ""
) -> RoomMonitor:
    """A monitor whose inputs go to ``sink`` as well. ``version`` is pmon's."""
    monotonic, utc = anchor.readings
    header = Header(pmon=version, room=room, opt_out=opt_out, monotonic=monotonic, utc=utc)
    sink.line(encode(header))
    monitor = RoomMonitor(room, anchor, opt_out=opt_out)
    return cast("RoomMonitor", _Recorder(monitor, anchor, sink))


def encode(line: msgspec.Struct) -> bytes:
    return _ENCODER.encode(line) + b"\n"


class _Recorder:
    """Stands before a monitor: inputs are written down before they are passed on."""

    def __init__(self, monitor: RoomMonitor, anchor: UtcAnchor, sink: Sink) -> None:
        self._monitor = monitor
        self._anchor = anchor
        self._readings = anchor.readings
        self._sink = sink
        for name, line in INPUTS.items():
            setattr(self, name, self._recording(getattr(monitor, name), line))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._monitor, name)

    def _recording(
        self, pass_on: Callable[..., None], line: type[msgspec.Struct]
    ) -> Callable[..., None]:
        def call(*args: Any, **named: Any) -> None:
            # What can be gone through once only must serve both.
            args = tuple(list(a) if isinstance(a, Iterator) else a for a in args)
            named = {n: list(a) if isinstance(a, Iterator) else a for n, a in named.items()}
            if self._sink.open:
                self._write(line, args, named)
            pass_on(*args, **named)

        return call

    def _write(
        self, line: type[msgspec.Struct], args: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        """Before the call, which may change its arguments. The monitor works on if this fails."""
        try:
            if self._readings != self._anchor.readings:
                self._readings = self._anchor.readings
                self._sink.line(encode(Anchored(*self._readings)))
            given = line(*map(_plain, args), **{n: _plain(a) for n, a in named.items()})
            self._sink.line(encode(given))
        except Exception as error:
            self._sink.stop(f"{line.__name__} cannot be written down: {error!r}")


# --- running it again


def replay(lines: Iterable[bytes]) -> Iterator[ev.AnyEvent | Remark]:
    """The events of a trace, as its monitor told them, without ids.

    Raises TraceError at a line that is broken or of another version of the trace.
    """
    numbered = enumerate(lines, 1)
    _, first = next(numbered, (1, b""))
    header = _header(first)
    anchor = UtcAnchor(header.monotonic, header.utc)
    monitor = RoomMonitor(header.room, anchor, opt_out=header.opt_out)
    for number, line in numbered:
        try:
            given = _DECODER.decode(line)
            arguments = {name: _given(getattr(given, name)) for name in given.__struct_fields__}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if not line.endswith(b"\n"):
                text = "it is cut off here: its process was killed, or the copy is not whole"
                yield Remark(number, text, failed=False)
                return
            raise TraceError(f"line {number}: {error}") from None
        if isinstance(given, Stopped):
            yield Remark(number, f"it stops here: {given.reason}", failed=False)
            return
        if isinstance(given, Anchored):
            anchor.renew(given.monotonic, given.utc)
            continue
        name = type(given).__name__
        try:
            getattr(monitor, name)(**arguments)
        except Exception as error:
            yield Remark(number, f"{name} raised {error!r}", failed=True)
        yield from monitor.take_events()


def _header(line: bytes) -> Header:
    try:
        version = msgspec.json.decode(line, type=_AnyVersion).v
        if version != VERSION:
            raise TraceError(
                f"line 1: it is of version {version}, and this pmon knows version {VERSION} only"
            )
        return msgspec.json.decode(line, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TraceError(f"line 1: no trace of pmon: {error}") from None
