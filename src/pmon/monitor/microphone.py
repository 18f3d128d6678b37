"""How a microphone is, judged by what was heard of it and by nothing else.

Every verdict needs seconds of *heard* audio, so a microphone that is listened to from time to time
is judged later, and no otherwise. Time in which nothing came, or nothing was asked for, says
nothing: nobody is blamed for what was not heard.

What cannot be told: behind noise suppression that makes zeros of pauses, somebody who has not said
a word since they unmuted sounds like a dead microphone. One that dies after it was heard sounds
like a pause. And a voice under SPEAKING_THRESHOLD is no voice to pmon, so not a quiet one either.
"""

from __future__ import annotations

import msgspec

from pmon.monitor.events import ParticipantKind
from pmon.monitor.inputs import MicReading
from pmon.monitor.mic_faults import Clipping, Noise, Quiet, Silence, Verdict
from pmon.monitor.stretch import Stretch

SILENCE_JUDGED: tuple[ParticipantKind, ...] = ("standard",)
"""A telephone that is muted sends silence, and so does an agent that waits for its turn."""


class Microphone(msgspec.Struct):
    """The health of one microphone, as one session heard it."""

    meter: MicReading | None = None
    """The last reading. The meter may be older than the session: what it had heard by then is not
    the session's."""
    speech_s: float = 0.0
    """What the session's detector had found by then, and the energy of that."""
    speech_energy: float = 0.0
    spoken: Stretch = msgspec.field(default_factory=Stretch)
    """All that was heard while somebody spoke."""
    floors: dict[int, float] = {}
    """Seconds heard with each noise floor, in dBov."""
    silence: Silence = msgspec.field(default_factory=Silence)
    quiet: Quiet = msgspec.field(default_factory=Quiet)
    noise: Noise = msgspec.field(default_factory=Noise)
    clipping: Clipping = msgspec.field(default_factory=Clipping)

    @classmethod
    def of(cls, meter: MicReading | None, *, voiced: bool) -> Microphone:
        """One that others may have heard before."""
        return cls(meter=meter, silence=Silence(voiced=voiced))

    def mute(self) -> list[Verdict]:
        """Muted or unmuted: whatever is wrong with it, nobody hears it now.

        Who unmutes for each word is heard for seconds only, so those that were heard go on to
        count, except for silence.
        """
        self.silence.begin()
        self.noise = Noise()
        self.quiet.bad = False
        self.clipping.end()
        return [
            Verdict("mic_silent", False, 0.0),
            Verdict("mic_quiet", False, 0.0),
            Verdict("mic_noisy", False, 0.0),
            Verdict("mic_clipping", False, 0.0),
        ]

    def forgotten(self) -> Microphone:
        """The same without what speaks for a fault: its owner does not want to be judged by it.

        What is for the summary stays, and that it was heard: who spoke has no dead one.
        """
        return Microphone(
            meter=self.meter,
            speech_s=self.speech_s,
            speech_energy=self.speech_energy,
            spoken=self.spoken,
            floors=self.floors,
            silence=Silence(voiced=self.silence.voiced),
        )

    def restart(self) -> None:
        """The next reading is another meter's, which counts from zero."""
        self.meter = None
        self.silence.restart()

    def skip(self, reading: MicReading, speech_s: float, speech_energy: float) -> None:
        """Take a reading of what is nobody's voice, such as ringing."""
        self.meter, self.speech_s, self.speech_energy = reading, speech_s, speech_energy

    def read(
        self,
        reading: MicReading,
        speech_s: float,
        speech_energy: float,
        kind: ParticipantKind,
    ) -> list[Verdict]:
        """Take a reading, and the seconds and energy of speech that the session has so far.

        Returns what is to be said now. A fault that is not named stays as it was.
        """
        heard = Stretch.between(self.meter, reading)
        if heard.heard_s <= 0:
            return []
        heard.speech_s = speech_s - self.speech_s
        heard.speech_energy = speech_energy - self.speech_energy
        self.skip(reading, speech_s, speech_energy)
        if heard.speech_s > 0:
            self.spoken.add(heard)
        if reading.floor_dbov is not None:
            floor = round(reading.floor_dbov)
            self.floors[floor] = self.floors.get(floor, 0.0) + heard.heard_s
        verdicts = (
            self.silence.read(heard, reading) if kind in SILENCE_JUDGED else None,
            self.quiet.read(heard, reading),
            self.noise.read(heard, reading, self.quiet.speech_dbov),
            self.clipping.read(heard, reading),
        )
        return [verdict for verdict in verdicts if verdict is not None]

    # --- for the summary

    @property
    def level_dbov(self) -> float | None:
        active = self.spoken.active
        return None if active is None else round(active[0], 1)

    @property
    def floor_dbov(self) -> float | None:
        """The median: where the stream dropped out for a moment the floor is that of silence."""
        half_s = sum(self.floors.values()) / 2
        for floor in sorted(self.floors):
            half_s -= self.floors[floor]
            if half_s <= 0:
                return float(floor)
        return None

    @property
    def clipped_ratio(self) -> float | None:
        ratio = self.spoken.clipped_ratio
        return None if ratio is None else round(ratio, 5)
