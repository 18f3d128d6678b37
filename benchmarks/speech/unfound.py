"""What pmon does not find: told by condition, length and level, so that nobody has to guess."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from speech import channel, truth
from speech.conditions import CORE, EXTRA
from speech.material import Clip
from speech.score import Score, median

LEAST_POWER = 1e-10
LENGTHS_S = ((0.0, 0.3), (0.3, 0.6), (0.6, math.inf))


@dataclasses.dataclass(frozen=True)
class Segment:
    """One of the truth. ``level_dbov`` is that of all which is heard in it, noise included."""

    condition: str
    length_s: float
    level_dbov: float
    found: bool


def of_clips(clips: Sequence[Clip], scores: Sequence[Score]) -> list[Segment]:
    """All segments, as the scores of one detector judge them."""
    pairs = zip(clips, scores, strict=True)
    return [segment for clip, one in pairs for segment in _of_clip(clip, one)]


def rows(segments: Sequence[Segment]) -> Iterator[list[str]]:
    """A table: of all, by the loudness of noise that was added, and by condition."""
    noisy = {c.name: f"noise at {c.snr_db:.0f} dB" for c in (*CORE, *EXTRA) if c.noise}
    groups: dict[str, list[Segment]] = {"all": list(segments)}
    for segment in segments:
        groups.setdefault(noisy.get(segment.condition, "no noise added"), []).append(segment)
    for segment in segments:
        groups.setdefault(segment.condition, []).append(segment)
    lengths = ("under 0.3 s", "0.3 to 0.6 s", "longer")
    yield ["pmon does not find, under", "so many", *lengths, "median length", "median level"]
    for name, group in groups.items():
        missed = [segment for segment in group if not segment.found]
        length, level = median([s.length_s for s in missed]), median([s.level_dbov for s in missed])
        if length is not None and level is not None:
            by_length = (_missed_of(group, *span) for span in LENGTHS_S)
            all_of = _missed_of(group, 0.0, math.inf)
            yield [name, all_of, *by_length, f"{length:.2f} s", f"{level:.0f} dBov"]


def _missed_of(segments: Sequence[Segment], least_s: float, below_s: float) -> str:
    """Of those of this length."""
    found = [segment.found for segment in segments if least_s <= segment.length_s < below_s]
    return f"{found.count(False)} of {len(found)}"


def _of_clip(clip: Clip, judged: Score) -> Iterator[Segment]:
    power = truth.frame_power(clip.samples / channel.FULL_SCALE, clip.sample_rate)
    for start, end in clip.segments:
        heard = power[truth.frames([(start, end)], len(power))]
        level = 10 * np.log10(max(heard.mean(), LEAST_POWER)) if len(heard) else -np.inf
        found = (start, end) not in judged.unfound_spans
        yield Segment(clip.condition, end - start, float(level), found)
