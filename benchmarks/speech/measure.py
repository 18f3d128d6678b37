"""Runs detectors over clips and over what is never speech, in two processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from speech import negatives, score
from speech.detectors import DETECTORS
from speech.material import Clip, pool
from speech.negatives import NEGATIVES
from speech.score import Score
from speech.unfound import Segment

SAMPLE_RATE = 48_000
OTHERS_S = 600.0
"""As much as other detectors than pmon's are given of each hour; what they bill is scaled up."""


@dataclasses.dataclass
class Run:
    """All that the table shows. ``conditions`` and ``sample_rates`` have one entry for each clip,
    ``scores`` those of each detector; ``billed_s`` is by detector and kind of noise, in an hour;
    ``told_s`` by condition, how late pmon told of each onset; ``segments`` all of the truth, and
    whether pmon found them."""

    head: str
    part: str
    minutes: float
    conditions: list[str]
    sample_rates: list[int]
    scores: dict[str, list[Score]]
    billed_s: dict[str, dict[str, float]]
    told_s: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    segments: list[Segment] = dataclasses.field(default_factory=list)

    def pooled(
        self,
        detector: str,
        among: Collection[str] | None = None,
        sample_rate: int | None = None,
    ) -> Score:
        """Over the clips under the conditions ``among``, of this rate; None means all."""
        rows = zip(self.conditions, self.sample_rates, self.scores[detector], strict=True)
        return score.pooled(
            one
            for condition, rate, one in rows
            if (among is None or condition in among) and sample_rate in (None, rate)
        )


def clips(made: Sequence[Clip], detectors: Sequence[str], processes: int) -> dict[str, list[Score]]:
    """By detector, one score a clip."""
    names = [detectors] * len(made)
    if processes == 1:
        rows = list(map(_of_clip, made, names))
    else:
        with pool(processes) as executor:
            rows = list(executor.map(_of_clip, made, names, chunksize=4))
    return {name: [row[i] for row in rows] for i, name in enumerate(detectors)}


def hours(detectors: Sequence[str], seconds: float, processes: int) -> dict[str, dict[str, float]]:
    """By detector and kind, what an hour is billed for in seconds."""
    pairs = [(name, number) for number in range(len(NEGATIVES)) for name in detectors]
    with pool(processes) as executor:
        billed = list(executor.map(_of_hour, *zip(*pairs, strict=True), [seconds] * len(pairs)))
    found: dict[str, dict[str, float]] = {name: {} for name in detectors}
    for (name, number), value in zip(pairs, billed, strict=True):
        found[name][NEGATIVES[number].name] = value
    return found


def _of_clip(clip: Clip, detectors: Sequence[str]) -> list[Score]:
    samples = [clip.samples]
    return [
        score.score(DETECTORS[name](samples, clip.sample_rate), clip.segments, clip.duration_s)
        for name in detectors
    ]


def _of_hour(detector: str, number: int, seconds: float) -> float:
    given = seconds if detector == "pmon" else min(seconds, OTHERS_S)
    return negatives.billed_s(DETECTORS[detector], NEGATIVES[number], SAMPLE_RATE, given)
