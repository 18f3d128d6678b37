"""Faults of microphones: real meters hear made audio, and the monitor says what is wrong, once."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from dsp_material import RATE, Signal, at_level, noise, phrase, silence, tone
from hypothesis import given
from hypothesis import strategies as st
from room_driver import EPOCH, Meeting, microphone, person, seconds
from wires import Wire

from pmon.media.meters import TrackMeters
from pmon.media.phrases import phrases
from pmon.monitor import events as ev
from pmon.monitor.issues import RULES
from pmon.monitor.mic_faults import Clipping, Silence, Verdict
from pmon.monitor.microphone import Microphone
from pmon.monitor.stretch import NOTHING, Stretch

READ_S = 5.0
"""The shell reads the meters as often."""


class Listener:
    """Hears one microphone in a meeting, as a subscription does."""

    def __init__(self, meeting: Meeting, sid: str = "TR_mic", threshold: float = 0.01) -> None:
        self.counted = True
        """The receiver's packets are."""
        self.meeting = meeting
        self.sid = sid
        self.meters = TrackMeters(RATE, 1, [threshold])
        self.wire = Wire()
        meeting.monitor.measured_anew(sid)

    def hear(self, stream: Signal, *, packets: bool = True) -> None:
        """Let it sound from now on; without ``packets`` it is the decoder's own silence."""
        samples = np.clip(np.round(stream), -32768, 32767).astype(np.int16)
        for start in range(0, len(samples), round(READ_S * RATE)):
            piece = samples[start : start + round(READ_S * RATE)]
            self.meeting.to(self.meeting.now + len(piece) / RATE)
            for transition in self.meters.feed(piece, self.meeting.now):
                self.meeting.monitor.speech(self.sid, *transition)
            self.read()
            if packets:
                self.wire.carry(len(piece) / RATE, pps=2.5)  # DTX, as in a pause
            totals = {self.sid: self.wire.reading()} if self.counted else {}
            self.meeting.monitor.received(totals, None, self.meeting.now)
        self.meeting.collect()

    def read(self) -> None:
        for reading in self.meters.readings():
            self.meeting.monitor.audio(self.sid, reading)
        self.meeting.monitor.microphone(self.sid, self.meters.microphone())

    def close(self) -> None:
        """Hear no more, with the last word told."""
        for transition in self.meters.stop():
            self.meeting.monitor.speech(self.sid, *transition)
        self.read()

    def look(self, stream: Signal, pause_s: float) -> None:
        """Hear it for a moment, after a while in which it was disabled."""
        self.meeting.to(self.meeting.now + pause_s)
        self.hear(stream)
        self.close()


def meeting_with(kind: str = "standard", **changes: Any) -> Meeting:
    meeting = Meeting()
    meeting.connected(person("ann", microphone(**changes), kind=kind))
    meeting.job("AJ_1", "ann")
    return meeting


@pytest.fixture
def ann() -> Listener:
    return Listener(meeting_with())


def decoded_silence(length_s: float) -> Signal:
    """What Opus makes of zeros: near -108 dBov, a step of one now and then."""
    rng = np.random.default_rng(1)
    return (rng.random(round(length_s * RATE)) < 0.017).astype(float)


def talk(length_s: float, dbov: float = -26.0, noise_dbov: float = -65.0) -> Signal:
    """The committed phrases one after the other, as loud as this while they last."""
    spoken = np.concatenate([phrase(name) for name in phrases()])
    spoken = np.resize(spoken, round(length_s * RATE)) * 10 ** ((dbov + 26) / 20)
    return spoken + noise(length_s, noise_dbov, 3)[: len(spoken)]


def clipped(length_s: float, gain_db: float = 24.0) -> Signal:
    return np.clip(talk(length_s) * 10 ** (gain_db / 20), -32768, 32767)


def raised(meeting: Meeting) -> list[str]:
    return [event.issue for event in meeting.of(ev.IssueRaised)]


def resolved(meeting: Meeting) -> list[tuple[str, str]]:
    return [(event.issue, event.reason) for event in meeting.of(ev.IssueResolved)]


def bad(verdict: Verdict | None) -> bool | None:
    return None if verdict is None else verdict.bad


class TestSilent:
    def test_a_dead_microphone_is_told_after_a_minute_and_its_repair_at_once(
        self, ann: Listener
    ) -> None:
        ann.hear(decoded_silence(55))
        assert raised(ann.meeting) == []
        ann.hear(decoded_silence(60))
        (event,) = ann.meeting.of(ev.IssueRaised)
        assert (event.issue, event.track_sid, event.severity) == ("mic_silent", "TR_mic", "warning")
        assert 60 <= seconds(event) <= 75
        assert (event.time - event.since).total_seconds() >= 60
        assert float(event.evidence["heard_s"]) >= 60
        assert -127 <= float(event.evidence["loudest_dbov"]) < -95
        ann.hear(talk(5))
        (over,) = ann.meeting.of(ev.IssueResolved)
        assert over.reason == "recovered"
        assert over.duration_s == pytest.approx(120, abs=1)
        ann.hear(decoded_silence(600))
        assert len(ann.meeting.of(ev.IssueRaised)) == 1, "a pause is not a dead microphone"

    @pytest.mark.parametrize(
        "residue",
        [
            pytest.param(noise(120, -85), id="noise suppression"),
            pytest.param(noise(120, -92), id="dither"),
            pytest.param(np.tile([1.0, -1.0], 60 * RATE), id="a step in each sample"),
        ],
    )
    def test_near_silence_of_a_healthy_one_is_none(self, ann: Listener, residue: Signal) -> None:
        ann.hear(residue)
        assert raised(ann.meeting) == []

    def test_who_spoke_once_and_then_listens_has_a_live_one(self, ann: Listener) -> None:
        ann.hear(talk(3))
        ann.hear(decoded_silence(900))
        assert raised(ann.meeting) == []

    def test_silence_without_packets_is_the_decoders_own(self, ann: Listener) -> None:
        """A publisher whose client hangs, or whose link is gone, has no dead microphone."""
        ann.hear(decoded_silence(30))
        ann.hear(silence(300), packets=False)
        assert raised(ann.meeting) == []
        ann.hear(decoded_silence(40))
        assert raised(ann.meeting) == ["mic_silent"]

    def test_where_no_packets_are_counted_nothing_is_said(self, ann: Listener) -> None:
        ann.counted = False
        ann.hear(decoded_silence(300))
        assert raised(ann.meeting) == []

    @pytest.mark.parametrize("kind", ["sip", "agent", "egress", "ingress", "unknown"])
    def test_of_a_telephone_or_an_agent_silence_says_nothing(self, kind: str) -> None:
        listener = Listener(meeting_with(kind=kind))
        listener.hear(decoded_silence(300))
        assert raised(listener.meeting) == []

    def test_a_fade_in_of_the_decoder_is_no_sound(self, ann: Listener) -> None:
        ann.hear(np.concatenate([tone(0.15, 300, -50), decoded_silence(80)]))
        assert raised(ann.meeting) == ["mic_silent"]

    def test_muting_ends_it_and_unmuting_begins_anew(self, ann: Listener) -> None:
        meeting = ann.meeting
        ann.hear(decoded_silence(70))
        ann.close()
        meeting.monitor.track_muted("TR_mic", True, meeting.now)
        meeting.to(200)
        assert resolved(meeting) == [("mic_silent", "track_muted")]
        meeting.monitor.track_muted("TR_mic", False, meeting.now)
        ann.read()  # before anything was heard
        ann.hear(decoded_silence(55))
        assert len(meeting.of(ev.IssueRaised)) == 1
        ann.hear(decoded_silence(15))
        assert len(meeting.of(ev.IssueRaised)) == 2

    def test_what_was_heard_before_it_was_muted_does_not_prove_it_alive(
        self, ann: Listener
    ) -> None:
        meeting = ann.meeting
        ann.hear(talk(5))
        ann.close()
        meeting.monitor.track_muted("TR_mic", True, meeting.now)
        meeting.to(20)
        meeting.monitor.track_muted("TR_mic", False, meeting.now)
        ann.read()
        ann.hear(decoded_silence(80))
        assert raised(meeting) == ["mic_silent"]

    def test_a_session_that_comes_later_knows_that_it_was_heard(self, ann: Listener) -> None:
        ann.hear(talk(5))
        ann.meeting.job("AJ_2", "ann", "AD_2")
        ann.hear(decoded_silence(120))
        assert raised(ann.meeting) == []

    def test_a_session_after_a_handover_knows_that_it_was_heard(self, ann: Listener) -> None:
        """Behind noise suppression a healthy person who listens sounds like a dead microphone."""
        ann.hear(talk(5))
        ann.close()
        elsewhere = ann.meeting.handed_over(0.5)
        elsewhere.connected(person("ann", microphone()))
        elsewhere.job("AJ_2", "ann", "AD_2")
        Listener(elsewhere).hear(decoded_silence(120))
        assert raised(elsewhere) == []

    def test_a_session_after_a_prepared_handover_knows_that_it_was_heard(
        self, ann: Listener
    ) -> None:
        ann.hear(talk(5))
        ann.close()
        ann.meeting.prepared = (person("ann", microphone()),)
        elsewhere = ann.meeting.handed_over(0.5)
        elsewhere.job("AJ_2", "ann", "AD_2")
        Listener(elsewhere).hear(decoded_silence(120))
        assert raised(elsewhere) == []

    def test_a_mute_in_a_prepared_handover_ends_what_was_known_of_it(self, ann: Listener) -> None:
        """Else a microphone that is dead after it was unmuted is never told."""
        ann.hear(talk(5))
        ann.close()
        ann.meeting.prepared = (person("ann", microphone(muted=True)),)
        elsewhere = ann.meeting.handed_over(0.5)
        elsewhere.monitor.track_muted("TR_mic", False, elsewhere.now)
        elsewhere.job("AJ_2", "ann", "AD_2")
        Listener(elsewhere).hear(decoded_silence(80))
        assert [e.dispatch for e in elsewhere.of(ev.SessionStarted)] == ["AD_2"]
        assert raised(elsewhere) == ["mic_silent"] * 2

    def test_packets_from_before_the_session_are_no_evidence(self) -> None:
        """A second dispatch finds a receiver that has counted for long, and hangs."""
        fault = Silence()
        meter = TrackMeters(RATE, 1, [0.01])
        last = NOTHING

        def hear(packets: int) -> Verdict | None:
            nonlocal last
            meter.feed(decoded_silence(10).astype(np.int16), last.heard_until + 10)
            before, last = last, meter.microphone()
            fault.read(Stretch.between(before, last), last)
            return fault.received(packets)

        assert hear(5000) is None
        assert fault.silent_s == 0
        assert hear(5000) is None
        assert fault.silent_s == 0
        assert hear(5010) is None
        assert fault.silent_s == pytest.approx(10, abs=0.5)

    def test_looks_now_and_then_add_up(self, ann: Listener) -> None:
        for _ in range(31):
            ann.look(decoded_silence(2.2), 60.0)
        assert raised(ann.meeting) == ["mic_silent"]

    def test_another_meter_and_another_process_go_on_with_it(self, ann: Listener) -> None:
        ann.hear(decoded_silence(40))
        elsewhere = ann.meeting.handed_over(1.0)
        elsewhere.connected(person("ann", microphone()))
        again = Listener(elsewhere)
        again.hear(decoded_silence(15))
        assert raised(elsewhere) == []
        again.hear(decoded_silence(15))
        assert raised(elsewhere) == ["mic_silent"]
        again.hear(talk(5))
        assert resolved(elsewhere) == [("mic_silent", "recovered")]


class TestQuiet:
    def test_told_after_ten_seconds_of_speech_and_over_when_turned_up(self, ann: Listener) -> None:
        ann.hear(talk(30, -42))
        (event,) = ann.meeting.of(ev.IssueRaised)
        assert event.issue == "mic_quiet"
        assert 10 <= seconds(event) <= 20
        assert event.evidence["level_dbov"] == pytest.approx(-42, abs=1)
        assert event.evidence["floor_dbov"] == pytest.approx(-65, abs=2)
        assert float(event.evidence["speech_s"]) >= 10
        ann.hear(talk(30, -28))
        assert resolved(ann.meeting) == [("mic_quiet", "recovered")]
        assert 5 <= seconds(ann.meeting.of(ev.IssueResolved)[0]) - 30 <= 20

    @pytest.mark.parametrize("dbov", [-26, -35])
    def test_a_voice_that_is_loud_enough(self, ann: Listener, dbov: float) -> None:
        ann.hear(talk(60, dbov))
        assert raised(ann.meeting) == []

    def test_it_does_not_come_and_go_at_the_threshold(self, ann: Listener) -> None:
        for dbov in (-37, -35, -37, -34.5, -37, -35):
            ann.hear(talk(15, dbov))
        assert raised(ann.meeting) == ["mic_quiet"]
        assert resolved(ann.meeting) == []

    @pytest.mark.parametrize(
        "sounds",
        [
            pytest.param(noise(120, -50), id="a room"),
            pytest.param(np.concatenate([noise(1, -60), noise(0.05, -38)] * 100), id="typing"),
            pytest.param(talk(120, -60), id="voices far away"),
        ],
    )
    def test_who_does_not_talk_is_not_quiet(self, ann: Listener, sounds: Signal) -> None:
        ann.hear(sounds)
        assert raised(ann.meeting) == []

    def test_noise_between_the_words_makes_them_no_quieter(self, ann: Listener) -> None:
        """P.56 reads a mean of both where they are less than 16 dB apart."""
        for _ in range(12):
            ann.hear(np.concatenate([phrase("scotland") * 0.5, noise(8, -47)]))
        assert "mic_quiet" not in raised(ann.meeting)

    def test_one_word_at_a_time_adds_up(self, ann: Listener) -> None:
        for _ in range(10):
            ann.look(np.concatenate([talk(2.5, -42), noise(1, -65)]), 30.0)
        assert raised(ann.meeting) == ["mic_quiet"]

    def test_the_session_says_what_is_speech(self) -> None:
        meeting = Meeting()
        meeting.connected(person("ann", microphone()))
        meeting.job("AJ_1", "ann", speaking_threshold=0.003)
        listener = Listener(meeting, threshold=0.003)
        listener.hear(talk(30, -50, -75))
        assert raised(meeting) == ["mic_quiet"]


class TestNoisy:
    def test_told_after_a_minute_and_over_when_it_ends(self, ann: Listener) -> None:
        ann.hear(noise(120, -40))
        (event,) = ann.meeting.of(ev.IssueRaised)
        assert event.issue == "mic_noisy"
        assert 60 <= seconds(event) <= 66
        assert event.evidence == {"floor_dbov": pytest.approx(-40, abs=1)}
        ann.hear(noise(60, -60))
        assert resolved(ann.meeting) == [("mic_noisy", "recovered")]
        assert 15 <= seconds(ann.meeting.of(ev.IssueResolved)[0]) - 120 <= 30

    @pytest.mark.parametrize(
        "sounds",
        [
            pytest.param(noise(180, -50), id="a fan"),
            pytest.param(talk(180), id="a talker"),
            pytest.param(np.concatenate([noise(25, -40), noise(20, -60)] * 4), id="now and then"),
            pytest.param(decoded_silence(50), id="silence"),
        ],
    )
    def test_rooms_that_are_quiet_enough(self, ann: Listener, sounds: Signal) -> None:
        ann.hear(sounds)
        assert raised(ann.meeting) == []

    def test_speech_over_the_noise_tells_how_far(self, ann: Listener) -> None:
        ann.hear(talk(120, -24, -40))
        (event,) = ann.meeting.of(ev.IssueRaised)
        assert event.issue == "mic_noisy"
        assert event.evidence["snr_db"] == pytest.approx(16, abs=2)

    def test_a_loud_voice_close_to_the_microphone_is_clear(self, ann: Listener) -> None:
        ann.hear(talk(120, -18, -44.5))
        assert raised(ann.meeting) == []

    def test_it_does_not_come_and_go_at_the_threshold(self, ann: Listener) -> None:
        for dbov in (-44, -46, -44, -47, -44, -46):
            ann.hear(noise(30, dbov))
        assert raised(ann.meeting) == ["mic_noisy"]
        assert resolved(ann.meeting) == []

    def test_looks_now_and_then_add_up(self, ann: Listener) -> None:
        for _ in range(12):
            ann.look(noise(2.2, -40), 60.0)
        assert raised(ann.meeting) == ["mic_noisy"]

    def test_a_look_at_a_dropout_does_not_end_it(self, ann: Listener) -> None:
        ann.hear(noise(90, -40))
        ann.hear(silence(5))
        ann.hear(noise(30, -40))
        assert resolved(ann.meeting) == []


class TestClipping:
    def test_told_after_ten_seconds_and_over_when_turned_down(self, ann: Listener) -> None:
        ann.hear(clipped(30))
        (event,) = ann.meeting.of(ev.IssueRaised)
        assert event.issue == "mic_clipping"
        assert 10 <= seconds(event) <= 20
        assert float(event.evidence["clipped_ratio"]) > 0.001
        assert float(event.evidence["level_dbov"]) > -12
        assert float(event.evidence["active_s"]) >= 5
        ann.hear(talk(40, -20))
        assert resolved(ann.meeting) == [("mic_clipping", "recovered")]
        assert 5 <= seconds(ann.meeting.of(ev.IssueResolved)[0]) - 30 <= 25

    def test_a_loud_voice_that_is_not_cut_off(self, ann: Listener) -> None:
        loud = talk(60)
        ann.hear(loud * (32000 / np.max(np.abs(loud))))
        assert raised(ann.meeting) == []

    def test_somebody_who_knocks_at_the_microphone(self, ann: Listener) -> None:
        stream = talk(120)
        for at in range(0, len(stream), 20 * RATE):
            stream[at + RATE : at + RATE + RATE // 100] = 32767
        ann.hear(stream)
        assert raised(ann.meeting) == []

    def test_a_pause_is_no_repair(self, ann: Listener) -> None:
        ann.hear(clipped(20))
        ann.hear(decoded_silence(300))
        assert resolved(ann.meeting) == []

    def test_an_offset_is_told_along_with_it(self, ann: Listener) -> None:
        ann.hear(np.clip(clipped(20) + 4000, -32768, 32767))
        (event,) = ann.meeting.of(ev.IssueRaised)
        assert event.evidence["dc"] == pytest.approx(0.12, abs=0.03)

    def test_a_vote_for_its_end_is_none_for_it_after_a_mute(self) -> None:
        """Somebody who knocks at the microphone once clips one share, which is too few."""
        fault, heard_s, rail_s = Clipping(), 0.0, 0.0

        def share(ratio: float) -> Verdict | None:
            nonlocal heard_s, rail_s
            heard_s, rail_s = heard_s + 6, rail_s + 6 * ratio
            last = msgspec.structs.replace(
                NOTHING,
                heard_s=heard_s,
                heard_until=heard_s,
                energy=0.05 * heard_s,
                active_s=(heard_s,) * 13 + (0.0,) * 2,
                rail_s=rail_s,
            )
            before = msgspec.structs.replace(
                last,
                heard_s=heard_s - 6,
                energy=0.05 * (heard_s - 6),
                active_s=(heard_s - 6,) * 13 + (0.0,) * 2,
                rail_s=rail_s - 6 * ratio,
            )
            return fault.read(Stretch.between(before, last), last)

        assert [bad(share(ratio)) for ratio in (0.01, 0.01, 0.0)] == [False, True, True]
        mic = Microphone(clipping=fault)
        mic.mute()
        mic.mute()
        assert [bad(share(ratio)) for ratio in (0.01, 0.01)] == [False, True]


class TestLife:
    FAULTS = (noise(90, -40), clipped(30), talk(30, -42))

    @pytest.mark.parametrize("stream", FAULTS, ids=["noisy", "clipping", "quiet"])
    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            ("muted", "track_muted"),
            ("unpublished", "track_ended"),
            ("left", "track_ended"),
            ("opted out", "opted_out"),
        ],
    )
    def test_it_ends_with_what_it_hangs_on(
        self, ann: Listener, stream: Signal, event: str, reason: str
    ) -> None:
        meeting = ann.meeting
        ann.hear(stream)
        (issue,) = raised(meeting)
        ann.close()
        if event == "muted":
            meeting.monitor.track_muted("TR_mic", True, meeting.now)
        elif event == "unpublished":
            meeting.monitor.track_unpublished("TR_mic", meeting.now)
        elif event == "left":
            meeting.monitor.participant_left("ann", "client_initiated", meeting.now)
        else:
            meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, meeting.now)
        meeting.to(meeting.now + 10)
        assert resolved(meeting) == [(issue, reason)]

    @pytest.mark.parametrize(
        ("stream", "again", "enough"),
        [
            (noise(90, -40), noise(5, -40), noise(90, -40)),
            (clipped(30), clipped(10), clipped(30)),
            (talk(30, -42), talk(30, -35), talk(30, -42)),
            (decoded_silence(90), decoded_silence(20), decoded_silence(90)),
        ],
        ids=["noisy", "clipping", "quiet", "silent"],
    )
    def test_what_was_heard_before_an_opt_out_is_held_against_nobody(
        self, ann: Listener, stream: Signal, again: Signal, enough: Signal
    ) -> None:
        """Who opts in again is judged by what is heard from then on."""
        meeting = ann.meeting
        ann.hear(stream)
        (issue,) = raised(meeting)
        ann.close()
        meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, meeting.now)
        meeting.to(meeting.now + 300)
        back_at = meeting.now
        meeting.monitor.attributes_changed("ann", {}, back_at)
        later = Listener(meeting)
        later.hear(again)
        assert raised(meeting) == [issue]
        later.hear(enough)
        assert raised(meeting) == [issue, issue]
        since = (meeting.of(ev.IssueRaised)[-1].since - EPOCH).total_seconds()
        assert since >= back_at

    def test_an_opt_out_keeps_what_the_summary_has_and_that_it_was_heard(
        self, ann: Listener
    ) -> None:
        meeting = ann.meeting
        ann.hear(talk(30, -24))
        ann.close()
        meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, meeting.now)
        meeting.to(meeting.now + 60)
        meeting.monitor.attributes_changed("ann", {}, meeting.now)
        Listener(meeting).hear(decoded_silence(120))
        assert raised(meeting) == []
        (track,) = meeting.summary().tracks
        assert track.level_dbov == pytest.approx(-24, abs=1.5)

    def test_who_unmutes_for_each_word_is_told_once_a_minute_at_most(self, ann: Listener) -> None:
        meeting = ann.meeting
        for _ in range(30):
            ann.hear(clipped(6))
            ann.close()
            meeting.monitor.track_muted("TR_mic", True, meeting.now)
            meeting.to(meeting.now + 2)
            meeting.monitor.track_muted("TR_mic", False, meeting.now)
        assert 1 <= len(raised(meeting)) <= 4
        assert len(resolved(meeting)) == len(raised(meeting))

    @pytest.mark.parametrize(
        "changes",
        [{"muted": True}, {"encrypted": True}, {"source": "screen_share_audio"}],
        ids=["muted", "encrypted", "screen share"],
    )
    @pytest.mark.parametrize("stream", [*FAULTS, decoded_silence(90)])
    def test_what_is_not_a_microphone_that_is_on(
        self, changes: dict[str, Any], stream: Signal
    ) -> None:
        listener = Listener(meeting_with(**changes))
        if "muted" in changes:
            listener.meeting.to(90)  # nothing comes from it
        else:
            listener.hear(stream)
        assert raised(listener.meeting) == []

    def test_a_telephone_that_rings_is_nobody(self) -> None:
        meeting = Meeting()
        ringing = {"sip.callStatus": "ringing"}
        meeting.connected(person("ann", microphone(), kind="sip", attributes=ringing))
        meeting.job("AJ_1", "ann")
        listener = Listener(meeting)
        listener.hear(noise(90, -30))
        assert raised(meeting) == []
        meeting.monitor.attributes_changed("ann", {"sip.callStatus": "active"}, meeting.now)
        listener.hear(noise(50, -30))
        assert raised(meeting) == []
        listener.hear(noise(30, -30))
        assert raised(meeting) == ["mic_noisy"]

    def test_who_watches_no_audio_hears_of_none(self) -> None:
        meeting = Meeting()
        meeting.connected(person("ann", microphone()))
        meeting.job("AJ_1", "ann", monitoring_type="video")
        listener = Listener(meeting)
        listener.hear(noise(90, -30))
        assert raised(meeting) == []

    def test_the_summary_has_the_level_of_speech_and_the_floor(self, ann: Listener) -> None:
        ann.hear(np.concatenate([talk(30, -24), noise(60, -65)]))
        (track,) = ann.meeting.summary().tracks
        assert track.level_dbov == pytest.approx(-24, abs=1.5)
        assert track.floor_dbov == pytest.approx(-65, abs=1.5)
        assert track.clipped_ratio == 0

    def test_who_never_spoke_has_no_level(self, ann: Listener) -> None:
        ann.hear(noise(30, -65))
        (track,) = ann.meeting.summary().tracks
        assert (track.level_dbov, track.clipped_ratio) == (None, None)
        assert track.floor_dbov == pytest.approx(-65, abs=1)


SOUNDS = {
    "dead": decoded_silence(5),
    "talk": talk(5),
    "quiet": talk(5, -44),
    "clipped": clipped(5),
    "noise": noise(5, -38),
    "room": noise(5, -62),
    "loud": at_level(noise(5, 0), -9),
}
STEPS = st.lists(st.tuples(st.sampled_from([*SOUNDS, "mute", "suspend"]), st.integers(1, 12)))


@given(STEPS)
def test_whatever_is_heard_issues_alternate_and_are_told_by_then(
    steps: list[tuple[str, int]],
) -> None:
    """Raised and resolved take turns, in order of time and not before their evidence."""
    listener = Listener(meeting_with())
    meeting, muted = listener.meeting, False
    for what, times in steps:
        if what == "mute":
            listener.close()
            muted = not muted
            meeting.monitor.track_muted("TR_mic", muted, meeting.now)
        elif what == "suspend":
            listener.close()
            meeting.monitor.suspend(meeting.now)
            meeting.to(meeting.now + times)
            meeting.monitor.resumed(meeting.now)
        elif not muted:
            listener.hear(np.tile(SOUNDS[what], times))
    told = meeting.of(ev.IssueRaised) + meeting.of(ev.IssueResolved)
    for issue in {event.issue for event in told}:
        life = [event for event in meeting.events if getattr(event, "issue", None) == issue]
        kinds = [type(event) for event in life]
        assert kinds[::2] == [ev.IssueRaised] * len(kinds[::2])
        assert kinds[1::2] == [ev.IssueResolved] * len(kinds[1::2])
        at = [seconds(event) for event in life]
        assert at == sorted(at)
        assert all(time <= meeting.now for time in at)
        for over, again in zip(at[1::2], at[2::2], strict=False):
            assert again - over >= RULES[issue].cooldown_s


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_how_often_it_is_read_does_not_matter(pieces: list[int]) -> None:
    """Sums over any readings are those over the whole."""
    samples = np.round(talk(4)).astype(np.int16)
    meters, total, last = TrackMeters(RATE, 1, [0.01]), Stretch(), NOTHING
    for count in pieces:
        for _ in range(count):
            meters.feed(samples[: RATE // 10], 0.0)
        reading = meters.microphone()
        total.add(Stretch.between(last, reading))
        last = reading
    whole = Stretch.between(None, last)
    assert total.active_s == pytest.approx(whole.active_s)
    assert (total.heard_s, total.energy) == pytest.approx((whole.heard_s, whole.energy))


def test_a_state_survives_its_encoding() -> None:
    listener = Listener(meeting_with())
    listener.hear(np.concatenate([talk(12, -42), noise(30, -40)]))
    mic = listener.meeting.monitor.sessions.all()[0].ledger.tracks["TR_mic"].mic
    assert mic is not None
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(mic), type=Microphone) == mic
    assert isinstance(mic.mute()[0], Verdict)
