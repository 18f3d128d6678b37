"""Speech that was found beside the truth: missed, falsely found, and the error of the talk time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.01
MISS_WEIGHT, FALSE_ALARM_WEIGHT = 0.75, 0.25

Segments = Sequence[tuple[float, float]]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Of one file, or of several together: frames of 10 ms, and seconds of talk time."""

    speech: int
    other: int
    missed: int
    false_alarms: int
    talk_time_s: float
    found_s: float
    absolute_error_s: float
    """Of several files the sum of each one's, so that too much here and too little there show."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What the counts come to; None where there is nothing to relate to."""

    p_miss: float | None
    """Missed speech over all speech, 0 to 1."""
    p_fa: float | None
    """Falsely found speech over all that is none, 0 to 1."""
    dcf: float | None
    """Detection cost, 0.75 p_miss + 0.25 p_fa."""
    talk_time_s: float
    """The true one."""
    talk_time_error: float | None
    """Signed, over the true one."""
    talk_time_error_abs: float | None
    """The same without the sign; of several files the sum of each one's."""


def count(found: Segments, truth: Segments, duration_s: float) -> Counts:
    """Compare frame by frame. A frame is what its middle is: of the file, of a segment."""
    frames = _first_after(duration_s)
    is_found, is_speech = _frames(found, frames), _frames(truth, frames)
    true_s, found_s = _total_s(truth), _total_s(found)
    return Counts(
        speech=int(is_speech.sum()),
        other=int((~is_speech).sum()),
        missed=int((is_speech & ~is_found).sum()),
        false_alarms=int((is_found & ~is_speech).sum()),
        talk_time_s=true_s,
        found_s=found_s,
        absolute_error_s=abs(found_s - true_s),
    )


def pooled(all_counts: Iterable[Counts]) -> Counts:
    """All files as if they were one."""
    counts = list(all_counts)
    sums = {name: sum(getattr(c, name) for c in counts) for name in Counts.__struct_fields__}
    return Counts(**sums)


def detection_cost(p_miss: float, p_fa: float) -> float:
    """The detection cost function of NIST's OpenSAT."""
    return MISS_WEIGHT * p_miss + FALSE_ALARM_WEIGHT * p_fa


def score(counts: Counts) -> Score:
    p_miss = _share(counts.missed, counts.speech)
    p_fa = _share(counts.false_alarms, counts.other)
    dcf = None if p_miss is None or p_fa is None else detection_cost(p_miss, p_fa)
    return Score(
        p_miss=_rounded(p_miss),
        p_fa=_rounded(p_fa),
        dcf=_rounded(dcf),
        talk_time_s=round(counts.talk_time_s, 3),
        talk_time_error=_rounded(_share(counts.found_s - counts.talk_time_s, counts.talk_time_s)),
        talk_time_error_abs=_rounded(_share(counts.absolute_error_s, counts.talk_time_s)),
    )


def _frames(segments: Segments, frames: int) -> NDArray[np.bool_]:
    speech = np.zeros(frames, np.bool_)
    for start_s, end_s in segments:
        speech[_first_after(start_s) : _first_after(end_s)] = True
    return speech


def _first_after(seconds: float) -> int:
    """The first frame whose middle is not before this time."""
    return math.ceil(round(seconds / FRAME_S - 0.5, 6))


def _total_s(segments: Segments) -> float:
    return sum((end_s - start_s for start_s, end_s in segments), 0.0)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
