"""What must be true of pmon's figures, and whether it is."""

from __future__ import annotations

from collections.abc import Iterator

from capacity.compare import percentile
from capacity.verdicts import Verdict

from speech import report
from speech.measure import Run
from speech.negatives import NEGATIVES
from speech.score import within

DETECTOR = "pmon"
OF_WEBRTC = 0.85
TALK_ERRORS = {"clean": 0.05, "20 dB": 0.05, "10 dB": 0.10}
ONSET_S, END_S, TOLD_S = 0.06, 0.3, 0.15


def verdicts(run: Run) -> Iterator[Verdict]:
    """Every bound on what was measured; none of what pmon did not take part in."""
    if DETECTOR not in run.scores:
        return
    total = run.pooled(DETECTOR)
    best = best_webrtc(run)
    if best is not None:
        ratio = report.of_five(run, DETECTOR).dcf / best
        yield Verdict("DCF of five beside the best of WebRTC", ratio, OF_WEBRTC)
    for loudness, bound in TALK_ERRORS.items():
        error = abs(report.of_loudness(run, DETECTOR, loudness).talk_error)
        yield Verdict(f"talk time, {loudness}, relative", error, bound)
    for what, errors, bound in (
        ("onset", total.onset_errors, ONSET_S),
        ("end", total.end_errors, END_S),
    ):
        # Of the amounts: as many too early as too late come to nothing.
        yield Verdict(f"stated {what}, median of amounts, s", within(errors, 0.5), bound)
    if run.told_s:
        delays = report.told_of_five(run)
        note = f"{report.told(delays)} were told, fed directly to the detector"
        middle = percentile(delays, 0.5)
        yield Verdict("onset told, median of five, s", middle, TOLD_S, note=note)
    for negative in NEGATIVES if run.billed_s else ():
        if negative.at_most_s is not None:
            billed = run.billed_s[DETECTOR][negative.name]
            yield Verdict(f"billed for an hour of {negative.name}, s", billed, negative.at_most_s)


def best_webrtc(run: Run) -> float | None:
    """The lowest DCF of five among the modes of WebRTC's detector; None if none took part."""
    names = [name for name in run.scores if name.startswith("WebRTC")]
    return min((report.of_five(run, name).dcf for name in names), default=None)
