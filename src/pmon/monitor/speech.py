"""Who speaks: meters and the server's word go in, each session's talk moves."""

from __future__ import annotations

from collections.abc import Iterable

from pmon.monitor.events import Heard
from pmon.monitor.hearing import onset
from pmon.monitor.participant import Participant, Track
from pmon.monitor.session import Session
from pmon.monitor.sessions import Sessions
from pmon.monitor.teller import SERVER


class Speech:
    """Brings runs of speech to the sessions that listen, and ends them by time where they must.

    A run has one of two sources: the meter of a microphone that is decoded, or, where none can
    be, the server's speaker events.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def metered(
        self, participant: Participant, track: Track, threshold: float, speaking: bool, at: float
    ) -> None:
        """A meter found that speech began or ended at ``at``."""
        heard: Heard = "pcm"
        if speaking:
            at, heard = onset(at, track.heard_since, participant.called_at)
            track.runs[threshold] = at
        else:
            track.runs.pop(threshold, None)
        for session in self._listening(participant) if participant.in_call else ():
            if session.watch.speaking_threshold == threshold:
                if speaking:
                    session.speech_started(track.sid, at, heard)
                else:
                    session.speech_stopped(track.sid, at)

    def answered(self, participant: Participant, now: float) -> None:
        """A call was picked up: what is being said counts from here on."""
        for track in participant.tracks.values():
            for session in self._listening(participant):
                if session.watch.speaking_threshold in track.runs:
                    session.speech_started(track.sid, now)

    def told(self, participants: Iterable[Participant], named: set[str], now: float) -> None:
        """The server named those who began to speak or grew louder."""
        for participant in participants:
            if participant.identity in named:
                participant.called(now)
            if not participant.on_server_word or not participant.in_call:
                continue
            if participant.word.told(participant.identity in named, now):
                for session in self._listening(participant):
                    session.speech_started(SERVER, participant.word.since or now, "server")

    def tick(self, participant: Participant, now: float) -> None:
        """End what the server said once it is sure, or once a meter has the say."""
        if participant.word.since is None:
            return
        if participant.on_server_word:
            self._stop_word(participant, participant.word.tick(now))
        else:
            self._stop_word(participant, participant.word.stop(now))

    def close_track(self, participant: Participant, track: Track, at: float) -> None:
        """End speech on a track by time; its meter may never say another word."""
        track.runs.clear()
        for session in self._sessions.of(participant):
            session.speech_stopped(
                track.sid, track.speech_end(session.watch.speaking_threshold, at)
            )

    def close(self, participant: Participant, at: float) -> None:
        """End all speech of somebody."""
        for track in participant.tracks.values():
            self.close_track(participant, track, at)
        self._stop_word(participant, participant.word.stop(at))

    def _listening(self, participant: Participant) -> list[Session]:
        if participant.opted_out:
            return []
        return [s for s in self._sessions.of(participant) if s.present and s.watch.audio]

    def _stop_word(self, participant: Participant, at: float | None) -> None:
        if at is not None:
            for session in self._sessions.of(participant):
                session.speech_stopped(SERVER, at)
