"""The benchmark's figures must follow from what was told and what was said, and nothing else."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from capacity import compare
from capacity.observed import Observed
from capacity.results import Speech
from capacity.rows import PATROL_ROUNDS_S
from capacity.server import traffic_of
from load_model import Span, Truth

KEY = "room", "anna"
PAGE = """
# TYPE livekit_packet_bytes counter
livekit_packet_bytes{country="",direction="incoming",transmission="initial"} 1.5e+06
livekit_packet_bytes{country="",direction="outgoing",transmission="initial"} 1000
livekit_packet_bytes{country="",direction="outgoing",transmission="retransmit"} 24
livekit_packet_total{country="",direction="outgoing",transmission="initial"} 7
"""


def person(
    kind: str = "normal", *, segments: list[Span], frozen: list[Span] | None = None
) -> Truth:
    """A truth with one participant, whose turns are the segments."""
    one = {
        "kind": kind,
        "camera": frozen is not None,
        "segments": segments,
        "bursts": segments,
        "muted": [],
        "frozen": frozen or [],
        "present": [],
    }
    rooms = {KEY[0]: {KEY[1]: one}}
    return msgspec.json.decode(json.dumps({"ended": True, "rooms": rooms}), type=Truth)


def observed(until: float = 100.0) -> Observed:
    seen = Observed(until=until)
    seen.present[KEY] = 0.0
    return seen


def test_delay_is_from_the_first_speech_of_a_turn_to_the_first_event_in_it() -> None:
    seen = observed()
    seen.onsets[KEY] = [10.3, 21.5, 50.4]
    seen.turns[KEY] = [(14.0, 4.0), (24.0, 4.0), (54.0, 4.0)]
    figures = compare.speech([seen], person(segments=[(10, 14), (20, 24), (50, 54)]))
    assert (figures.turns, figures.turns_told) == (3, 3)
    assert figures.late_median_s == pytest.approx(0.4)
    assert figures.late_p99_s == pytest.approx(1.5)


def test_a_turn_that_was_never_told_is_infinitely_late() -> None:
    seen = observed()
    seen.onsets[KEY] = [10.3, 20.3]
    seen.turns[KEY] = [(14.0, 4.0), (24.0, 4.0)]
    figures = compare.speech([seen], person(segments=[(10, 14), (20, 24), (50, 54)]))
    assert (figures.turns, figures.turns_told) == (3, 2)
    assert figures.late_median_s == pytest.approx(0.3)
    assert figures.late_p99_s == math.inf
    assert msgspec.json.decode(msgspec.json.encode(figures), type=Speech) == figures


def test_turns_of_all_rounds_count() -> None:
    """Of alternating watchers the first round alone would be told."""
    first, second, truth = observed(30.0), observed(60.0), person(segments=[(10, 14), (40, 44)])
    second.present[KEY], second.settled = 32.0, 34.0
    first.onsets[KEY], second.onsets[KEY] = [10.5], [41.5]
    first.talk_s[KEY], second.talk_s[KEY] = 4.0, 2.0
    figures = compare.speech([first, second], truth)
    assert (figures.turns, figures.turns_told) == (2, 2)
    assert figures.late_p99_s == pytest.approx(1.5)
    assert figures.talk_error == pytest.approx(6 / 8 - 1)


def test_a_turn_that_begins_within_a_told_one_is_not_late() -> None:
    seen = observed()
    seen.onsets[KEY] = [10.3, 40.2]
    seen.turns[KEY] = [(18.0, 8.0)]
    turns: list[Span] = [(10, 14), (14.3, 18), (40, 44), (44.2, 50)]
    figures = compare.speech([seen], person(segments=turns))
    assert (figures.turns, figures.turns_told) == (2, 2)


def test_a_turn_told_only_after_its_end_is_over_when_the_next_begins() -> None:
    seen = observed()
    seen.onsets[KEY] = [11.2]
    seen.turns[KEY] = [(11.0, 1.0)]
    figures = compare.speech([seen], person(segments=[(10, 11), (15, 19)]))
    assert (figures.turns, figures.turns_told) == (2, 1)


def test_a_told_turn_that_never_ends_hides_no_later_ones() -> None:
    seen = observed()
    seen.onsets[KEY] = [10.3]
    figures = compare.speech([seen], person(segments=[(10, 14), (50, 54), (70, 74)]))
    assert (figures.turns, figures.turns_told) == (3, 1)


def test_who_was_never_watched_is_never_told() -> None:
    seen = Observed(until=100.0, settled=5.0)
    seen.onsets["room", "bert"] = [20.0]
    seen.talk_s["room", "bert"] = 4.0
    figures = compare.speech([seen], person(segments=[(20, 24)]))
    assert (figures.turns, figures.turns_told) == (1, 0)
    assert figures.talk_error == -1.0


def test_a_session_without_a_summary_billed_nothing() -> None:
    seen = observed()
    seen.present["room", "bert"] = 0.0
    seen.talk_s["room", "bert"] = 10.0
    truth = person(segments=[(10, 20)])
    truth.rooms["room"]["bert"] = truth.rooms["room"]["anna"]
    assert compare.speech([seen], truth).talk_error == pytest.approx(-0.5)


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (2, 2), (50, 50), (100, 99), (101, 100)])
def test_a_percentile_is_the_nearest_rank(count: int, rank: int) -> None:
    assert compare.percentile([float(n) for n in range(1, count + 1)], 0.99) == rank


def test_turns_that_begin_while_joining_or_end_after_the_watcher_say_nothing_of_delay() -> None:
    seen = observed(until=60.0)
    seen.onsets[KEY] = [3.0, 59.5]
    figures = compare.speech([seen], person(segments=[(2, 4), (59, 63)]))
    assert figures.turns == 0
    assert figures.late_median_s is None


def test_talk_time_is_compared_with_what_was_said_while_somebody_watched() -> None:
    seen = observed(until=30.0)
    seen.present[KEY] = 10.0
    seen.talk_s[KEY] = 9.0
    figures = compare.speech([seen], person(segments=[(5, 15), (25, 35)]))
    assert figures.talk_error == pytest.approx(9 / 10 - 1)


def test_a_voice_the_server_does_not_hear_counts_apart_and_from_when_it_was_found() -> None:
    seen = observed()
    seen.onsets[KEY] = [40.0]
    seen.turns[KEY] = [(44.0, 4.0), (54.0, 3.0)]
    seen.talk_s[KEY] = 7.0
    figures = compare.speech([seen], person("quiet", segments=[(10, 14), (40, 44), (50, 54)]))
    assert figures.talk_error is None
    assert (figures.hard, figures.hard_found) == (1, 1)
    assert figures.hard_billed == pytest.approx(7 / 8)
    assert figures.hard_error == pytest.approx(7 / 12 - 1)


def test_a_voice_found_after_two_patrol_rounds_is_not_found() -> None:
    seen = observed(until=600.0)
    seen.onsets[KEY] = [PATROL_ROUNDS_S + 1]
    figures = compare.speech([seen], person("no_levels", segments=[(361, 365)]))
    assert (figures.hard, figures.hard_found) == (1, 0)
    assert figures.hard_billed is None


def test_a_freeze_is_told_only_by_a_state_within_it() -> None:
    seen = observed(until=300.0)
    seen.video[KEY] = [(5.0, "frozen"), (20.0, "live"), (70.0, "frozen"), (130.0, "live")]
    video = compare.cameras(seen, person(segments=[], frozen=[(60, 110)]))
    assert video is not None
    assert (video.freezes, video.frozen_told, video.live_told) == (1, 1, 1)
    assert video.frozen_latest_s == pytest.approx(10)
    assert video.live_latest_s == pytest.approx(20)


def test_an_issue_of_a_camera_that_did_not_freeze_is_false() -> None:
    seen = observed(until=300.0)
    seen.issues = [(KEY, 80.0, "video_frozen"), (KEY, 200.0, "video_frozen")]
    seen.issues.append((KEY, 201.0, "connection_poor"))
    video = compare.cameras(seen, person(segments=[], frozen=[(60, 110)]))
    assert video is not None
    assert video.false_issues == 1
    assert (video.frozen_told, video.frozen_latest_s) == (0, None)


def test_nobody_with_a_camera_makes_no_figures_of_cameras() -> None:
    assert compare.cameras(observed(), person(segments=[])) is None


def test_bytes_of_all_kinds_of_transmission_are_added() -> None:
    assert traffic_of(PAGE) == {"incoming": 1.5e6, "outgoing": 1024.0}
