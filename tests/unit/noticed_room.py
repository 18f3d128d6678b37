"""A room with notices whose time the test tells; every packet is held against the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from event_samples import TIME, base, summary

from pmon.metadata import NotificationPreferences
from pmon.monitor import events as ev
from pmon.outputs.notices import SENDS, Notices, Packet, shapes

SCHEMA = Path(__file__).parents[2] / "docs" / "notices.schema.json"
SILENT = NotificationPreferences(welcome=False)
LATER = timedelta(seconds=9)
_VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


def check(payload: bytes) -> None:
    """What is sent is what is documented, and not a field more."""
    message = msgspec.json.decode(payload)
    _VALIDATOR.validate(message)
    again = msgspec.json.decode(payload, type=shapes.AnyNotice)
    assert msgspec.json.decode(msgspec.json.encode(again)) == message


class Room:
    """A room with notices, whose time the test tells."""

    def __init__(self, *people: str, enabled: bool = True) -> None:
        self.opted_out: set[str] = set()
        self.notices = Notices(enabled, lambda identity: identity not in self.opted_out)
        self.now = 100.0
        for identity in people:
            self.notices.joined(identity, False, self.now)

    def watch(
        self, identity: str, preferences: NotificationPreferences = SILENT, session: str = ""
    ) -> None:
        self.notices.session(session or f"s-{identity}", identity, preferences)

    def happens(self, kind: type[Any], identity: str, session: str = "", **more: Any) -> None:
        fields = base(identity, session or f"s-{identity}")
        self.notices.event(kind(**fields, **more), self.now)

    def connects(self, identity: str, session: str = "") -> None:
        self.happens(ev.ParticipantConnected, identity, session)

    def publishes(self, identity: str, track_sid: str) -> None:
        event = ev.TrackPublished(
            **base(identity, f"s-{identity}") | {"track_sid": track_sid},
            kind="audio",
            source="microphone",
            muted=False,
            encrypted=False,
        )
        self.notices.event(event, self.now)

    def starts(self, identity: str, session: str = "") -> None:
        self.happens(ev.SpeakingStarted, identity, session)

    def stops(
        self, identity: str, session: str = "", turn_s: float = 1.0, talk_s: float = 1.0
    ) -> None:
        self.happens(ev.SpeakingStopped, identity, session, turn_s=turn_s, talk_time_s=talk_s)

    def quality(self, identity: str, before: str, after: str, session: str = "") -> None:
        self.happens(
            ev.ConnectionQuality, identity, session, from_=before, to=after, reason="server"
        )

    def video(self, identity: str, before: str, after: str, sid: str = "TR_V") -> None:
        event = ev.VideoState(
            **base(identity, f"s-{identity}") | {"track_sid": sid},
            from_=before,  # type: ignore[arg-type]
            to=after,  # type: ignore[arg-type]
        )
        self.notices.event(event, self.now)

    def raises(
        self, identity: str, issue: str, session: str = "", severity: str = "warning"
    ) -> None:
        fields = {"issue": issue, "severity": severity, "since": TIME - LATER, "evidence": {}}
        self.happens(ev.IssueRaised, identity, session, **fields)

    def worsens(self, identity: str, issue: str, session: str = "") -> None:
        fields = {"issue": issue, "severity": "critical", "since": TIME - LATER, "evidence": {}}
        self.happens(ev.IssueUpdated, identity, session, **fields)

    def resolves(self, identity: str, issue: str, session: str = "") -> None:
        fields = {"issue": issue, "severity": "warning", "duration_s": 9.0, "reason": "recovered"}
        self.happens(ev.IssueResolved, identity, session, **fields)

    def leaves(self, identity: str) -> None:
        """Leave as the monitor tells of it, and out of reach."""
        self.quality(identity, "excellent", "unknown")
        self.happens(ev.ParticipantDisconnected, identity, reason="client_initiated")
        self.notices.left(identity)

    def ends(self, identity: str, session: str = "") -> None:
        self.happens(ev.SessionEnded, identity, session, reason="shutdown", summary=summary())

    def block(self) -> None:
        """Use up the sends of this second."""
        self.watch("blocker")
        for n in range(SENDS):
            (self.stops if n % 2 else self.starts)("blocker")
            assert len(list(self.take())) == 1

    def take(self, takes_s: float = 0.0) -> Iterator[Packet]:
        """What is sent now, where each takes so long."""
        while (packet := self.notices.due(self.now)) is not None:
            yield packet
            self.now += takes_s
            self.notices.sent(self.now)

    def due(self, after_s: float = 0.0) -> list[tuple[dict[str, Any], list[str]]]:
        self.now += after_s
        packets = list(self.take())
        for packet in packets:
            assert packet.topic == "pmon"
            assert len(packet.payload) + sum(map(len, packet.destination_identities)) < 15_000
            check(packet.payload)
        return [(msgspec.json.decode(p.payload), p.destination_identities) for p in packets]

    def seconds(self, count: int) -> list[tuple[dict[str, Any], list[str]]]:
        """What is sent within so many seconds, looked at eight times in each."""
        return [sent for _ in range(8 * count) for sent in self.due(0.125)]


class Client:
    """What a receiver knows of the others, who takes every packet that is sent to them."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}

    def of(self, identity: str) -> dict[str, Any]:
        """Of somebody: their quality and whatever is not as it should be."""
        return self.known.setdefault(identity, {})

    def take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "snapshot":
                for person in message["participants"]:
                    self.known[person["participant"]] = _of_snapshot(person)
            case "speaking_detection":
                self._put(message, "speaking", message["speaking"] or None)
            case "connection_quality":
                self._put(message, "quality", message["quality"])
            case "video_state":
                state = message["state"]
                said = None if state in ("live", "ended") else state
                self._put(message, f"video {message['track_sid']}", said)
            case "issue":
                said = None if message["action"] == "resolved" else message["severity"]
                self._put(message, message["issue"], said)

    def _put(self, message: dict[str, Any], name: str, value: object) -> None:
        of = self.of(message["participant"])
        if value is None:
            of.pop(name, None)
        else:
            of[name] = value


def _of_snapshot(person: dict[str, Any]) -> dict[str, Any]:
    of: dict[str, Any] = {name: person[name] for name in ("speaking", "quality") if name in person}
    of |= {f"video {v['track_sid']}": v["state"] for v in person.get("videos", ())}
    return of | {i["issue"]: i["severity"] for i in person.get("issues", ())}
