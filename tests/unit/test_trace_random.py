"""Whatever sequence of inputs a monitor gets, its trace gives the same events again.

The inputs are made from the types that ``pmon.monitor.trace`` finds, new ones too.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect as mi
from room_driver import EPOCH, Meeting, Trace, camera, microphone, person

from pmon.monitor import events as ev
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.inputs import VideoReading
from pmon.monitor.session import SessionState
from pmon.monitor.trace import INPUTS, Remark, recorded, replay

WORDS = {
    "identity": ["ann", "bob", "cem"],
    "sid": ["TR_1", "TR_2", "TR_3", "TR_4"],
    "track_sid": ["TR_1", "TR_2", "TR_3", "TR_4"],
    "identities": ["ann", "bob", "cem"],
    "job": ["AJ_1", "AJ_2", "AJ_3"],
    "dispatch": ["AD_1", "AD_2"],
    "room_sid": ["RM_1", "RM_2"],
    "monitoring_type": ["full", "audio", "video", "connection"],
}
"""Few, so that inputs meet; of any other text there are two."""
ATTRIBUTES: list[dict[str, str]] = [{}, {"pmon.monitor": "off"}, {"sip.callStatus": "dialing"}]


def states() -> list[bytes]:
    """Sessions as another process left them."""
    room = Meeting()
    for number, name in enumerate(("ann", "bob")):
        room.job(f"AJ_{number}", name)
    room.connected(person("ann", microphone("TR_1"), camera("TR_2")), person("bob"))
    room.monitor.speech("TR_1", 0.01, True, 1.0)
    room.monitor.video("TR_2", VideoReading(frames=3, freezes=0), 2.0)
    room.monitor.quality("bob", "poor", 2.0)
    room.to(20.0)
    return [msgspec.msgpack.encode(s.state()) for s in room.monitor.sessions.all()]


STATES = states()


def values(kind: mi.Type, name: str = "") -> st.SearchStrategy[Any]:
    """Any value of a type, as it stands in a line; times are put right later."""
    if isinstance(kind, mi.StrType):
        return st.sampled_from(WORDS.get(name, ["", "else"]))
    if isinstance(kind, mi.FloatType):
        return st.sampled_from([0.0, 0.01, 0.5, 20.0])
    if isinstance(kind, mi.IntType):
        return st.integers(0, 100)
    if isinstance(kind, mi.BoolType):
        return st.booleans()
    if isinstance(kind, mi.NoneType):
        return st.none()
    if isinstance(kind, mi.BytesType):
        return st.sampled_from(STATES)
    if isinstance(kind, mi.LiteralType):
        return st.sampled_from(kind.values)
    if isinstance(kind, mi.DictType):
        if isinstance(kind.value_type, mi.StrType):
            return st.sampled_from(ATTRIBUTES)
        return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=3)
    if isinstance(kind, mi.UnionType):
        return st.one_of([values(t, name) for t in kind.types])
    if isinstance(kind, mi.ListType | mi.VarTupleType | mi.SetType):
        return st.lists(values(kind.item_type, name), max_size=3)
    if isinstance(kind, mi.TupleType):
        return st.tuples(*(values(t, name) for t in kind.item_types))
    assert isinstance(kind, mi.StructType), f"a strategy for {kind} is missing"
    fields = {f.encode_name: values(f.type, f.name) for f in kind.fields}
    return st.fixed_dictionaries(fields)


LINES = {name: values(mi.type_info(line)) for name, line in INPUTS.items()}


@st.composite
def calls(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """A sequence of inputs, in the order of their times."""
    names = draw(st.lists(st.sampled_from(sorted(INPUTS)), min_size=5, max_size=40))
    drawn, now = [], 30.0
    for name in ("connected", "start_room_job", *names):
        fields = draw(LINES[name])
        now += draw(st.sampled_from([0.0, 0.25, 1.0, 12.0]))
        fields |= {key: now for key in ("now", "at") if key in fields}
        line = msgspec.convert(fields, INPUTS[name])
        drawn.append((name, {key: getattr(line, key) for key in line.__struct_fields__}))
    return drawn


def unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if isinstance(value, bytes):
        return msgspec.msgpack.decode(value, type=SessionState)
    return value


@given(calls())
def test_whatever_goes_in_comes_out_again(inputs: list[tuple[str, dict[str, Any]]]) -> None:
    trace = Trace()
    monitor = recorded("standup", UtcAnchor(0.0, EPOCH), trace, opt_out=True)
    told: list[ev.AnyEvent | Remark] = []
    for name, arguments in inputs:
        try:
            getattr(monitor, name)(**{key: unpacked(value) for key, value in arguments.items()})
        except Exception as error:
            told.append(Remark(len(trace.lines), f"{name} raised {error!r}", failed=True))
        told += monitor.take_events()
    assert trace.open
    assert [msgspec.json.encode(e) for e in replay(trace.lines)] == [
        msgspec.json.encode(e) for e in told
    ]
