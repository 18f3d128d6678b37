"""The life of issues as a state machine: whatever is observed, in whatever order and time."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pmon.monitor.events import IssueKind, Severity
from pmon.monitor.issues import RULES, Change, Issues, Key

KINDS = st.sampled_from(["connection_poor", "video_frozen"])
TRACKS = st.sampled_from([None, "TR_1"])


class AnyLife(RuleBasedStateMachine):
    """What may be said of an issue at any time, kept beside what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.issues = Issues()
        self.now = 0.0
        self.raised: dict[Key, Change] = {}
        self.severity: dict[Key, Severity] = {}
        self.bad_since: dict[Key, float | None] = {}
        self.over_at: dict[Key, float] = {}
        self.seconds = 0.0
        self.times: dict[Key, list[float]] = {}

    @rule(
        kind=KINDS,
        track=TRACKS,
        bad=st.sampled_from([True, True, False, None]),
        back_s=st.floats(0.0, 30.0),
        dated=st.booleans(),
        severity=st.sampled_from(["warning", "critical"]),
    )
    def observe(
        self,
        kind: IssueKind,
        track: str | None,
        bad: bool | None,
        back_s: float,
        dated: bool,
        severity: Severity,
    ) -> None:
        key, since = (kind, track), max(0.0, self.now - back_s) if dated else None
        began = self.bad_since.get(key)
        if bad and began is None:
            began = self.now if since is None else since
        change = self.issues.observe(
            kind, bad, self.now, track_sid=track, since=since, severity=severity
        )
        if bad is None:
            assert change is None, "missing data says nothing"
        if key not in self.raised:
            self.bad_since[key] = began if bad else None
        if change is not None:
            self._check(key, change, bad, severity)

    def _check(self, key: Key, change: Change, bad: bool | None, severity: Severity) -> None:
        assert (change.issue, change.track_sid) == key
        held = RULES[key[0]]
        match change.what:
            case "raised":
                assert bad
                assert key not in self.raised, "raised twice"
                began = self.bad_since[key]
                assert began is not None
                assert (change.since, change.at) == (began, self.now)
                assert self.now - began >= held.raise_after_s
                last = self.over_at.get(key, float("-inf"))
                assert self.now >= last + held.cooldown_s, "flapping"
                self.raised[key], self.severity[key] = change, severity
                self.times.setdefault(key, []).append(self.now)
            case "updated":
                assert bad
                assert key in self.raised
                assert severity != self.severity[key]
                self.severity[key] = severity
            case "resolved":
                assert bad is False
                self._over(key, change)

    def _over(self, key: Key, change: Change) -> None:
        raised = self.raised.pop(key)  # or it was never raised
        assert change.since == raised.since
        assert raised.since <= change.at <= self.now
        assert change.severity == self.severity[key]
        self.seconds += change.at - change.since
        self.over_at[key] = change.at
        self.bad_since[key] = None

    @rule(kind=st.one_of(st.none(), KINDS), track=TRACKS)
    def end(self, kind: IssueKind | None, track: str | None) -> None:
        meant = {
            key
            for key in set(self.raised) | set(self.bad_since)
            if kind in (None, key[0]) and track in (None, key[1])
        }
        changes = self.issues.end(self.now, kind=kind, track_sid=track)
        told = {(change.issue, change.track_sid) for change in changes}
        assert told == meant & set(self.raised)
        assert len(told) == len(changes)
        for change in changes:
            assert change.what == "resolved"
            self._over((change.issue, change.track_sid), change)
        for key in meant:
            self.bad_since[key] = None

    @rule(wait_s=st.floats(0.1, 40.0))
    def wait(self, wait_s: float) -> None:
        self.now += wait_s

    @rule()
    def change_hands(self) -> None:
        """Another process goes on from the checkpoint."""
        self.issues = msgspec.msgpack.decode(msgspec.msgpack.encode(self.issues), type=Issues)

    @invariant()
    def the_records_are_what_was_said(self) -> None:
        open_now = {(r.issue, r.track_sid) for r in self.issues.records if r.ended_at is None}
        assert open_now == set(self.raised)
        ended = [r for r in self.issues.records if r.ended_at is not None]
        lasted = sum((r.ended_at or 0.0) - r.since for r in ended)
        assert lasted == pytest.approx(self.seconds)

    @invariant()
    def flapping_is_bounded(self) -> None:
        for key, times in self.times.items():
            least_s = RULES[key[0]].cooldown_s
            assert all(b - a >= least_s for a, b in pairwise(times))


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def test_what_ends_with_its_track_or_by_a_mute_keeps_its_distance_too() -> None:
    """A camera that is frozen and muted and unmuted all the time."""
    issues, raised = Issues(), []
    for second in range(600):
        change = issues.observe("video_frozen", True, second, track_sid="TR_1", since=second - 10.0)
        raised += [] if change is None else [change.at]
        issues.end(second + 0.5, track_sid="TR_1")
    distances = {b - a for a, b in pairwise(raised)}
    assert min(distances) > RULES["video_frozen"].cooldown_s


def test_what_comes_and_goes_is_forgotten() -> None:
    """Tracks of a session that lasts for weeks."""
    issues, now = Issues(), 0.0
    for number in range(2000):
        sid = f"TR_{number}"
        for _ in range(3):
            now += 6.0
            issues.observe("video_frozen", True, now, track_sid=sid)
        issues.end(now, track_sid=sid)
    assert len(issues._issues) < 5
    assert len(issues.records) == Issues.KEPT


def test_an_issue_that_lasts_is_remembered_however_many_come_after_it() -> None:
    issues, now = Issues(), 5.0 * 3600
    issues.observe("session_long", True, now, since=0.0)
    for _ in range(500):
        for bad in (True, True, False, False):
            now += 10.0
            issues.observe("connection_poor", bad, now)
    assert issues.records[0].issue == "session_long"
    (over,) = issues.end(now, kind="session_long")
    assert over.at - over.since == now
