"""What is known of somebody's link beside the server's level: why it is low, and figures."""

from __future__ import annotations

from typing import Literal

import msgspec

from pmon.monitor.events import ParticipantKind, QualityLevel
from pmon.monitor.quality import SCORES

LOSS = 0.02
"""A loss worth a word: for less the server lowers nobody's level."""

Reason = Literal["uplink_loss", "uplink_dry", "downlink", "downlink_or_video", "server"]
"""``uplink_loss``: packets of theirs get lost before the server. ``uplink_dry``: none come at all.
``downlink``: all comes that they send, so it is what they receive. ``downlink_or_video``: the same
of their sound, but the server counts pictures that they do not send, too. ``server``: it cannot be
told, the server says so."""
Direction = Literal["uplink", "downlink", "unknown"]

_DIRECTIONS: dict[Reason, Direction] = {
    "uplink_loss": "uplink",
    "uplink_dry": "uplink",
    "downlink": "downlink",
    "downlink_or_video": "unknown",
    "server": "unknown",
}


def is_low(level: QualityLevel) -> bool:
    """Whether the server finds anything wrong; unknown is no verdict."""
    return SCORES.get(level, 1.0) < 1.0


def is_well(level: QualityLevel) -> bool:
    """Whether the server finds nothing wrong; before it has said so nobody is a witness."""
    return level == "excellent"


class Account(msgspec.Struct, frozen=True):
    """Of one participant at one moment."""

    reason: Reason = "server"
    """Why the level is as low as it is."""
    figures: dict[str, float] = {}
    """``loss`` (of the packets, on their uplink) and ``concealment`` (of the sound), both 0 to 1,
    ``jitter_s``, ``mos``, and what the monitor's own path loses (``monitor_path_loss``); only
    those that are known."""

    def why(self, before: QualityLevel, level: QualityLevel) -> str:
        """The reason of a change from one of the server's levels to another."""
        if before != "unknown" and SCORES.get(level, -1.0) > SCORES[before]:
            still = is_low(level) and self.figures.get("loss", 0.0) >= LOSS
            return "uplink_loss" if still else "recovered"
        return self.reason if is_low(level) else "server"

    def evidence(self, level: QualityLevel, kind: ParticipantKind) -> dict[str, float | str]:
        """What goes along with a verdict of the server's on somebody of this kind."""
        if level == "unknown":
            return {}
        said: dict[str, float | str] = dict(self.figures)
        if is_low(level):
            said["direction"] = _DIRECTIONS[self.reason]
        if kind == "sip":
            # Neither the server nor we see the telephone network behind it.
            said["leg"] = "sip_service"
        return said


NO_ACCOUNT = Account()
