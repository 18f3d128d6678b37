"""How speech sounds after its way through the network: an estimate of the mean opinion score."""

from __future__ import annotations

from pmon.monitor.events import LinkSummary
from pmon.monitor.reception import ENOUGH, Reception

R_MAX = 93.2
"""The rating of a line without any fault, all defaults of ITU-T G.107."""
BPL = 25.1
"""Robustness of G.711 with loss concealment to random loss (ITU-T G.113, appendix I)."""
FRAME_S = 0.02
"""An Opus frame has to be complete before it is sent."""


def rating(loss: float, delay_s: float) -> float:
    """The transmission rating R from 0 to 93.2 of ITU-T G.107, reduced to what a receiver knows.

    ``R = 93.2 - Id - Ie,eff`` with ``Ie,eff = (95 - Ie) Ppl / (Ppl + Bpl)`` for random loss, and
    Cole and Rosenbluth's ``Id = 0.024 d + 0.11 (d - 177.3) H(d - 177.3)``, d in ms. ``loss`` is
    the share of the speech that is lost to the listener, ``delay_s`` the way from mouth to ear.

    The scale is that of narrow-band telephony, and ITU-T has published no Ie and Bpl for Opus:
    they are those of G.711 with concealment, Ie = 0. Opus carries a wider band, so a clean line
    sounds better than the figure says; it is for comparing links, not codecs.
    """
    percent = 100.0 * min(max(loss, 0.0), 1.0)
    delay_ms = 1000.0 * max(delay_s, 0.0)
    delayed = 0.024 * delay_ms + 0.11 * max(delay_ms - 177.3, 0.0)
    lossy = 95.0 * percent / (percent + BPL)
    return min(max(R_MAX - delayed - lossy, 0.0), 100.0)


def mos(loss: float, delay_s: float) -> float:
    """The mean opinion score from 1 to 4.5 that belongs to the rating (ITU-T G.107, annex B).

    The cubic falls under 1 for small ratings: clamped, as there is nothing worse than 1.
    """
    r = rating(loss, delay_s)
    return min(max(1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r), 1.0), 4.5)


def heard_mos(received: Reception, rtt_s: float = 0.0) -> float:
    """What somebody's link makes of their speech.

    Lost is what got lost and was made up audibly, as far as that is known: RED, FEC and
    retransmissions bring back much of what the network lost. What is made up without a loss came
    too late for this process, which may be its own fault. Nor is the delay that of its own
    jitter buffer, which grows when it is busy, but of one that holds twice the jitter; the
    participant's way to the server is not known.
    """
    lost, concealed = received.loss or 0.0, received.concealment
    unheard = lost if concealed is None else min(lost, concealed)
    return round(mos(unheard, FRAME_S + 2 * received.jitter_s + rtt_s / 2), 2)


def link_summary(received: Reception) -> LinkSummary | None:
    """The sums of a session; None of hardly any packets."""
    if received.expected < ENOUGH or received.loss is None:
        return None
    concealment = received.concealment
    return LinkSummary(
        measured_s=round(received.seconds, 1),
        packets=received.expected,
        loss=round(received.loss, 4),
        jitter_s=round(received.jitter_s, 4),
        concealment=None if concealment is None else round(concealment, 4),
        mos=heard_mos(received),
    )
