"""How far what a detector says is from the truth.

Frames of 10 ms: Pmiss is the share of speech that was not found, Pfa the share of the rest that
was called speech, DCF = 0.75 Pmiss + 0.25 Pfa (the detection cost function of NIST's OpenSAT).
Pooled figures add frames over clips, so long clips count for more. ``F1`` stands beside it, though
always-speech does well by it.

Segments: a true segment is found if a stated one overlaps it. Its onset error is taken at the first
stated segment that overlaps it, unless that one covers the end of the true segment before as well:
then the two were joined and there is no onset to judge. Ends likewise, at the last one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from pmon.cli.analyze.compare import detection_cost
from speech import truth
from speech.truth import Segments


@dataclasses.dataclass
class Score:
    """Of one clip, or of many added up. ``talk_errors`` has one entry a clip, signed and relative;
    onset and end errors are in seconds, positive when stated too late."""

    speech: int = 0
    missed: int = 0
    silence: int = 0
    false_alarms: int = 0
    true_s: float = 0.0
    stated_s: float = 0.0
    talk_errors: list[float] = dataclasses.field(default_factory=list)
    segments: int = 0
    unfound: int = 0
    unfounded: int = 0
    onset_errors: list[float] = dataclasses.field(default_factory=list)
    end_errors: list[float] = dataclasses.field(default_factory=list)
    unfound_spans: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    @property
    def p_miss(self) -> float:
        """Share of speech frames that were not found."""
        return self.missed / max(self.speech, 1)

    @property
    def p_fa(self) -> float:
        """Share of other frames that were called speech."""
        return self.false_alarms / max(self.silence, 1)

    @property
    def dcf(self) -> float:
        """The detection cost function."""
        return detection_cost(self.p_miss, self.p_fa)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        found = self.speech - self.missed
        return 2 * found / max(2 * found + self.missed + self.false_alarms, 1)

    @property
    def talk_error(self) -> float:
        """Of all talk time together, signed and relative."""
        return (self.stated_s - self.true_s) / self.true_s if self.true_s else 0.0

    @property
    def mean_absolute_talk_error(self) -> float:
        """The mean over the clips, so that too much here does not make up for too little there."""
        return float(np.mean(np.abs(self.talk_errors))) if self.talk_errors else 0.0


def score(stated: Segments, true: Segments, duration_s: float) -> Score:
    """Of one clip; both lists are in order and without overlap."""
    count = int(duration_s / truth.FRAME_S + 1e-6)
    is_speech, is_stated = truth.frames(true, count), truth.frames(stated, count)
    true_s, stated_s = _total(true), _total(stated)
    made = Score(
        speech=int(is_speech.sum()),
        missed=int((is_speech & ~is_stated).sum()),
        silence=int((~is_speech).sum()),
        false_alarms=int((~is_speech & is_stated).sum()),
        true_s=true_s,
        stated_s=stated_s,
        talk_errors=[(stated_s - true_s) / true_s] if true_s else [],
        segments=len(true),
        unfounded=sum(not any(_overlap(s, t) for t in true) for s in stated),
    )
    for i, segment in enumerate(true):
        found = [s for s in stated if _overlap(s, segment)]
        if not found:
            made.unfound += 1
            made.unfound_spans.append(segment)
        if found and not (i > 0 and _overlap(found[0], true[i - 1])):
            made.onset_errors.append(found[0][0] - segment[0])
        if found and not (i + 1 < len(true) and _overlap(found[-1], true[i + 1])):
            made.end_errors.append(found[-1][1] - segment[1])
    return made


def pooled(scores: Iterable[Score]) -> Score:
    """All added up."""
    total = Score()
    for one in scores:
        for field in dataclasses.fields(Score):
            setattr(total, field.name, getattr(total, field.name) + getattr(one, field.name))
    return total


def median(errors: Sequence[float]) -> float | None:
    """Signed; None without any."""
    return float(np.median(errors)) if errors else None


def within(errors: Sequence[float], share: float = 0.9) -> float | None:
    """How far from the truth ``share`` of them are at most; None without any."""
    return float(np.quantile(np.abs(errors), share)) if errors else None


def _total(segments: Segments) -> float:
    return sum(end - start for start, end in segments)


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
