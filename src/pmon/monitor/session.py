"""A session: one identity watched for one dispatch, its events and its sums."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import msgspec

from pmon.monitor import events as ev
from pmon.monitor import pictures
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.conversation import Conversation, Exchange, RoomTalk
from pmon.monitor.idle import Idle, sign_of_life
from pmon.monitor.inputs import (
    AudioReading,
    LostTrack,
    MicReading,
    ParticipantInfo,
    VideoReading,
)
from pmon.monitor.issues import RULES, Issues
from pmon.monitor.ledger import Ledger, TrackLedger
from pmon.monitor.mic_faults import Verdict
from pmon.monitor.mos import link_summary
from pmon.monitor.participant import Participant, Track
from pmon.monitor.quality import SCORES
from pmon.monitor.reception import Reception
from pmon.monitor.talk import Talk
from pmon.monitor.teller import SERVER, Teller
from pmon.monitor.watch import Watch


class SessionState(msgspec.Struct, kw_only=True):
    """All that a session knows, as plain data: another process can go on from here.

    Times are of the machine's monotonic clock, which all its processes share.
    """

    id: str
    participant: ParticipantInfo
    lost: list[LostTrack] = []
    started_at: float
    ever_present: bool = False
    present: bool = False
    waited_s: float = 0.0
    """How long the participant has been missing, while that could be seen."""
    talk: Talk
    exchange: Exchange = msgspec.field(default_factory=Exchange)
    room: RoomTalk = msgspec.field(default_factory=RoomTalk)
    """Both as far as they are settled, some seconds behind unless the process was asked to go."""
    idle: Idle = msgspec.field(default_factory=Idle)
    issues: Issues = msgspec.field(default_factory=Issues)
    ledger: Ledger = msgspec.field(default_factory=Ledger)


class Session:
    """Emits one session's events and keeps its sums.

    The room calls it with what happened to its participant; every call takes the time it happened
    at, and ``advance`` has been called with the present time before.
    """

    def __init__(
        self,
        *,
        room: str,
        room_sid: str,
        dispatch: str,
        job: str,
        participant: Participant,
        watch: Watch,
        conversation: Conversation,
        anchor: UtcAnchor,
        now: float,
        emit: Callable[[ev.AnyEvent], None],
        state: SessionState | None = None,
    ) -> None:
        if state is None:
            name = _session_id(room, participant.identity, dispatch, anchor.at(now).isoformat())
            state = SessionState(
                id=name, participant=participant.info(), started_at=now, talk=Talk(now)
            )
        self.id = state.id
        self.dispatch = dispatch
        self.participant = participant
        self.watch = watch
        self.started_at = state.started_at
        self.ever_present = state.ever_present
        self.present = state.present
        self.waited_s = state.waited_s
        self.talk = state.talk
        self.exchange = state.exchange
        self.idle = state.idle
        self.issues = state.issues
        self.ledger = state.ledger
        self.doubted = False
        """What is wrong with pictures may be of our own making: nothing is raised yet."""
        self._conversation = conversation
        self._anchor = anchor
        self._turn_heard: ev.Heard = "pcm"
        """What the present turn, or the one before, rests on."""
        self._tell = Teller(
            room=room,
            room_sid=room_sid,
            session=self.id,
            job=job,
            participant=participant,
            labels=watch.labels,
            anchor=anchor,
            emit=emit,
        )

    @property
    def job(self) -> str:
        """The job that the session stands for now."""
        return self._tell.job

    @job.setter
    def job(self, job: str) -> None:
        self._tell.job = job

    @property
    def until(self) -> float:
        """The time that the sums reach."""
        return self.started_at + self.ledger.until_s

    def rename_room(self, room_sid: str) -> None:
        self._tell.room_sid = room_sid

    @property
    def poor(self) -> bool:
        """Whether the connection is under the threshold, as far as it is known."""
        return bool(self.ledger.quality.worse_than(self.watch.connection_quality_threshold))

    # --- changing hands between processes

    def state(self) -> SessionState:
        """What ``state`` of another process's session takes. It is not a copy: encode it now."""
        return SessionState(
            id=self.id,
            participant=self.participant.info(),
            lost=[LostTrack(lost.track.info(), lost.at) for lost in self.participant.lost.values()],
            started_at=self.started_at,
            ever_present=self.ever_present,
            present=self.present,
            waited_s=self.waited_s,
            talk=self.talk,
            exchange=self.exchange,
            room=self._conversation.room,
            idle=self.idle,
            issues=self.issues,
            ledger=self.ledger,
        )

    def resume(self) -> None:
        """Go on from a state of another process: what it heard last ended with it."""
        until = self.until
        for source in sorted(self.talk.sources):
            self.speech_stopped(source, until)
        for record in self.ledger.tracks.values():
            record.restart()
        if self.present:
            self.suspend(until)

    def vouch(self) -> None:
        """Tell the tracks which were heard before: a session that comes later asks them."""
        lost = {sid: lost.track for sid, lost in self.participant.lost.items()}
        for sid, track in (lost | self.participant.tracks).items():
            record = self.ledger.tracks.get(sid)
            if record is not None and record.mic is not None and record.muted == track.muted:
                track.voiced |= record.mic.silence.voiced

    # --- what happens to the participant

    def start(self, now: float) -> None:
        self._tell.say(
            ev.SessionStarted,
            now,
            dispatch=self.dispatch,
            monitoring_type=self.watch.monitoring_type,
        )

    def connected(self, at: float) -> None:
        self.present = self.ever_present = True
        self.waited_s = 0.0
        self.idle.active(at)
        self._tell.say(ev.ParticipantConnected, at)

    def disconnected(self, at: float, reason: str, waited_s: float) -> None:
        """The participant left at ``at``; for so long they could be seen to be missing."""
        self.present = False
        self.waited_s = waited_s
        self.quality("unknown", at, "participant_left")
        self._tell.say_issues(self.issues.end(at, spared="session_long"), "participant_left")
        self._tell.say(ev.ParticipantDisconnected, at, reason=reason)

    def suspend(self, at: float, doubted_since: float = math.inf) -> None:
        """The room connection broke, which may have begun ``doubted_since``: what hangs on it is
        unknown from here on.
        """
        self.quality("unknown", at, "monitor_reconnecting")
        self.lose_sight(at, doubted_since)

    def lose_sight(self, at: float, doubted_since: float) -> None:
        """No picture comes for a reason of our own, which may have begun ``doubted_since``."""
        for track_sid in self.ledger.video_sids():
            self.ledger.interrupt_video(track_sid, doubted_since)
            self.judge_video(track_sid, at)
        for kind in pictures.KINDS:
            ended = self.issues.end(at, kind=kind, after=doubted_since)
            self._tell.say_issues(ended, "monitor_path")

    def nothing_published(self, at: float) -> None:
        """Their last track is gone, and with it whatever the server says of their link."""
        self.quality("unknown", at, "nothing_published")
        ended = self.issues.end(at, kind="connection_poor")
        self._tell.say_issues(ended, "nothing_published")

    def opt_out(self, at: float) -> None:
        """The participant does not want to be monitored any more."""
        self.quality("unknown", at, "opted_out")
        self._tell.say_issues(self.issues.end(at, spared="session_long"), "opted_out")
        for record in self.ledger.tracks.values():
            if record.mic is not None:
                record.mic = record.mic.forgotten()
            if record.video is not None:
                record.video.forget()
        for track_sid in self.ledger.video_sids():
            self._video_is(self.ledger.tracks[track_sid], "unknown", at)

    def watch_tracks(self, at: float) -> None:
        """Take what the participant publishes, says and has for a quality from here on."""
        for sid, record in list(self.ledger.tracks.items()):
            known = self.participant.tracks.get(sid)
            if known is None and not record.ended and sid not in self.participant.lost:
                self._unpublished(record, at)
            record.gone = known is None
            if known is not None and record.mute(known.muted):
                self._mute_mic(record, at)
                self.judge_video(sid, at)
        for track in self.participant.tracks.values():
            if track.sid not in self.ledger.tracks:
                self.track_published(track, at)
        self.quality(self.participant.quality, at, "server")
        word = self.participant.word
        if self.watch.audio and self.participant.on_server_word and word.since is not None:
            self.speech_started(SERVER, max(word.since, at), "server")

    def track_published(self, track: Track, at: float) -> None:
        record = self.ledger.tracks.get(track.sid)
        if record is not None:  # it was there before an outage, or another process
            if record.ended:
                record.ended = False
                self._say_published(track, at)
            self.track_found(track, at)
            return
        self.idle.active(at)
        self.ledger.tracks[track.sid] = TrackLedger.of(track, self.watch.speaking_threshold)
        self._say_published(track, at)
        if track.looking is not None:
            self.looking(track.sid, track.looking, at)
        self.judge_video(track.sid, at)
        onset = track.runs.get(self.watch.speaking_threshold)
        if onset is not None and self.watch.audio:
            self.speech_started(track.sid, onset)

    def track_lost(self, track_sid: str) -> None:
        """A track is reported gone; it ends or is found again."""
        record = self.ledger.tracks.get(track_sid)
        if record is not None:
            record.gone = True

    def track_found(self, track: Track, at: float) -> None:
        """A track that was reported gone is there, with a new meter."""
        record = self.ledger.tracks.get(track.sid)
        if record is None:
            self.track_published(track, at)
            return
        record.gone = False
        record.restart()
        self.judge_video(track.sid, at)

    def track_unpublished(self, track: Track, at: float) -> None:
        self.speech_stopped(track.sid, at)
        record = self.ledger.tracks.get(track.sid)
        if record is None:
            return  # it was gone before this session began
        self._unpublished(record, at)

    def track_muted(self, track: Track, at: float) -> None:
        if track.muted:
            self.speech_stopped(track.sid, at)
        record = self.ledger.tracks.get(track.sid)
        self.idle.active(at)
        event = ev.TrackMuted if track.muted else ev.TrackUnmuted
        self._tell.say(event, at, track_sid=track.sid, kind=track.kind, source=track.source)
        if record is not None and record.mute(track.muted):
            self._mute_mic(record, at)
        self.judge_video(track.sid, at)

    # --- speech

    def speech_started(self, source: str, at: float, heard: ev.Heard = "pcm") -> None:
        """Speech began; ``heard`` is what its onset rests on.

        That a turn began earlier than was told counts, and is not told anew.
        """
        told = self.talk.speaking
        began_at = self.talk.start(source, at)
        if began_at is None:
            return
        self._conversation.started(self.participant.identity, self.id, began_at)
        if not told:
            self._turn_heard = heard
            self._tell.say_speaking(ev.SpeakingStarted, began_at, source, heard)

    def speech_stopped(self, source: str, at: float) -> None:
        turn = self.talk.stop(source, at)
        if turn is not None:
            self.idle.active(turn.ended_at)
            self._conversation.stopped(self.participant.identity, self.id, turn.ended_at)
            self._tell.say_speaking(
                ev.SpeakingStopped,
                turn.ended_at,
                source,
                self._turn_heard,
                turn_s=round(turn.duration_s, 3),
                talk_time_s=round(self.talk.talk_time_s(), 3),
            )

    def finish_speech(self, at: float) -> None:
        """End whatever is open, since the session ends."""
        for source in sorted(self.talk.sources):
            track = self.participant.tracks.get(source)
            until = at if track is None else track.speech_end(self.watch.speaking_threshold, at)
            self.speech_stopped(source, until)

    def measured_anew(self, track_sid: str) -> None:
        """Another meter counts from zero from here on."""
        record = self.ledger.tracks.get(track_sid)
        if record is not None:
            record.measured_anew()

    def audio(self, track_sid: str, reading: AudioReading, *, counts: bool = True) -> None:
        """The totals of a meter; what does not count is nobody's speech, such as ringing."""
        record = self.ledger.tracks.get(track_sid)
        if record is None or reading.threshold != self.watch.speaking_threshold:
            return
        if counts:
            record.read(reading)
        else:
            record.meter = reading

    # --- microphones

    def microphone(self, track_sid: str, reading: MicReading, *, counts: bool = True) -> None:
        """The totals of a microphone's health, told after those of its meter."""
        record = self.ledger.tracks.get(track_sid)
        if record is None or record.mic is None or not self.watch.audio:
            return
        mic, speech = record.mic, (record.speech_s, record.speech_energy)
        if counts:
            verdicts = mic.read(reading, *speech, self.participant.kind)
            self._say_faults(record, verdicts, reading.heard_until)
        else:
            mic.skip(reading, *speech)

    def packets(self, track_sid: str, received: int, at: float) -> None:
        """The total of a microphone's receiver: silence is heard only while packets come."""
        record = self.ledger.tracks.get(track_sid)
        if record is not None and record.mic is not None:
            verdict = record.mic.silence.received(received)
            self._say_faults(record, [] if verdict is None else [verdict], at)

    def _mute_mic(self, record: TrackLedger, at: float) -> None:
        if record.mic is not None:
            self._say_faults(record, record.mic.mute(), at, "track_muted")

    def _say_faults(
        self, record: TrackLedger, verdicts: list[Verdict], at: float, reason: str = "recovered"
    ) -> None:
        for verdict in verdicts:
            change = self.issues.observe(
                verdict.issue,
                verdict.bad,
                at,
                track_sid=record.sid,
                since=verdict.since,
                evidence=verdict.evidence,
            )
            self._tell.say_issue(change, reason)

    # --- link and video

    def quality(self, level: ev.QualityLevel, at: float, reason: str) -> None:
        late_s = self.until - at if reason == "server" else 0.0
        before = self.ledger.quality.change(level, late_s)
        if before is None:
            return
        self._judge_link(at)
        participant = self.participant
        if reason == "server":
            reason = participant.account.why(before, level)
        evidence = participant.account.evidence(level, participant.kind)
        self._tell.say(
            ev.ConnectionQuality, at, from_=before, to=level, reason=reason, evidence=evidence
        )

    def received(self, reception: Reception) -> None:
        """What came of the participant's audio since the last time."""
        self.ledger.received += reception

    def video(self, track_sid: str, reading: VideoReading | None, at: float) -> None:
        record = self.ledger.tracks.get(track_sid)
        if record is None or record.video is None or not self.watch.video:
            return
        if reading is None:
            # What became of the track follows: it ends, or at the next tick it is unknown.
            record.video.unwatched()
        else:
            self.judge_video(track_sid, at)  # nobody may have looked for a while
            record.video.read(reading, at)
            self.judge_video(track_sid, at)

    def looking(self, track_sid: str, looking: bool, at: float) -> None:
        """A look at a picture begins, or ends with what was found in it."""
        record = self.ledger.tracks.get(track_sid)
        if record is None or record.video is None:
            return
        self.judge_video(track_sid, at)
        record.video.look(looking, at)

    def judge_video(self, track_sid: str, now: float) -> None:
        """Look at the state of a video track anew, and at the issue that hangs on it."""
        record = self.ledger.tracks.get(track_sid)
        if record is None or record.video is None or record.gone or not self.watch.video:
            return
        video = record.video
        self._video_is(record, video.judge(now), now)
        for change, reason in pictures.judge(
            self.issues, track_sid, video, now, doubted=self.doubted
        ):
            self._tell.say_issue(change, reason)

    def judge(self, now: float) -> None:
        """Look at the issues that time alone can raise or resolve."""
        self._judge_link(now)
        if now - self.started_at >= RULES["session_long"].raise_after_s:
            self._tell.say_issue(
                self.issues.observe(
                    "session_long", True, now, since=self.started_at, severity="info"
                )
            )
        for track_sid in self.ledger.video_sids():
            self.judge_video(track_sid, now)
        if self.watch.idle_after_s is not None:
            self._judge_idle(self.watch.idle_after_s, now)

    def _judge_idle(self, idle_after_s: float, now: float) -> None:
        participant, speaking = self.participant, self.talk.speaking
        sign = sign_of_life(participant, self.watch, self.ledger.tracks, speaking=speaking)
        idle = self.idle.look(sign, idle_after_s, now)
        self._tell.say_issue(
            self.issues.observe(
                "participant_idle", idle, now, since=self.idle.since, severity="info"
            )
        )

    def _judge_link(self, now: float) -> None:
        quality = self.ledger.quality
        bad = quality.worse_than(self.watch.connection_quality_threshold)
        self._tell.say_issue(
            self.issues.observe(
                "connection_poor",
                bad,
                now,
                severity="critical" if quality.level == "lost" else "warning",
                evidence=self._link_evidence() if bad else None,
            )
        )

    def _link_evidence(self) -> dict[str, float | str]:
        level, participant = self.ledger.quality.level, self.participant
        return {
            "quality": level,
            "score": SCORES.get(level, 0.0),
            **participant.account.evidence(level, participant.kind),
        }

    # --- sums

    def advance(self, now: float, *, connected: bool, missing: bool) -> None:
        """Bring the sums up to now; call it before anything that changes what is summed up.

        ``connected`` is how the room connection has stood since the last call, ``missing``
        whether the server has said since then that there is no such room.
        """
        participant = self.participant
        elapsed_s = self.ledger.advance(
            now - self.started_at,
            observed=connected and not participant.opted_out,
            present=self.present and participant.left_at is None,
            rests_on=participant.rests_on if self.watch.audio else None,
        )
        # Waiting counts only while it can be seen that nobody comes.
        if missing or (connected and not self.present):
            self.waited_s += elapsed_s

    def end(self, now: float, reason: ev.EndReason, share: float | None, room: RoomTalk) -> None:
        self._tell.say_issues(self.issues.end(now), "session_ended")
        self._tell.say(ev.SessionEnded, now, reason=reason, summary=self.summary(now, share, room))

    def summary(self, now: float, share: float | None, room: RoomTalk) -> ev.SessionSummary:
        turns, talk_time_s = self.talk.turns, self.talk.talk_time_s(now)
        return ev.SessionSummary(
            started_at=self._anchor.at(self.started_at),
            duration_s=round(now - self.started_at, 3),
            present_s=round(self.ledger.present_s, 3),
            talk_time_s=round(talk_time_s, 3),
            turns=turns,
            mean_turn_s=round(talk_time_s / turns, 3) if turns else None,
            talk_share=None if share is None else round(share, 4),
            overlap_s=round(self.exchange.overlap_s, 3),
            interruptions=self.exchange.interruptions,
            interrupted=self.exchange.interrupted,
            partial=room.partial_at is not None and room.partial_at >= self.started_at,
            room=room.summary(self._anchor),
            level_dbov=self.ledger.speech_dbov(),
            heard=self.ledger.heard,
            quality_s={k: round(v, 3) for k, v in self.ledger.quality.seconds.items()},
            link=link_summary(self.ledger.received),
            tracks=self.ledger.track_summaries(),
            issues=[
                ev.IssueSummary(
                    issue=r.issue,
                    severity=r.severity,
                    track_sid=r.track_sid,
                    raised_at=self._anchor.at(r.raised_at),
                    duration_s=round((now if r.ended_at is None else r.ended_at) - r.since, 3),
                    open=r.ended_at is None,
                )
                for r in self.issues.records
            ],
            coverage=self.ledger.coverage(now - self.started_at),
        )

    # --- inside

    def _say_published(self, track: Track, at: float) -> None:
        self._tell.say(
            ev.TrackPublished,
            at,
            track_sid=track.sid,
            kind=track.kind,
            source=track.source,
            muted=track.muted,
            encrypted=track.encrypted,
        )

    def _unpublished(self, record: TrackLedger, at: float) -> None:
        record.gone = record.ended = True
        if record.video is not None:
            record.video.end()
        self._video_is(record, "ended", at)
        self._tell.say_issues(self.issues.end(at, track_sid=record.sid), "track_ended")
        self._tell.say(
            ev.TrackUnpublished, at, track_sid=record.sid, kind=record.kind, source=record.source
        )
        self.ledger.trim()

    def _video_is(self, record: TrackLedger, state: ev.VideoStateName, at: float) -> None:
        video = record.video
        if video is None or video.state == state or not self.watch.video:
            return
        before, video.state = video.state, state
        fps = None if video.fps is None else round(video.fps, 1)
        self._tell.say(ev.VideoState, at, track_sid=record.sid, from_=before, to=state, fps=fps)


def _session_id(*parts: str) -> str:
    """A name that a replay of the same inputs finds again."""
    return "PS_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
