"""Talk time: it bills speech once, and stops at mute, unpublish, leave and a lost connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from room_driver import Meeting, microphone, person, seconds, wanted

from pmon.monitor import events as ev
from pmon.monitor.inputs import AudioReading
from pmon.monitor.talk import Talk


@pytest.fixture
def meeting() -> Meeting:
    meeting = Meeting()
    meeting.connected(person("ann", microphone()))
    meeting.job("AJ_1", "ann")
    return meeting


def test_turns_are_billed_as_speech_and_dated_when_they_happened(meeting: Meeting) -> None:
    meeting.speak(1.0, 4.0)
    meeting.speak(6.5, 8.0)
    started, stopped = meeting.of(ev.SpeakingStarted), meeting.of(ev.SpeakingStopped)
    assert [seconds(e) for e in started] == [1.0, 6.5]
    assert [(seconds(e), e.turn_s, e.talk_time_s) for e in stopped] == [
        (4.0, 3.0, 3.0),
        (8.0, 1.5, 4.5),
    ]
    assert {e.heard for e in (*started, *stopped)} == {"pcm"}
    assert {e.track_sid for e in (*started, *stopped)} == {"TR_mic"}
    meeting.to(60)
    summary = meeting.summary()
    assert (summary.talk_time_s, summary.turns, summary.talk_share) == (4.5, 2, 1.0)


def test_mute_ends_speech_although_the_meter_never_says_so(meeting: Meeting) -> None:
    meeting.to(1)
    meeting.monitor.speech("TR_mic", 0.01, True, 1.0)
    meeting.to(3)
    meeting.monitor.track_muted("TR_mic", True, 3.0)
    meeting.to(60)
    assert [e.turn_s for e in meeting.of(ev.SpeakingStopped)] == [2.0]
    assert meeting.types().index("speaking_stopped") < meeting.types().index("track_muted")
    assert meeting.summary().talk_time_s == 2.0


def test_mute_bills_no_hangover(meeting: Meeting) -> None:
    """The reading says when speech really ended; the cut may not be billed up to the mute."""
    meeting.to(1)
    meeting.monitor.speech("TR_mic", 0.01, True, 1.0)
    meeting.to(3)
    meeting.monitor.audio("TR_mic", reading(heard_s=3.0, speech_s=1.8, speech_until=2.8))
    meeting.monitor.track_muted("TR_mic", True, 3.0)
    assert [e.turn_s for e in meeting.of(ev.SpeakingStopped)] == [1.8]


@pytest.mark.parametrize("how", ["unpublish", "leave", "reconnect", "end", "opt out"])
def test_speech_ends_with_what_carried_it(meeting: Meeting, how: str) -> None:
    meeting.to(1)
    meeting.monitor.speech("TR_mic", 0.01, True, 1.0)
    meeting.to(3)
    match how:
        case "unpublish":
            meeting.monitor.track_unpublished("TR_mic", 3.0)
        case "leave":
            meeting.monitor.participant_left("ann", "client_initiated", 3.0)
        case "reconnect":
            meeting.monitor.suspend(3.0)
        case "end":
            meeting.monitor.end_job("AJ_1", "job_terminated", 3.0)
        case "opt out":
            meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, 3.0)
    meeting.to(100)
    assert [(seconds(e), e.turn_s) for e in meeting.of(ev.SpeakingStopped)] == [(3.0, 2.0)]


def test_two_microphones_of_one_person_are_billed_once(meeting: Meeting) -> None:
    meeting.monitor.track_published("ann", microphone("TR_two"), 0.0)
    meeting.to(1)
    meeting.monitor.speech("TR_mic", 0.01, True, 1.0)
    meeting.to(2)
    meeting.monitor.speech("TR_two", 0.01, True, 2.0)
    meeting.to(4)
    meeting.monitor.speech("TR_mic", 0.01, False, 4.0)
    meeting.to(5)
    meeting.monitor.speech("TR_two", 0.01, False, 5.0)
    assert [e.turn_s for e in meeting.of(ev.SpeakingStopped)] == [4.0]
    assert len(meeting.of(ev.SpeakingStarted)) == 1


def test_an_onset_that_is_told_late_counts_though_another_microphone_was_faster(
    meeting: Meeting,
) -> None:
    meeting.monitor.track_published("ann", microphone("TR_two"), 0.0)
    meeting.to(5)
    meeting.monitor.speech("TR_mic", 0.01, True, 4.9)
    meeting.to(5.2)
    meeting.monitor.speech("TR_two", 0.01, True, 4.4)
    meeting.to(6)
    meeting.monitor.speech("TR_mic", 0.01, False, 5.5)
    meeting.monitor.speech("TR_two", 0.01, False, 6.0)
    (stopped,) = meeting.of(ev.SpeakingStopped)
    assert (stopped.turn_s, stopped.talk_time_s) == (1.6, 1.6)
    assert [seconds(e) for e in meeting.of(ev.SpeakingStarted)] == [4.9]
    meeting.to(20)
    summary = meeting.summary()
    assert summary.room is not None
    assert (summary.talk_time_s, summary.turns, summary.room.talk_s) == (1.6, 1, 1.6)


def test_and_overlaps_with_whoever_speaks_meanwhile(meeting: Meeting) -> None:
    meeting.monitor.track_published("ann", microphone("TR_two"), 0.0)
    meeting.monitor.participant_joined(person("bob", microphone("TR_bob")), 0.0)
    meeting.job("AJ_2", "bob")
    meeting.to(5)
    meeting.monitor.speech("TR_bob", 0.01, True, 4.0)
    meeting.monitor.speech("TR_mic", 0.01, True, 5.0)
    meeting.to(5.25)
    meeting.monitor.speech("TR_two", 0.01, True, 4.5)
    meeting.to(7)
    for sid in ("TR_mic", "TR_two", "TR_bob"):
        meeting.monitor.speech(sid, 0.01, False, 6.0)
    meeting.to(20)
    summaries = [meeting.summary("AJ_1"), meeting.summary("AJ_2")]
    assert [summary.overlap_s for summary in summaries] == [1.5, 1.5]
    assert summaries[1].room is not None
    assert summaries[1].room.overlap_s == 1.5


@pytest.mark.parametrize("gone", ["mute", "outage"])
@pytest.mark.parametrize("at", [4.8, 5.0, 6.0])
def test_speech_that_is_told_after_its_microphone_is_off_does_not_begin(
    meeting: Meeting, at: float, gone: str
) -> None:
    """Nothing would end it."""
    meeting.to(5)
    if gone == "mute":
        meeting.monitor.track_muted("TR_mic", True, 5.0)
    else:
        meeting.monitor.suspend(5.0)
    meeting.to(max(5.0, at))
    meeting.monitor.speech("TR_mic", 0.01, True, at)
    meeting.to(30)
    if gone == "mute":
        meeting.monitor.track_muted("TR_mic", False, 30.0)
    else:
        meeting.monitor.resumed(30.0)
    meeting.speak(31.0, 32.0)
    meeting.to(60)
    assert meeting.summary().talk_time_s == 1.0


def test_screen_share_audio_is_not_speech(meeting: Meeting) -> None:
    track = microphone("TR_tab", source="screen_share_audio")
    meeting.monitor.track_published("ann", track, 0.0)
    assert set(wanted(meeting.monitor)) == {"TR_mic"}


def test_each_dispatch_has_its_own_threshold(meeting: Meeting) -> None:
    meeting.job("AJ_2", "ann", "AD_2", speaking_threshold=0.1)
    meeting.speak(1.0, 2.0, threshold=0.01)
    meeting.speak(3.0, 5.0, threshold=0.1)
    assert [(e.job, e.turn_s) for e in meeting.of(ev.SpeakingStopped)] == [
        ("AJ_1", 1.0),
        ("AJ_2", 2.0),
    ]


def test_a_session_that_begins_in_the_middle_of_a_turn_bills_from_there(meeting: Meeting) -> None:
    meeting.to(1)
    meeting.monitor.speech("TR_mic", 0.01, True, 1.0)
    meeting.to(3)
    meeting.job("AJ_2", "ann", "AD_2")
    meeting.to(5)
    meeting.monitor.speech("TR_mic", 0.01, False, 5.0)
    assert [(e.job, e.turn_s) for e in meeting.of(ev.SpeakingStopped)] == [
        ("AJ_1", 4.0),
        ("AJ_2", 2.0),
    ]


def test_sip_bills_nothing_before_the_call_is_answered() -> None:
    meeting = Meeting()
    ringing = person("sip_1", microphone(), kind="sip", attributes={"sip.callStatus": "ringing"})
    meeting.connected(ringing)
    meeting.job("AJ_1", "sip_1")
    meeting.speak(1.0, 5.0)
    assert not meeting.of(ev.SpeakingStarted)
    meeting.monitor.attributes_changed("sip_1", {"sip.callStatus": "active"}, 5.0)
    meeting.speak(6.0, 7.0)
    assert meeting.summary().talk_time_s == 1.0


def test_level_in_speech_is_the_mean_power_since_the_session_began(meeting: Meeting) -> None:
    meeting.to(1)
    meeting.monitor.audio("TR_mic", reading(heard_s=1, speech_s=1, power=0.01))
    meeting.job("AJ_2", "ann", "AD_2")
    meeting.to(3)
    # Two more seconds at a tenth of the power: the whole is (1 * 0.01 + 2 * 0.001) / 3.
    meeting.monitor.audio("TR_mic", reading(heard_s=3, speech_s=3, power=0.012 / 3))
    later, whole = meeting.summary("AJ_2"), meeting.summary("AJ_1")
    assert later.level_dbov == -30.0
    assert whole.level_dbov == -24.0
    assert (later.coverage.heard_s, whole.coverage.heard_s) == (2.0, 3.0)


def reading(
    heard_s: float, speech_s: float, speech_until: float = 0.0, power: float = 0.01
) -> AudioReading:
    return AudioReading(
        threshold=0.01,
        heard_s=heard_s,
        heard_until=heard_s,
        speech_s=speech_s,
        speech_until=speech_until,
        speech_power=power,
    )


class TestServerWord:
    """Encrypted microphones: the server's events are all there is."""

    @pytest.fixture
    def sealed(self) -> Meeting:
        meeting = Meeting()
        meeting.connected(person("ann", microphone(encrypted=True)))
        meeting.job("AJ_1", "ann")
        return meeting

    def test_speech_is_told_with_the_servers_lag_taken_out(self, sealed: Meeting) -> None:
        sealed.to(10)
        sealed.monitor.speakers(["ann"], 10.0)
        sealed.to(14)
        sealed.monitor.speakers([], 14.0)
        sealed.to(20)
        assert [seconds(e) for e in sealed.of(ev.SpeakingStarted)] == [pytest.approx(9.4)]
        assert [e.turn_s for e in sealed.of(ev.SpeakingStopped)] == [pytest.approx(4.0)]
        assert {e.heard for e in sealed.of(ev.SpeakingStopped)} == {"server"}
        summary = sealed.summary()
        assert summary.heard == "server"
        assert summary.coverage.heard_s == 0
        assert summary.coverage.server_word_s == pytest.approx(20.0)

    def test_somebody_elses_end_does_not_end_it(self, sealed: Meeting) -> None:
        sealed.to(10)
        sealed.monitor.speakers(["ann"], 10.0)
        sealed.to(12)
        sealed.monitor.speakers([], 12.0)  # another one stopped
        sealed.to(12.5)
        sealed.monitor.speakers(["ann"], 12.5)  # ann grew louder
        sealed.to(20)
        assert not sealed.of(ev.SpeakingStopped)

    def test_mute_ends_it(self, sealed: Meeting) -> None:
        sealed.to(10)
        sealed.monitor.speakers(["ann"], 10.0)
        sealed.to(12)
        sealed.monitor.track_muted("TR_mic", True, 12.0)
        (stopped,) = sealed.of(ev.SpeakingStopped)
        assert seconds(stopped) == 12.0, "it is known, unlike an end that the server tells"
        assert sealed.types()[-2:] == ["speaking_stopped", "track_muted"]

    def test_it_is_not_asked_where_audio_is_decoded(self, meeting: Meeting) -> None:
        meeting.to(10)
        meeting.monitor.speakers(["ann"], 10.0)
        meeting.to(20)
        assert not meeting.of(ev.SpeakingStarted)


spans = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 1000),
        st.integers(0, 300),
        st.integers(0, 100),
    ),
    max_size=20,
)


@given(spans)
def test_talk_time_is_the_length_of_the_union(runs: list[tuple[str, int, int, int]]) -> None:
    """Checked against a brute-force union of whole seconds, with onsets that are told late.

    What lies before the end of a turn that was told is not billed any more.
    """
    per_source: dict[str, int] = {}
    edges = []
    for source, gap, length, late in runs:
        start = per_source.get(source, 0) + gap + 1
        stop = per_source[source] = start + length
        edges += [(min(start + late, stop), 1, source, start), (stop, 0, source, stop)]
    talk = Talk(0.0)
    billed, covered, told_until = 0.0, set(), 0
    speaking: dict[str, int] = {}
    for _, begins, source, at in sorted(edges, key=lambda e: (e[0], -e[1])):
        if begins:
            talk.start(source, float(at))
            speaking[source] = max(at, told_until)
            continue
        turn = talk.stop(source, float(at))
        billed += turn.duration_s if turn else 0.0
        covered |= set(range(speaking.pop(source), at))
        told_until = told_until if speaking else at
    assert not talk.speaking
    assert talk.talk_time_s() == len(covered) == billed


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 1e6))))
def test_talk_never_bills_a_negative_turn(calls: list[tuple[str, bool, float]]) -> None:
    """Whatever order and times the calls come in: stale onsets, stops without a start."""
    talk = Talk(100.0)
    for source, begins, at in calls:
        if begins:
            talk.start(source, at)
        else:
            turn = talk.stop(source, at)
            assert turn is None or turn.duration_s >= 0
    assert talk.talk_time_s() >= 0
