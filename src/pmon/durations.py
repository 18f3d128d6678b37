"""Durations as Go writes them: ``300ms``, ``5m``, ``1h30m``; days (``90d``) as well."""

from __future__ import annotations

import re

import durationpy

# durationpy alone takes "1h and 5m", "٣m" and "1mm" (a month, when somebody meant ms).
_GO_STYLE = re.compile(r"(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h|d))+")

DAY_S = 86_400.0


def parse_duration(text: str, *, zero: bool = False, longest_s: float = 30 * DAY_S) -> float:
    """Seconds of a Go-style duration from 1 ms to ``longest_s``; 0 only if ``zero`` says so.

    Raises ``ValueError`` with a text that says what a value should be and does not repeat ``text``.
    """
    if zero and text == "0":  # Go's only duration without a unit
        return 0.0
    if not _GO_STYLE.fullmatch(text):
        raise ValueError("should be a duration with units, such as 30s, 5m or 1h30m")
    try:
        seconds: float = durationpy.from_str(text).total_seconds()
    except durationpy.DurationError:  # more than a timedelta holds
        seconds = float("inf")
    least, least_s = ("0s", 0.0) if zero else ("1ms", 0.001)
    if not least_s <= seconds <= longest_s:
        raise ValueError(f"should be a duration from {least} to {longest_s / 3600:g}h")
    return seconds
