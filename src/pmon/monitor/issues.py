"""Issues have a life: raised after a while, updated when they get worse at once and when they get
better after a while, resolved with a duration.

One key per (session, kind, track). Missing data never raises an issue and never resolves one.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import msgspec

from pmon.monitor.events import IssueKind, Severity

Key = tuple[IssueKind, str | None]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From the least to the worst."""


class Rule(msgspec.Struct, frozen=True):
    """How long something must be wrong, or right again, before it is said."""

    raise_after_s: float
    resolve_after_s: float
    cooldown_s: float


RULES: dict[IssueKind, Rule] = {
    # The server judges a connection every 5 s and tells it a little late: half a window more keeps
    # a single bad one quiet, and a single good one.
    "connection_poor": Rule(raise_after_s=7.5, resolve_after_s=7.5, cooldown_s=15.0),
    # As long as a look at a picture waits for a frame. What they rest on is the state of a picture,
    # which asks for evidence of its own, so the first other one resolves them.
    "video_frozen": Rule(raise_after_s=9.5, resolve_after_s=0.0, cooldown_s=10.0),
    "track_dry": Rule(raise_after_s=9.5, resolve_after_s=0.0, cooldown_s=10.0),
    "video_low_fps": Rule(raise_after_s=10.0, resolve_after_s=0.0, cooldown_s=30.0),
    # Idle for as long as the job says, and active at the first sign of life.
    "participant_idle": Rule(raise_after_s=0.0, resolve_after_s=0.0, cooldown_s=0.0),
    # Microphones are judged by heard audio, which is counted in ``mic_faults``.
    "mic_silent": Rule(raise_after_s=0.0, resolve_after_s=0.0, cooldown_s=60.0),
    "mic_quiet": Rule(raise_after_s=0.0, resolve_after_s=0.0, cooldown_s=60.0),
    "mic_noisy": Rule(raise_after_s=0.0, resolve_after_s=0.0, cooldown_s=60.0),
    "mic_clipping": Rule(raise_after_s=0.0, resolve_after_s=0.0, cooldown_s=60.0),
    "session_long": Rule(raise_after_s=4 * 3600.0, resolve_after_s=0.0, cooldown_s=0.0),
}


class Change(msgspec.Struct, frozen=True):
    """What became of an issue; ``at`` is when, ``since`` when the trouble began."""

    what: Literal["raised", "updated", "resolved"]
    issue: IssueKind
    track_sid: str | None
    severity: Severity
    at: float
    since: float
    evidence: dict[str, float | str]


class Record(msgspec.Struct):
    """One time that an issue was raised."""

    issue: IssueKind
    track_sid: str | None
    severity: Severity
    since: float
    raised_at: float
    ended_at: float | None = None


class _Issue(msgspec.Struct):
    bad_since: float | None = None
    good_since: float | None = None
    quiet_until: float = float("-inf")
    record: Record | None = None
    """Of the present time that it is raised; None while it is not."""
    eased_since: float | None = None
    """Since when it has been less severe than it was said to be."""


class Issues(msgspec.Struct):
    """The issues of one session."""

    KEPT: ClassVar = 100
    """How many are remembered for the summary; a flapping link must not fill the memory."""

    records: list[Record] = []
    _issues: dict[Key, _Issue] = {}

    def __post_init__(self) -> None:
        """Decoded from a checkpoint, an open record is there twice: make it one again."""
        latest = {(record.issue, record.track_sid): record for record in self.records}
        for key, issue in self._issues.items():
            if issue.record is not None:
                issue.record = latest.get(key, issue.record)

    @property
    def open(self) -> list[IssueKind]:
        """The kinds that are raised now, once for each track."""
        return [key[0] for key, issue in self._issues.items() if issue.record is not None]

    def observe(
        self,
        kind: IssueKind,
        bad: bool | None,
        now: float,
        *,
        track_sid: str | None = None,
        since: float | None = None,
        severity: Severity = "warning",
        evidence: dict[str, float | str] | None = None,
    ) -> Change | None:
        """Say how things stand; ``bad=None`` means unknown and changes nothing.

        ``since`` dates the trouble back to when it began, if that is known.
        """
        key = (kind, track_sid)
        issue = self._issues.get(key)
        if issue is None:
            if not bad:
                return None
            self._forget(now)
            issue = self._issues[key] = _Issue()
        if bad is None:
            issue.good_since = None
            if issue.record is None:
                issue.bad_since = None
            return None
        if bad:
            return self._bad(key, issue, now, since, severity, evidence or {})
        return self._good(key, issue, now)

    def end(
        self,
        now: float,
        *,
        kind: IssueKind | None = None,
        track_sid: str | None = None,
        spared: IssueKind | None = None,
        after: float = -math.inf,
    ) -> list[Change]:
        """Resolve what matches: everything, one kind, or one track's, but for what is ``spared``,
        or began not ``after`` then. It may come again, but not within its cooldown.
        """
        changes = []
        for key, issue in self._issues.items():
            if key[0] == spared or (issue.record is not None and issue.record.since <= after):
                continue
            if (kind is None or key[0] == kind) and (track_sid is None or key[1] == track_sid):
                issue.bad_since = issue.good_since = None
                if issue.record is not None:
                    issue.quiet_until = now + RULES[key[0]].cooldown_s
                    changes.append(_resolve(issue, issue.record, now))
        self._forget(now)
        return changes

    def _forget(self, now: float) -> None:
        """Drop what has nothing to say any more: tracks come and go."""
        for key, issue in list(self._issues.items()):
            if issue.record is None and issue.bad_since is None and issue.quiet_until <= now:
                del self._issues[key]

    def _bad(
        self,
        key: Key,
        issue: _Issue,
        now: float,
        since: float | None,
        severity: Severity,
        evidence: dict[str, float | str],
    ) -> Change | None:
        issue.good_since = None
        if issue.bad_since is None:
            issue.bad_since = now if since is None else since
        if issue.record is not None:
            if not _must_update(issue, issue.record, severity, now):
                return None
            issue.record.severity = severity
            return _change("updated", issue.record, now, evidence)
        ripe = now - issue.bad_since >= RULES[key[0]].raise_after_s
        if not ripe or now < issue.quiet_until:
            return None
        issue.record = Record(key[0], key[1], severity, issue.bad_since, now)
        self.records = [*self.records, issue.record]
        if len(self.records) > self.KEPT:
            ended = (i for i, record in enumerate(self.records) if record.ended_at is not None)
            del self.records[next(ended, 0)]
        return _change("raised", issue.record, now, evidence)

    def _good(self, key: Key, issue: _Issue, now: float) -> Change | None:
        if issue.record is None:
            issue.bad_since = None
            return None
        if issue.good_since is None:
            issue.good_since = now
        if now - issue.good_since < RULES[key[0]].resolve_after_s:
            return None
        issue.quiet_until = issue.good_since + RULES[key[0]].cooldown_s
        return _resolve(issue, issue.record, issue.good_since)


def _must_update(issue: _Issue, record: Record, severity: Severity, now: float) -> bool:
    """Whether another severity is to be said: a worse one at once, a better one once it lasts."""
    if SEVERITIES.index(severity) >= SEVERITIES.index(record.severity):
        issue.eased_since = None
        return severity != record.severity
    if issue.eased_since is None:
        issue.eased_since = now
    if now - issue.eased_since < RULES[record.issue].cooldown_s:
        return False
    issue.eased_since = None
    return True


def _resolve(issue: _Issue, record: Record, ended_at: float) -> Change:
    record.ended_at = ended_at
    issue.bad_since = issue.good_since = issue.eased_since = issue.record = None
    return _change("resolved", record, ended_at, {})


def _change(
    what: Literal["raised", "updated", "resolved"],
    record: Record,
    at: float,
    evidence: dict[str, float | str],
) -> Change:
    return Change(what, record.issue, record.track_sid, record.severity, at, record.since, evidence)
