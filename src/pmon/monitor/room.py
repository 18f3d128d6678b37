"""One room: what happens in it goes in with its time, events and ended jobs come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pmon.monitor import events as ev
from pmon.monitor.attendance import Attendance
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.coverage import Coverage, RoomJob
from pmon.monitor.inputs import (
    AudioReading,
    LinkReading,
    LostTrack,
    MicReading,
    ParticipantInfo,
    TrackInfo,
    VideoReading,
)
from pmon.monitor.levels import Levels
from pmon.monitor.link import Link, settled_at
from pmon.monitor.participant import LEAVE_GRACE_S, Lost, Participant, Track
from pmon.monitor.path import DOUBT_S
from pmon.monitor.session import Session, SessionState
from pmon.monitor.sessions import JOIN_TIMEOUT, EndedJob, Sessions
from pmon.monitor.speech import Speech
from pmon.monitor.watch import Watch


class RoomMonitor:
    """The monitor of one room. All times are monotonic seconds and never go back."""

    def __init__(self, room: str, anchor: UtcAnchor, *, opt_out: bool = True) -> None:
        self.room = room
        self._opt_out = opt_out
        self.link = Link.CONNECTING
        self.participants: dict[str, Participant] = {}
        """Everyone in the room, and those whose coming is waited for."""
        self.sessions = Sessions(room, anchor)
        self.coverage = Coverage(self.sessions)
        self.levels = Levels(self.participants, self._watching)
        self._attendance = Attendance(self.sessions)
        self._speech = Speech(self.sessions)
        self._owners: dict[str, Participant] = {}
        self._suspended_at = 0.0
        self._connected_at = 0.0

    # --- what comes out

    def take_events(self) -> list[ev.AnyEvent]:
        """The events since the last call."""
        events = self.sessions.events.copy()
        self.sessions.events.clear()
        return events

    def take_ended_jobs(self) -> list[EndedJob]:
        """The jobs that ended since the last call."""
        jobs = self.sessions.ended_jobs.copy()
        self.sessions.ended_jobs.clear()
        return jobs

    def take_stirred(self) -> set[str]:
        """The identities whose presence, tracks, wishes or sessions changed since the last call."""
        stirred = self.sessions.stirred.copy()
        self.sessions.stirred.clear()
        return stirred

    @property
    def has_jobs(self) -> bool:
        """Whether there is anything to be in the room for."""
        return bool(self.sessions.all() or self.coverage)

    # --- jobs

    def start_job(
        self,
        job: str,
        dispatch: str,
        info: ParticipantInfo,
        watch: Watch,
        now: float,
        state: SessionState | None = None,
    ) -> None:
        """Watch a participant for a job. A job of a known session takes the session over.

        ``info`` is what the job says of the participant, who may not be seen for a while. With a
        ``state`` the session of another process goes on.
        """
        if self.sessions.take_over(job, info.identity, dispatch):
            return
        participant = self._known(info.identity)
        if not participant.present:
            participant.take(info)
        session = self.sessions.start(job, dispatch, participant, watch, now, state)
        if state is not None:
            self._resume(session, state, now)
        if self.link is Link.CONNECTED:
            self._enter_waiting(participant, now)

    def start_room_job(
        self, job: RoomJob, now: float, states: Iterable[SessionState] | None = None
    ) -> None:
        """Watch everybody for one job, who comes later too; ``states`` as in ``start_job``."""
        self.coverage.start(job)
        if states is not None:
            self.sessions.not_whole()
        for state in states or ():
            participant = self._known(state.participant.identity)
            if self.sessions.has(participant.identity, job.dispatch):
                continue  # the job took it over from an older one
            if not participant.present:
                participant.take(state.participant)
            self._resume(self.coverage.open(job, participant, now, state), state, now)
        if self.link is Link.CONNECTED:
            for participant in self.participants.values():
                self._enter_waiting(participant, now)

    def _resume(self, session: Session, state: SessionState, now: float) -> None:
        """Bring together what another process knew of somebody and what this one sees."""
        participant = session.participant
        if self.link is not Link.CONNECTED:
            if state.present and not participant.present:
                # As after an outage: the connection will tell what became of them meanwhile.
                participant.recall(state.participant, state.lost)
                self._stir(participant)
                self._owners |= dict.fromkeys(participant.tracks, participant)
                self._suspended_at = max(self._suspended_at, session.until)
            session.vouch()
            return
        self._advance([session], now)
        if not state.present:
            return
        if not participant.present:
            session.disconnected(now, "unknown", 0.0)
        elif participant.opted_out:
            session.opt_out(now)
        else:
            gone = [LostTrack(info, now) for info in state.participant.tracks]
            for lost in (*state.lost, *gone):
                if lost.track.sid not in participant.tracks:
                    session.track_unpublished(Track(lost.track), lost.at)
            session.watch_tracks(now)
        session.vouch()

    def end_job(self, job: str, reason: ev.EndReason, now: float) -> None:
        """End the sessions of a job; unknown jobs, and jobs that were taken over, are nothing."""
        self._end_each(self.sessions.of_job(job), reason, now)
        self.coverage.end(job=job)

    def end_dispatch(self, dispatch: str, reason: ev.EndReason, now: float) -> None:
        self._end_each(self.sessions.of_dispatch(dispatch), reason, now)
        self.coverage.end(dispatch=dispatch)

    def end_all(self, reason: ev.EndReason, now: float) -> None:
        for session in self.sessions.all():
            session.finish_speech(now)
        self.sessions.settle(now)  # once for all of them: nobody will be told of any more
        self._end_each(self.sessions.all(), reason, now)
        self.coverage.end()

    # --- the room connection

    def connected(self, room_sid: str, present: Iterable[ParticipantInfo], now: float) -> None:
        """The connection is up, for the first time or anew, and this is who is there."""
        self._advance(self.sessions.all(), now)
        self.sessions.rename(room_sid)
        self.levels.paths.rejoined()
        self.link = Link.CONNECTED
        self._connected_at = now
        self.coverage.room_found()
        infos = {info.identity: info for info in present}
        for participant in self.participants.values():
            for lost in participant.lost.values():
                lost.believe_at = settled_at(self._suspended_at, now)
            if participant.present and participant.identity not in infos:
                if participant.left_at is None:
                    self._doubt(participant, "unknown", self._suspended_at)
                participant.believe_leave_at = settled_at(self._suspended_at, now)
        for info in infos.values():
            self._arrive(info, now)
            self._unpublish_all_but(info.tracks, self.participants[info.identity], now)
            for track in info.tracks:
                self.track_published(info.identity, track, now)

    def suspend(self, now: float) -> None:
        """The connection is lost and being made again; who seems to leave may not have left."""
        self._advance(self.sessions.all(), now)
        self._suspended_at = now
        connected = self.link is Link.CONNECTED
        self.link = Link.SUSPENDED
        self.levels.suspend()
        for participant in self.participants.values():
            participant.believe_leave_at = float("inf")
            participant.leave_in_doubt = participant.left_at is not None
            if connected:  # else it has been unknown since it was lost
                participant.quality_before = participant.quality
            participant.quality = "unknown"
            for lost in participant.lost.values():
                lost.believe_at = float("inf")
            self._speech.close(participant, now)
        self._attendance.pause(now)
        doubted_since = max(now - DOUBT_S, self.levels.paths.alive_until)
        for session in self.sessions.all():
            session.suspend(now, doubted_since)

    def resumed(self, now: float) -> None:
        """The SDK made the connection again by itself; who is there is told bit by bit."""
        self._advance(self.sessions.all(), now)
        self.link = Link.CONNECTED
        self._connected_at = now
        self.coverage.room_found()
        for participant in self.participants.values():
            if participant.left_at is not None:
                participant.believe_leave_at = settled_at(self._suspended_at, now)
            for lost in participant.lost.values():
                lost.believe_at = settled_at(self._suspended_at, now)
            self._enter_waiting(participant, now)
            if participant.left_at is None and participant.tracks and not participant.lost:
                # Their subscriptions outlived the outage, and of those the server tells changes
                # alone: what held before it holds on.
                self.quality(participant.identity, participant.quality_before, now)

    def renamed(self, room_sid: str) -> None:
        """The room has this sid: a server that was restarted gives it another one."""
        self.sessions.rename(room_sid)

    def missing(self, now: float) -> None:
        """The server answers, and has no such room."""
        self._advance(self.sessions.all(), now)
        self.link = Link.MISSING
        self.coverage.room_missing(now)

    def not_missing(self, now: float) -> None:
        """The room is there after all, or the server does not answer and nobody knows."""
        self._advance(self.sessions.all(), now)
        self.coverage.room_not_missing(now)
        if self.link is Link.MISSING:
            self.link = Link.SUSPENDED

    # --- participants

    def participant_joined(self, info: ParticipantInfo, now: float) -> None:
        self._arrive(info, now)
        for track in info.tracks:
            self.track_published(info.identity, track, now)

    def participant_left(self, identity: str, reason: str, now: float) -> None:
        """Somebody is reported gone, which is believed only after a while."""
        participant = self.participants.get(identity)
        if participant is None or not participant.present or participant.left_at is not None:
            return
        self._doubt(participant, reason, now)
        if self.link is Link.CONNECTED:
            participant.believe_leave_at = now + LEAVE_GRACE_S

    def attributes_changed(self, identity: str, attributes: dict[str, str], now: float) -> None:
        participant = self.participants.get(identity)
        if participant is None:
            return
        self._advance(self.sessions.of(participant), now)
        self._describe(participant, now, lambda: participant.describe(attributes))

    def track_published(self, identity: str, info: TrackInfo, now: float) -> None:
        participant = self.participants.get(identity)
        if participant is None:
            return
        if info.sid in participant.tracks:
            self.track_muted(info.sid, info.muted, now)
            return
        if info.sid in participant.lost:
            self._find(participant, info, now)
            return
        self._advance(self.sessions.of(participant), now)
        track = participant.tracks[info.sid] = Track(info)
        self._owners[info.sid] = participant
        self._stir(participant)
        for session in self._watching(participant):
            session.track_published(track, now)

    def track_unpublished(self, track_sid: str, now: float) -> None:
        participant, track = self._track(track_sid)
        if participant is None or track is None:
            return
        self._advance(self.sessions.of(participant), now)
        self._speech.close_track(participant, track, now)
        del participant.tracks[track_sid], self._owners[track_sid]
        self._stir(participant)
        connected = self.link is Link.CONNECTED
        believe_at = now + LEAVE_GRACE_S if connected else float("inf")
        participant.lost[track_sid] = Lost(track, now, believe_at)
        for session in self._watching(participant):
            session.track_lost(track_sid)
        self._speech.tick(participant, now)

    def track_muted(self, track_sid: str, muted: bool, now: float) -> None:
        participant, track = self._track(track_sid)
        if participant is None or track is None or track.muted == muted:
            return
        self._advance(self.sessions.of(participant), now)
        if muted:
            self._speech.close_track(participant, track, now)
        track.muted = muted
        track.voiced = False
        self._stir(participant)
        self._speech.tick(participant, now)
        for session in self._watching(participant):
            session.track_muted(track, now)

    # --- what is measured

    def speech(self, track_sid: str, threshold: float, speaking: bool, at: float) -> None:
        """A meter found that speech began or ended at ``at``.

        Of a track that is muted by now, or while the connection is down, no speech begins: nothing
        would end it. That loses what was said just before, and heard only after it.
        """
        participant, track = self._track(track_sid)
        if participant is None or track is None:
            return
        if not speaking or (self.link is Link.CONNECTED and not track.muted):
            self._speech.metered(participant, track, threshold, speaking, at)

    def audio(self, track_sid: str, reading: AudioReading) -> None:
        """The totals of a track's meters."""
        participant, track = self._track(track_sid)
        if participant is None or track is None:
            return
        track.readings[reading.threshold] = reading
        for session in self._watching(participant):
            session.audio(track_sid, reading, counts=participant.in_call)

    def microphone(self, track_sid: str, reading: MicReading) -> None:
        """The health of a track, told after the totals of its meters."""
        participant, track = self._track(track_sid)
        if participant is None or track is None:
            return
        track.hear(reading)
        for session in self._watching(participant):
            session.microphone(track_sid, reading, counts=participant.in_call)

    def measured_anew(self, track_sid: str) -> None:
        """A track has other meters from here on, which count from zero."""
        participant, track = self._track(track_sid)
        if participant is not None and track is not None:
            track.readings.clear()
            track.mic = None
            for session in self.sessions.of(participant):
                session.measured_anew(track_sid)

    def speakers(self, identities: Iterable[str], now: float) -> None:
        """The server's speaker event: those who began or grew louder."""
        if self.link is Link.CONNECTED:
            self._speech.told(self.participants.values(), set(identities), now)

    def listening(self, track_sid: str, rests_on: ev.Heard, now: float) -> None:
        """A microphone rests on this from now on: ``pcm`` as the first frame comes after it was
        enabled, else as it is disabled. One of which this is never said is always heard.
        """
        participant, track = self._track(track_sid)
        if participant is None or track is None or track.rests_on == rests_on:
            return
        self._advance(self.sessions.of(participant), now)
        if rests_on == "pcm":
            track.heard_since = now
        elif track.rests_on == "pcm":
            self._speech.close_track(participant, track, now)
        track.rests_on = rests_on

    def looking(self, track_sid: str, looking: bool, now: float) -> None:
        """A look at a picture begins or ends; one of which this is never said is always seen."""
        participant, track = self._track(track_sid)
        if participant is None or track is None:
            return
        track.looking = looking
        for session in self._watching(participant):
            session.looking(track_sid, looking, now)

    def quality(self, identity: str, level: ev.QualityLevel, now: float) -> None:
        """The server's verdict on a connection."""
        participant = self.participants.get(identity)
        if participant is None or self.link is not Link.CONNECTED:
            return
        self._advance(self.sessions.of(participant), now)
        self.levels.told(participant, level, now)

    def own_quality(self, level: ev.QualityLevel) -> None:
        """The server's verdict on the own connection."""
        self.levels.paths.own_level = level

    def received(
        self, readings: Mapping[str, LinkReading], rtt_s: float | None, now: float
    ) -> None:
        """The totals of all audio receivers that are heard now, by track sid, and the round trip
        time to the server. Call it every 5 s, and at once while a level is ``waiting`` for it.
        """
        heard: dict[str, dict[str, LinkReading]] = {}
        for sid, reading in readings.items():
            if sid in self._owners:
                heard.setdefault(self._owners[sid].identity, {})[sid] = reading
                for session in self._watching(self._owners[sid]):
                    session.packets(sid, reading.packets_received, now)
        if self.link is Link.CONNECTED:
            self.levels.received(heard, rtt_s, now)

    def data(self, identity: str, now: float) -> None:
        """Somebody sent data, or pressed a key of their telephone."""
        participant = self.participants.get(identity)
        for session in () if participant is None else self._watching(participant):
            session.idle.active(now)

    def video(self, track_sid: str, reading: VideoReading | None, now: float) -> None:
        """The totals of a video receiver; None when it is gone for a reason of our own."""
        participant, track = self._track(track_sid)
        if participant is None or track is None:
            return
        if reading is None:
            track.looking = None  # of another receiver looks are told anew
        if reading is not None and not reading.frames and track.video and track.video.frames:
            return  # a receiver that has counted some does not forget them
        track.see(reading, now)
        paths = self.levels.paths
        paths.alive_until = max(paths.alive_until, track.came_until)
        sees = self.link is Link.CONNECTED and not self.levels.look(now)
        if reading is None or sees:
            for session in self._watching(participant):
                session.video(track_sid, reading, now)

    def is_monitored(self, identity: str) -> bool:
        """Whether somebody is watched or would be: everybody who has not opted out."""
        participant = self.participants.get(identity)
        return participant is None or not participant.opted_out

    def owner(self, track_sid: str) -> Participant | None:
        """Whose track this is."""
        return self._owners.get(track_sid)

    # --- time

    def settle(self, now: float) -> None:
        """Nothing more will be told of the time until now: another process goes on from here."""
        self.sessions.settle(now)

    def tick(self, now: float) -> None:
        """Let time pass: what is due happens. Call it at least once a second."""
        self._advance(self.sessions.all(), now)
        for participant in list(self.participants.values()):
            self._speech.tick(participant, now)
            if participant.lost and participant.left_at is None:
                self._give_up(participant, now)
                if not participant.tracks and not participant.lost:
                    self._nothing_published(participant, now)
            if participant.left_at is not None and now >= participant.believe_leave_at:
                self._leave(participant, participant.left_at, now)
        self.levels.tick(now)
        if self.link is Link.CONNECTED:
            self.levels.look(now)
        self._attendance.tick(self.participants.values(), self.link is Link.CONNECTED, now)
        for session in self.sessions.all():
            self._tick_timeouts(session, now)
            watched = session.present and not session.participant.opted_out
            if watched and self.link is Link.CONNECTED:
                session.judge(now)
        self._end_each(self.coverage.surplus(), "away_timeout", now)
        for job in self.coverage.overdue(now):
            self.end_job(job, "room_closed", now)

    # --- inside

    def _stir(self, participant: Participant) -> None:
        """What is wanted of somebody's tracks may be something else now."""
        self.sessions.stirred.add(participant.identity)

    def _track(self, track_sid: str) -> tuple[Participant | None, Track | None]:
        participant = self._owners.get(track_sid)
        return participant, None if participant is None else participant.tracks[track_sid]

    def _known(self, identity: str) -> Participant:
        participant = self.participants.get(identity)
        if participant is None:
            participant = Participant(identity, opt_out=self._opt_out)
            self.participants[identity] = participant
        return participant

    def _watching(self, participant: Participant) -> list[Session]:
        """The sessions that hear of this participant: present, and not against their will."""
        if participant.opted_out:
            return []
        return [s for s in self.sessions.of(participant) if s.present]

    def _advance(self, sessions: Iterable[Session], now: float) -> None:
        connected, missing = self.link is Link.CONNECTED, self.link is Link.MISSING
        for session in sessions:
            session.advance(now, connected=connected, missing=missing)

    def _arrive(self, info: ParticipantInfo, now: float) -> None:
        participant = self.participants.get(info.identity)
        if participant is not None and participant.left_at is not None:
            if not participant.leave_in_doubt and info.sid != participant.sid:
                # A client that left and came back within the second, not a reconnect of ours.
                self._leave(participant, participant.left_at, now)
            participant.left_at = None
            # The SDK forgot what they had published when it reported them gone.
            self._unpublish_all_but(info.tracks, participant, now)
        participant = self._known(info.identity)
        self._advance(self.sessions.of(participant), now)
        self._describe(participant, now, lambda: participant.take(info))
        participant.present = True
        self._enter_waiting(participant, now)

    def _describe(self, participant: Participant, now: float, describe: Callable[[], None]) -> None:
        """Take a new description of somebody, who may have changed their mind or picked up."""
        was_out, was_in_call = participant.opted_out, participant.in_call
        describe()
        self._stir(participant)
        if participant.opted_out or not participant.in_call:
            self._speech.close(participant, now)
        if participant.opted_out:
            self.levels.forget(participant)
        for session in self.sessions.of(participant):
            if session.present and participant.opted_out and not was_out:
                session.opt_out(now)
            elif session.present and was_out and not participant.opted_out:
                session.watch_tracks(now)
        if participant.in_call and not was_in_call:
            self._speech.answered(participant, now)

    def _unpublish_all_but(
        self, infos: Iterable[TrackInfo], participant: Participant, now: float
    ) -> None:
        """Tracks of somebody that are not described any more are gone."""
        described = {info.sid for info in infos}
        for sid in list(participant.tracks):
            if sid not in described:
                self.track_unpublished(sid, now)

    def _enter_waiting(self, participant: Participant, now: float) -> None:
        """Somebody is there: tell the sessions that do not know it yet."""
        if not participant.present or participant.left_at is not None:
            return
        self.coverage.cover(participant, now)
        for session in self.sessions.of(participant):
            session.waited_s = 0.0
            if not session.present:
                session.connected(now)
                if not participant.opted_out:
                    session.watch_tracks(now)

    def _doubt(self, participant: Participant, reason: str, at: float) -> None:
        """Take somebody as possibly gone: nothing is billed from here on."""
        self._advance(self.sessions.of(participant), at)
        self._speech.close(participant, at)
        self.levels.flush(participant, at)
        participant.left_at = at
        participant.leave_reason = reason
        participant.leave_in_doubt = self.link is not Link.CONNECTED
        participant.believe_leave_at = float("inf")

    def _leave(self, participant: Participant, left_at: float, now: float) -> None:
        for sid in list(participant.tracks):
            self.track_unpublished(sid, left_at)
        self._give_up(participant, float("inf"))
        participant.present = False
        self._stir(participant)
        participant.left_at = None
        self.levels.forget(participant)
        for session in self.sessions.of(participant):
            if session.present:
                # An outage of our own is no waiting: nobody could be seen to come.
                waited_s = now - max(left_at, self._connected_at)
                session.disconnected(left_at, participant.leave_reason, waited_s)
            if participant.leave_reason == "room_deleted":
                # With its dispatches; whoever joins again, we among them, makes another room.
                self._end(session, "room_closed", now)
            elif session.watch.end_on_disconnect:
                self._end(session, "participant_left", now)
        self._forget(participant)

    def _find(self, participant: Participant, info: TrackInfo, now: float) -> None:
        """A track that was reported gone is there: it was our own connection that was gone."""
        self._advance(self.sessions.of(participant), now)
        track = participant.lost.pop(info.sid).track
        participant.tracks[info.sid] = track
        self._owners[info.sid] = participant
        self._stir(participant)
        for session in self._watching(participant):
            session.track_found(track, now)
        self.track_muted(info.sid, info.muted, now)

    def _give_up(self, participant: Participant, now: float) -> None:
        """Believe that tracks are gone which have been reported so for long enough."""
        for sid in [sid for sid, lost in participant.lost.items() if lost.believe_at <= now]:
            lost = participant.lost.pop(sid)
            for session in self._watching(participant):
                session.track_unpublished(lost.track, lost.at)

    def _nothing_published(self, participant: Participant, now: float) -> None:
        """The server judges the links of those alone of whom it passes something on."""
        self.levels.forget(participant)
        for session in self._watching(participant):
            session.nothing_published(now)

    def _tick_timeouts(self, session: Session, now: float) -> None:
        gone = self.link is Link.MISSING
        if not session.ever_present:
            if session.waited_s >= session.watch.join_timeout_s:
                self._end(session, "join_timeout", now, error=JOIN_TIMEOUT)
        elif session.waited_s >= session.watch.away_timeout_s:
            self._end(session, "room_closed" if gone else "away_timeout", now)

    def _end_each(self, sessions: Iterable[Session], reason: ev.EndReason, now: float) -> None:
        for session in sessions:
            self._end(session, reason, now)

    def _end(
        self, session: Session, reason: ev.EndReason, now: float, error: str | None = None
    ) -> None:
        self._advance(self.sessions.of(session.participant), now)
        self.levels.flush(session.participant, now)
        if self.link is Link.CONNECTED and session.present:
            for lost in session.participant.lost.values():
                session.track_unpublished(lost.track, lost.at)
        self.sessions.end(session, reason, now, error)
        if not self.sessions.of(session.participant):
            self.levels.forget(session.participant)
        self._forget(session.participant)

    def _forget(self, participant: Participant) -> None:
        """Drop somebody who is neither there nor waited for."""
        if not participant.present and not self.sessions.of(participant):
            self.participants.pop(participant.identity, None)
