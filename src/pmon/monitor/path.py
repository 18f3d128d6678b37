"""Which way packets get lost: on somebody's uplink, on their downlink, or on our own way to them.

The server judges everybody's link by what it receives of them and what they say of what it sends
them, and mixes the two (livekit#4400). It knows nothing of its way to us in anybody's level but
our own. What we hear of somebody has passed their uplink and our own path, never their downlink.
So the server's level tells *whether* a link is bad, and what we hear *which way*: see ``Paths``.

What RED or FEC rebuild counts as lost all the same, for the server and for us, but is not made up.
What comes by retransmission, as plain Opus from the server to us does, counts for nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from pmon.monitor.account import LOSS, Account, Reason, is_low, is_well
from pmon.monitor.borne import SERVER_LAG_S, Borne
from pmon.monitor.events import QualityLevel
from pmon.monitor.inputs import LinkReading
from pmon.monitor.mos import heard_mos
from pmon.monitor.participant import Participant
from pmon.monitor.reception import NOTHING, Inbound, Reception, likely_loss
from pmon.monitor.sight import coming, standing_still
from pmon.monitor.video import FROZEN_AFTER_S

WELL = 0.01
"""The own path has to lose less than this to be called well again."""
TOLERATED = 0.12
"""More than this on an uplink, and the server calls nobody excellent; with RED and FEC that takes
9.4 %."""
EXPLAINS: dict[QualityLevel, float] = {"good": LOSS, "poor": 0.06}
"""With less than this on an uplink the server calls nobody so: that is what it takes of pictures.
Of plain Opus it takes 2.5 and 7.5 %, with RED and FEC 7.5 and 22.5 %."""
SEEN_AGAIN = 0.08
"""Where pictures were lost on the own path, it has to lose less than this before they are judged
again: what is lost by chance goes to and fro about one bound.
"""
CHANCE = 3
"""Fewer may have bad uplinks at the same time."""
DOUBT_S = 20.0
"""A loss shows in full at most so late: after a window, and the looks before and after it. The SDK
takes as long to see that its connection is dead."""
SEVERAL = 2
"""Of one alone nothing may come for a reason of theirs."""
PLENTY, CLEAN = 250, 0.005
"""So many packets with less lost than this, and nothing is wrong with their way."""
DRY_S = 5.0
"""Nothing came for so long: even a pause with DTX sends something. A window of the server's."""

SILENT = None
"""Stands for all together who hardly send anything, as whoever is silent does with DTX."""


class Paths:
    """The ways of a room's packets, from the audio of those who are heard.

    Packets that are lost on the own path are lost of everybody: so if one who is heard misses
    none, the path is well, and who does miss some has lost them before. If all do, it may be the
    path, and nobody is blamed, unless the server lowers the level of them all and not ours. It is
    the path for sure if the server lowers ours, or keeps calling those well who lose that much.
    What it kept calling well it does not lower a level for later: see ``Borne``.
    """

    def __init__(self, participants: Mapping[str, Participant]) -> None:
        self.own_level: QualityLevel = "unknown"
        """The server's, of the monitor's connection."""
        self.own_loss: float | None = None
        """The share of packets that the own path loses, once that is sure; None while it is well,
        or nobody is heard."""
        self.blind = False
        """Whether the own path may lose so much that pictures do not come which were sent. Where
        less is missing it is sent again, and the pictures come."""
        self.rtt_s: float | None = None
        """From here to the server and back."""
        self.alive_until = -math.inf
        """The own path was alive until then at least: sound came without much loss, or a video at
        a full rate."""
        self._participants = participants
        self._inbound: dict[str, Inbound] = {}
        self._suspected_since: float | None = None
        self._borne = Borne()
        self._losses: dict[str | None, float] = {}
        """The loss of everybody of whom enough was sent lately, and of the ``SILENT``."""
        self._at_most: dict[str | None, float] = {}
        """What they may lose, by chance, of what was sent."""
        self._heads = 0
        """How many people that is."""
        self._hushed = NOTHING
        """What came of the silent while nobody who is well was heard."""
        self._dry: tuple[int, float] = (0, 0.0)
        """Of how many people nothing came the last time, while nothing came of others either, and
        for how long."""

    def read(
        self, readings: Mapping[str, dict[str, LinkReading]], rtt_s: float | None, now: float
    ) -> dict[str, Reception]:
        """Take the totals of all receivers that are heard now, by identity and track sid.

        Gives what was received of each since the last time, unless that tells of the own path.
        """
        self.rtt_s = rtt_s
        got: dict[str, Reception] = {}
        for name in readings.keys() | self._inbound.keys():
            inbound = self._inbound.setdefault(name, Inbound())
            got[name] = inbound.read(readings.get(name, {}), now)
            if inbound.over:
                del self._inbound[name]
        self._live(got, now)
        self._dry = self._dried(got)
        self._weigh()
        self._bear(now)
        self._listen(got)
        self._borne.over(got.keys() - self._inbound.keys())
        self._judge_own(now)
        doubted = self._suspected_since is not None or self._all_borne
        return {} if doubted else got

    def forget(self) -> None:
        """The connection is lost, and with it what was heard. The server repeats no level that it
        has told to a connection that comes back.
        """
        self._inbound.clear()
        self._borne.forget()
        self._weigh()
        self._dry = (0, 0.0)
        self.rtt_s = self._suspected_since = self.own_loss = None
        self.blind = False

    def left(self, identity: str) -> None:
        """Who comes back under that identity has another link."""
        self._inbound.pop(identity, None)
        self._borne.over([identity])
        self._weigh()

    def rejoined(self) -> None:
        """The connection is a new one, of which the server has said nothing yet."""
        self.own_level = "unknown"

    def dark(self, now: float) -> bool:
        """Whether the own path brings no pictures, where no sound tells what it loses.

        Either no sound comes of several people; or none is to come, and the server calls our link
        bad. It does for one camera that sends nothing, too, so that has to be true of more.
        """
        people, seconds = self._dry
        silenced = people >= SEVERAL and seconds >= FROZEN_AFTER_S
        bad = not self._losses and not self._murmurs and self.own_level in ("poor", "lost")
        if not (silenced or bad):
            return False
        still = standing_still(self._participants.values(), now)
        return still >= (1 if silenced or self.own_level == "lost" else SEVERAL)

    def doubted(self, now: float) -> bool:
        """Whether the own path has begun to be suspected, so that it may yet turn out ``blind``."""
        return self._suspected_since is not None and now - self._suspected_since < DOUBT_S

    def hears(self, identity: str) -> bool:
        """Whether what comes of them is looked at, so that the next look may tell more."""
        inbound = self._inbound.get(identity)
        return inbound is not None and inbound.heard

    def account(self, participant: Participant, *, fell: bool = False) -> Account:
        """What is known of somebody's link; ``fell`` if the server has just lowered its level.

        A downlink is told only then: of a loss that is over the server takes its time to say so.
        Until it does, a reason that was told holds on, but no longer than they are heard.
        """
        reason: Reason = "server"
        if is_low(participant.quality):
            reason = self._reason(participant, fell)
            if reason == "server" and not fell and self.hears(participant.identity):
                reason = participant.account.reason
        return Account(reason, self._figures(participant.identity))

    # --- inside

    def _reason(self, participant: Participant, fell: bool) -> Reason:
        if participant.quality == "lost":
            # Only of what they send the server says so: no packets, and no reports either.
            return "uplink_dry"
        inbound = self._inbound.get(participant.identity)
        if inbound is None:
            return "server"
        got = inbound.lately
        if got.expected <= 0 and got.seconds >= DRY_S:
            return "uplink_dry" if self._path_brings(participant.identity) else "server"
        theirs = self._uplink_loss(participant.identity)
        if theirs is None:
            return "server"
        if theirs >= EXPLAINS[participant.quality]:
            return "uplink_loss"
        clean = got.expected >= PLENTY and got.lost < CLEAN * got.expected
        if fell and clean and inbound.steady_s >= SERVER_LAG_S:
            on = [track for track in participant.tracks.values() if not track.muted]
            if any(not track.is_video and not inbound.hears(track.sid) for track in on):
                return "server"  # which may miss what we do not listen to
            return "downlink_or_video" if any(track.is_video for track in on) else "downlink"
        return "server"

    def _path_brings(self, identity: str) -> bool:
        """Whether the own path is alive: something comes of others. Of one alone the server's word
        has to do, that the own link is well.
        """
        others = [i.lately for name, i in self._inbound.items() if name != identity]
        heard = [got for got in others if got.seconds >= DRY_S]
        if not heard:
            return not is_low(self.own_level)
        return any(got.expected > 0 for got in heard)

    def _uplink_loss(self, identity: str) -> float | None:
        """The loss of theirs that the own path cannot explain; None if that cannot be told."""
        losses = dict(self._losses)
        theirs = losses.pop(identity, None)
        if theirs is None:
            return None
        if not losses and (self._suspected_since is not None or self._all_borne):
            return None
        path = self._path_loss(losses)
        if (
            min(losses.values(), default=1.0) < LOSS <= theirs
            and min(self._at_most[name] for name in losses) >= theirs
        ):
            return None  # so little was sent of the others that they may miss none by chance
        return 1.0 - (1.0 - theirs) / (1.0 - path) if path < theirs else 0.0

    def _live(self, got: Mapping[str, Reception], now: float) -> None:
        """A few packets that come by luck are no sign of life: as many are to come lately as say
        that little is lost.
        """
        latest = sum(got.values(), NOTHING)
        lately = sum((inbound.lately for inbound in self._inbound.values()), NOTHING)
        all_well = latest.loss is not None and latest.loss < TOLERATED > lately.likely_at_most
        # One with a bad uplink does not hide it.
        if all_well or any(r.likely_at_most < TOLERATED for r in got.values()):
            seconds = max(reception.seconds for reception in got.values())
            self.alive_until = max(self.alive_until, now - seconds)

    def _dried(self, got: Mapping[str, Reception]) -> tuple[int, float]:
        """Nothing comes of a microphone that is muted, or only just read: that is no sign."""
        if any(reception.expected > 0 for reception in got.values()):
            return 0, 0.0
        dry = [name for name, g in got.items() if g.seconds > 0 and self._is_open(name)]
        seconds = max((got[name].seconds for name in dry), default=0.0)
        return len(dry), self._dry[1] + seconds if dry else 0.0

    @property
    def _murmurs(self) -> bool:
        """Whether what comes, too little of each to know what they lose, comes without much loss:
        who is silent sends some noise.
        """
        got = sum((inbound.lately for inbound in self._inbound.values()), NOTHING)
        return got.loss is not None and got.loss < TOLERATED

    def _is_open(self, identity: str) -> bool:
        """Whether a microphone of theirs is on that is listened to."""
        inbound, participant = self._inbound.get(identity), self._participants.get(identity)
        if inbound is None or participant is None:
            return False
        return any(inbound.hears(t.sid) and not t.muted for t in participant.tracks.values())

    def _weigh(self) -> None:
        """Look at the losses of everybody anew."""
        self._losses, self._at_most, self._heads, silent = {}, {}, 0, NOTHING
        for name, inbound in self._inbound.items():
            if inbound.loss is not None:
                self._losses[name] = inbound.loss
                self._at_most[name] = inbound.lately.likely_at_most
                self._heads += 1
            elif inbound.lately.expected > 0 and is_well(self._level(name)):
                silent += inbound.lately
                self._heads += 1
        loss = likely_loss(silent)
        if loss is not None:
            self._losses[SILENT] = loss
            self._at_most[SILENT] = silent.likely_at_most

    def _bear(self, now: float) -> None:
        """Take note of what the server finds nothing wrong with."""
        losses = {name: loss for name, loss in self._losses.items() if name is not None}
        for name, loss in losses.items():
            if loss < WELL:
                self._borne.over([name])
            elif not is_well(self._level(name)):
                self._borne.lowered(name)
            elif loss >= LOSS:
                self._borne.see(name, loss, now)
        self._borne.look(losses, now)

    def _listen(self, got: Mapping[str, Reception]) -> None:
        """The silent clear the own path if they miss nothing for longer than a window: else one who
        is not well would accuse it for ever, once their own uplink loses as much.
        """
        if self._well_is_heard:
            self._hushed = NOTHING
            return
        silent = [name for name in got if name not in self._losses and is_well(self._level(name))]
        self._hushed = sum((got[name] for name in silent), self._hushed)
        if self._hushed.lost >= CLEAN * PLENTY:
            self._hushed = NOTHING
        elif self._hushed.expected >= PLENTY:
            self._hushed = NOTHING
            self._borne.over(name for name in self._losses if name is not None)

    @property
    def _well_is_heard(self) -> bool:
        """Whether it is known what anybody loses whom the server finds well."""
        return any(is_well(self._level(name)) for name in self._losses)

    @property
    def _all_borne(self) -> bool:
        """Whether all lose what the server found nothing wrong with, be it of the own path or of
        their uplinks; what it says of their levels is of something else.
        """
        losses = self._losses
        return min(losses.values(), default=0.0) >= LOSS and all(
            self._borne.bears(name, loss) for name, loss in losses.items()
        )

    def _path_loss(self, losses: Mapping[str | None, float]) -> float:
        """What the own path loses at most, if these are the losses of all who are heard.

        One who misses hardly anything has it all; else what those miss who the server finds well.
        """
        least = min(losses.values(), default=0.0)
        if least < LOSS:
            return least
        well = [
            loss
            for name, loss in losses.items()
            if is_well(self._level(name)) or self._borne.bears(name, loss)
        ]
        return median(well) if well else 0.0

    def _level(self, identity: str | None) -> QualityLevel:
        if identity is SILENT:
            return "excellent"  # who is not is left out of them
        participant = self._participants.get(identity)
        return "unknown" if participant is None else participant.quality

    def _judge_own(self, now: float) -> None:
        """Whether it is the own path that loses packets: see the class.

        What was borne of those who are not well any more accuses nothing, as it may be their
        uplinks, unless it is more than those may lose. Nor does our own level, without a witness.
        """
        losses, ours_is_low = self._losses, is_low(self.own_level)
        bound = SEEN_AGAIN if self.blind else TOLERATED
        well = [
            loss
            for name, loss in losses.items()
            if is_well(self._level(name)) or (loss >= bound and self._borne.bears(name, loss))
        ]
        least = min(losses.values(), default=0.0)
        if least < (LOSS if self.own_loss is None else WELL) or not (well or ours_is_low):
            self._suspected_since = self.own_loss = None
            self.blind = False
            return
        if self._suspected_since is None:
            self._suspected_since = now
        late = now - self._suspected_since >= SERVER_LAG_S
        sure = self._heads >= CHANCE or max(well, default=0.0) >= TOLERATED
        if not well:
            self.own_loss = None
        elif ours_is_low or (late and sure):
            self.own_loss = median(well)
        self.blind = bool(well) and least >= bound
        if not self._well_is_heard and coming(self._participants.values(), now):
            self.blind = False  # it may be their uplinks, and pictures do come

    def _figures(self, identity: str) -> dict[str, float]:
        inbound, loss = self._inbound.get(identity), self._uplink_loss(identity)
        if loss is None or inbound is None:
            return {}
        figures = {"loss": round(loss, 4), "jitter_s": round(inbound.lately.jitter_s, 4)}
        if self._suspected_since is not None:
            # What is heard may be worse than what they send.
            path = {} if self.own_loss is None else {"monitor_path_loss": round(self.own_loss, 4)}
            return figures | path
        concealment = inbound.lately.concealment
        if concealment is not None:
            figures["concealment"] = round(concealment, 4)
        return figures | {"mos": heard_mos(inbound.lately, self.rtt_s or 0.0)}
