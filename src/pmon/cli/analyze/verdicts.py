"""The issues of a recording: the monitor's own, as if it had been a call."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from pmon.cli.analyze.audio import Samples
from pmon.media.meters import TrackMeters, Transition
from pmon.monitor import events as ev
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.coverage import RoomJob
from pmon.monitor.inputs import LinkReading, ParticipantInfo, TrackInfo
from pmon.monitor.room import RoomMonitor
from pmon.monitor.watch import Watch

TICK_S = 0.5
READ_S = 5.0
"""As in a call: how often time passes, and how often the meters are read."""
PACKETS_S = 50
"""Nothing of a recording is lost on the way."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SID = "recording"


class Issue(msgspec.Struct, kw_only=True):
    """One issue, in seconds of the recording."""

    issue: ev.IssueKind
    severity: ev.Severity
    since_s: float
    """When it began."""
    raised_s: float
    """When that was sure."""
    resolved_s: float | None = None
    """When it was over; None if it never was."""
    evidence: dict[str, float | str]


class Verdicts:
    """A meeting of one participant, whose microphone is the recording."""

    def __init__(self, sample_rate: int, num_channels: int, threshold: float) -> None:
        self._meters = TrackMeters(sample_rate, num_channels, [threshold])
        self._monitor = RoomMonitor(SID, UtcAnchor(0.0, EPOCH))
        self._rate = sample_rate * num_channels
        self._samples = 0
        self._ticks = self._reads = 0
        self._issues: list[Issue] = []
        watch = Watch(
            monitoring_type="audio",
            end_on_disconnect=False,
            labels={},
            speaking_threshold=threshold,
            connection_quality_threshold=0.0,
            join_timeout_s=READ_S,
            away_timeout_s=READ_S,
        )
        track = TrackInfo(sid=SID, kind="audio", source="microphone", muted=False, encrypted=False)
        participant = ParticipantInfo(identity=SID, sid=SID, kind="standard", tracks=(track,))
        self._monitor.start_room_job(RoomJob(SID, SID, watch), 0.0)
        self._monitor.connected(SID, [participant], 0.0)

    @property
    def now(self) -> float:
        """Seconds of the recording so far."""
        return self._samples / self._rate

    def process(self, samples: Samples) -> None:
        """Take what comes next, not much more than ``TICK_S``."""
        self._samples += len(samples)
        self._tell(self._meters.feed(samples, self.now))
        if self.now >= (self._reads + 1) * READ_S:
            self._reads += 1
            self._read()
        if self.now >= (self._ticks + 1) * TICK_S:
            self._ticks += 1
            self._monitor.tick(self.now)
            self._collect()

    def finish(self) -> list[Issue]:
        """The recording is over."""
        self._tell(self._meters.stop())
        self._read()
        self._monitor.tick(self.now)
        self._collect()
        return self._issues

    # --- inside

    def _tell(self, transitions: list[Transition]) -> None:
        for threshold, speaking, at in transitions:
            self._monitor.speech(SID, threshold, speaking, at)

    def _read(self) -> None:
        for reading in self._meters.readings():
            self._monitor.audio(SID, reading)
        self._monitor.microphone(SID, self._meters.microphone())
        packets = round(self.now * PACKETS_S)
        link = LinkReading(ssrc=1, packets_received=packets, packets_lost=0, jitter_s=0.0)
        self._monitor.received({SID: link}, None, self.now)

    def _collect(self) -> None:
        for event in self._monitor.take_events():
            match event:
                case ev.IssueRaised() | ev.IssueUpdated() | ev.IssueResolved() if (
                    not event.issue.startswith("mic_")
                ):
                    pass  # of a meeting, which a recording is not
                case ev.IssueRaised():
                    self._issues.append(
                        Issue(
                            issue=event.issue,
                            severity=event.severity,
                            since_s=_seconds(event.since),
                            raised_s=_seconds(event.time),
                            evidence=event.evidence,
                        )
                    )
                case ev.IssueUpdated():
                    self._newest(event.issue).severity = event.severity
                case ev.IssueResolved():
                    self._newest(event.issue).resolved_s = _seconds(event.time)

    def _newest(self, kind: ev.IssueKind) -> Issue:
        return next(issue for issue in reversed(self._issues) if issue.issue == kind)


def _seconds(at: datetime) -> float:
    return round((at - EPOCH).total_seconds(), 3)
