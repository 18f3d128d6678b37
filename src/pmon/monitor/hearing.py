"""What speech on a microphone rests on, where it is heard only from time to time."""

from __future__ import annotations

from pmon.monitor.events import Heard

ONSET_LAG_S = 0.6
"""The server tells an onset 0.2-1.0 s late: it judges windows of 400 ms, and looks at them every
400 ms. The mean is 0.57 s; the rest stands for words of under a second that are over before their
microphone is open and are never billed, so that on the whole no more is billed than was spoken."""
CONFIRM_S = 1.0
"""Speech must be heard within so long of the first frame, or the server's onset bills nothing.

Longer than the 0.6 s of the design, which count from the first sound: a stream that was opened just
now gives frames of silence until its first packets come, up to 0.3 s later.
"""
GAP_MAX_S = 1.5
"""An onset that was told longer before the first frame is not billed from: too much may lie
between, and then it was not that onset that the microphone was enabled for."""
MID_SPEECH_S = 0.4
"""A run that begins so soon after the first frame may have been under way before it: a stream
that was opened just now gives silence until its first packets come, up to 0.3 s later."""


def onset(at: float, heard_since: float | None, called_at: float | None) -> tuple[float, Heard]:
    """When speech began that is first heard at ``at``, and what that rests on.

    ``heard_since`` is when the first frame came after the microphone was disabled (None: it never
    was), ``called_at`` when the server's event named the speaker. Monotonic seconds.
    """
    if heard_since is None:
        return at, "pcm"
    if called_at is not None and at - heard_since <= CONFIRM_S:
        told = called_at - ONSET_LAG_S
        if heard_since - GAP_MAX_S <= called_at and told < min(heard_since, at):
            return told, "server"
    return at, "sampled" if at - heard_since < MID_SPEECH_S else "pcm"
