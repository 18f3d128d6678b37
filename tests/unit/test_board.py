"""The board: rooms as they stand, between two snapshots and whoever sends them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from room_driver import EPOCH, Meeting, camera, microphone, person

from pmon.monitor import events as ev
from pmon.monitor.view import RoomView, view
from pmon.web import shapes
from pmon.web.board import GONE, Board
from pmon.web.rows import MOST_TURNS, RECENT


class Shown:
    """A meeting whose events and snapshots come to a board."""

    def __init__(self, board: Board, room: str = "standup", name: str = "1") -> None:
        self.meeting = Meeting(room)
        self.board = board
        self.view: RoomView | None = None
        self._told = 0
        self.meeting.job(f"AJ_{name}", f"ann-{name}")
        self.meeting.job(f"AJ_{name}b", f"bob-{name}")
        self.meeting.connected(
            person(f"ann-{name}", microphone(f"TR_ann{name}"), camera(f"TR_cam{name}")),
            person(f"bob-{name}", microphone(f"TR_bob{name}", muted=True)),
        )
        self.name = name

    def speaks(self, begins: bool) -> None:
        meeting = self.meeting
        meeting.monitor.speech(f"TR_ann{self.name}", 0.01, begins, meeting.now)

    def tell(self) -> None:
        """The events so far."""
        self.meeting.collect()
        for event in self.meeting.events[self._told :]:
            self.board.event(event)
        self._told = len(self.meeting.events)

    def look(self, **levels: float) -> RoomView:
        self.view = view(self.meeting.monitor, self.meeting.now, levels)
        return self.view

    def rows(self) -> dict[str, Any]:
        now = EPOCH + timedelta(seconds=self.meeting.now)
        found = shapes.participants(self.board, now, self.meeting.monitor.room)
        return {row.participant: row for row in found}


def test_a_snapshot_has_what_the_pages_show() -> None:
    board = Board()
    shown = Shown(board)
    shown.meeting.to(1.0)
    shown.speaks(True)
    shown.meeting.to(3.0)
    shown.speaks(False)
    shown.meeting.to(4.0)
    board.take([shown.look(**{"ann-1": -26.0})])
    ann, bob = shown.rows()["ann-1"], shown.rows()["bob-1"]
    assert (ann.present, ann.speaking, ann.talk_time_s, ann.turns) == (True, False, 2.0, 1)
    assert (ann.microphone, bob.microphone, bob.heard) == ("on", "muted", None)
    assert (ann.level_dbov, ann.level, bob.level) == (-26.0, 0.05012, None)
    assert (ann.talk_share, bob.talk_share) == (1.0, 0.0)
    assert (ann.video, bob.video, ann.since) == ("unknown", None, EPOCH)
    (room,) = shapes.rooms(board, EPOCH + timedelta(seconds=4), None)
    assert (room.room, room.participants, room.speaking, room.talk_time_s) == ("standup", 2, 0, 2.0)


def test_events_alone_say_the_same_as_a_snapshot() -> None:
    """Between two snapshots nothing else tells what goes on."""
    by_event, by_view = Board(), Board()
    shown = Shown(by_event)
    shown.meeting.to(1.0)
    shown.speaks(True)
    shown.meeting.to(2.5)
    shown.speaks(False)
    shown.meeting.to(3.0)
    shown.speaks(True)
    shown.meeting.to(4.0)
    shown.tell()
    told = shown.rows()
    assert told["ann-1"].speaking
    assert told["ann-1"].talk_time_s == 2.5
    by_view.take([shown.look()])
    shown.board = by_view
    seen = shown.rows()
    for who, row in seen.items():
        for field in ("present", "speaking", "talk_time_s", "talk_share", "quality", "microphone",
                      "session", "job", "dispatch", "kind", "labels", "issues"):  # fmt: skip
            assert getattr(told[who], field) == getattr(row, field), field


def test_a_snapshot_and_its_events_may_come_in_either_order() -> None:
    """What happened just before a snapshot was taken may be told just after it."""
    board = Board()
    shown = Shown(board)
    shown.tell()
    shown.meeting.to(1.0)
    shown.speaks(True)
    shown.meeting.to(2.0)
    shown.speaks(False)
    board.take([shown.look()])
    shown.tell()
    row = shown.rows()["ann-1"]
    assert (row.speaking, row.talk_time_s) == (False, 1.0)


def test_an_old_snapshot_of_another_process_undoes_nothing() -> None:
    """Each process sends its own every few seconds, and all of them are looked at then."""
    board = Board()
    one, two = Shown(board, "red", "1"), Shown(board, "blue", "2")
    one.tell()
    two.tell()
    board.take([one.look(), two.look()])
    one.meeting.to(1.0)
    one.speaks(True)
    one.tell()
    assert one.view is not None
    board.take([one.view, two.look()])
    assert one.rows()["ann-1"].speaking


def test_talk_of_those_who_left_counts_for_the_shares() -> None:
    board = Board()
    shown = Shown(board)
    shown.tell()
    shown.meeting.speak(1.0, 4.0, "TR_ann1")
    shown.tell()
    shown.meeting.monitor.end_job("AJ_1", "job_terminated", shown.meeting.now)
    shown.tell()
    assert set(shown.rows()) == {"bob-1"}
    assert shown.rows()["bob-1"].talk_share == 0.0
    assert shapes.rooms(board, EPOCH, None)[0].talk_time_s == 3.0
    board.take([shown.look()])
    assert shapes.rooms(board, EPOCH, None)[0].talk_time_s == 3.0


def test_issues_come_change_and_go() -> None:
    board = Board()
    shown = Shown(board)
    shown.tell()
    fields = {f: getattr(shown.meeting.events[0], f) for f in
              ("room", "room_sid", "participant", "participant_sid", "participant_kind",
               "session", "job", "labels")}  # fmt: skip
    issue: dict[str, Any] = fields | {"time": EPOCH, "issue": "mic_silent", "track_sid": "TR_ann1"}
    who = fields["participant"]
    board.event(ev.IssueRaised(**issue, severity="warning", since=EPOCH, evidence={}))
    assert [i.severity for i in shown.rows()[who].issues] == ["warning"]
    board.event(ev.IssueUpdated(**issue, severity="critical", since=EPOCH, evidence={}))
    assert [i.severity for i in shown.rows()[who].issues] == ["critical"]
    board.event(ev.IssueResolved(**issue, severity="critical", duration_s=1.0, reason="recovered"))
    assert shown.rows()[who].issues == []


def test_rooms_and_sessions_that_are_gone_are_not_shown() -> None:
    board = Board()
    shown = Shown(board)
    shown.tell()
    board.take([shown.look()])
    before = board.version
    board.take([])
    assert board.rooms == {}
    assert shown.rows() == {}
    gone = board.gone(before)
    assert gone is not None
    assert len([s for _, s in gone if s]) == 2
    assert ("standup", "") in gone


def test_a_room_that_no_snapshot_had_yet_stays() -> None:
    """Its process sends one within seconds; those of others come before."""
    board = Board()
    one, two = Shown(board, "red", "1"), Shown(board, "blue", "2")
    two.tell()
    board.take([one.look()])
    assert set(board.rooms) == {"red", "blue"}
    two.meeting.monitor.end_all("shutdown", two.meeting.now)
    two.tell()
    assert set(board.rooms) == {"red"}


def test_a_level_alone_is_no_news() -> None:
    """Else every row would be sent to every dashboard with each snapshot."""
    board = Board()
    shown = Shown(board)
    shown.meeting.to(1.0)
    board.take([shown.look(**{"ann-1": -30.0})])
    before = board.version
    board.take([shown.look(**{"ann-1": -20.0})])
    assert board.version == before
    assert shown.rows()["ann-1"].level_dbov == -20.0


def test_who_is_far_behind_begins_anew() -> None:
    board = Board()
    shown = Shown(board)
    shown.tell()
    for _ in range(GONE):
        board._gone.append((board._next(), "standup", "PS_1"))
    assert board.gone(0) is None
    assert board.gone(board.version) == []


def test_turns_are_kept_for_some_minutes_and_bounded() -> None:
    board = Board()
    shown = Shown(board)
    shown.meeting.to(1.0)
    shown.speaks(True)
    shown.meeting.to(2.0)
    shown.speaks(False)
    shown.meeting.to(2.0 + RECENT.total_seconds() + 1)
    for _ in range(MOST_TURNS + 5):
        shown.speaks(True)
        shown.meeting.to(shown.meeting.now + 0.5)
        shown.speaks(False)
        shown.meeting.to(shown.meeting.now + 0.5)
    shown.tell()
    (row,) = [row for row in board.rows() if row.view.participant == "ann-1"]
    assert len(row.turns) == MOST_TURNS
    assert all(turn.end is not None for turn in row.turns)


def test_a_turn_whose_end_got_lost_ends_with_the_next_snapshot() -> None:
    board = Board()
    shown = Shown(board)
    shown.meeting.to(1.0)
    shown.speaks(True)
    shown.tell()
    shown.meeting.to(2.0)
    shown.speaks(False)
    board.take([shown.look()])
    (row,) = [row for row in board.rows() if row.view.participant == "ann-1"]
    assert [turn.end for turn in row.turns] == [EPOCH + timedelta(seconds=2)]


@pytest.mark.parametrize("adopted", [True, False])
def test_a_job_of_the_workers_own_is_none(adopted: bool) -> None:
    board = Board(lambda job: adopted)
    shown = Shown(board)
    board.take([shown.look()])
    assert shown.rows()["ann-1"].job == (None if adopted else "AJ_1")
