"""The listening plan, rule by rule."""

from __future__ import annotations

import itertools
from typing import Literal

import pytest

from pmon.monitor.listening import Change, Listening
from pmon.monitor.listening.agenda import Agenda
from pmon.monitor.listening.pins import Pins
from pmon.monitor.listening.toggles import Toggles

MIC = "TR_ann"


class Room:
    """One adaptive room, its plan brought up to any second; the sound follows after 0.1 s."""

    def __init__(self, plan: Listening | None = None) -> None:
        self.plan = plan or Listening("adaptive", "adaptive")
        self.now = 0.0
        self.changes: list[tuple[float, Change]] = []
        self.on: dict[str, bool] = {}

    def to(self, now: float) -> None:
        while (due := self.plan.due()) is not None and due <= now:
            self.now = max(self.now, due)
            self.tick()
        self.now = now
        self.tick()

    def tick(self) -> None:
        for change in self.plan.tick(self.now):
            self.changes.append((self.now, change))
            self.on[change.track_sid] = change.enabled

    def microphone(self, identity: str = "ann", **flags: bool) -> str:
        sid = f"TR_{identity}"
        self.plan.track_added(self.now, "room", identity, sid, "audio", **flags)
        self.tick()
        return sid

    def sound(self, sid: str = MIC, floor_dbov: float = -60.0, loudest_dbov: float = -40.0) -> None:
        """The sound begins 0.1 s from now, and is judged a second later."""
        self.to(self.now + 0.1)
        self.plan.started(self.now, sid)
        self.to(self.now + 1.0)
        self.plan.reading(self.now, sid, floor_dbov=floor_dbov, loudest_dbov=loudest_dbov)
        self.tick()

    def speaks(self, speaking: bool, sid: str = MIC) -> None:
        self.plan.speech(self.now, sid, speaking, self.now)
        self.tick()

    def named(self, *identities: str) -> None:
        self.plan.speakers(self.now, "room", identities)
        self.tick()

    def last(self, sid: str = MIC) -> tuple[float, bool, str]:
        at, change = [(t, c) for t, c in self.changes if c.track_sid == sid][-1]
        return round(at, 3), change.enabled, change.reason

    def first_look(self, loudest_dbov: float = -40.0) -> None:
        """Past the look at a microphone that was published just now."""
        self.sound(loudest_dbov=loudest_dbov)
        self.to(3.0)


@pytest.fixture
def room() -> Room:
    room = Room()
    room.microphone()
    return room


def test_a_new_microphone_is_heard_for_two_seconds(room: Room) -> None:
    assert room.last() == (0.0, True, "unmuted")
    room.sound()
    room.to(10.0)
    assert room.last() == (2.4, False, "quiet")


def test_a_slow_resume_still_hears_two_seconds(room: Room) -> None:
    room.to(1.5)
    room.plan.started(1.5, MIC)
    room.to(10.0)
    assert room.last() == (3.5, False, "quiet")


def test_a_dry_track_is_given_up_and_tried_again_soon(room: Room) -> None:
    room.to(10.0)
    assert room.last() == (5.0, False, "quiet")
    room.to(400.0)
    opened = [at for at, change in room.changes if change.enabled]
    assert opened[3] - opened[2] == pytest.approx(35.0)


def test_the_servers_word_enables_at_once_and_silence_disables_after_two_seconds(
    room: Room,
) -> None:
    room.first_look()
    room.to(10.0)
    room.named("ann")
    assert room.last() == (10.0, True, "server")
    room.to(10.2)
    room.plan.started(10.2, MIC)
    room.to(10.3)
    room.speaks(True)
    room.to(20.0)
    room.speaks(False)
    room.to(20.4)
    room.named()
    room.to(30.0)
    assert room.last() == (22.0, False, "quiet")


def test_noise_that_the_server_calls_speech_is_looked_at_ever_more_rarely(room: Room) -> None:
    room.first_look()
    room.to(10.0)
    room.named("ann")
    room.microphone("bob")
    looks = []
    for _ in range(3):
        room.sound()
        room.to(room.now + 3.0)
        closed_at, enabled, _ = room.last()
        assert not enabled
        while not room.on[MIC]:
            room.to(room.now + 0.5)
        looks.append((round(room.last()[0] - closed_at, 3), room.last()[2]))
    assert looks == [(4.0, "again"), (8.0, "again"), (16.0, "again")]


def test_a_call_that_ended_is_not_looked_at_again(room: Room) -> None:
    room.first_look()
    room.to(10.0)
    room.named("ann")
    room.sound()
    room.named()  # nobody else was called: it was ann
    room.to(30.0)
    assert room.last() == (12.4, False, "quiet")


def test_the_patrol_hears_everybody_every_three_minutes(room: Room) -> None:
    opened = []
    for _ in range(4):
        while not room.on[MIC]:
            room.to(room.now + 0.5)
        opened.append(room.last()[0])
        room.sound()
        room.to(room.now + 3.0)
    assert all(after - before <= 178.0 for before, after in itertools.pairwise(opened))
    assert room.last()[2] == "quiet"
    assert {c.reason for _, c in room.changes if c.enabled} == {"unmuted", "patrol"}


def test_a_voice_that_the_server_does_not_hear_is_pinned_until_it_is_silent_for_long(
    room: Room,
) -> None:
    room.sound()
    room.speaks(True)
    room.to(4.0)
    room.speaks(False)
    assert room.plan.status(4.0).pins == 1
    room.to(33.5)
    assert room.on[MIC]
    room.to(35.0)
    assert room.last() == (34.0, False, "quiet")
    assert room.changes[-1][1].rests_on == "sampled"
    room.to(43.0)
    assert room.last() == (42.0, True, "again")


def test_a_voice_that_the_server_names_is_not_pinned(room: Room) -> None:
    room.sound()
    room.speaks(True)
    room.to(1.5)
    room.named("ann")
    room.to(4.0)
    room.speaks(False)
    assert room.plan.status(4.0).pins == 0
    room.to(4.5)
    room.named()
    room.to(10.0)
    assert room.last() == (6.0, False, "quiet")
    assert room.changes[-1][1].rests_on == "server"


def test_a_voice_that_the_server_hears_after_all_loses_its_pin(room: Room) -> None:
    room.sound()
    room.speaks(True)
    room.to(4.0)
    room.speaks(False)
    assert room.plan.status(4.0).pins == 1
    room.to(10.0)
    room.speaks(True)
    room.named("ann")
    room.to(13.0)
    room.speaks(False)
    room.named()
    room.to(20.0)
    assert room.plan.status(20.0).pins == 0
    assert room.last() == (15.0, False, "quiet")


def test_who_was_muted_for_long_is_not_overdue(room: Room) -> None:
    room.plan.muted(1.0, MIC, True)
    room.to(1000.0)
    assert room.plan.status(1000.0).overdue == 0
    room.plan.muted(1000.0, MIC, False)
    room.to(1001.0)
    assert room.plan.status(1001.0).overdue == 0
    room.to(1300.0)  # nothing ever comes of it
    assert room.plan.status(1300.0).overdue == 1


def test_a_noisy_microphone_is_pinned_once_until_somebody_speaks(room: Room) -> None:
    room.sound(floor_dbov=-37.0)
    room.to(20.0)
    assert room.on[MIC]
    assert room.plan.status(20.0).pins == 1
    room.to(40.0)
    assert room.last() == (32.4, False, "quiet")
    while not room.on[MIC]:
        room.to(room.now + 0.5)
    room.sound(floor_dbov=-37.0)
    room.to(room.now + 3.0)
    assert not room.on[MIC]


def test_a_microphone_that_is_silent_twice_is_held_until_there_is_a_verdict(room: Room) -> None:
    room.first_look(loudest_dbov=-108.0)
    assert not room.on[MIC]
    while not room.on[MIC]:
        room.to(room.now + 0.5)
    opened_at = room.last()[0]
    room.sound(loudest_dbov=-108.0)
    room.to(opened_at + 20.0)
    assert room.on[MIC]
    room.to(opened_at + 85.0)
    assert not room.on[MIC]
    assert room.last()[0] - opened_at == pytest.approx(68.0, abs=4.0)


def test_silence_behind_a_lost_connection_is_no_suspicion(room: Room) -> None:
    """The decoder goes on to give silent frames, whatever the microphone is like."""
    room.first_look(loudest_dbov=-108.0)
    room.plan.link(3.0, MIC, lost=True)  # told late: the first look is worth nothing, either
    for _ in range(3):
        while not room.on[MIC]:
            room.to(room.now + 0.5)
        room.sound(loudest_dbov=-108.0)
        room.to(room.now + 3.0)
        assert not room.on[MIC]
    assert room.plan.status(room.now).pins == 0
    assert room.plan.microphones.ears[MIC].silent_looks == 0
    room.to(290.0)
    assert room.plan.status(room.now).overdue == 1


def test_a_suspicion_ends_when_the_connection_proves_to_be_lost(room: Room) -> None:
    room.first_look(loudest_dbov=-108.0)
    while not room.on[MIC]:
        room.to(room.now + 0.5)
    room.sound(loudest_dbov=-108.0)
    room.to(room.now + 10.0)
    assert room.plan.status(room.now).pins == 1
    room.plan.link(room.now, MIC, lost=True)
    room.tick()
    assert not room.on[MIC]
    assert room.plan.status(room.now).pins == 0


def test_a_connection_that_is_back_is_heard_for_a_whole_look(room: Room) -> None:
    room.plan.link(0.0, MIC, lost=True)
    room.sound(loudest_dbov=-108.0)
    room.to(2.0)
    room.plan.link(2.0, MIC, lost=False)
    room.to(10.0)
    assert room.last() == (4.0, False, "quiet")
    assert room.plan.microphones.ears[MIC].covered_at == 4.0


def test_the_suspicion_falls_with_the_first_sound(room: Room) -> None:
    room.first_look(loudest_dbov=-108.0)
    while not room.on[MIC]:
        room.to(room.now + 0.5)
    room.sound(loudest_dbov=-108.0)
    room.to(room.now + 10.0)
    assert room.on[MIC]
    room.plan.reading(room.now, MIC, floor_dbov=-70.0, loudest_dbov=-50.0)
    room.tick()
    assert not room.on[MIC]


def test_a_muted_microphone_is_closed_at_once_and_heard_when_it_is_back(room: Room) -> None:
    room.sound()
    room.plan.muted(room.now, MIC, True)
    room.tick()
    assert room.last() == (1.1, False, "muted")
    room.to(300.0)
    assert room.last() == (1.1, False, "muted")
    room.plan.muted(room.now, MIC, False)
    room.tick()
    assert room.last() == (300.0, True, "unmuted")


def test_an_encrypted_microphone_is_never_enabled(room: Room) -> None:
    sid = room.microphone("eve", encrypted=True)
    room.named("eve")
    room.to(400.0)
    assert [(c.enabled, c.reason) for _, c in room.changes if c.track_sid == sid] == [
        (False, "encrypted")
    ]


def test_a_track_that_is_gone_is_never_heard_of_again(room: Room) -> None:
    room.plan.track_removed(1.0, MIC)
    room.plan.started(1.0, MIC)
    room.plan.speech(1.0, MIC, True, 1.0)
    room.plan.speakers(1.0, "room", ["ann"])
    assert room.plan.due() is None
    assert not room.plan.tick(1000.0)
    assert room.plan.status(1000.0).microphones == 0


class TestABlipOfTheConnection:
    """A signal resume: the tracks survive, and on the server each is what it was."""

    def blip(self, room: Room, until: float, sid: str = MIC) -> None:
        room.plan.suspended(room.now, sid)
        room.to(until)
        room.plan.resumed(until, sid)
        room.tick()

    def test_what_was_disabled_stays_disabled(self, room: Room) -> None:
        room.first_look()
        patrol_at = room.plan.due()
        self.blip(room, 13.0)
        assert room.last() == (2.4, False, "quiet")
        assert room.plan.due() == patrol_at

    def test_what_was_heard_is_heard_on_and_asks_for_nothing(self, room: Room) -> None:
        room.sound()
        room.speaks(True)
        self.blip(room, 13.0)
        assert room.last() == (13.0, True, "patrol")
        assert room.plan.status(13.0).heard == 1
        room.sound()
        room.to(20.0)
        assert room.last() == (15.4, False, "quiet")
        assert [change.enabled for _, change in room.changes] == [True, True, False]

    def test_who_stopped_meanwhile_is_heard_at_once_when_they_are_named_again(
        self, room: Room
    ) -> None:
        """The server tells an end of speech once, and that one was lost."""
        room.first_look()
        room.to(5.0)
        room.named("ann")
        room.sound()
        room.speaks(True)
        self.blip(room, 13.0)
        room.sound()
        room.to(20.0)
        assert room.last() == (15.4, False, "quiet")
        room.named("ann")
        assert room.last() == (20.0, True, "server")

    def test_who_talks_on_is_not_taken_for_somebody_whom_the_server_does_not_hear(
        self, room: Room
    ) -> None:
        """It named them before, and tells only what changes."""
        room.first_look()
        room.to(5.0)
        room.named("ann")
        room.sound()
        room.speaks(True)
        self.blip(room, 13.0)
        room.plan.started(room.now, MIC)
        room.to(13.3)
        room.speaks(True)
        room.to(room.now + 3.0)
        assert not room.plan.microphones.ears[MIC].deaf
        assert room.plan.status(room.now).pins == 0

    def test_an_unmute_after_it_is_as_urgent_as_ever(self, room: Room) -> None:
        room.sound()
        room.plan.suspended(room.now, MIC)
        room.plan.muted(5.0, MIC, True)
        room.plan.resumed(6.0, MIC)
        room.to(7.0)
        room.plan.muted(7.0, MIC, False)
        assert room.plan.microphones.verdict(room.plan.microphones.ears[MIC], 7.0).urgent

    def test_nothing_is_asked_for_in_between(self, room: Room) -> None:
        room.first_look()
        room.plan.suspended(3.0, MIC)
        room.named("ann")
        room.to(400.0)
        room.plan.muted(400.0, MIC, True)
        room.plan.muted(400.0, MIC, False)
        room.to(401.0)
        assert room.last() == (2.4, False, "quiet")
        assert room.plan.due() is None
        room.plan.resumed(401.0, MIC)
        room.tick()
        assert room.last() == (401.0, True, "unmuted")

    def test_who_muted_in_between_is_not_heard(self, room: Room) -> None:
        room.sound()
        room.plan.suspended(room.now, MIC)
        room.plan.muted(5.0, MIC, True)
        room.plan.resumed(6.0, MIC)
        room.to(100.0)
        assert [change.enabled for _, change in room.changes] == [True]
        assert room.plan.status(100.0).heard == 0

    def test_what_was_found_out_is_kept(self, room: Room) -> None:
        room.sound()
        room.speaks(True)
        room.to(4.0)
        room.speaks(False)
        assert room.plan.status(4.0).pins == 1
        self.blip(room, 10.0)
        assert room.plan.status(10.0).pins == 1
        room.to(50.0)
        assert room.changes[-1][1].rests_on == "sampled"

    def test_silence_of_our_own_is_no_silent_look(self, room: Room) -> None:
        room.sound(loudest_dbov=-108.0)
        room.to(2.3)
        self.blip(room, 10.0)
        assert room.plan.microphones.ears[MIC].silent_looks == 0
        assert room.plan.microphones.ears[MIC].covered_at == 0.0

    def test_a_look_at_a_picture_begins_anew(self) -> None:
        room = Room()
        room.plan.track_added(0.0, "room", "ann", "TR_cam", "video")
        room.to(1.0)
        self.blip(room, 5.0, "TR_cam")
        assert room.last("TR_cam") == (5.0, True, "look")
        assert room.plan.status(5.0).seen == 1

    def test_a_track_that_is_gone_meanwhile_is_forgotten(self, room: Room) -> None:
        room.plan.suspended(1.0, MIC)
        room.plan.track_removed(2.0, MIC)
        room.plan.resumed(3.0, MIC)
        assert room.plan.due() is None
        assert room.microphone() == MIC
        assert room.last() == (0.0, True, "unmuted")
        assert len(room.changes) == 2


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_of_a_crowd_only_some_are_heard_or_seen_at_once(kind: Literal["audio", "video"]) -> None:
    room = Room()
    for i in range(100):
        room.plan.track_added(0.0, "room", f"p{i}", f"TR_{i}", kind)
    room.tick()
    first = [change.enabled for _, change in room.changes]
    assert len(first) == 100
    assert sum(first) == Toggles.ROUTINE_PER_S
    room.to(180.0)
    assert {c.track_sid for _, c in room.changes if c.enabled} == {f"TR_{i}" for i in range(100)}
    later = [at for at, c in room.changes if c.enabled and at > 1.0]
    assert later[len(later) // 2] > 20.0, "and the rest over a while"


def test_always_hears_everybody_and_toggles_nothing() -> None:
    room = Room(Listening("always", "off"))
    room.microphone()
    room.to(1000.0)
    assert [(c.enabled, c.reason) for _, c in room.changes] == [(True, "always")]


def test_a_voice_in_a_room_that_is_always_heard_takes_no_pin() -> None:
    """There a pin never ended, and adaptive rooms had one less."""
    room = Room(Listening("auto", "off"))
    room.microphone()
    microphones = room.plan.microphones
    microphones.set_always("room", False, [MIC], 0.0)
    room.sound()
    room.speaks(True)
    room.to(4.0)
    room.speaks(False)
    assert room.plan.status(4.0).pins == 1
    microphones.set_always("room", True, [MIC], 4.0)
    assert room.plan.status(4.0).pins == 0
    room.speaks(True)
    room.to(8.0)
    room.speaks(False)
    assert room.plan.microphones.ears[MIC].deaf
    assert room.plan.status(8.0).pins == 0


class TestVideo:
    @pytest.fixture
    def seen(self) -> Room:
        room = Room()
        room.plan.track_added(0.0, "room", "ann", "TR_cam", "video")
        room.tick()
        return room

    def frames(self, room: Room, until: float, total: int, step: int) -> int:
        """Read the counter every half second."""
        while room.now < until:
            room.to(room.now + 0.5)
            if room.on["TR_cam"]:
                total += step
                room.plan.frames(room.now, "TR_cam", total)
                room.tick()
        return total

    def looks(self, room: Room) -> list[tuple[float, bool]]:
        return [(round(at, 3), c.enabled) for at, c in room.changes]

    def test_a_moving_picture_is_seen_for_two_seconds_a_minute(self, seen: Room) -> None:
        self.frames(seen, 200.0, 0, 7)
        looks = self.looks(seen)
        assert looks[:2] == [(0.0, True), (2.0, False)]
        opened = [at for at, enabled in looks if enabled]
        assert 10.0 <= opened[1] <= 60.0
        assert opened[2] - opened[1] == 60.0
        assert all(b - a == 2.0 for (a, on), (b, _) in itertools.pairwise(looks) if on)

    def test_a_look_without_frames_waits_ten_seconds(self, seen: Room) -> None:
        self.frames(seen, 30.0, 0, 0)
        assert self.looks(seen)[:2] == [(0.0, True), (10.0, False)]

    def test_a_look_that_waits_ends_with_the_frames(self, seen: Room) -> None:
        self.frames(seen, 5.0, 0, 0)
        self.frames(seen, 9.0, 0, 7)
        assert self.looks(seen)[:2] == [(0.0, True), (5.5, False)]

    def test_one_frame_and_no_more_is_waited_for(self, seen: Room) -> None:
        self.frames(seen, 0.5, 0, 1)
        self.frames(seen, 30.0, 1, 0)
        assert self.looks(seen)[:2] == [(0.0, True), (10.5, False)]

    def test_a_screen_may_stand_still(self) -> None:
        room = Room()
        room.plan.track_added(0.0, "room", "ann", "TR_cam", "video", screen=True)
        room.tick()
        self.frames(room, 0.5, 0, 1)
        self.frames(room, 8.0, 1, 0)
        assert self.looks(room)[:2] == [(0.0, True), (2.0, False)]

    def test_off_looks_at_nothing(self) -> None:
        room = Room(Listening("adaptive", "off"))
        room.plan.track_added(0.0, "room", "ann", "TR_cam", "video")
        room.to(200.0)
        assert self.looks(room) == [(0.0, False)]

    def test_a_muted_camera_waits_for_its_unmute(self, seen: Room) -> None:
        seen.plan.muted(1.0, "TR_cam", True)
        seen.to(200.0)
        assert seen.last("TR_cam")[1:] == (False, "muted")
        seen.plan.muted(200.0, "TR_cam", False)
        seen.to(200.0)
        assert seen.last("TR_cam") == (200.0, True, "look")


def test_a_voice_takes_the_pin_of_a_suspicion_and_never_the_reverse() -> None:
    pins = Pins()
    assert pins.limit == 8
    assert [pins.grant(f"s{i}", "silence") for i in range(4)] == [(True, None)] * 4
    assert pins.grant("s4", "silence") == (False, None)
    assert all(pins.grant(f"v{i}", "voice") == (True, None) for i in range(4))
    assert pins.grant("v4", "voice") == (True, "s0")
    assert pins.grant("n", "noise") == (False, None)
    assert pins.refused == 2
    pins.microphones = 1000
    assert pins.limit == 125


def test_toggles_are_bounded_and_speakers_come_first() -> None:
    toggles = Toggles()
    for i in range(100):
        toggles.ask(f"look{i}", enable=True, urgent=False)
        toggles.ask(f"close{i}", enable=False, urgent=False)
        toggles.ask(f"speaker{i}", enable=True, urgent=True)
    first = toggles.take(0.0)
    assert first == [f"speaker{i}" for i in range(60)]
    assert toggles.next() == 1.0
    assert not toggles.take(0.99)
    second = toggles.take(1.0)
    assert second == [f"speaker{i}" for i in range(60, 100)] + [f"close{i}" for i in range(20)]
    third = toggles.take(2.0)
    assert third == [f"close{i}" for i in range(20, 60)]
    toggles.withdraw("close60")
    assert toggles.take(3.0)[0] == "close61"


def test_the_agenda_forgets_what_was_moved() -> None:
    agenda = Agenda()
    for i in range(1000):
        agenda.set("a", float(i))
    agenda.set("b", 5.0)
    assert agenda.next() == 5.0
    assert agenda.pop(500.0) == ["b"]
    assert agenda.pop(999.0) == ["a"]
    agenda.set("c", 1.0)
    agenda.set("c", float("inf"))
    assert agenda.next() == float("inf")
