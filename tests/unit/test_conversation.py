"""Overlap, interruptions and silence: as a brute force finds them, and through a monitor."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room_driver import Meeting, microphone, person

from pmon.monitor import events as ev
from pmon.monitor.conversation import (
    FLOOR_S,
    LATE_S,
    SILENT_S,
    YIELD_S,
    Conversation,
    Exchange,
    RoomTalk,
)
from pmon.monitor.inputs import ParticipantInfo
from pmon.monitor.talk import TURN_GAP_S

CELL_S = 1 / 128
"""About 10 ms, and exact in binary: so are all sums."""
CELLS = int(30 / CELL_S)


class Run(NamedTuple):
    """Speech of one person in cells, and how late its edges are told, in cells as well."""

    start: int
    stop: int
    start_late: int
    stop_late: int


LATE = st.integers(0, int((LATE_S - 1) / CELL_S))


@st.composite
def speech(draw: st.DrawFn) -> list[Run]:
    """Runs of one person, one after the other; each is told before the next begins."""
    runs, at = [], 0
    for _ in range(draw(st.integers(0, 6))):
        at += draw(st.one_of(st.integers(0, 90), st.integers(0, 1000)))
        stop = at + draw(st.one_of(st.integers(1, 90), st.integers(1, 1500)))
        if stop >= CELLS:
            break
        runs.append(Run(at, stop, draw(LATE), draw(LATE)))
        at = stop
    return runs


def cells(runs: list[Run]) -> set[int]:
    return {cell for run in runs for cell in range(run.start, run.stop)}


def turns(runs: list[Run]) -> list[tuple[int, int]]:
    """Runs with the pauses between them closed that are no pauses."""
    joined: list[tuple[int, int]] = []
    for run in runs:
        if joined and (run.start - joined[-1][1]) * CELL_S < TURN_GAP_S:
            joined[-1] = (joined[-1][0], run.stop)
        else:
            joined.append((run.start, run.stop))
    return joined


def interrupts(people: dict[str, list[Run]], by: str, whom: str) -> int:
    """Count by the definition: go through all ends of ``whom``, look who talks half a second on."""
    found, floor, most = 0, int(FLOOR_S / CELL_S), int(YIELD_S / CELL_S)
    hold = int(SILENT_S / CELL_S)
    for run in people[whom]:
        end = run.stop
        if any(r is not run and end <= r.start < end + hold for r in people[whom]):
            continue  # they went on
        began = next(turn for turn, over in turns(people[whom]) if turn <= run.start <= over)
        for other in people[by]:
            if not other.start < end + hold <= other.stop:
                continue
            onset = next(turn for turn, over in turns(people[by]) if turn <= other.start <= over)
            if began + floor <= onset < end and end - onset <= most:
                found += 1
    return found


def longest_silence(talking: set[int], listening: list[tuple[int, int]]) -> int:
    longest = silence = 0
    for cell in range(CELLS):
        heard = any(start <= cell < stop for start, stop in listening)
        silence = silence + 1 if heard and cell not in talking else 0
        longest = max(longest, silence)
    return longest


@settings(max_examples=60, deadline=None)
@given(
    st.lists(speech(), min_size=1, max_size=4),
    st.lists(st.integers(0, CELLS - 1), max_size=4, unique=True),
    st.integers(20, 300),
)
def test_figures_are_those_of_a_brute_force(
    everybody: list[list[Run]], attendance: list[int], tick: int
) -> None:
    """However late speech is told and dated back, and whenever it is settled meanwhile."""
    people = {f"p{i}": runs for i, runs in enumerate(everybody)}
    edges = sorted(attendance)
    listening = list(zip(edges[::2], [*edges[1::2], CELLS], strict=False))
    told: list[tuple[int, int, str, str, int]] = []
    for name, runs in people.items():
        before = 0
        for number, run in enumerate(runs):
            # A meter tells one after the other, and nothing before it has happened.
            start = max(before, run.start + run.start_late)
            before = max(start, run.stop + run.stop_late)
            limit = int((LATE_S - 1) / CELL_S)
            start, before = min(start, run.start + limit), min(before, run.stop + limit)
            told.append((start, 2 * number, "started", name, run.start))
            told.append((before, 2 * number + 1, "stopped", name, run.stop))
    for start, stop in listening:
        told.append((start, -1, "listening", "", start))
        told.append((stop, -1, "alone", "", stop))
    conversation, sums = Conversation(), {name: Exchange() for name in people}
    settled = 0
    for at, _, what, name, when in sorted(told):
        while settled + tick <= at:
            settled += tick
            for session, more in conversation.settle(settled * CELL_S - LATE_S).items():
                sums[session.removeprefix("PS_")].add(more)
        match what:
            case "started":
                conversation.started(name, f"PS_{name}", when * CELL_S)
            case "stopped":
                conversation.stopped(name, f"PS_{name}", when * CELL_S)
            case _:
                conversation.listening(what == "listening", when * CELL_S)
    end = CELLS * CELL_S
    for name in people:
        last, room = conversation.as_of(end + LATE_S + 1.0, f"PS_{name}")
        sums[name].add(last)
        spoken = cells(people[name])
        others = set().union(*(cells(runs) for other, runs in people.items() if other != name))
        assert sums[name].overlap_s == len(spoken & others) * CELL_S
        assert sums[name].interruptions == sum(
            interrupts(people, name, other) for other in people if other != name
        )
        assert sums[name].interrupted == sum(
            interrupts(people, other, name) for other in people if other != name
        )
    everyone = [cells(runs) for runs in people.values()]
    talking = set().union(*everyone)
    assert room.talk_s == len(talking) * CELL_S
    twice = {cell for cell in talking if sum(cell in own for own in everyone) > 1}
    assert room.overlap_s == len(twice) * CELL_S
    assert room.turns == sum(len(turns(runs)) for runs in people.values())
    assert room.interruptions == sum(sums[name].interruptions for name in people)
    assert room.longest_silence_s == longest_silence(talking, listening) * CELL_S


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ann", "bob", "cy"]),
            st.sampled_from(["started", "stopped", "listening", "alone", "settle"]),
            st.floats(-10, 10),
        ),
        max_size=80,
    )
)
def test_no_figure_is_impossible(calls: list[tuple[str, str, float]]) -> None:
    """Whatever is told, and however late: twice, never ended, from before what is settled."""
    conversation, now, overlap_s = Conversation(), 100.0, dict.fromkeys(("ann", "bob", "cy"), 0.0)
    for who, what, offset_s in calls:
        match what:
            case "started":
                conversation.started(who, who, now + offset_s)
            case "stopped":
                conversation.stopped(who, who, now + offset_s)
            case "settle":
                now += abs(offset_s)
                for session, more in conversation.settle(now - 1.0).items():
                    overlap_s[session] += more.overlap_s
                    assert more.overlap_s >= 0
            case _:
                conversation.listening(what == "listening", now + offset_s)
    for session, more in conversation.settle(now + 20.0).items():
        overlap_s[session] += more.overlap_s
    room = conversation.room
    assert 0 <= room.overlap_s <= room.talk_s <= room.observed_s + 1e-9
    assert 0 <= room.longest_silence_s <= room.observed_s + 1e-9
    assert all(s <= room.overlap_s + 1e-9 for s in overlap_s.values())


def test_what_is_kept_does_not_grow() -> None:
    """A room may talk for months."""
    conversation = Conversation()
    for second in range(20_000):
        name = f"guest-{second}"
        conversation.started(name, name, second + 0.1)
        conversation.stopped(name, name, second + 1.5)
        conversation.settle(second - LATE_S)
    kept = msgspec.json.encode(
        [
            conversation._edges,
            list(conversation._speakers),
            conversation._marks,
            list(conversation._found),
        ]
    )
    assert len(kept) < 2000


# --- through the monitor


def meeting(*names: str, **changes: Any) -> Meeting:
    """A room in which these are watched from second 0."""
    room = Meeting()
    room.connected(*(person(name, microphone(f"TR_{name}")) for name in names))
    for name in names:
        room.job(f"AJ_{name}", name, **changes)
    return room


def say(room: Meeting, *turns_told: tuple[str, float, float], late_s: float = 0.25) -> None:
    """Let people speak, each from one second to another, told as late as a meter tells it."""
    edges = []
    for name, start, stop in turns_told:
        edges += [(start + late_s, name, True, start), (stop + late_s, name, False, stop)]
    for at, name, begins, when in sorted(edges):
        room.to(at)
        room.monitor.speech(f"TR_{name}", 0.01, begins, when)
    room.collect()


def summaries(room: Meeting) -> dict[str, ev.SessionSummary]:
    room.monitor.end_all("shutdown", room.now)
    return {event.participant: event.summary for event in room.of(ev.SessionEnded)}


def the_room(summary: ev.SessionSummary) -> ev.RoomSummary:
    assert summary.room is not None
    return summary.room


def test_a_meeting_of_three() -> None:
    room = meeting("ann", "bob", "cy")
    say(
        room,
        ("ann", 2.0, 8.0),
        ("bob", 4.0, 4.5),  # "mhm"
        ("cy", 7.0, 12.0),  # takes the word
        ("ann", 20.0, 22.0),
        ("ann", 22.2, 23.0),  # a breath is no turn of its own
    )
    room.to(30.0)
    said = summaries(room)
    assert {name: s.overlap_s for name, s in said.items()} == {"ann": 1.5, "bob": 0.5, "cy": 1.0}
    assert {name: s.interruptions for name, s in said.items()} == {"ann": 0, "bob": 0, "cy": 1}
    assert {name: s.interrupted for name, s in said.items()} == {"ann": 1, "bob": 0, "cy": 0}
    assert (said["ann"].turns, said["ann"].mean_turn_s, said["ann"].talk_time_s) == (2, 4.4, 8.8)
    assert said["ann"].talk_share == round(8.8 / 14.3, 4)
    together = the_room(said["bob"])
    assert (together.talk_s, together.overlap_s) == (12.8, 1.5)
    assert (together.turns, together.interruptions) == (4, 1)
    assert together.longest_silence_s == pytest.approx(8.0, abs=1e-6)  # from 12 to 20
    assert together.observed_s == pytest.approx(29.5, abs=0.01)
    assert not together.partial
    assert not said["ann"].partial


@pytest.mark.parametrize(
    ("turns_told", "why"),
    [
        ([("ann", 2.0, 6.0), ("bob", 2.5, 9.0)], "both have only begun"),
        ([("ann", 2.0, 8.0), ("bob", 4.0, 12.0)], "ann talked on for four seconds"),
        ([("ann", 2.0, 6.0), ("bob", 5.0, 6.3)], "bob stops with her"),
        ([("ann", 2.0, 6.0), ("bob", 5.0, 9.0), ("ann", 6.4, 9.0)], "ann only took a breath"),
        ([("ann", 2.0, 6.0), ("bob", 6.0, 9.0)], "bob waited"),
    ],
)
def test_what_is_no_interruption(turns_told: list[tuple[str, float, float]], why: str) -> None:
    room = meeting("ann", "bob")
    say(room, *turns_told)
    room.to(20.0)
    assert the_room(summaries(room)["ann"]).interruptions == 0, why


def test_two_dispatches_are_one_voice() -> None:
    """Else everybody would talk over themselves, and be interrupted by themselves."""
    room = meeting("ann", "bob")
    room.job("AJ_ann2", "ann", "AD_2")
    say(room, ("ann", 2.0, 6.0), ("bob", 5.0, 9.0))
    room.to(20.0)
    room.monitor.end_all("shutdown", room.now)
    ended = {event.job: event.summary for event in room.of(ev.SessionEnded)}
    for job in ("AJ_ann", "AJ_ann2"):
        assert (ended[job].overlap_s, ended[job].interrupted) == (1.0, 1)
    assert (the_room(ended["AJ_bob"]).overlap_s, the_room(ended["AJ_bob"]).turns) == (1.0, 2)


def test_two_microphones_are_one_voice() -> None:
    room = meeting("ann", "bob")
    room.monitor.track_published("ann", microphone("TR_ann2"), 0.0)
    say(room, ("ann", 2.0, 6.0), ("ann2", 3.0, 7.0))
    room.to(20.0)
    said = summaries(room)
    assert (said["ann"].overlap_s, said["ann"].turns, said["ann"].talk_time_s) == (0.0, 1, 5.0)


def test_a_session_has_the_overlaps_of_its_own_time() -> None:
    """A dispatch that comes in the middle of a turn has half of it."""
    room = meeting("ann", "bob")
    say(room, ("bob", 2.0, 3.0))
    room.monitor.speech("TR_ann", 0.01, True, 4.0)
    room.monitor.speech("TR_bob", 0.01, True, 5.0)
    room.to(8.0)
    room.job("AJ_late", "ann", "AD_2")
    room.to(10.0)
    room.monitor.speech("TR_ann", 0.01, False, 10.0)
    room.monitor.speech("TR_bob", 0.01, False, 12.0)
    room.to(20.0)
    room.monitor.end_all("shutdown", room.now)
    ended = {event.job: event.summary for event in room.of(ev.SessionEnded)}
    assert (ended["AJ_ann"].overlap_s, ended["AJ_late"].overlap_s) == (5.0, 2.0)


def test_mute_ends_the_overlap() -> None:
    """The meter of a muted microphone never says that speech has ended."""
    room = meeting("ann", "bob")
    room.to(2.0)
    room.monitor.speech("TR_ann", 0.01, True, 2.0)
    room.monitor.speech("TR_bob", 0.01, True, 2.0)
    room.to(5.0)
    room.monitor.track_muted("TR_ann", True, 5.0)
    room.to(9.0)
    room.monitor.speech("TR_bob", 0.01, False, 9.0)
    room.to(60.0)
    said = summaries(room)
    assert said["ann"].overlap_s == said["bob"].overlap_s == 3.0
    assert the_room(said["ann"]).longest_silence_s == 51.0


def test_an_onset_that_the_server_told_is_set_in_its_place() -> None:
    """Adaptive listening dates it back to before the first sound: that overlapped, too."""
    room = meeting("ann", "bob")
    room.monitor.listening("TR_bob", "server", 0.0)
    room.to(10.0)
    room.monitor.speech("TR_ann", 0.01, True, 4.0)
    room.monitor.speakers(["bob"], 10.0)
    room.monitor.speech("TR_ann", 0.01, False, 10.0)  # ann stops before bob is heard
    room.to(10.5)
    room.monitor.listening("TR_bob", "pcm", 10.3)
    room.monitor.speech("TR_bob", 0.01, True, 10.4)
    room.to(15.0)
    room.monitor.speech("TR_bob", 0.01, False, 14.0)
    room.to(20.0)
    said = summaries(room)
    assert said["ann"].overlap_s == said["bob"].overlap_s == pytest.approx(0.6)
    assert (said["bob"].interruptions, said["ann"].interrupted) == (1, 1)


def test_an_outage_is_no_silence_and_no_interruption() -> None:
    room = meeting("ann", "bob")
    room.to(2.0)
    room.monitor.speech("TR_ann", 0.01, True, 2.0)
    room.to(4.0)
    room.monitor.speech("TR_bob", 0.01, True, 4.0)
    room.to(5.0)
    room.monitor.suspend(5.0)
    room.to(100.0)
    room.monitor.resumed(100.0)
    room.to(110.0)
    together = the_room(summaries(room)["ann"])
    assert together.longest_silence_s == pytest.approx(9.5, abs=0.6)
    assert together.interruptions == 0
    assert together.observed_s == pytest.approx(15.0, abs=1.0)


def test_an_empty_room_is_not_silent() -> None:
    room = meeting("ann")
    say(room, ("ann", 1.0, 3.0))
    room.to(5.0)
    room.monitor.participant_left("ann", "client_initiated", 5.0)
    room.to(250.0)
    room.monitor.participant_joined(person("ann", microphone("TR_2"), sid="PA_2"), 250.0)
    room.to(254.0)
    together = the_room(summaries(room)["ann"])
    assert together.longest_silence_s == pytest.approx(4.0, abs=0.6)


def test_who_comes_back_is_the_same_voice() -> None:
    room = meeting("ann", "bob")
    say(room, ("ann", 1.0, 3.0), ("bob", 2.0, 4.0))
    room.to(5.0)
    room.monitor.participant_left("ann", "client_initiated", 5.0)
    room.to(30.0)
    room.monitor.participant_joined(person("ann", microphone("TR_ann2"), sid="PA_2"), 30.0)
    say(room, ("ann2", 40.0, 43.0), ("bob", 41.5, 42.0))
    room.to(50.0)
    said = summaries(room)
    assert said["ann"].overlap_s == said["bob"].overlap_s == 1.5
    assert said["bob"].interruptions == 1


def test_who_leaves_first_has_all_that_was_said_until_then() -> None:
    """Some of it is not settled yet when their session ends."""
    room = meeting("ann", "bob", end_on_disconnect=True)
    room.to(2.0)
    room.monitor.speech("TR_ann", 0.01, True, 2.0)
    room.monitor.speech("TR_bob", 0.01, True, 3.0)
    room.to(5.0)
    room.monitor.end_job("AJ_ann", "job_terminated", 5.0)
    room.to(8.0)
    room.monitor.speech("TR_bob", 0.01, False, 8.0)
    said = summaries(room)
    assert said["ann"].overlap_s == said["bob"].overlap_s == 2.0


class TestPartial:
    """Figures say so where a worker hears only a part of the room."""

    @pytest.mark.parametrize(
        ("other", "partial"),
        [
            (person("bob", microphone("TR_bob")), True),
            (person("bob", microphone("TR_bob", encrypted=True)), True),
            (person("bob", microphone("TR_bob"), attributes={"pmon.monitor": "off"}), True),
            (person("bob", microphone("TR_bob", muted=True)), False),
            (person("bob", microphone("TR_tab", source="screen_share_audio")), False),
            (person("bob"), False),
            (person("bot", microphone("TR_bot"), kind="agent"), False),
        ],
    )
    def test_somebody_unwatched_is_there(self, other: ParticipantInfo, partial: bool) -> None:
        room = Meeting()
        room.connected(person("ann", microphone("TR_ann")), other)
        room.job("AJ_ann", "ann")
        room.to(30.0)
        said = summaries(room)["ann"]
        assert (said.partial, the_room(said).partial) == (partial, partial)

    @pytest.mark.parametrize("monitoring_type", ["video", "connection"])
    def test_watched_for_something_else(self, monitoring_type: str) -> None:
        room = meeting("ann", "bob")
        room.monitor.end_job("AJ_bob", "job_terminated", room.now)
        room.job("AJ_bob2", "bob", monitoring_type=monitoring_type)
        room.to(30.0)
        assert summaries(room)["ann"].partial

    def test_a_job_that_takes_a_moment_to_come_is_no_gap(self) -> None:
        room = meeting("ann")
        for number in range(10):
            name = f"guest-{number}"
            joined = person(name, microphone(f"TR_{number}"))
            room.monitor.participant_joined(joined, room.now)
            room.to(room.now + 3.0)
            room.job(f"AJ_{number}", name)
        assert not summaries(room)["ann"].partial

    def test_who_waits_in_the_room_for_its_jobs_misses_nobody(self) -> None:
        """A process that takes over joins first, and for seconds watches nobody there."""
        before = meeting("ann", "bob")
        before.to(30.0)
        present = [person(name, microphone(f"TR_{name}")) for name in ("ann", "bob")]
        after = Meeting()
        after.now = before.now
        after.connected(*present)
        after.to(before.now + 20.0)
        before.to(after.now)
        before.monitor.settle(before.now)
        for session, info in zip(before.monitor.sessions.all(), present, strict=True):
            state = before.states(session.job)[0]
            after.monitor.start_job(
                session.job, session.dispatch, info, session.watch, after.now, state
            )
        after.to(90.0)
        said = summaries(after)
        assert {name: s.partial for name, s in said.items()} == {"ann": False, "bob": False}
        assert not the_room(said["ann"]).partial

    def test_it_is_said_of_the_sessions_whose_time_it_was(self) -> None:
        room = meeting("ann")
        room.monitor.participant_joined(person("bob", microphone("TR_bob")), 0.0)
        room.to(20.0)
        room.monitor.participant_left("bob", "client_initiated", 20.0)
        room.to(40.0)
        room.job("AJ_2", "ann", "AD_2")
        room.to(60.0)
        room.monitor.end_all("shutdown", room.now)
        partial = {
            e.job: (e.summary.partial, the_room(e.summary).partial)
            for e in room.of(ev.SessionEnded)
        }
        assert partial == {"AJ_ann": (True, True), "AJ_2": (False, True)}

    def test_what_nobody_listened_to_has_no_figures(self) -> None:
        room = meeting("ann", monitoring_type="video")
        room.to(30.0)
        said = summaries(room)["ann"]
        assert (said.room, said.mean_turn_s, said.overlap_s) == (None, None, 0.0)


class TestHandover:
    """Another process goes on with sessions and room."""

    def first(self) -> Meeting:
        room = meeting("ann", "bob")
        say(room, ("ann", 2.0, 6.0), ("bob", 5.0, 9.0))
        room.to(30.0)
        return room

    @pytest.mark.parametrize("planned", [True, False])
    def test_figures_go_on(self, planned: bool) -> None:
        """A process that dies takes the seconds with it that were not settled yet."""
        before = self.first()
        if planned:
            before.monitor.settle(before.now)
        room = before.handed_over(gap_s=2.0)
        room.connected(*(person(name, microphone(f"TR_{name}")) for name in ("ann", "bob")))
        say(room, ("bob", 40.0, 44.0), ("ann", 43.0, 47.0))
        room.to(50.0)
        said = summaries(room)
        assert {name: s.overlap_s for name, s in said.items()} == {"ann": 2.0, "bob": 2.0}
        assert {name: s.interruptions for name, s in said.items()} == {"ann": 1, "bob": 1}
        together = the_room(said["ann"])
        assert (together.overlap_s, together.turns, together.interruptions) == (2.0, 4, 2)
        lost_s = 0.0 if planned else LATE_S
        assert together.longest_silence_s == pytest.approx(21.0 - lost_s)  # until the gap
        assert together.observed_s == pytest.approx(47.5 - lost_s, abs=0.6)
        assert not together.partial

    def test_the_newest_checkpoint_of_the_room_counts_and_counts_once(self) -> None:
        conversation = Conversation()
        for observed_s in (20.0, 25.0, 22.0):
            conversation.recall(RoomTalk(since=1.0, observed_s=observed_s, turns=int(observed_s)))
        assert (conversation.room.observed_s, conversation.room.turns) == (25.0, 25)

    def test_partial_stays_partial(self) -> None:
        room = Meeting()
        room.connected(person("ann", microphone("TR_ann")), person("bob", microphone("TR_bob")))
        room.job("AJ_ann", "ann")
        room.to(30.0)
        other = room.handed_over(gap_s=1.0)
        other.connected(person("ann", microphone("TR_ann")))
        other.to(60.0)
        said = summaries(other)["ann"]
        assert said.partial
        assert the_room(said).partial
