"""The table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from capacity.compare import finite, percentile

from speech import unfound
from speech.material import RATES
from speech.measure import Run
from speech.negatives import NEGATIVES
from speech.score import Score, median, within

FIVE = ("clean", "white 20 dB", "white 10 dB", "babble 20 dB", "babble 10 dB")
"""The conditions that detectors are usually compared under."""
LOUDNESSES = ("clean", "20 dB", "10 dB")
HEAD = (
    "detector",
    "DCF of five",
    "DCF of all",
    "Pmiss",
    "Pfa",
    "F1",
    *(f"talk time, {name}" for name in LOUDNESSES),
    "per clip",
    "onset: median, of amounts / 90 %",
    "end: median, of amounts / 90 %",
    "not found",
    "joined",
)


def markdown(run: Run) -> str:
    """All that is printed but the verdicts."""
    minutes = f"{len(run.conditions)} clips of {run.part}, {run.minutes:.0f} minutes"
    parts = [
        f"{run.head}. {minutes}.",
        _table([HEAD, *(_row(run, name) for name in run.scores)]),
        _table(list(_by_condition(run))),
    ]
    if run.told_s:
        parts.append(_table(list(_told(run))))
    if run.segments:
        parts.append(_table(list(unfound.rows(run.segments))))
    if run.billed_s:
        parts.append(_table(list(_by_noise(run))))
    return "\n\n".join(parts)


def figures(run: Run) -> dict[str, Any]:
    """The same for programs."""
    conditions = list(dict.fromkeys(run.conditions))
    return {
        "head": run.head,
        "part": run.part,
        "minutes": round(run.minutes, 1),
        "told": sum(map(math.isfinite, told_of_five(run))),
        "to_tell": len(told_of_five(run)),
        "told_median_s": finite(percentile(told_of_five(run), 0.5)),
        "told_90_s": finite(percentile(told_of_five(run), 0.9)),
        "detectors": {
            name: {
                "dcf_of_five": of_five(run, name).dcf,
                "all": _figures(run.pooled(name)),
                "by_condition": {c: _figures(run.pooled(name, [c])) for c in conditions},
                "billed_s_an_hour": run.billed_s.get(name, {}),
            }
            for name in run.scores
        },
    }


def _figures(score: Score) -> dict[str, float | int | None]:
    return {
        "dcf": score.dcf,
        "p_miss": score.p_miss,
        "p_fa": score.p_fa,
        "f1": score.f1,
        "talk_error": score.talk_error,
        "mean_absolute_talk_error": score.mean_absolute_talk_error,
        "onset_median_s": median(score.onset_errors),
        "onset_amount_median_s": within(score.onset_errors, 0.5),
        "onset_90_s": within(score.onset_errors),
        "end_median_s": median(score.end_errors),
        "end_amount_median_s": within(score.end_errors, 0.5),
        "end_90_s": within(score.end_errors),
        "segments": score.segments,
        "not_found": score.unfound,
        "joined": score.segments - score.unfound - len(score.onset_errors),
        "unfounded": score.unfounded,
    }


def of_five(run: Run, name: str) -> Score:
    """Pooled over clean, white and babble."""
    return run.pooled(name, FIVE)


def of_loudness(run: Run, name: str, loudness: str) -> Score:
    """Pooled over all conditions with so loud a noise, or clean."""
    return run.pooled(name, {c for c in run.conditions if c.endswith(loudness)})


def _row(run: Run, name: str) -> list[str]:
    total = run.pooled(name)
    return [
        name,
        f"{of_five(run, name).dcf:.3f}",
        f"{total.dcf:.3f}",
        f"{total.p_miss:.3f}",
        f"{total.p_fa:.3f}",
        f"{total.f1:.3f}",
        *(f"{100 * of_loudness(run, name, of).talk_error:+.1f} %" for of in LOUDNESSES),
        f"{100 * total.mean_absolute_talk_error:.1f} %",
        _errors(total.onset_errors),
        _errors(total.end_errors),
        f"{total.unfound} of {total.segments}",
        f"{total.segments - total.unfound - len(total.onset_errors)}",
    ]


def _errors(errors: Sequence[float]) -> str:
    if not errors:
        return ""
    return f"{median(errors):+.2f} s, {within(errors, 0.5):.2f} / {within(errors):.2f} s"


def _by_condition(run: Run) -> Iterator[list[str]]:
    yield ["DCF under", *run.scores]
    for condition in dict.fromkeys(run.conditions):
        cells = (f"{run.pooled(name, [condition]).dcf:.3f}" for name in run.scores)
        yield [condition, *cells]
    for rate in sorted(set(run.sample_rates) & set(RATES)):
        cells = (f"{run.pooled(name, None, rate).dcf:.3f}" for name in run.scores)
        yield [f"all at {rate // 1000} kHz", *cells]


def _told(run: Run) -> Iterator[list[str]]:
    yield ["pmon tells of an onset under", "after, median", "80 %", "90 %", "told"]
    every = [(c, run.told_s[c]) for c in dict.fromkeys(run.conditions)]
    for name, delays in [("all of five", told_of_five(run)), *every]:
        if delays:
            late = (percentile(delays, share) for share in (0.5, 0.8, 0.9))
            yield [name, *map(_late, late), told(delays)]


def _late(delay_s: float | None) -> str:
    shown = finite(delay_s)
    return "∞" if shown is None else f"{shown:.2f} s"


def told(delays: Sequence[float]) -> str:
    """How many there were to tell, and how many were told."""
    return f"{sum(map(math.isfinite, delays))} of {len(delays)}"


def told_of_five(run: Run) -> list[float]:
    """Seconds from onset to telling, of clean, white and babble."""
    return [delay for name in FIVE for delay in run.told_s.get(name, [])]


def _by_noise(run: Run) -> Iterator[list[str]]:
    yield ["s billed in an hour of", *run.billed_s]
    for negative in NEGATIVES:
        yield [
            negative.name,
            *(f"{run.billed_s[name][negative.name]:.0f}" for name in run.billed_s),
        ]


def _table(rows: Sequence[Sequence[str]]) -> str:
    ruled = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in ruled)
