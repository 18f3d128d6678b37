"""Whom a loss is laid to: a participant's uplink, their downlink, or the monitor's own path."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from room_driver import Meeting, camera, microphone, person, seconds
from wires import Wire

from pmon.monitor import events as ev
from pmon.monitor.account import LOSS
from pmon.monitor.borne import SERVER_LAG_S
from pmon.monitor.inputs import VideoReading
from pmon.monitor.levels import ASK_S
from pmon.monitor.path import DOUBT_S

LOOK_S = 5.0


class Call:
    """A meeting of which everybody is heard, looked at every 5 s as the shell does."""

    def __init__(self, *names: str, cameras: bool = False, kind: ev.ParticipantKind = "standard"):
        self.meeting = Meeting()
        self.monitor = self.meeting.monitor
        self.wires = {name: Wire() for name in names}
        extra = [camera(f"C_{name}") for name in names] if cameras else []
        self.meeting.connected(
            *(
                person(name, microphone(name), *(c for c in extra if c.sid == f"C_{name}"))
                if kind == "standard"
                else person(name, microphone(name), kind=kind)
                for name in names
            )
        )
        self.frames = {track.sid: 0 for track in extra}
        for name in names:
            self.meeting.job(f"AJ_{name}", name)
            self.level(name, "excellent")
        self.monitor.own_quality("excellent")
        self.look()

    def look(self) -> None:
        """Read all counters now."""
        readings = {name: wire.reading() for name, wire in self.wires.items()}
        self.monitor.received(readings, 0.03, self.meeting.now)
        self.meeting.collect()

    def pass_time(
        self,
        duration_s: float,
        uplink: Mapping[str, float] | None = None,
        own: float = 0.0,
        silent: Sequence[str] = (),
        fps: float | None = None,
        frozen: Sequence[str] = (),
    ) -> None:
        """Let all but the ``silent`` talk for so long, with these losses on their uplinks and on
        our path; of their cameras but the ``frozen`` so many frames come, or nobody looks.
        """
        until = self.meeting.now + duration_s
        while self.meeting.now < until:
            step = min(LOOK_S, until - self.meeting.now)
            for name, wire in self.wires.items():
                lost = (uplink or {}).get(name, 0.0)
                pps = 2.5 if name in silent else 50.0
                wire.carry(step, 1 - (1 - lost) * (1 - own), pps=pps)
            for _ in range(2):
                self.meeting.to(self.meeting.now + step / 2)
                if fps is not None:
                    self.see(step / 2 * fps, frozen)
            if step == LOOK_S:
                self.look()

    def see(self, frames: float, frozen: Sequence[str] = ()) -> None:
        """Read the counters of all cameras, of which so many more came but of the ``frozen``."""
        for sid in self.frames:
            self.frames[sid] += 0 if sid.removeprefix("C_") in frozen else round(frames)
            reading = VideoReading(frames=self.frames[sid], freezes=0)
            self.monitor.video(sid, reading, self.meeting.now)

    def level(self, name: str, level: ev.QualityLevel) -> None:
        """The server's word, and the look that the shell has at what is heard then."""
        self.monitor.quality(name, level, self.meeting.now)
        if self.monitor.levels.waiting:
            self.meeting.to(self.meeting.now + 0.1)
            self.look()
        self.meeting.collect()

    def last(self, name: str) -> ev.ConnectionQuality:
        return [e for e in self.meeting.of(ev.ConnectionQuality) if e.participant == name][-1]

    def video(self, name: str) -> list[str]:
        """The states of somebody's picture."""
        return [e.to for e in self.meeting.of(ev.VideoState) if e.participant == name]

    def picture(self, name: str) -> ev.TrackSummary:
        tracks = self.meeting.summary(f"AJ_{name}").tracks
        return next(track for track in tracks if track.kind == "video")

    def raised(self) -> list[tuple[str, str]]:
        return [(e.participant, e.issue) for e in self.meeting.of(ev.IssueRaised)]

    def reasons(self, name: str) -> list[str]:
        told = [e for e in self.meeting.of(ev.ConnectionQuality) if e.participant == name]
        return [event.reason for event in told]


def figure(event: ev.ConnectionQuality, name: str, otherwise: float = 0.0) -> float:
    value = event.evidence.get(name, otherwise)
    assert isinstance(value, float)
    return value


class TestUplink:
    def test_one_of_many_who_loses_packets_is_named(self) -> None:
        call = Call("ann", "bob", "cleo")
        call.pass_time(20)
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "good")
        told = call.last("ann")
        assert (told.from_, told.to, told.reason) == ("excellent", "good", "uplink_loss")
        assert told.evidence["direction"] == "uplink"
        assert told.evidence["loss"] == pytest.approx(0.1, abs=0.01)
        assert 1.0 < figure(told, "mos") < 3.5
        assert call.reasons("bob") == call.reasons("cleo") == ["server"]  # that of the first level
        assert call.monitor.levels.paths.own_loss is None

    def test_alone_in_the_room_too(self) -> None:
        """Nobody is there to compare with; but the server's word never rests on our own path."""
        call = Call("ann")
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "poor")
        assert call.last("ann").reason == "uplink_loss"
        assert call.monitor.levels.paths.own_loss is None

    def test_a_loss_younger_than_the_last_look(self) -> None:
        """The server may tell of a loss just before we look: its fall waits for that."""
        call = Call("ann", "bob")
        call.pass_time(20)
        call.pass_time(4.5, {"ann": 0.3})
        call.level("ann", "poor")
        told = call.last("ann")
        assert (told.reason, seconds(told)) == ("uplink_loss", 24.5)

    def test_a_whole_office_on_one_bad_line(self) -> None:
        """All who are heard lose packets, and the server says so of all: it is not our path."""
        office = dict.fromkeys(("ann", "bob", "cleo"), 0.1)
        call = Call(*office)
        call.pass_time(10, office)
        call.monitor.quality("ann", "good", 10.0)  # in one breath, as the server tells it
        call.monitor.quality("bob", "good", 10.0)
        call.level("cleo", "good")
        assert {call.last(name).reason for name in office} == {"uplink_loss"}
        call.pass_time(30, office)
        assert call.monitor.levels.paths.own_loss is None

    def test_silent_colleagues_on_that_line_are_no_witnesses(self) -> None:
        silent = [f"s{n}" for n in range(8)]
        call = Call("ann", *silent)
        lost = dict.fromkeys(("ann", *silent), 0.1)
        call.pass_time(5, lost, silent=silent)
        for name in silent:
            call.level(name, "good")
        call.pass_time(10, lost, silent=silent)
        call.level("ann", "good")
        assert call.last("ann").reason == "uplink_loss"

    def test_on_top_of_an_own_path_that_loses_as_much(self) -> None:
        """What the own path takes is not laid to them."""
        call = Call("ann", "bob", "cleo")
        call.pass_time(30, own=0.1)
        call.pass_time(15, {"ann": 0.2}, own=0.1)
        call.level("ann", "poor")
        evidence = call.last("ann").evidence
        assert call.last("ann").reason == "uplink_loss"
        assert evidence["loss"] == pytest.approx(0.2, abs=0.02)
        assert evidence["monitor_path_loss"] == pytest.approx(0.1, abs=0.02)
        assert "mos" not in evidence  # what we hear is worse than what they send

    @pytest.mark.parametrize("loss", [0.021, 0.03])
    def test_a_loss_that_cannot_make_a_link_poor_is_not_the_cause(self, loss: float) -> None:
        """The server calls a link with as much excellent, or good at the worst."""
        call = Call("ann", "bob")
        call.pass_time(60)
        call.pass_time(30, {"ann": loss})
        call.level("ann", "poor")
        told = call.last("ann")
        assert (told.reason, told.evidence["direction"]) == ("server", "unknown")
        assert told.evidence["loss"] == pytest.approx(loss, abs=0.005)

    def test_nor_is_one_that_was_borne_however_long_the_others_are_silent(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(110, {"ann": 0.05}, silent=["bob"])
        call.level("ann", "good")
        assert call.last("ann").reason == "server"

    def test_alone_in_the_room_it_may_grow_from_one_that_was_borne(self) -> None:
        """The server made nothing of the first; it is the second of which it speaks."""
        call = Call("ann")
        call.pass_time(60, {"ann": 0.05})
        call.pass_time(10, {"ann": 0.3})
        call.level("ann", "poor")
        assert call.last("ann").reason == "uplink_loss"
        assert call.last("ann").evidence["direction"] == "uplink"

    @pytest.mark.parametrize("growth", [1.3, 1.5, 1.9])
    @pytest.mark.parametrize("names", [("ann",), ("ann", "bob", "cleo")], ids=["alone", "office"])
    @pytest.mark.parametrize("borne", [0.022, 0.07, 0.09])
    def test_a_borne_loss_that_grows_a_little_is_not_the_own_path(
        self, borne: float, names: tuple[str, ...], growth: float
    ) -> None:
        """The server lowers them all and not ours: none of them is a witness against our path."""
        call = Call(*names, cameras=True)
        call.pass_time(60, dict.fromkeys(names, borne), fps=15)
        grown = dict.fromkeys(names, borne * growth)
        call.pass_time(10, grown, fps=15)
        for name in names:
            call.level(name, "good")
        call.pass_time(60, grown, fps=0)
        levels = call.monitor.levels
        assert call.last(names[-1]).reason == "uplink_loss"
        assert (levels.paths.own_loss, levels.blind) == (None, False)
        assert [e.issue for e in call.meeting.of(ev.IssueRaised)] == ["video_frozen"] * len(names)

    def test_a_loss_borne_long_ago_does_not_excuse_a_new_one(self) -> None:
        """Our own path was well again while they were silent, which nobody could hear."""
        call = Call("ann", "bob")
        call.pass_time(60, own=0.3)
        call.pass_time(30, silent=["ann", "bob"])
        office = {"ann": 0.3, "bob": 0.3}
        call.pass_time(10, office)
        for name in office:
            call.level(name, "poor")
        call.pass_time(60, office)
        assert call.last("bob").reason == "uplink_loss"
        assert call.monitor.levels.paths.own_loss is None

    @pytest.mark.parametrize("quiet_s", [30, 3600])
    def test_nor_of_one_alone(self, quiet_s: int) -> None:
        call = Call("ann")
        call.pass_time(60, own=0.3)
        call.pass_time(quiet_s, silent=["ann"])
        call.pass_time(10, {"ann": 0.3})
        call.level("ann", "poor")
        assert call.last("ann").reason == "uplink_loss"

    def test_what_the_server_lowered_a_level_for_was_not_borne(self) -> None:
        call = Call("ann")
        call.pass_time(20, {"ann": 0.03})
        call.pass_time(10, {"ann": 0.3})
        call.level("ann", "poor")
        call.pass_time(60, {"ann": 0.3})
        call.pass_time(20, {"ann": 0.03})
        call.level("ann", "excellent")
        call.pass_time(20, {"ann": 0.03})
        call.pass_time(10, {"ann": 0.06})
        call.level("ann", "good")
        assert call.last("ann").reason == "uplink_loss"

    @pytest.mark.parametrize("meanwhile", ["well", "unheard", "outage"])
    def test_alone_in_the_room_a_loss_that_was_borne_is_over_some_time(
        self, meanwhile: str
    ) -> None:
        call = Call("ann")
        call.pass_time(60, own=0.08)
        match meanwhile:
            case "well":
                call.pass_time(30)
            case "unheard":
                wire = call.wires.pop("ann")
                call.pass_time(30)
                call.wires["ann"] = wire
                call.look()
            case _:
                call.monitor.suspend(call.meeting.now)
                call.monitor.resumed(call.meeting.now)
                call.look()
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "poor")
        assert call.last("ann").reason == "uplink_loss"

    def test_lost_means_that_nothing_comes_from_them(self) -> None:
        """The server says LOST of published tracks alone: no packets and no reports."""
        call = Call("ann")
        call.wires.clear()  # nobody is heard
        call.pass_time(20)
        call.level("ann", "lost")
        told = call.last("ann")
        assert (told.reason, told.evidence) == ("uplink_dry", {"direction": "uplink"})

    def test_poor_and_not_a_packet(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(10)
        for _ in range(4):
            call.wires["bob"].carry(LOOK_S)
            call.meeting.to(call.meeting.now + LOOK_S)
            call.look()
        call.level("ann", "poor")
        assert call.last("ann").reason == "uplink_dry"

    def test_not_a_packet_of_anybody_is_nobodys_uplink(self) -> None:
        """It is the own path that is dead, whatever else is wrong with somebody's link."""
        call = Call("ann", "bob")
        call.pass_time(30)
        call.pass_time(15, {"ann": 1.0, "bob": 1.0})
        call.level("ann", "poor")
        told = call.last("ann")
        assert (told.reason, told.evidence["direction"]) == ("server", "unknown")

    def test_recovery_is_not_taken_for_a_bad_downlink(self) -> None:
        """When a loss is over the server's level still lags for some windows; they are heard well
        again by then, which proves nothing.
        """
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.3})
        call.level("ann", "poor")
        call.pass_time(15)
        assert call.monitor.participants["ann"].account.reason == "uplink_loss"
        call.level("ann", "good")
        call.pass_time(5)
        call.level("ann", "excellent")
        assert call.reasons("ann")[1:] == ["uplink_loss", "recovered", "recovered"]

    def test_better_but_not_well(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.3})
        call.level("ann", "poor")
        call.pass_time(20, {"ann": 0.1})
        call.level("ann", "good")
        assert call.last("ann").reason == "uplink_loss"

    def test_well_enough_for_the_server(self) -> None:
        """With RED it calls a loss of 5 % excellent: that is a recovery, not a fault."""
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.3})
        call.level("ann", "poor")
        call.pass_time(20, {"ann": 0.05})
        call.level("ann", "excellent")
        assert call.last("ann").reason == "recovered"


class TestOwnPath:
    def test_nobody_is_blamed(self) -> None:
        """All lose packets, of all the server says that they are well: it is our own path."""
        call = Call("ann", "bob", "cleo")
        call.pass_time(60, own=0.1)
        assert call.monitor.levels.paths.own_loss == pytest.approx(0.1, abs=0.01)
        told = [e.type for e in call.meeting.events if e.type != "track_published"]
        assert {"issue_raised", "speaking_started"}.isdisjoint(told)
        assert {tuple(call.reasons(name)) for name in call.wires} == {("server",)}

    def test_one_who_is_heard_alone_is_not_blamed_either(self) -> None:
        """Up to 9 % on an uplink the server calls excellent with RED, so it might be theirs: who
        knows. Nothing is said of anybody.
        """
        call = Call("ann")
        call.pass_time(60, own=0.08)
        assert call.monitor.levels.paths.own_loss is None
        assert call.reasons("ann") == ["server"]
        link = call.meeting.summary("AJ_ann").link
        assert link is None

    @pytest.mark.parametrize("silent", [[], ["bob"]])
    @pytest.mark.parametrize("level", ["good", "poor"])
    def test_nor_for_it_when_the_server_lowers_their_level(
        self, level: ev.QualityLevel, silent: list[str]
    ) -> None:
        """It has called them well with that loss for a minute: it means their downlink now."""
        call = Call("ann", *silent)
        call.pass_time(60, own=0.08, silent=silent)
        call.level("ann", level)
        told = call.last("ann")
        assert (told.reason, told.evidence) == ("server", {"direction": "unknown"})
        call.pass_time(60, own=0.08, silent=silent)
        assert call.monitor.participants["ann"].account.reason == "server"
        assert call.meeting.summary("AJ_ann").link is None

    def test_more_than_the_server_would_tolerate(self) -> None:
        """It has had the time to lower the level of an uplink that loses so much, and has not."""
        call = Call("ann")
        call.pass_time(SERVER_LAG_S, own=0.2)
        assert call.monitor.levels.paths.own_loss is None  # it may yet say that it is theirs
        call.pass_time(LOOK_S, own=0.2)
        assert call.monitor.levels.paths.own_loss == pytest.approx(0.2, abs=0.01)

    def test_the_server_saying_so_is_enough(self) -> None:
        """Its level of the monitor itself is of what it sends us, and of nothing else."""
        call = Call("ann")
        call.pass_time(5, own=0.1)
        call.monitor.own_quality("good")
        call.pass_time(5, own=0.1)
        assert call.monitor.levels.paths.own_loss is not None

    def test_a_fall_meanwhile_is_not_laid_to_their_uplink(self) -> None:
        call = Call("ann", "bob", "cleo")
        call.pass_time(30, own=0.1)
        call.level("ann", "poor")
        told = call.last("ann")
        assert (told.reason, told.evidence["direction"]) == ("server", "unknown")

    def test_who_has_said_little_does_not_clear_it(self) -> None:
        """They may miss none by chance, which is no reason to blame who does miss some."""
        blamed = 0
        for seed in range(100):
            call = Call("ann", "bob")
            call.wires = {name: Wire(random.Random(f"{name}{seed}")) for name in call.wires}
            call.look()
            call.pass_time(30, own=0.03, silent=["bob"])
            for wire in call.wires.values():
                wire.carry(2.2, 0.03)
            call.meeting.to(call.meeting.now + 2.2)
            call.level("ann", "good")
            blamed += call.last("ann").reason == "uplink_loss"
        assert blamed <= 3

    def test_what_they_said_may_yet_tell_of_a_heavy_loss(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(30, silent=["bob"])
        call.pass_time(8, {"ann": 0.1}, silent=["bob"])
        for name, wire in call.wires.items():
            wire.carry(2.2, 0.1 if name == "ann" else 0.0)
        call.meeting.to(call.meeting.now + 2.2)
        call.level("ann", "good")
        assert call.last("ann").reason == "uplink_loss"
        assert figure(call.last("ann"), "loss") == pytest.approx(0.1, abs=0.01)

    def test_nor_of_one_who_is_heard_alone(self) -> None:
        call = Call("ann")
        call.monitor.own_quality("good")
        call.pass_time(30, own=0.1)
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"
        assert "loss" not in call.last("ann").evidence

    def test_those_who_are_silent_tell_it_together(self) -> None:
        """In a meeting with DTX one talks at a time; the others send 2 or 3 packets a second."""
        call = Call("ann", *(f"s{n}" for n in range(8)))
        call.pass_time(60, own=0.1, silent=[f"s{n}" for n in range(8)])
        assert call.monitor.levels.paths.own_loss == pytest.approx(0.1, abs=0.03)
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"

    def test_and_clear_it(self) -> None:
        call = Call("ann", *(f"s{n}" for n in range(8)))
        call.monitor.own_quality("good")  # our own level may be low for another reason
        call.pass_time(60, {"ann": 0.1}, silent=[f"s{n}" for n in range(8)])
        assert call.monitor.levels.paths.own_loss is None
        call.level("ann", "poor")
        assert call.last("ann").reason == "uplink_loss"

    def test_one_who_misses_nothing_clears_it(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(40, {"ann": 0.1})
        assert call.monitor.levels.paths.own_loss is None

    def test_it_is_well_again(self) -> None:
        call = Call("ann", "bob", "cleo")
        call.pass_time(30, own=0.1)
        call.pass_time(10, own=0.015)  # too little to be called bad, too much to be called well
        call.pass_time(10, own=0.015)
        assert call.monitor.levels.paths.own_loss is not None
        call.pass_time(20)
        assert call.monitor.levels.paths.own_loss is None

    @pytest.mark.parametrize("level", ["good", "unknown"])
    def test_only_who_is_excellent_accuses_it(self, level: ev.QualityLevel) -> None:
        """Of whom the server says nothing, or nothing good, the loss may be their own."""
        call = Call("ann", "bob", "cleo")
        for name in call.wires:
            call.level(name, level)
        call.pass_time(60, own=0.2)
        assert call.monitor.levels.paths.own_loss is None

    def test_nor_do_the_silent_of_whom_the_server_says_nothing(self) -> None:
        names = [f"s{n}" for n in range(8)]
        call = Call(*names)
        for name in names:
            call.level(name, "unknown")
        call.pass_time(60, own=0.2, silent=names)
        assert call.monitor.levels.paths.own_loss is None

    @pytest.mark.parametrize("own_level", ["excellent", "poor"])
    @pytest.mark.parametrize("fps", [0.0, 3.0])
    def test_no_picture_is_frozen_or_slow_by_it(
        self, fps: float, own_level: ev.QualityLevel
    ) -> None:
        """What it loses of pictures is not missing at their cameras."""
        call = Call("ann", "bob", "cleo", cameras=True)
        call.pass_time(30, fps=15)
        call.monitor.own_quality(own_level)
        call.pass_time(60, own=0.5, fps=fps)
        call.pass_time(30, fps=15)
        assert not call.meeting.of(ev.IssueRaised)
        assert call.video("ann")[-2:] == ["unknown", "live"]
        picture = call.picture("ann")
        assert (picture.freezes, picture.frozen_s) == (0, 0.0)

    def test_it_neither_repairs_a_camera_nor_breaks_it_anew(self) -> None:
        """One that froze before, and is frozen still when the own path is well again."""
        call = Call("ann", "bob", "cleo", cameras=True)
        call.pass_time(30, fps=15)
        call.pass_time(20, fps=0)
        call.pass_time(60, own=0.5, fps=0)
        call.pass_time(30, fps=0)
        assert call.video("ann") == ["live", "frozen", "unknown", "frozen"]
        assert len(call.meeting.of(ev.IssueRaised)) == 3
        assert not call.meeting.of(ev.IssueResolved)
        call.pass_time(10, fps=15)
        assert len(call.meeting.of(ev.IssueRaised)) == len(call.meeting.of(ev.IssueResolved)) == 3
        picture = call.picture("ann")
        assert picture.freezes == 1
        assert picture.frozen_s == pytest.approx(25 + 15, abs=5.1)  # seen, before and after

    def test_a_slow_camera_stays_slow_behind_it(self) -> None:
        call = Call("ann", "bob", "cleo", cameras=True)
        call.pass_time(30, fps=3)
        call.pass_time(30, own=0.5, fps=2)
        call.pass_time(60, fps=3)
        assert call.video("ann") == ["live", "low", "unknown", "low"]
        assert len(call.meeting.of(ev.IssueRaised)) == 3
        assert not call.meeting.of(ev.IssueResolved)

    @pytest.mark.parametrize("names", [("ann", "bob", "cleo"), ("ann",)])
    def test_a_little_loss_hides_no_frozen_camera(self, names: tuple[str, ...]) -> None:
        """What is missing of pictures is sent again. And of one alone it may be theirs for ever."""
        call = Call(*names, cameras=True)
        call.pass_time(60, own=0.08, fps=15)
        call.pass_time(20, own=0.08, fps=0)
        assert [e.issue for e in call.meeting.of(ev.IssueRaised)] == ["video_frozen"] * len(names)

    def test_it_is_not_in_the_summary_of_anybody(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(60)
        call.pass_time(60, own=0.2)
        link = call.meeting.summary("AJ_ann").link
        assert link is not None
        assert (link.loss, link.measured_s) == (0.0, 60.0)

    def test_nothing_is_said_of_it_once_nobody_is_heard(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(30, own=0.1)
        call.wires.clear()
        call.pass_time(20)
        assert call.monitor.levels.paths.own_loss is None
        assert not call.monitor.levels.paths.hears("ann")


NAMES_3 = ("ann", "bob", "cleo")
FROZEN_3 = [(name, "video_frozen") for name in NAMES_3]


class TestPicturesBehindTheOwnPath:
    @pytest.mark.parametrize("own", [0.13, 0.15, 0.2, 0.3])
    def test_none_is_called_frozen_before_it_is_known_how_much_gets_lost(self, own: float) -> None:
        """A loss takes a window to show, a frozen picture less."""
        call = Call(*NAMES_3, cameras=True)
        call.pass_time(30, fps=15)
        call.pass_time(60, own=own, fps=0)
        call.pass_time(30, fps=15)
        assert not call.raised()
        assert call.picture("ann").freezes == 0

    def test_one_that_was_called_so_meanwhile_is_cleared(self) -> None:
        """A little is lost all the time, so that nothing is held back when it becomes much."""
        call = Call(*NAMES_3, cameras=True)
        call.pass_time(60, own=0.05, fps=15)
        call.pass_time(30, own=0.15, fps=0)
        assert call.raised() == FROZEN_3
        resolved = call.meeting.of(ev.IssueResolved)
        assert [(e.participant, e.reason) for e in resolved] == [
            (name, "monitor_path") for name in NAMES_3
        ]

    def test_a_camera_that_froze_as_a_little_loss_began_is_found_later(self) -> None:
        call = Call(*NAMES_3, cameras=True)
        call.pass_time(30, fps=15)
        call.pass_time(40, own=0.05, fps=15, frozen=["ann"])
        assert call.raised() == [("ann", "video_frozen")]
        (raised,) = call.meeting.of(ev.IssueRaised)
        assert seconds(raised) - 40 < DOUBT_S
        assert raised.evidence["still_s"] == pytest.approx(seconds(raised) - 30, abs=2.6)

    def test_nothing_comes_of_anybody(self) -> None:
        call = Call(*NAMES_3, cameras=True)
        call.pass_time(30, fps=15)
        call.pass_time(30, own=1.0, fps=0)
        assert call.monitor.levels.blind
        call.pass_time(30, fps=15)
        assert call.video("ann")[-2:] == ["unknown", "live"]
        assert not call.raised()
        assert call.picture("ann").freezes == 0

    @pytest.mark.parametrize("own", [0.115, 0.12, 0.125, 0.13, 0.14])
    def test_a_loss_about_the_bound_does_not_hide_and_show_them_in_turns(self, own: float) -> None:
        """What is lost by chance goes to and fro about any bound: each time was an issue."""
        call = Call(*NAMES_3, cameras=True)
        call.wires = {name: Wire(random.Random(name)) for name in NAMES_3}
        call.look()
        call.pass_time(30, fps=15)
        call.pass_time(600, own=own, fps=15, frozen=["ann"])
        raised = call.raised()
        assert set(raised) <= {("ann", "video_frozen")}
        assert len(raised) <= 1
        assert call.video("bob").count("unknown") <= 1

    def test_one_bad_uplink_does_not_hide_the_others_while_our_level_is_low(self) -> None:
        """Our level falls for many reasons. Nobody who is well loses anything: no witness."""
        call = Call("ann", "bob", cameras=True)
        call.pass_time(30, fps=15, silent=["bob"])
        call.pass_time(10, {"ann": 0.2}, fps=15, silent=["bob"])
        call.monitor.own_quality("good")
        call.level("ann", "poor")
        call.pass_time(60, {"ann": 0.2}, fps=15, silent=["bob"], frozen=["ann"])
        assert ("ann", "video_frozen") in call.raised()
        assert call.video("bob")[-1] == "live"  # it was doubted until the server spoke of ann
        assert call.monitor.levels.paths.own_loss is None

    @pytest.mark.parametrize("own_level", ["excellent", "poor"])
    @pytest.mark.parametrize("others", [[], ["bob"]])
    def test_the_fall_of_the_one_who_talks_does_not_make_cameras_freeze(
        self, others: list[str], own_level: ev.QualityLevel
    ) -> None:
        """The server called them well for a minute with more than an uplink may lose: they remain
        a witness against our path, whatever is wrong with their link now.
        """
        call = Call("ann", *others, cameras=True)
        call.pass_time(30, fps=15, silent=others)
        call.monitor.own_quality(own_level)
        call.pass_time(60, own=0.4, fps=0, silent=others)
        call.level("ann", "good")
        call.pass_time(60, own=0.4, fps=0, silent=others)
        assert not call.raised()
        assert call.monitor.levels.paths.own_loss == pytest.approx(0.4, abs=0.02)

    @pytest.mark.parametrize("own_level", ["excellent", "poor"])
    @pytest.mark.parametrize("level", ["good", "poor"])
    def test_nor_does_the_fall_of_all_soon_after_the_loss_has_come(
        self, level: ev.QualityLevel, own_level: ev.QualityLevel
    ) -> None:
        """It shows bit by bit, over a window: what the server bore then is not the mean of that."""
        call = Call(*NAMES_3, cameras=True)
        call.pass_time(60, fps=15)
        call.monitor.own_quality(own_level)
        call.pass_time(30, own=0.3, fps=0)
        for name in NAMES_3:
            call.level(name, level)
        call.pass_time(60, own=0.3, fps=0)
        assert "video_frozen" not in {issue for _, issue in call.raised()}
        assert call.monitor.levels.blind
        assert {call.last(name).reason for name in NAMES_3} == {"server"}

    def lowered(self, cameras: Sequence[str], own: float = 0.15, *, chance: bool = False) -> Call:
        """A call behind a bad path of our own that the server has not called ann's fault, until
        something else is wrong with her link, too: she is the only one who is heard.
        """
        call = Call("ann", "bob", "cleo", cameras=True)
        call.frames = {sid: 0 for sid in call.frames if sid.removeprefix("C_") in cameras}
        if chance:
            call.wires = {name: Wire(random.Random(name)) for name in NAMES_3}
            call.look()
        call.pass_time(60, fps=15, silent=["bob", "cleo"])
        call.pass_time(60, own=own, fps=2, silent=["bob", "cleo"])
        call.level("ann", "poor")
        assert call.monitor.levels.blind
        return call

    def test_a_video_that_moves_ends_it_where_only_a_bad_uplink_would_go_on(self) -> None:
        """Our path is well again as theirs begins to lose as much, of which nobody else tells."""
        call = self.lowered(["ann", "bob"])
        call.pass_time(20, {"ann": 0.15}, fps=15, silent=["bob", "cleo"], frozen=["ann"])
        assert not call.monitor.levels.blind
        call.pass_time(20, {"ann": 0.15}, fps=15, silent=["bob", "cleo"], frozen=["ann"])
        assert ("ann", "video_frozen") in call.raised()
        assert call.video("bob")[-1] == "live"

    def test_but_not_where_one_who_is_well_tells_that_it_goes_on(self) -> None:
        """A small picture may come where a large one does not."""
        call = self.lowered(["ann", "bob"], 0.3)
        call.pass_time(60, own=0.3, fps=15, silent=["cleo"], frozen=["ann"])
        assert call.monitor.levels.blind
        assert ("ann", "video_frozen") not in call.raised()

    def test_so_do_the_silent_after_a_while(self) -> None:
        call = self.lowered(["ann"])
        call.pass_time(90, {"ann": 0.15}, fps=0, silent=["bob", "cleo"])
        assert ("ann", "video_frozen") in call.raised()
        assert call.monitor.levels.paths.own_loss is None
        assert call.monitor.participants["ann"].account.reason == "uplink_loss"

    @pytest.mark.parametrize("own", [0.2, 0.3])
    def test_neither_does_while_it_goes_on(self, own: float) -> None:
        """Some silent packets come, and some frames: many do not."""
        call = self.lowered(NAMES_3, own, chance=True)
        call.pass_time(900, own=own, fps=3, silent=["bob", "cleo"], frozen=["ann"])
        assert call.monitor.levels.blind
        assert {issue for _, issue in call.raised()} == {"connection_poor"}
        assert call.video("bob").count("unknown") == 1

    def test_no_own_loss_is_told_while_their_pictures_are_judged(self) -> None:
        """It fell before it could be told whose loss it is, so it is not told of either."""
        call = Call("ann", cameras=True)
        call.pass_time(30, fps=15)
        call.monitor.own_quality("poor")
        call.pass_time(10, {"ann": 0.4}, fps=15)
        call.level("ann", "poor")
        call.pass_time(60, {"ann": 0.4}, fps=0)
        assert ("ann", "video_frozen") in call.raised()
        assert call.monitor.levels.paths.own_loss is None

    def test_an_outage_takes_back_what_was_said_before_it_was_noticed(self) -> None:
        """The SDK takes its time to see that nothing comes any more; cameras were frozen by then,
        and whose microphone is muted cannot tell why.
        """
        call = self.muted()
        call.pass_time(15, fps=0)
        self.outage(call)
        call.pass_time(20, fps=15)
        assert call.raised() == FROZEN_3
        assert self.taken_back(call) == FROZEN_3
        assert (call.picture("ann").freezes, call.picture("ann").frozen_s) == (0, 0.0)

    @pytest.mark.parametrize(
        ("alive", "before_s"),
        [("video", 10), ("video", 15), ("video", 20), ("sound", 15), ("sound", 20)],
    )
    def test_but_not_of_a_camera_that_froze_while_other_things_came(
        self, alive: str, before_s: int
    ) -> None:
        """The path was well until just now: each short outage said that the camera is, too."""
        if alive == "video":
            call = self.muted()
        else:
            call = Call("ann", "bob", cameras=True)
            del call.frames["C_bob"]
            call.pass_time(45, fps=15, silent=["ann", "bob"])
        for _ in range(3):
            call.pass_time(before_s, fps=15, frozen=["ann"], silent=["ann", "bob"])
            self.outage(call)
        call.pass_time(20, fps=15, frozen=["ann"], silent=["ann", "bob"])
        assert call.raised() == [("ann", "video_frozen")]
        assert not call.meeting.of(ev.IssueResolved)
        picture = call.picture("ann")
        assert picture.freezes == 1
        assert picture.frozen_s == 3 * (before_s - 2.5) + 20  # up to the reading after each outage

    def test_a_few_frames_are_no_sign_that_the_path_was_well(self) -> None:
        """Before it dies, it may bring a picture now and then."""
        call = self.muted()
        call.pass_time(15, fps=0.5, frozen=["ann"])
        self.outage(call)
        call.pass_time(20, fps=15)
        assert ("ann", "video_frozen") in call.raised()
        assert self.taken_back(call) == call.raised()

    def test_nor_is_sound_of_which_much_is_missing(self) -> None:
        call = Call("ann", "bob", cameras=True)
        call.pass_time(30, fps=15, silent=["ann", "bob"])
        call.pass_time(15, own=0.3, fps=0, silent=["ann", "bob"])
        self.outage(call)
        call.pass_time(20, fps=15)
        assert call.raised() == FROZEN_3[:2]
        assert self.taken_back(call) == FROZEN_3[:2]

    @pytest.mark.parametrize("seed", range(5))
    def test_nor_are_some_packets_of_the_silent_that_come_by_luck(self, seed: int) -> None:
        """A dozen of one of them is all that is sent between two readings."""
        call = Call("ann", "bob", cameras=True)
        call.wires = {name: Wire(random.Random(f"{seed} {name}")) for name in ("ann", "bob")}
        call.look()
        call.pass_time(30, fps=15, silent=["ann", "bob"])
        call.pass_time(19, own=0.2, fps=0, silent=["ann", "bob"])
        self.outage(call)
        call.pass_time(20, fps=15)
        assert call.raised() == FROZEN_3[:2]
        assert self.taken_back(call) == FROZEN_3[:2]

    def test_a_bad_uplink_does_not_hide_that_the_path_was_well(self) -> None:
        call = Call("ann", "bob", "cleo", cameras=True)
        call.frames = {"C_ann": 0}
        call.pass_time(45, fps=15)
        call.pass_time(15, {"bob": 0.5}, fps=15, frozen=["ann"])
        assert call.monitor.levels.paths.alive_until >= call.meeting.now - 5
        self.outage(call)
        assert ("ann", "video_frozen") in call.raised()
        assert self.taken_back(call) == []

    def test_nor_is_a_single_frame_between_two_readings_close_to_each_other(self) -> None:
        call = self.muted()
        call.pass_time(15, fps=0)
        track = call.monitor.participants["bob"].tracks["C_bob"]
        reading = VideoReading(frames=call.frames["C_bob"] + 1, freezes=0)
        call.monitor.video(track.sid, reading, call.meeting.now + 0.05)
        assert track.came_until < call.meeting.now - 10

    def outage(self, call: Call) -> None:
        """The room connection is lost, and back at once."""
        call.monitor.suspend(call.meeting.now)
        call.meeting.to(call.meeting.now + 3)
        call.monitor.resumed(call.meeting.now)

    def taken_back(self, call: Call) -> list[tuple[str, str]]:
        """The issues that were resolved as they may be of our own making."""
        resolved = call.meeting.of(ev.IssueResolved)
        return [(e.participant, e.issue) for e in resolved if e.reason == "monitor_path"]

    def test_who_is_silent_is_heard_all_the_same(self) -> None:
        """Their comfort noise comes without a loss, so the path brings what is sent."""
        call = Call("ann", "bob", cameras=True)
        call.pass_time(30, fps=15, silent=["ann", "bob"])
        call.monitor.own_quality("poor")
        call.pass_time(60, fps=0, silent=["ann", "bob"])
        assert call.raised() == [("ann", "video_frozen"), ("bob", "video_frozen")]

    def test_but_not_if_most_of_what_they_send_is_lost(self) -> None:
        """Too few packets for a loss of each, and yet plain that it is no path for pictures."""
        call = Call("ann", "bob", cameras=True)
        call.pass_time(30, fps=15, silent=["ann", "bob"])
        call.monitor.own_quality("poor")
        call.pass_time(60, own=0.6, fps=0, silent=["ann", "bob"])
        assert not call.raised()

    def test_a_camera_that_is_woken_for_a_look_does_not_stand_still_yet(self) -> None:
        """Two of four that take 4 s to begin, one of them dead, and nobody is heard: each look hid
        all of them, and cleared the issue of the dead one.
        """
        call = self.muted()
        call.monitor.own_quality("poor")
        monitor, meeting = call.monitor, call.meeting
        for name in NAMES_3:
            monitor.looking(f"C_{name}", False, meeting.now)
        for _ in range(6):
            for name in NAMES_3[:2]:
                monitor.looking(f"C_{name}", True, meeting.now)
            woken_at = meeting.now
            while meeting.now < woken_at + 11:
                meeting.to(meeting.now + 0.5)
                call.see(7 if meeting.now > woken_at + 4 else 0, frozen=["ann"])
            for name in NAMES_3[:2]:
                monitor.looking(f"C_{name}", False, meeting.now)
            call.pass_time(50)
        assert call.raised() == [("ann", "video_frozen")]
        assert not call.meeting.of(ev.IssueResolved)
        assert "unknown" not in call.video("bob")

    def test_one_alone_whose_link_is_dead_is_not_the_own_path(self) -> None:
        """The server calls our link bad for their camera that sends nothing."""
        call = Call("ann", cameras=True)
        call.pass_time(30, fps=15)
        call.monitor.own_quality("poor")
        call.pass_time(30, {"ann": 1.0}, fps=0)
        assert call.raised() == [("ann", "video_frozen")]

    def muted(self, *, screen: bool = False) -> Call:
        """A call of which all microphones are muted, so that nobody is heard."""
        call = Call(*NAMES_3, cameras=True)
        if screen:
            call.monitor.track_published("ann", camera("S_ann", source="screen_share"), 0.0)
            call.frames["S_ann"] = 0
        call.pass_time(30, fps=15)
        for name in NAMES_3:
            call.monitor.track_muted(name, True, call.meeting.now)
        call.wires.clear()
        call.pass_time(15, fps=15)
        return call

    @pytest.mark.parametrize("level", ["poor", "lost"])
    def test_nobody_is_heard_and_the_server_calls_our_link_bad(
        self, level: ev.QualityLevel
    ) -> None:
        call = self.muted()
        call.monitor.own_quality(level)
        call.pass_time(30, fps=0)
        assert call.monitor.levels.blind
        call.pass_time(10, fps=15)
        assert not call.monitor.levels.blind
        assert not call.raised()
        assert call.video("ann")[-1] == "live"
        assert call.picture("ann").freezes == 0

    def test_it_may_say_so_late(self) -> None:
        """It takes its two windows, in which the pictures are called frozen."""
        call = self.muted()
        call.pass_time(12.5, fps=0)
        call.monitor.own_quality("poor")
        call.pass_time(10, fps=0)
        assert call.raised() == FROZEN_3
        assert {e.reason for e in call.meeting.of(ev.IssueResolved)} == {"monitor_path"}
        assert call.picture("ann").freezes == 0

    @pytest.mark.parametrize("level", ["excellent", "poor", "lost"])
    def test_one_camera_stands_still_of_three(self, level: ev.QualityLevel) -> None:
        """For that alone the server calls our link poor."""
        call = self.muted()
        call.monitor.own_quality(level)
        call.pass_time(30, fps=15, frozen=["ann"])
        assert call.raised() == [("ann", "video_frozen")]

    def test_all_stand_still_and_our_link_is_well(self) -> None:
        call = self.muted()
        call.pass_time(30, fps=0)
        assert call.raised() == FROZEN_3

    def test_a_screen_that_moves_has_come_by_the_own_path(self) -> None:
        call = self.muted(screen=True)
        call.monitor.own_quality("poor")
        call.pass_time(30, fps=15, frozen=NAMES_3)
        assert call.raised() == FROZEN_3

    def test_microphones_that_are_muted_are_not_silenced_by_it(self) -> None:
        """They are read all the same, and nothing comes of them."""
        call = Call(*NAMES_3, cameras=True)
        call.pass_time(30, fps=15)
        for name in NAMES_3:
            call.monitor.track_muted(name, True, call.meeting.now)
        call.pass_time(30, own=1.0, fps=0)
        assert call.raised() == FROZEN_3


class TestDownlink:
    def test_heard_well_and_yet_bad(self) -> None:
        """The server counts what they receive; all that they send arrives."""
        call = Call("ann", "bob")
        call.pass_time(30)
        call.level("ann", "poor")
        told = call.last("ann")
        assert (told.reason, told.evidence["direction"]) == ("downlink", "downlink")
        assert told.evidence["loss"] == 0.0

    def test_pictures_may_be_the_cause(self) -> None:
        """The server lowers the level of a camera that sends nothing, or not every layer."""
        call = Call("ann", cameras=True)
        call.pass_time(30)
        call.level("ann", "poor")
        told = call.last("ann")
        assert (told.reason, told.evidence["direction"]) == ("downlink_or_video", "unknown")

    def test_heard_since_the_loss_may_have_been_is_not_heard_well(self) -> None:
        """The server is late: what it judges may have been before their microphone was opened."""
        call = Call("ann", "bob")
        call.pass_time(30)
        before, call.wires["ann"] = call.wires["ann"], Wire()
        wires = call.wires
        call.wires = {"bob": wires["bob"]}
        call.pass_time(20)  # ann is not listened to
        before.carry(20)
        call.wires = wires | {"ann": before}
        call.look()
        call.pass_time(10)
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"

    def test_what_we_do_not_listen_to_may_be_the_cause(self) -> None:
        """The server lowers the level of a shared sound that sends nothing as well."""
        call = Call("ann", "bob")
        sound = microphone("S_ann", source="screen_share_audio")
        call.monitor.track_published("ann", sound, 0.0)
        call.pass_time(30)
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"

    def test_a_muted_camera_is_not(self) -> None:
        call = Call("ann", cameras=True)
        call.monitor.track_muted("C_ann", True, 0.0)
        call.pass_time(30)
        call.level("ann", "poor")
        assert call.last("ann").reason == "downlink"

    def test_hardly_heard_is_not_heard_well(self) -> None:
        """A pause with DTX carries too few packets to clear an uplink."""
        call = Call("ann", "bob")
        call.pass_time(30, silent=["ann"])
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"

    def test_heard_for_a_moment_is_not_either(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(30, silent=["ann"])
        call.wires["ann"].carry(3)
        call.meeting.to(call.meeting.now + 3)
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"

    def test_a_little_loss_clears_nobody_either(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(30, {"ann": LOSS / 2})
        call.level("ann", "good")
        assert call.last("ann").reason == "server"


class TestUnknown:
    def test_who_is_not_heard(self) -> None:
        call = Call("ann")
        call.wires.clear()
        call.pass_time(20)
        call.level("ann", "poor")
        told = call.last("ann")
        assert (told.reason, told.evidence) == ("server", {"direction": "unknown"})

    def test_old_looks_do_not_count(self) -> None:
        """They lost packets when they were heard, a minute before the server spoke."""
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.2})
        wire = call.wires.pop("ann")
        call.pass_time(60)
        call.wires["ann"] = wire
        call.look()
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"

    def test_a_new_fall_is_not_laid_to_an_old_loss(self) -> None:
        """Their uplink lost packets minutes ago; since then nobody hears them."""
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "good")
        assert call.last("ann").reason == "uplink_loss"
        call.wires.clear()
        call.pass_time(180)
        call.level("ann", "poor")
        told = call.last("ann")
        assert (told.to, told.reason, told.evidence) == ("poor", "server", {"direction": "unknown"})

    def test_nor_while_they_are_heard(self) -> None:
        """A look at the new level finds nothing: what explained the old one does not explain it."""
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "good")
        call.pass_time(60, silent=["ann"])
        assert call.monitor.participants["ann"].account.reason == "uplink_loss"
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"

    def test_nor_when_the_look_never_comes(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "good")
        call.pass_time(60, silent=["ann"])
        call.monitor.quality("ann", "poor", call.meeting.now)
        call.meeting.to(call.meeting.now + ASK_S)
        assert (call.last("ann").to, call.last("ann").reason) == ("poor", "server")

    def test_a_reason_ends_with_what_was_heard(self) -> None:
        """They mute, and their level stays low: nobody knows any more why."""
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "good")
        del call.wires["ann"]
        call.pass_time(30)
        assert call.monitor.participants["ann"].account.reason == "server"

    def test_a_reason_ends_with_the_connection(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "good")
        call.monitor.suspend(call.meeting.now)
        call.meeting.to(call.meeting.now + 3)
        call.meeting.connected(*(person(name, microphone(name)) for name in call.wires))
        for wire in call.wires.values():
            wire.restart()
        call.look()
        call.level("ann", "good")
        assert call.last("ann").reason == "server"

    def test_a_reason_ends_as_they_leave(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "good")
        call.monitor.participant_left("ann", "client_initiated", call.meeting.now)
        call.pass_time(30)
        call.monitor.participant_joined(person("ann", microphone("ann")), call.meeting.now)
        call.pass_time(10, silent=["ann"])
        call.level("ann", "good")
        assert call.last("ann").reason == "server"

    def test_who_comes_back_at_once_has_another_link(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(20, {"ann": 0.3})
        call.level("ann", "poor")
        call.monitor.participant_left("ann", "client_initiated", call.meeting.now)
        call.meeting.to(call.meeting.now + 1.5)
        again = person("ann", microphone("ann2"), sid="PA_2")
        call.monitor.participant_joined(again, call.meeting.now)
        del call.wires["ann"]
        call.wires["ann2"] = Wire()
        call.look()
        call.pass_time(4)
        call.look()
        call.level("ann", "poor")
        assert (call.last("ann").reason, figure(call.last("ann"), "loss")) == ("server", 0.0)

    def test_nobody_heard_any_more_is_not_waited_for(self) -> None:
        """The shell asks again and again while a level waits, here for one who cannot be asked."""
        call = Call("ann", "bob")
        call.pass_time(20)
        call.monitor.quality("ann", "poor", 20.0)
        del call.wires["ann"]
        call.look()
        assert not call.monitor.levels.waiting
        assert (call.last("ann").to, call.last("ann").reason) == ("poor", "server")

    def test_a_look_that_never_comes_is_not_waited_for(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(20)
        call.monitor.quality("ann", "poor", 20.0)
        call.meeting.to(20 + ASK_S - 0.5)
        assert call.last("ann").to == "excellent"
        call.meeting.to(20 + ASK_S)
        told = call.last("ann")
        assert (told.to, told.reason, seconds(told)) == ("poor", "server", 20.0)
        assert not call.monitor.levels.waiting

    def test_a_fall_that_was_not_told_yet_dies_with_the_connection(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(20)
        call.monitor.quality("ann", "poor", 20.0)
        call.monitor.suspend(20.5)
        assert not call.monitor.levels.waiting
        call.meeting.to(30)
        assert call.last("ann").reason == "monitor_reconnecting"
        assert "poor" not in {e.to for e in call.meeting.of(ev.ConnectionQuality)}

    def test_a_fall_that_waits_is_told_before_they_leave(self) -> None:
        """A bad link often is how somebody leaves: it must not be missing from what is told."""
        call = Call("ann", "bob")
        call.pass_time(20)
        call.monitor.quality("ann", "poor", 20.0)
        call.monitor.participant_left("ann", "client_initiated", 20.5)
        call.meeting.to(40)
        call.look()
        told = [e for e in call.meeting.of(ev.ConnectionQuality) if e.participant == "ann"][-2:]
        assert [(e.from_, e.to, seconds(e)) for e in told] == [
            ("excellent", "poor", 20.0),
            ("poor", "unknown", 20.5),
        ]
        assert told[-1].reason == "participant_left"
        assert "ann" in call.monitor.participants  # waited for, not there
        assert not call.monitor.participants["ann"].present
        assert call.meeting.summary("AJ_ann").quality_s["poor"] >= 0.5

    def test_a_fall_that_waits_is_told_before_the_session_ends(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(20)
        call.monitor.quality("ann", "poor", 20.0)
        call.meeting.to(21)
        summary = call.meeting.summary("AJ_ann")
        assert (call.last("ann").to, seconds(call.last("ann"))) == ("poor", 20.0)
        assert (summary.quality_s["excellent"], summary.quality_s["poor"]) == (20.0, 1.0)

    def test_a_fall_that_waits_counts_from_when_it_fell(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(20)
        call.monitor.quality("ann", "poor", 20.0)
        call.meeting.to(25)
        assert call.meeting.summary("AJ_ann").quality_s["poor"] == 5.0

    def test_a_fall_after_they_left_is_not_theirs(self) -> None:
        """It would be told of a time at which they were gone."""
        call = Call("ann", "bob")
        call.pass_time(20)
        call.monitor.participant_left("ann", "client_initiated", 20.0)
        call.monitor.quality("ann", "poor", 20.5)
        call.meeting.to(30)
        assert call.last("ann").from_ == "excellent"
        assert not call.monitor.levels.waiting

    def test_and_with_one_for_whom_nobody_waits(self) -> None:
        """A participant without a session is forgotten as they leave."""
        call = Call("ann", "bob")
        call.pass_time(20)
        call.monitor.quality("ann", "poor", 20.0)
        call.monitor.end_job("AJ_ann", "job_terminated", 20.1)
        call.monitor.participant_left("ann", "client_initiated", 20.2)
        call.meeting.to(25)
        assert "ann" not in call.monitor.participants
        assert not call.monitor.levels.waiting

    def test_what_was_heard_before_an_outage_does_not_count(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(20, {"ann": 0.2})
        call.monitor.suspend(20.0)
        call.monitor.resumed(22.0)
        call.meeting.now = 22.0
        call.look()
        call.level("ann", "poor")
        assert call.last("ann").reason == "server"

    def test_the_own_level_outlives_an_outage(self) -> None:
        """The server does not repeat to a connection that comes back what it has told."""
        call = Call("ann")
        call.monitor.own_quality("good")
        call.monitor.suspend(1.0)
        call.monitor.resumed(2.0)
        assert call.monitor.levels.paths.own_level == "good"

    def test_but_not_a_new_connection(self) -> None:
        """Of that the server has said nothing yet: the old one's level accuses nobody."""
        call = Call("ann")
        call.monitor.own_quality("poor")
        call.monitor.suspend(1.0)
        call.meeting.to(2)
        call.meeting.connected(person("ann", microphone("ann")))
        assert call.monitor.levels.paths.own_level == "unknown"


class TestSip:
    def test_only_the_leg_from_the_service_is_seen(self) -> None:
        """Behind it lies a telephone network of which neither the server nor we hear."""
        call = Call("ann", kind="sip")
        assert call.last("ann").evidence["leg"] == "sip_service"
        call.pass_time(10, {"ann": 0.2})
        call.level("ann", "poor")
        call.pass_time(10, {"ann": 0.2})
        (raised,) = call.meeting.of(ev.IssueRaised)
        for evidence in (call.last("ann").evidence, raised.evidence):
            assert (evidence["direction"], evidence["leg"]) == ("uplink", "sip_service")

    def test_nobody_else_has_a_leg(self) -> None:
        assert "leg" not in Call("ann").last("ann").evidence


class TestIssue:
    def test_it_carries_direction_and_figures(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(10, {"ann": 0.3})
        call.level("ann", "poor")
        call.pass_time(20, {"ann": 0.3})
        call.level("ann", "excellent")
        call.pass_time(20)
        (raised,) = call.meeting.of(ev.IssueRaised)
        assert (raised.participant, raised.issue) == ("ann", "connection_poor")
        assert raised.evidence.keys() == {
            *("quality", "score", "direction", "loss", "jitter_s", "concealment", "mos")
        }
        assert raised.evidence["loss"] == pytest.approx(0.3, abs=0.02)
        (resolved,) = call.meeting.of(ev.IssueResolved)
        assert resolved.participant == "ann"

    def test_a_threshold_over_good_takes_ten_percent(self) -> None:
        """With RED the server calls 10 % good, which is .66: whoever wants that too says .7."""
        call = Call("bob")
        call.meeting.monitor.participant_joined(person("ann", microphone("ann")), 0.0)
        call.meeting.job("AJ_ann", "ann", connection_quality_threshold=0.7)
        call.wires["ann"] = Wire()
        call.level("ann", "excellent")
        call.pass_time(10, {"ann": 0.1})
        call.level("ann", "good")
        call.pass_time(10, {"ann": 0.1})
        (raised,) = call.meeting.of(ev.IssueRaised)
        assert (raised.evidence["quality"], raised.evidence["direction"]) == ("good", "uplink")


class TestSummary:
    def test_what_came_through(self) -> None:
        call = Call("ann", "bob")
        call.pass_time(50, {"ann": 0.1})
        link = call.meeting.summary("AJ_ann").link
        assert link is not None
        assert (link.packets, link.loss, link.measured_s) == (2500, 0.1, 50.0)
        assert link.concealment == pytest.approx(0.1)
        assert 2.5 < link.mos < 3.5

    def test_unheard_is_none(self) -> None:
        meeting = Meeting()
        meeting.connected(person("ann", microphone()))
        meeting.job("AJ_1", "ann")
        meeting.to(60)
        assert meeting.summary().link is None

    def test_it_goes_on_in_another_process(self) -> None:
        """The sums are the session's, the looks are the process's: nothing is counted twice."""
        call = Call("ann", "bob")
        call.pass_time(50, {"ann": 0.1})
        after = call.meeting.handed_over(1.0)
        after.connected(person("ann", microphone("ann")), person("bob", microphone("bob")))
        for _ in range(3):
            readings = {name: wire.reading() for name, wire in call.wires.items()}
            after.monitor.received(readings, None, after.now)
            after.to(after.now + LOOK_S)
            for wire in call.wires.values():
                wire.carry(LOOK_S)
        link = after.summary("AJ_ann").link
        assert link is not None
        assert (link.packets, link.loss) == (3000, round(250 / 3000, 4))

    def test_each_dispatch_has_its_own(self) -> None:
        call = Call("ann")
        call.pass_time(20)
        call.meeting.job("AJ_2", "ann", "AD_2")
        call.pass_time(10)
        late, whole = call.meeting.summary("AJ_2").link, call.meeting.summary("AJ_ann").link
        assert late is not None
        assert whole is not None
        assert (late.packets, whole.packets) == (500, 1500)


LEVELS = st.sampled_from(["excellent", "good", "poor", "lost", "unknown"])
NAMES = st.sampled_from(["ann", "bob", "cleo"])
LOSSES = st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.5, 1.0])


class AnyCall(RuleBasedStateMachine):
    """Whatever happens in which order, what is told stays whole."""

    def __init__(self) -> None:
        super().__init__()
        self.call = Call("ann", "bob", "cleo", cameras=True)
        self.told_at = 0.0

    @rule(
        uplink=st.dictionaries(NAMES, LOSSES),
        own=LOSSES,
        duration_s=st.integers(1, 30),
        fps=st.sampled_from([None, 0.0, 3.0, 15.0]),
    )
    def talk(
        self, uplink: dict[str, float], own: float, duration_s: int, fps: float | None
    ) -> None:
        self.call.pass_time(duration_s, uplink, own, fps=fps)
        if self.call.monitor.levels.blind:
            told = {event.participant: event.to for event in self.call.meeting.of(ev.VideoState)}
            assert {"live", "low", "frozen", "dry"}.isdisjoint(told.values())

    @rule(name=NAMES, level=LEVELS)
    def told(self, name: str, level: ev.QualityLevel) -> None:
        self.told_at = self.call.meeting.now
        self.call.monitor.quality(name, level, self.told_at)

    @rule(level=LEVELS)
    def told_of_us(self, level: ev.QualityLevel) -> None:
        self.call.monitor.own_quality(level)

    @rule(name=NAMES)
    def subscribed_again(self, name: str) -> None:
        self.call.wires[name].restart()

    @rule()
    def outage(self) -> None:
        now = self.call.meeting.now
        self.call.monitor.suspend(now)
        self.call.meeting.to(now + 3)
        self.call.monitor.resumed(now + 3)

    @rule(name=NAMES)
    def leave_and_come_back(self, name: str) -> None:
        meeting = self.call.meeting
        self.call.monitor.participant_left(name, "unknown", meeting.now)
        meeting.to(meeting.now + 2)
        self.call.look()
        self.call.monitor.participant_joined(person(name, microphone(name)), meeting.now)

    @invariant()
    def changes_follow_each_other(self) -> None:
        """Each level begins where the last one ended, and has its figures within bounds."""
        before: dict[str, str] = {}
        for event in self.call.meeting.of(ev.ConnectionQuality):
            assert event.from_ == before.get(event.participant, "unknown") != event.to
            before[event.participant] = event.to
            for name in ("loss", "concealment", "monitor_path_loss"):
                assert 0 <= figure(event, name) <= 1
            assert 1 <= figure(event, "mos", 1.0) <= 4.5
            if event.reason.startswith("uplink"):
                assert event.evidence["direction"] == "uplink"

    @invariant()
    def issues_take_turns(self) -> None:
        opened: set[tuple[str, str]] = set()
        for event in self.call.meeting.events:
            if isinstance(event, ev.IssueRaised):
                assert (event.participant, event.issue) not in opened
                opened.add((event.participant, event.issue))
            elif isinstance(event, ev.IssueResolved):
                opened.remove((event.participant, event.issue))

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        waiting = self.call.monitor.levels.waiting
        assert not waiting or self.call.meeting.now - self.told_at <= ASK_S


TestAnyCall = AnyCall.TestCase
TestAnyCall.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
