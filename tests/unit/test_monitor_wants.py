"""What is wanted of people's tracks is asked only of those of whom something changed."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from room_driver import Meeting, camera, microphone, person, watch

from pmon.monitor.coverage import RoomJob
from pmon.monitor.inputs import OPT_OUT_ATTRIBUTE
from pmon.monitor.wants import wanted

PEOPLE = ("ann", "ben", "cat")
Act = Callable[[Meeting, str, float], None]


def _joins(meeting: Meeting, name: str, now: float) -> None:
    meeting.monitor.participant_joined(person(name, microphone(f"TR_{name}")), now)


def _there_again(meeting: Meeting, name: str, now: float) -> None:
    present = [person(other, microphone(f"TR_{other}")) for other in PEOPLE if other != name]
    meeting.monitor.connected("RM_2", present, now)


ACTS: dict[str, Act] = {
    "joins": _joins,
    "leaves": lambda m, who, now: m.monitor.participant_left(who, "", now),
    "job": lambda m, who, now: m.monitor.start_job(
        f"AJ_{who}", "AD_1", person(who), watch(monitoring_type="full"), now
    ),
    "link job": lambda m, who, now: m.monitor.start_job(
        f"AJ_2_{who}", "AD_2", person(who), watch(monitoring_type="connection"), now
    ),
    "room job": lambda m, who, now: m.monitor.start_room_job(
        RoomJob("AJ_room", "AD_3", watch(speaking_threshold=0.05)), now
    ),
    "room job ends": lambda m, who, now: m.monitor.end_job("AJ_room", "job_terminated", now),
    "job ends": lambda m, who, now: m.monitor.end_job(f"AJ_{who}", "job_terminated", now),
    "dispatch ends": lambda m, who, now: m.monitor.end_dispatch("AD_2", "dispatch_deleted", now),
    "publishes": lambda m, who, now: m.monitor.track_published(who, camera(f"TC_{who}"), now),
    "unpublishes": lambda m, who, now: m.monitor.track_unpublished(f"TR_{who}", now),
    "mutes": lambda m, who, now: m.monitor.track_muted(f"TR_{who}", True, now),
    "unmutes": lambda m, who, now: m.monitor.track_muted(f"TR_{who}", False, now),
    "opts out": lambda m, who, now: m.monitor.attributes_changed(
        who, {OPT_OUT_ATTRIBUTE: "off"}, now
    ),
    "opts in": lambda m, who, now: m.monitor.attributes_changed(who, {}, now),
    "link breaks": lambda m, who, now: m.monitor.suspend(now),
    "link is back": lambda m, who, now: m.monitor.resumed(now),
    "joined anew": _there_again,
    "time": lambda m, who, now: m.monitor.tick(now),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.sampled_from(PEOPLE)), max_size=40))
def test_nobody_is_forgotten_whose_wanted_tracks_changed(steps: list[tuple[str, str]]) -> None:
    """Else a track would be received for ever that nobody wants, or one never."""
    meeting = Meeting()
    meeting.connected(*(person(name, microphone(f"TR_{name}")) for name in PEOPLE))
    for name in PEOPLE:
        ACTS["job"](meeting, name, 0.0)
    meeting.monitor.take_stirred()
    known = {name: wanted(meeting.monitor, name) for name in PEOPLE}
    assert all(known.values())
    for second, (act, who) in enumerate(steps, start=1):
        ACTS[act](meeting, who, float(10 * second))
        stirred = meeting.monitor.take_stirred()
        for name in PEOPLE:
            wants = wanted(meeting.monitor, name)
            assert name in stirred or wants == known[name], (act, who, name)
            known[name] = wants
